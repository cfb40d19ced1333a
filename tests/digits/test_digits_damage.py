"""Files of digits, damaged: one of foveal's own errors or a digit, at once, and never another exception."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal.digits.codec import DigitCodec
from foveal.digits.data import Digits
from foveal.entropy.short import Bounds, shortest_file
from foveal.entropy.tables import Table
from foveal.errors import DamagedError
from foveal.picture import Picture


@pytest.fixture(scope="module")
def files(codec: DigitCodec, digits: Digits) -> list[bytes]:
    """Of all test digits and of noise, whose files are longer."""
    noise = np.random.default_rng(5).integers(0, 256, (20, 28, 28)).astype(np.uint8)
    made = {codec.encode(Picture(image[:, :, None])) for image in [*digits.test_images, *noise]}
    assert max(len(data) for data in made) >= 4
    return sorted(made)


def outcome(codec: DigitCodec, data: bytes) -> str:
    """``digit`` or ``refused``; ``describe`` has to say the same as ``decode``."""
    try:
        assert codec.decode(data).samples.shape == (28, 28, 1)
    except DamagedError:
        with pytest.raises(DamagedError):
            codec.describe(data)
        return "refused"
    assert codec.describe(data).bytes == len(data)
    # There is one file for each choice of symbols, so what is decoded is what an encoder could have written.
    assert codec.networks.tables.file(*codec.networks.tables.read(data)) == data
    return "digit"


def test_cuts_at_every_byte(codec: DigitCodec, files: list[bytes]) -> None:
    found = [outcome(codec, data[:size]) for data in files for size in range(len(data))]
    assert found.count("refused") > 0
    assert found.count("digit") > 0


def test_every_bit_flipped_and_every_byte_zeroed_or_set(codec: DigitCodec, files: list[bytes]) -> None:
    found = [
        outcome(codec, data[:at] + bytes([value]) + data[at + 1 :])
        for data in files[::4]
        for at, byte in enumerate(data)
        for value in {0, 255, *(byte ^ 1 << bit for bit in range(8))} - {byte}
    ]
    assert found.count("refused") > 0
    assert found.count("digit") > 0


def test_bytes_added_in_front_and_behind(codec: DigitCodec, files: list[bytes]) -> None:
    for data in files:
        for more in (b"\0", b"\xff", b"\0" * 4, data, b"FVL"):
            outcome(codec, data + more)
            outcome(codec, more + data)


def test_every_file_of_up_to_two_bytes(codec: DigitCodec) -> None:
    """Some of them are digits, and those are all different ones."""
    tables = codec.networks.tables
    seen: set[tuple[int, ...]] = set()
    for length, step in ((0, 1), (1, 1), (2, 31)):
        for value in range(0, 256**length, step):
            data = value.to_bytes(length, "big")
            try:
                cluster, symbols = tables.read(data)
            except DamagedError:
                continue
            assert (cluster, *symbols.tolist()) not in seen
            seen.add((cluster, *symbols.tolist()))
    assert len(seen) > 1


def test_long_files_are_refused_at_once_and_take_no_memory(codec: DigitCodec) -> None:
    huge = bytes(8 << 20)
    start = time.monotonic()
    tracemalloc.start()
    with pytest.raises(DamagedError, match="up to 12"):
        codec.decode(huge)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(huge) * 1.5
    assert time.monotonic() - start < 5


@settings(max_examples=300)
@given(st.binary(max_size=40))
def test_random_bytes(codec: DigitCodec, data: bytes) -> None:
    outcome(codec, data)


def test_files_of_escapes_are_refused(codec: DigitCodec) -> None:
    """Tables have an escape, which every coder of foveal may meet in damaged bytes, and no digit."""
    tables = codec.networks.tables
    clusters = Bounds.of(Table(0, tables.clusters))
    first = [Bounds.of(Table(0, row[: n + 1])) for row, n in zip(tables.frequencies[0], tables.counts, strict=True)]
    of_cluster = shortest_file([(len(tables.clusters) - 1, clusters)])
    of_symbol = shortest_file([(0, clusters), *((0, bounds) for bounds in first[:-1]), (int(tables.counts[-1]), first[-1])])
    for data in (of_cluster, of_symbol):
        with pytest.raises(DamagedError, match="a symbol that no digit has"):
            tables.read(data)
