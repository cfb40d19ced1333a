"""The .fvl container: what is written is read, and everything else is refused by name."""

from __future__ import annotations

import binascii
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.container.alpha import read_alpha, write_alpha
from foveal.container.bounded import BoundedReader, inflate, varint
from foveal.container.format import SIGNATURE, Colour, Container, Head, Tiling, Timing, Unit
from foveal.container.head import read_head, write_head
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.errors import DamagedError, FovealError, LimitError, NotFovealError, TruncatedError, UnsupportedError
from foveal.limits import DEFAULT_LIMITS, Limits

HEAD = Head(1, b"abcd", 640, 480, parameters=b"\x01\x02")
SIMPLE = Container(HEAD, (Unit(0, 7, b"payload!"),))
SHORT = Container(replace(HEAD, short_sums=True), (Unit(0, 0x10007, b"payload!"),))


def _chunk(kind: int, body: bytes) -> bytes:
    chunk = bytes([kind]) + varint(len(body)) + body
    return chunk + zlib.crc32(chunk).to_bytes(4, "little")


@given(st.integers(0, (1 << 56) - 1))
def test_varints_come_back(value: int) -> None:
    assert BoundedReader(varint(value), "test").varint() == value


@pytest.mark.parametrize("data", [b"\x80\x00", b"\xff" * 8, b"\xff" * 9])
def test_overlong_varints_are_damage(data: bytes) -> None:
    with pytest.raises(DamagedError, match="longer than allowed"):
        BoundedReader(data, "test").varint()


heads = st.builds(
    Head,
    codec=st.integers(0, 1 << 20),
    weights=st.binary(min_size=4, max_size=4),
    width=st.integers(1, 65535),
    height=st.integers(1, 2000),
    gray=st.booleans(),
    alpha=st.booleans(),
    depth=st.integers(8, 16),
    bands=st.integers(1, 255),
    colour=st.builds(Colour, st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.booleans()),
    tiling=st.none() | st.builds(Tiling, st.integers(1, 4096), st.integers(1, 4096), st.integers(0, 64)),
    timing=st.none() | st.builds(Timing, st.integers(1, 60000), st.integers(1, 1001), st.integers(0, 10**6)),
    parameters=st.binary(max_size=20),
    short_sums=st.booleans(),
)


@given(heads)
def test_heads_come_back_with_bands_tiles_and_clips(head: Head) -> None:
    assert read_head(memoryview(write_head(head)), DEFAULT_LIMITS) == head


@given(
    st.lists(st.binary(max_size=40), min_size=1, max_size=6),
    st.none() | st.binary(max_size=99),
    st.none() | st.binary(max_size=99),
    st.booleans(),
)
def test_files_come_back(payloads: list[bytes], icc: bytes | None, exif: bytes | None, short_sums: bool) -> None:
    head = replace(HEAD, bands=len(payloads), short_sums=short_sums)
    units = tuple(Unit(i, i * 77, payload, sum_bytes=head.sum_bytes) for i, payload in enumerate(payloads))
    container = Container(head, units, None, icc, exif)
    back = read_container(write_container(container), DEFAULT_LIMITS)
    assert replace(back, units=tuple(replace(u, bytes=0) for u in back.units)) == container


def test_the_fixed_cost_of_a_one_band_picture_is_40_bytes_at_most() -> None:
    largest = replace(HEAD, width=65535, height=65535)
    payload = bytes(1 << 20)
    assert len(write_container(Container(largest, (Unit(0, 1, payload),)))) - len(payload) <= 40
    assert len(write_container(Container(HEAD, (Unit(0, 1, bytes(40000)),)))) - 40000 <= 38


@pytest.mark.parametrize("container", [SIMPLE, SHORT])
def test_truncation_at_every_byte_is_an_error(container: Container) -> None:
    data = write_container(replace(container, icc=b"profile", exif=b"exif"))
    for size in range(len(data)):
        with pytest.raises((TruncatedError, NotFovealError)):
            read_container(data[:size], DEFAULT_LIMITS)


@pytest.mark.parametrize("container", [SIMPLE, SHORT])
def test_every_byte_changed_is_an_error(container: Container) -> None:
    data = write_container(container)
    for at in range(len(data)):
        for value in {0, 255, data[at] ^ 255, data[at] ^ 1} - {data[at]}:
            with pytest.raises(FovealError):
                read_container(data[:at] + bytes([value]) + data[at + 1 :], DEFAULT_LIMITS)


def test_short_sums_are_the_low_bytes_and_save_four_a_unit() -> None:
    data = write_container(SHORT)
    assert len(data) == len(write_container(SIMPLE)) - 4
    (unit,) = read_container(data, DEFAULT_LIMITS).units
    assert (unit.symbols_crc, unit.sum_bytes) == (7, 2)
    assert data[-2:] == binascii.crc_hqx(data[-15:-2], 0xFFFF).to_bytes(2, "little")


def test_unknown_optional_chunks_are_skipped_and_critical_ones_refused() -> None:
    data = write_container(SIMPLE)
    assert read_container(data + _chunk(0xEE, b"later"), DEFAULT_LIMITS).units
    with pytest.raises(UnsupportedError, match="0x6e"):
        read_container(data + _chunk(0x6E, b"later"), DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("tail", "error", "words"),
    [
        (b"x", DamagedError, "1 bytes from byte .* follow the last chunk"),
        (_chunk(0x01, write_head(HEAD)), UnsupportedError, "0x01"),
        (_chunk(0x02, varint(0) + bytes(4)), DamagedError, "must rise"),
        (_chunk(0x02, varint(1) + bytes(4)), DamagedError, "announces 1"),
        (_chunk(0x81, b"junk"), DamagedError, "ICC"),
        (_chunk(0x81, zlib.compress(b"a")) * 2, DamagedError, "twice"),
        (_chunk(0x03, b"\0\0"), DamagedError, "alpha"),
        (_chunk(0x04, b"\1") + _chunk(0xEE, b""), DamagedError, "END"),
    ],
)
def test_what_may_not_follow_is_named(tail: bytes, error: type[FovealError], words: str) -> None:
    with pytest.raises(error, match=words):
        read_container(write_container(SIMPLE) + tail, DEFAULT_LIMITS)


def test_other_versions_clips_and_missing_bands_are_refused_by_name() -> None:
    data = write_container(SIMPLE)
    with pytest.raises(UnsupportedError, match="version 2"):
        read_container(data[:4] + b"\x02" + data[5:], DEFAULT_LIMITS)
    with pytest.raises(UnsupportedError, match="clip"):
        read_container(write_container(replace(SIMPLE, head=replace(HEAD, timing=Timing(30, 1, 1)))), DEFAULT_LIMITS)
    with pytest.raises(TruncatedError, match="1 of 3"):
        read_container(write_container(replace(SIMPLE, head=replace(HEAD, bands=3))), DEFAULT_LIMITS)
    with pytest.raises(DamagedError, match="HEAD must come first"):
        read_container(SIGNATURE + b"\x01" + _chunk(0x02, bytes(5)), DEFAULT_LIMITS)


def test_undefined_flags_and_layouts_are_refused() -> None:
    body = write_head(HEAD)
    with pytest.raises(UnsupportedError, match="0x80"):
        read_head(memoryview(b"\x80" + body[1:]), DEFAULT_LIMITS)
    layout = body.index(b"\x01\x01", 6)
    with pytest.raises(DamagedError, match="layout"):
        read_head(memoryview(body[:layout] + b"\x02" + body[layout + 1 :]), DEFAULT_LIMITS)


def test_sizes_are_checked_before_anything_is_made() -> None:
    huge = write_container(replace(SIMPLE, head=replace(HEAD, width=1 << 31, height=1 << 31)))
    with pytest.raises(LimitError, match="2147483648x2147483648"):
        read_container(huge, DEFAULT_LIMITS)
    with pytest.raises(LimitError, match="pixels"):
        read_container(write_container(SIMPLE), Limits(pixels=1000))
    with pytest.raises(LimitError, match="payload_bytes"):
        read_container(write_container(SIMPLE), Limits(payload_bytes=10))
    long = bytearray(write_container(SIMPLE))
    long[6:7] = varint(1 << 31)
    with pytest.raises(TruncatedError):
        read_container(bytes(long), DEFAULT_LIMITS)


def test_a_zip_bomb_stops_at_the_limit() -> None:
    bomb = zlib.compress(bytes(1 << 24), 9)
    with pytest.raises(LimitError, match="longer than the 1000"):
        inflate(bomb, 1000, "test")
    with pytest.raises(DamagedError, match="whole zlib stream"):
        inflate(bomb[:-5], 1 << 24, "test")


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_alpha_comes_back(height: int, width: int, seed: int) -> None:
    alpha = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    assert (read_alpha(write_alpha(alpha), width, height) == alpha).all()


def test_each_alpha_filter_serves_the_picture_that_it_is_for() -> None:
    ramp = np.arange(64, dtype=np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, 64).astype(np.uint8)
    for alpha, chosen in (
        (ramp[None, :] + noise[:, None], 1),
        (ramp[:, None] + noise[None, :], 2),
        (np.full((64, 64), 9, np.uint8), 0),
    ):
        body = write_alpha(alpha)
        assert body[0] == chosen
        assert (read_alpha(body, 64, 64) == alpha).all()


def test_alpha_of_another_size_is_damage() -> None:
    with pytest.raises(DamagedError, match="6 samples"):
        read_alpha(write_alpha(np.zeros((2, 3), np.uint8)), 4, 4)
    with pytest.raises(DamagedError, match="filter 9"):
        read_alpha(b"\x09" + zlib.compress(b"a"), 1, 1)
