"""A note inside a video stream that says how much of a padded picture is true.

HEVC and VVC with 4:2:0 chroma cannot say that a side is odd, and the encoders refuse small sides. Such a picture is padded,
and its size put where other decoders look past it: HEVC and VVC in an SEI message of user data, AV1 in a metadata OBU of
private use. Both hold the same 24 bytes: ``NOTE_ID``, width, height as big-endian 32-bit numbers.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from foveal.errors import DamagedError, TruncatedError

NOTE_ID = uuid.UUID("6f7665a1-6c73-4a1e-9d52-0a6e4f0b7c11").bytes
_START_CODE = re.compile(rb"\x00\x00\x01")
_USER_DATA = 5  # SEI payload type user_data_unregistered
_OBU_METADATA, _PRIVATE_METADATA = 5, 31
_OBU_SEQUENCE_HEADER = 1

Size = tuple[int, int]


@dataclass(frozen=True)
class Unit:
    """A NAL unit or an OBU: where it begins and ends in the stream, start code or header included, and its payload."""

    kind: int
    start: int
    end: int
    payload: bytes


def _note(size: Size) -> bytes:
    return NOTE_ID + size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big")


def _size(payload: bytes) -> Size | None:
    """The size in a payload that holds a note, or None."""
    at = payload.find(NOTE_ID)
    if at < 0 or len(payload) < at + 24:
        return None
    return int.from_bytes(payload[at + 16 : at + 20], "big"), int.from_bytes(payload[at + 20 : at + 24], "big")


# NAL units (HEVC and VVC), as a byte stream with start codes


def nal_units(data: bytes, kind_byte: int, kind_shift: int, kind_mask: int) -> Iterator[Unit]:
    """The NAL units in order; the kind is ``header[kind_byte] >> kind_shift & kind_mask``, the payload still escaped.

    Raises:
        DamagedError: no start code.
    """
    starts = [match.start() for match in _START_CODE.finditer(data)]
    if not starts:
        raise DamagedError("no start code in the stream; the file is damaged or of another kind")
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        if end - start > 5:
            yield Unit(data[start + 3 + kind_byte] >> kind_shift & kind_mask, start, end, data[start + 5 : end])


def nal_note(header: bytes, size: Size) -> bytes:
    """A NAL unit, start code included, that holds the note; ``header`` is that of a prefix SEI."""
    return user_data_unit(header, _note(size))


def user_data_unit(header: bytes, payload: bytes) -> bytes:
    """A NAL unit, start code included, of user data: a UUID and what belongs to it, below 255 bytes."""
    assert 16 <= len(payload) < 255, "longer payloads have a longer size"
    return b"\0\0\0\1" + header + _escaped(bytes([_USER_DATA, len(payload)]) + payload + b"\x80")


def with_nal_note(stream: bytes, units: list[Unit], first_non_slice: int, header: bytes, size: Size) -> bytes:
    """The stream with a note before its first slice; slices are the units of a kind below ``first_non_slice``."""
    return with_nal_unit(stream, units, first_non_slice, nal_note(header, size))


def with_nal_unit(stream: bytes, units: list[Unit], first_non_slice: int, unit: bytes) -> bytes:
    """The stream with one more unit, start code included, before its first slice."""
    at = next(unit.start for unit in units if unit.kind < first_non_slice)
    at -= stream[at - 1] == 0  # a start code may have a fourth byte
    return stream[:at] + unit + stream[at:]


def read_nal_note(units: list[Unit], sei_kind: int) -> Size | None:
    """The size that the first note among the SEI units holds, or None."""
    found = (_size(unescaped(unit.payload)) for unit in units if unit.kind == sei_kind)
    return next((size for size in found if size), None)


def unescaped(payload: bytes) -> bytes:
    """Drops the emulation prevention: the 3 of each 0 0 3."""
    return re.sub(rb"\x00\x00\x03", b"\0\0", payload)


def _escaped(payload: bytes) -> bytes:
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\0\0\3", payload)


# OBUs (AV1), each with its size field


def obus(data: bytes) -> Iterator[Unit]:
    """The OBUs in order.

    Raises:
        DamagedError: the reserved bits are set, or an OBU has no size field. TruncatedError: the last one is not whole.
    """
    at = 0
    while at < len(data):
        head = data[at]
        if head & 0x81 or not head & 0x02:
            raise DamagedError(
                f"byte {at} is {head:#04x}, no header of an OBU with a size; the file is damaged or of another kind"
            )
        size, begin = _leb128(data, at + 1 + (head >> 2 & 1))
        if begin + size > len(data):
            raise TruncatedError(f"an OBU of {size} bytes begins at byte {begin} of {len(data)}; the file is cut off")
        yield Unit(head >> 3 & 15, at, begin + size, data[begin : begin + size])
        at = begin + size


def with_obu_note(data: bytes, size: Size) -> bytes:
    """The stream with a note after its sequence header."""
    at = next(unit.end for unit in obus(data) if unit.kind == _OBU_SEQUENCE_HEADER)
    payload = bytes([_PRIVATE_METADATA]) + _note(size) + b"\x80"
    return data[:at] + bytes([_OBU_METADATA << 3 | 2, len(payload)]) + payload + data[at:]


def read_obu_note(units: list[Unit]) -> Size | None:
    """The size that the first note among the metadata OBUs holds, or None."""
    metadata = (unit.payload for unit in units if unit.kind == _OBU_METADATA and unit.payload[:1] == bytes([_PRIVATE_METADATA]))
    return next((size for size in map(_size, metadata) if size), None)


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    value = 0
    for i, byte in enumerate(data[at : at + 8]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise TruncatedError(f"the size of an OBU at byte {at} does not end; the file is cut off or damaged")
