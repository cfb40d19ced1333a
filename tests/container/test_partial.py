"""Files that are cut, and files of which only some units are read."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest

from foveal.container.bounded import varint
from foveal.container.format import Container, Head, Tiling, Unit
from foveal.container.reader import read_container, read_cut, read_first_head
from foveal.container.writer import write_container
from foveal.errors import DamagedError, FovealError, NotFovealError, TruncatedError
from foveal.limits import DEFAULT_LIMITS

BANDS, TILES = 3, 4
HEAD = Head(2, b"abcd", 500, 300, bands=BANDS, tiling=Tiling(256, 256, 0), parameters=b"\1\2")
UNITS = tuple(Unit(n, 1000 + n, bytes([n]) * (20 + 3 * n)) for n in range(BANDS * TILES))
DATA = write_container(Container(HEAD, UNITS, icc=b"a profile"))


def _ends() -> list[int]:
    """Where each unit's chunk ends in the file."""
    sizes = [unit.bytes for unit in read_container(DATA, DEFAULT_LIMITS).units]
    return [len(DATA) - sum(sizes[n + 1 :]) for n in range(len(sizes))]


ENDS = _ends()


def _numbers(container: Container) -> list[int]:
    return [unit.number for unit in container.units]


def test_units_are_numbered_band_by_band() -> None:
    assert HEAD.tiles == TILES
    assert HEAD.units == 12
    places = [(HEAD.band_of(n), HEAD.tile_of(n)) for n in range(12)]
    assert places == [(band, tile) for band in range(3) for tile in range(4)]
    assert [HEAD.unit_of(band, tile) for band, tile in places] == list(range(12))


@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_a_whole_file_reads_all_its_bytes_either_way(kind: type) -> None:
    for partial in (False, True):
        container = read_container(kind(DATA), DEFAULT_LIMITS, partial=partial)
        assert container.read_bytes == len(DATA)
        assert container.icc == b"a profile"
        assert [replace(unit, bytes=0) for unit in container.units] == list(UNITS)


@pytest.mark.parametrize("tiling", [HEAD.tiling, None], ids=["tiles", "one tile"])
def test_a_file_cut_at_any_byte_gives_the_units_before_the_cut(tiling: Tiling | None) -> None:
    head = replace(HEAD, tiling=tiling)
    units = UNITS[: head.units]
    data = write_container(Container(head, units))
    ends = [len(write_container(Container(head, units[: n + 1]))) for n in range(len(units))]
    for size in range(len(data)):
        whole = sum(end <= size for end in ends)
        with pytest.raises((TruncatedError, NotFovealError)):
            read_container(data[:size], DEFAULT_LIMITS)
        if whole < head.tiles:
            with pytest.raises((TruncatedError, NotFovealError)):
                read_container(data[:size], DEFAULT_LIMITS, partial=True)
        else:
            container = read_container(data[:size], DEFAULT_LIMITS, partial=True)
            assert _numbers(container) == list(range(whole))
            assert container.read_bytes == ends[whole - 1]


def test_the_words_for_files_that_end_too_early() -> None:
    with pytest.raises(TruncatedError, match="3 of 4 tiles have whole; fetch more"):
        read_container(DATA[: ENDS[2]], DEFAULT_LIMITS, partial=True)
    with pytest.raises(TruncatedError, match="7 of 12 units; allow_partial"):
        read_container(DATA[: ENDS[6]], DEFAULT_LIMITS)
    with pytest.raises(TruncatedError, match=r"2 of 12 units$"):
        read_container(DATA[: ENDS[1]], DEFAULT_LIMITS)
    with pytest.raises(TruncatedError, match=r"1 more are needed; allow_partial"):
        read_container(DATA[:-1], DEFAULT_LIMITS)
    with pytest.raises(TruncatedError, match=r"1 more are needed$"):
        read_container(DATA[: ENDS[3] - 1], DEFAULT_LIMITS)


def test_damage_before_the_cut_stays_damage() -> None:
    flipped = bytearray(DATA[: ENDS[7] + 5])
    for at in (ENDS[0] - 6, ENDS[5] - 6):
        flipped[at] ^= 1
        with pytest.raises(DamagedError, match="CRC"):
            read_container(bytes(flipped), DEFAULT_LIMITS, partial=True)
        flipped[at] ^= 1
    assert len(read_container(bytes(flipped), DEFAULT_LIMITS, partial=True).units) == 8


def test_no_changed_byte_of_a_partial_file_is_more_than_an_earlier_cut() -> None:
    """A changed length may look like a cut; nothing else may pass, and no unit that is given back may be a changed one."""
    for at in range(len(DATA)):
        data = DATA[:at] + bytes([DATA[at] ^ 0x55]) + DATA[at + 1 :]
        try:
            found = read_container(data, DEFAULT_LIMITS, partial=True).units
        except FovealError:
            continue
        assert TILES <= len(found) < len(UNITS)
        assert [replace(unit, bytes=0) for unit in found] == list(UNITS[: len(found)])


def test_a_band_counts_only_on_top_of_the_lower_ones_of_its_tile() -> None:
    gaps = tuple(unit for unit in UNITS if unit.number not in (5, 10))  # tile 1 lacks band 1, tile 2 band 2
    container = read_container(write_container(Container(HEAD, gaps)), DEFAULT_LIMITS, partial=True)
    assert _numbers(container) == [0, 1, 2, 3, 4, 6, 7, 8, 11]


def test_unwanted_units_are_neither_read_nor_checked() -> None:
    ruined = bytearray(DATA)
    for number in range(TILES, 12):  # all that follows the unit's number: the CRC of the symbols, the payload, the chunk's CRC
        payload = len(UNITS[number].payload)
        ruined[ENDS[number] - payload - 8 : ENDS[number]] = bytes(payload + 8)
    with pytest.raises(DamagedError, match="CRC"):
        read_container(bytes(ruined), DEFAULT_LIMITS)
    container = read_container(bytes(ruined), DEFAULT_LIMITS, wanted=lambda head, unit: head.band_of(unit) == 0)
    assert _numbers(container) == [0, 1, 2, 3]
    assert container.read_bytes == ENDS[3] + 3 * 8  # of each of the others: type, length and number
    with pytest.raises(DamagedError, match="CRC"):
        read_container(bytes(ruined), DEFAULT_LIMITS, wanted=lambda head, unit: head.tile_of(unit) == 2)


def test_one_tile_in_all_bands() -> None:
    container = read_container(memoryview(DATA), DEFAULT_LIMITS, wanted=lambda head, unit: head.tile_of(unit) == 2)
    assert _numbers(container) == [2, 6, 10]
    skipped = sum(unit.bytes for unit in read_container(DATA, DEFAULT_LIMITS).units if unit.number % 4 != 2)
    assert container.read_bytes == len(DATA) - skipped + 9 * 3


def test_unwanted_units_must_be_there_and_rise_all_the_same() -> None:
    def base(head: Head, unit: int) -> bool:
        return head.band_of(unit) == 0

    with pytest.raises(TruncatedError, match="11 of 12"):
        read_container(write_container(Container(HEAD, UNITS[:-1])), DEFAULT_LIMITS, wanted=base)
    with pytest.raises(TruncatedError, match="more are needed"):
        read_container(DATA[:-1], DEFAULT_LIMITS, wanted=base)
    assert _numbers(read_container(DATA[:-1], DEFAULT_LIMITS, wanted=base, partial=True)) == [0, 1, 2, 3]
    swapped = (*UNITS[:5], UNITS[6], UNITS[5], *UNITS[7:])
    with pytest.raises(DamagedError, match="must rise"):
        read_container(write_container(Container(HEAD, swapped)), DEFAULT_LIMITS, wanted=base)


def test_alpha_may_not_be_cut_off() -> None:
    whole = write_container(Container(replace(HEAD, alpha=True), UNITS))
    alpha = b"\x03" + varint(3) + b"\0xy"
    data = whole + alpha + zlib.crc32(alpha).to_bytes(4, "little")
    assert read_container(data, DEFAULT_LIMITS, partial=True).alpha == b"xy"
    for size in (len(whole), len(data) - 1):
        with pytest.raises(TruncatedError, match="before its alpha"):
            read_container(data[:size], DEFAULT_LIMITS, partial=True)


def test_the_head_is_read_without_the_rest() -> None:
    end = DATA.index(b"\x81", 6)  # the profile follows
    assert read_first_head(DATA[:end], DEFAULT_LIMITS) == HEAD
    assert read_first_head(DATA[:end] + b"junk", DEFAULT_LIMITS) == HEAD
    with pytest.raises(TruncatedError):
        read_first_head(DATA[: end - 1], DEFAULT_LIMITS)


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("tail", [b"\0", b"x" * 9, b"\xee\x09abc", DATA[:3]])
def test_what_follows_all_that_a_picture_needs_is_damage(tail: bytes, partial: bool) -> None:
    alpha = b"\x03" + varint(3) + b"\0xy"
    without = write_container(Container(replace(HEAD, alpha=True), UNITS))
    with_alpha = without + alpha + zlib.crc32(alpha).to_bytes(4, "little")
    for data in (DATA, with_alpha):
        assert read_container(data, DEFAULT_LIMITS, partial=partial).cut_bytes == 0
        with pytest.raises(DamagedError, match=f"{len(tail)} bytes from byte {len(data)} on"):
            read_container(data + tail, DEFAULT_LIMITS, partial=partial)
    with pytest.raises(TruncatedError):  # the alpha is still to come
        read_container(without + alpha, DEFAULT_LIMITS, partial=partial)


def test_the_bytes_of_a_cut_chunk_are_counted_and_a_head_alone_is_told() -> None:
    for size in range(ENDS[-3], ENDS[-2]):
        container = read_container(DATA[:size], DEFAULT_LIMITS, partial=True)
        assert (container.cut_bytes, container.decodable) == (size - ENDS[-3], True)
    for size in (DATA.index(b"\x81", 6), ENDS[0] + 5, ENDS[2] + 1):
        container = read_cut(DATA[:size], DEFAULT_LIMITS)
        assert (container.head, container.decodable) == (HEAD, False)
        assert _numbers(container) == [n for n in range(3) if ENDS[n] <= size]
    assert read_cut(DATA, DEFAULT_LIMITS) == read_container(DATA, DEFAULT_LIMITS)
