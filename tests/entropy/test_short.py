"""Files of a few symbols: they come back, and none is longer than it must be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.entropy.coder import SymbolWriter
from foveal.entropy.short import Bounds, ShortReader, shortest_file
from foveal.entropy.tables import TABLE_BITS, TABLE_TOTAL, Table


def _table(*weights: float) -> Table:
    counts = 1 + np.floor(np.array(weights) / sum(weights) * (TABLE_TOTAL - len(weights) - 1)).astype(np.int64)
    return Table(0, np.append(counts, TABLE_TOTAL - counts.sum()))


TABLES = (_table(1, 8, 1), _table(1), _table(1, 2, 3, 4, 3, 2, 1), _table(100, 1))
BOUNDS = tuple(Bounds.of(table) for table in TABLES)
coded = st.lists(
    st.integers(0, len(TABLES) - 1).flatmap(lambda i: st.tuples(st.integers(0, len(TABLES[i].frequencies) - 1), st.just(i))),
    max_size=30,
)


def _file(pairs: list[tuple[int, int]]) -> bytes:
    return shortest_file((entry, BOUNDS[i]) for entry, i in pairs)


def _bits(pairs: list[tuple[int, int]]) -> float:
    return sum(TABLE_BITS - math.log2(int(TABLES[i].frequencies[entry])) for entry, i in pairs)


@given(coded)
def test_any_entries_come_back_from_a_file_no_longer_than_their_information(pairs: list[tuple[int, int]]) -> None:
    data = _file(pairs)
    assert len(data) <= math.ceil(_bits(pairs) / 8 + 1e-6)
    reader = ShortReader(data)
    assert [reader.take(BOUNDS[i]) for _, i in pairs] == [entry for entry, _ in pairs]


@given(coded)
def test_no_shorter_bytes_decode_to_the_same(pairs: list[tuple[int, int]]) -> None:
    """Of all files one byte shorter, those nearest to the file are the only ones that could."""
    data = _file(pairs)
    if not data:
        return
    near = int.from_bytes(data[:-1], "big")
    for value in (near - 1, near, near + 1):
        if 0 <= value < 256 ** (len(data) - 1):
            reader = ShortReader(value.to_bytes(len(data) - 1, "big"))
            assert [reader.take(BOUNDS[i]) for _, i in pairs] != [entry for entry, _ in pairs]


def test_the_stream_never_changes() -> None:
    pairs = [(2, 2), (1, 0), (0, 0), (6, 2), (0, 3), (1, 3), (2, 0)]
    assert _file(pairs).hex() == "38a306"
    assert _file([]) == b""


def test_short_files_save_the_state_of_the_coder_of_long_ones() -> None:
    rng = np.random.default_rng(1)
    ours = long = 0
    for _ in range(200):
        symbols = rng.choice(7, 6, p=np.array([1, 2, 3, 4, 3, 2, 1]) / 16)
        writer = SymbolWriter()
        writer.put(symbols[None], (TABLES[2],))
        long += len(writer.finish())
        ours += len(_file([(int(symbol), 2) for symbol in symbols]))
    assert ours < long - 200


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 9])
def test_any_bytes_give_entries(data: bytes) -> None:
    reader = ShortReader(data)
    for i in (0, 1, 2, 3, 2):
        assert 0 <= reader.take(BOUNDS[i]) < len(TABLES[i].frequencies)
