"""Takes a file apart, trusting nothing in it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from foveal.container.bounded import BoundedReader, inflate
from foveal.container.format import OPTIONAL, SIGNATURE, VERSION, ChunkType, Container, Head, Unit
from foveal.container.head import read_head
from foveal.errors import DamagedError, NotFovealError, TruncatedError, UnsupportedError
from foveal.limits import Limits


@dataclass(frozen=True)
class _Chunk:
    kind: int
    body: memoryview
    bytes: int


def read_container(data: bytes, limits: Limits) -> Container:
    """Takes a whole still picture apart and checks everything but the symbols.

    Raises:
        NotFovealError, TruncatedError, DamagedError: the bytes are no whole file of docs/format.md.
        UnsupportedError: another format version, an unknown critical chunk, or a clip. LimitError: larger than allowed.
    """
    limits.check_payload(len(data))
    reader = BoundedReader(data, "the file")
    if not SIGNATURE.startswith(data[:4]) or not data:
        raise NotFovealError(
            f"the file begins with {data[:4].hex(' ') or 'nothing'}; a .fvl file begins with {SIGNATURE.hex(' ')}"
        )
    reader.take(len(SIGNATURE))
    if (version := reader.u8()) != VERSION:
        raise UnsupportedError(f"format version {version}; this version of foveal reads version {VERSION}")
    first = _read_chunk(reader)
    if first.kind != ChunkType.HEAD:
        raise DamagedError(f"the first chunk has type 0x{first.kind:02x}; HEAD must come first")
    head = read_head(first.body, limits)
    if head.timing is not None:
        raise UnsupportedError("the file is a clip; this version of foveal decodes still pictures")
    single: dict[int, memoryview] = {}
    units: list[Unit] = []
    while reader.left:
        chunk = _read_chunk(reader)
        if chunk.kind == ChunkType.DATA:
            units.append(_read_unit(chunk, head, units))
        elif chunk.kind in (ChunkType.ALPHA, ChunkType.ICC, ChunkType.EXIF, ChunkType.END):
            if chunk.kind in single:
                raise DamagedError(f"{ChunkType(chunk.kind).name} stands twice")
            single[chunk.kind] = chunk.body
        elif chunk.kind == ChunkType.HEAD or not chunk.kind & OPTIONAL:
            raise UnsupportedError(
                f"a chunk of type 0x{chunk.kind:02x}, which this version of foveal does not know and may not skip"
            )
        if chunk.kind != ChunkType.END and ChunkType.END in single:
            raise DamagedError("a chunk follows END")
    if len(units) < head.bands * head.tiles:
        raise TruncatedError(f"the file holds {len(units)} of {head.bands * head.tiles} units")
    return Container(
        head,
        tuple(units),
        alpha=_read_alpha(single.get(ChunkType.ALPHA), head),
        icc=_read_metadata(single.get(ChunkType.ICC), limits, "the ICC profile"),
        exif=_read_metadata(single.get(ChunkType.EXIF), limits, "the Exif block"),
    )


def _read_chunk(reader: BoundedReader) -> _Chunk:
    """One chunk; its length is checked against what is left before anything is read."""
    start = reader.position
    kind, size = reader.u8(), reader.varint()
    body = reader.take(size)
    found, expected = zlib.crc32(reader.since(start)), reader.u32()
    if expected != found:
        raise DamagedError(f"the chunk 0x{kind:02x} at byte {start} has CRC {found:08x}; {expected:08x} was written")
    return _Chunk(kind, body, reader.position - start)


def _read_unit(chunk: _Chunk, head: Head, units: list[Unit]) -> Unit:
    reader = BoundedReader(chunk.body, "DATA")
    number = reader.varint()
    if units and number <= units[-1].number:
        raise DamagedError(f"unit {number} follows unit {units[-1].number}; units must rise")
    if number >= head.bands * head.tiles:
        raise DamagedError(f"unit {number}; HEAD announces {head.bands * head.tiles}")
    return Unit(number, reader.u32(), reader.rest(), chunk.bytes)


def _read_alpha(body: memoryview | None, head: Head) -> bytes | None:
    if (body is None) == head.alpha:
        raise DamagedError("HEAD and the chunks disagree on whether there is alpha")
    if body is None:
        return None
    reader = BoundedReader(body, "ALPHA")
    if frame := reader.varint():
        raise DamagedError(f"ALPHA belongs to frame {frame} of a still picture")
    return reader.rest()


def _read_metadata(body: memoryview | None, limits: Limits, what: str) -> bytes | None:
    return None if body is None else inflate(bytes(body), limits.metadata_bytes, what)
