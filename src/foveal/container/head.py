"""The HEAD chunk: written and read on one screen (docs/format.md, section 3)."""

from __future__ import annotations

from foveal.container.bounded import BoundedReader, varint
from foveal.container.format import Colour, Head, HeadFlag, Layout, Tiling, Timing
from foveal.errors import DamagedError, UnsupportedError
from foveal.limits import Limits


def write_head(head: Head) -> bytes:
    """The body of HEAD."""
    flags = HeadFlag(0)
    optional = b""
    if head.colour != Colour():
        flags |= HeadFlag.COLOUR
        c = head.colour
        optional += bytes([c.primaries, c.transfer, c.matrix, c.full_range])
    if head.tiling is not None:
        flags |= HeadFlag.TILES
        optional += b"".join(varint(v) for v in (head.tiling.width, head.tiling.height, head.tiling.overlap))
    if head.timing is not None:
        flags |= HeadFlag.CLIP
        optional += b"".join(varint(v) for v in (head.timing.numerator, head.timing.denominator, head.timing.frames))
    if head.short_sums:
        flags |= HeadFlag.SHORT_SUMS
    layout = (0 if head.gray else Layout.RGB) | (Layout.ALPHA if head.alpha else 0) | head.depth - 8 << 4
    return b"".join(
        [
            bytes([flags]),
            varint(head.codec),
            head.weights,
            varint(head.width),
            varint(head.height),
            bytes([layout, head.bands]),
            optional,
            head.parameters,
        ]
    )


def read_head(body: memoryview, limits: Limits) -> Head:
    """Reads the body of HEAD.

    Raises:
        TruncatedError, DamagedError: it contradicts the specification. UnsupportedError: it asks for what
        version 1 does not define. LimitError: the picture is larger than allowed.
    """
    reader = BoundedReader(body, "HEAD")
    flags = reader.u8()
    if unknown := flags & ~sum(HeadFlag):
        raise UnsupportedError(f"HEAD has flags 0x{unknown:02x}, which this version of foveal does not know")
    codec, weights = reader.varint(), bytes(reader.take(4))
    width, height = reader.varint(), reader.varint()
    if not width or not height:
        raise DamagedError(f"HEAD says {width}x{height} pixels; both sides must be at least 1")
    limits.check_size(width, height)
    layout, bands = reader.u8(), reader.u8()
    if layout & 0b1010 or not bands:
        raise DamagedError(f"HEAD has layout 0x{layout:02x} and {bands} bands; no such layout is defined")
    colour = _read_colour(reader) if flags & HeadFlag.COLOUR else Colour()
    tiling = _read_tiling(reader) if flags & HeadFlag.TILES else None
    timing = _read_timing(reader, limits) if flags & HeadFlag.CLIP else None
    return Head(
        codec,
        weights,
        width,
        height,
        gray=not layout & Layout.RGB,
        alpha=bool(layout & Layout.ALPHA),
        depth=8 + (layout >> 4),
        bands=bands,
        colour=colour,
        tiling=tiling,
        timing=timing,
        parameters=reader.rest(),
        short_sums=bool(flags & HeadFlag.SHORT_SUMS),
    )


def _read_colour(reader: BoundedReader) -> Colour:
    primaries, transfer, matrix, full_range = reader.take(4)
    if full_range > 1:
        raise DamagedError(f"HEAD has range {full_range}; 0 or 1 is allowed")
    return Colour(primaries, transfer, matrix, bool(full_range))


def _read_tiling(reader: BoundedReader) -> Tiling:
    tiling = Tiling(reader.varint(), reader.varint(), reader.varint())
    if not tiling.width or not tiling.height:
        raise DamagedError(f"HEAD has tiles of {tiling.width}x{tiling.height} pixels")
    return tiling


def _read_timing(reader: BoundedReader, limits: Limits) -> Timing:
    timing = Timing(reader.varint(), reader.varint(), reader.varint())
    if not timing.numerator or not timing.denominator:
        raise DamagedError(f"HEAD has a frame rate of {timing.numerator}/{timing.denominator}")
    limits.check_frames(timing.frames)
    return timing
