"""What WebP, JPEG 2000 and AVIF files say of themselves, where Pillow asks too late or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from foveal.errors import DamagedError, TruncatedError
from foveal.media.boxes import Box, boxes, first_box

_CODESTREAM = b"\xff\x4f\xff\x51"
_CHROMA = {(1, 1): "444", (2, 1): "422", (2, 2): "420"}


@dataclass(frozen=True)
class StillHeader:
    """Read without a library. ``chroma`` is one of "400", "420", "422", "444", or None for any other kind."""

    width: int
    height: int
    bit_depth: int = 8
    chroma: str | None = None
    icc: bytes | None = None


def webp_header(data: bytes) -> StillHeader:
    """Of a WebP file; the size is that of the canvas.

    Raises:
        TruncatedError: the file is shorter than it says. DamagedError: no picture in it.
    """
    size = int.from_bytes(data[4:8], "little") + 8
    if len(data) < max(size, 30):
        raise TruncatedError(f"WebP: {len(data)} bytes of {max(size, 30)}")
    kind, chroma = data[12:16], "420" if _webp_chunk(data, size) == b"VP8 " else None
    if kind == b"VP8X":
        return StillHeader(_le24(data, 24) + 1, _le24(data, 27) + 1, chroma=chroma)
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        return StillHeader(_le24(data, 26) & 0x3FFF, _le24(data, 28) & 0x3FFF, chroma=chroma)
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return StillHeader((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, chroma=chroma)
    raise DamagedError(f"WebP: chunk {kind!r} at 12 begins no picture")


def jpeg2000_header(data: bytes) -> StillHeader:
    """Of a .jp2 file or a bare codestream.

    Raises:
        TruncatedError: the codestream has no end marker. DamagedError: no sound size in it, or two that differ.
    """
    if data.startswith(_CODESTREAM):
        return _siz(data, None)
    stream, header = first_box(data, b"jp2c"), first_box(data, b"jp2h")
    if stream is None or header is None:
        raise TruncatedError("JPEG 2000: the header or the codestream is missing")
    found = _siz(stream.body(data), _jp2_profile(data, header))
    ihdr = first_box(data, b"ihdr", within=header)
    said = ihdr.body(data)[:8] if ihdr else b""
    if said != found.height.to_bytes(4, "big") + found.width.to_bytes(4, "big"):
        raise DamagedError(f"JPEG 2000: the file and its codestream ({found.width}x{found.height}) differ in size")
    return found


def avif_header(data: bytes) -> StillHeader | None:
    """Of the primary picture of an AVIF file, not turned; None for kinds of files that are not built so (sequences, grids).

    Raises:
        TruncatedError: a box goes on after the end. DamagedError: a box shorter than its head.
    """
    for _ in boxes(data):
        pass
    primary, assigned, held = (first_box(data, b"meta", *path) for path in ((b"pitm",), (b"iprp", b"ipma"), (b"iprp", b"ipco")))
    if primary is None or assigned is None or held is None:
        return None
    properties = list(boxes(data, held.start, held.end))
    try:
        mine = [properties[i - 1] for i in _assigned(assigned.body(data), primary.body(data)) if 0 < i <= len(properties)]
    except IndexError as error:
        raise DamagedError("AVIF: the list of properties ends too early") from error
    sides = next((box.body(data, 4) for box in mine if box.kind == b"ispe"), b"")
    coding = next((box.body(data) for box in mine if box.kind == b"av1C"), b"")
    if len(sides) < 8 or len(coding) < 4:
        return None
    flags = coding[2]
    depth = (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    chroma = "400" if flags & 0x10 else _CHROMA.get((1 + (flags >> 3 & 1), 1 + (flags >> 2 & 1)))
    return StillHeader(int.from_bytes(sides[:4], "big"), int.from_bytes(sides[4:8], "big"), depth, chroma)


def _webp_chunk(data: bytes, end: int) -> bytes | None:
    """The kind of the chunk that holds the samples of a still."""
    at = 12
    while at + 8 <= end:
        if data[at : at + 4] in (b"VP8 ", b"VP8L"):
            return data[at : at + 4]
        at += 8 + (int.from_bytes(data[at + 4 : at + 8], "little") + 1 & ~1)
    return None


def _siz(stream: bytes, icc: bytes | None) -> StillHeader:
    if len(stream) < 42 or not stream.startswith(_CODESTREAM):
        raise DamagedError("JPEG 2000: no codestream where it should be")
    if not stream.endswith(b"\xff\xd9"):
        raise TruncatedError("JPEG 2000: the codestream has no end marker")
    right, bottom, left, top = (int.from_bytes(stream[at : at + 4], "big") for at in (8, 12, 16, 20))
    count = int.from_bytes(stream[40:42], "big")
    parts = [(stream[at] % 128 + 1, stream[at + 1], stream[at + 2]) for at in range(42, min(42 + 3 * count, len(stream) - 2), 3)]
    if right <= left or bottom <= top or not parts:
        raise DamagedError(f"JPEG 2000: a picture from {left},{top} to {right},{bottom} of {count} components")
    chroma = "400" if count < 3 else _CHROMA.get(parts[1][1:])
    return StillHeader(right - left, bottom - top, max(part[0] for part in parts), chroma, icc)


def _jp2_profile(data: bytes, header: Box) -> bytes | None:
    colour = first_box(data, b"colr", within=header)
    body = colour.body(data) if colour else b""
    return body[3:] if body[:1] in (b"\x02", b"\x03") and len(body) > 3 else None


def _assigned(body: bytes, primary: bytes) -> list[int]:
    """The numbers of the primary item's properties, from 1, out of an ``ipma`` body."""
    wide_id, wide_index, at = body[0] > 0, body[3] & 1, 8
    item = int.from_bytes(primary[4 : 8 if primary[0] else 6], "big")
    for _ in range(min(int.from_bytes(body[4:8], "big"), len(body))):
        step = 4 if wide_id else 2
        owner, count = int.from_bytes(body[at : at + step], "big"), body[at + step]
        at += step + 1
        if wide_index:
            numbers = [int.from_bytes(body[i : i + 2], "big") & 0x7FFF for i in range(at, at + 2 * count, 2)]
        else:
            numbers = [value & 0x7F for value in body[at : at + count]]
        if owner == item:
            return numbers
        at += count * (2 if wide_index else 1)
    return []


def _le24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


def header_of(data: bytes, kind: str) -> StillHeader | None:
    """The header of a file of one of Pillow's formats ``kind``, or None where Pillow itself asks in time. Raises FormatError."""
    if kind == "WEBP":
        return webp_header(data)
    if kind == "JPEG2000":
        return jpeg2000_header(data)
    return avif_header(data) if kind == "AVIF" else None
