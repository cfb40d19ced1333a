"""Puts a ``Container`` together."""

from __future__ import annotations

import zlib

from foveal.container.bounded import varint
from foveal.container.format import SIGNATURE, VERSION, ChunkType, Container, Unit
from foveal.container.head import write_head
from foveal.container.sums import chunk_sum, short


def write_container(container: Container) -> bytes:
    """The bytes of a whole file (docs/format.md)."""
    parts = [SIGNATURE, bytes([VERSION]), _chunk(ChunkType.HEAD, write_head(container.head))]
    if container.icc is not None:
        parts.append(_chunk(ChunkType.ICC, zlib.compress(container.icc, 9)))
    if container.exif is not None:
        parts.append(_chunk(ChunkType.EXIF, zlib.compress(container.exif, 9)))
    if container.alpha is not None:
        parts.append(_chunk(ChunkType.ALPHA, varint(0) + container.alpha))
    size = container.head.sum_bytes
    parts += [_chunk(ChunkType.DATA, _unit_body(unit, size), size) for unit in container.units]
    return b"".join(parts)


def _unit_body(unit: Unit, sum_bytes: int) -> bytes:
    return varint(unit.number) + short(unit.symbols_crc, sum_bytes).to_bytes(sum_bytes, "little") + unit.payload


def _chunk(kind: ChunkType, body: bytes, sum_bytes: int = 4) -> bytes:
    chunk = bytes([kind]) + varint(len(body)) + body
    return chunk + chunk_sum(chunk, sum_bytes).to_bytes(sum_bytes, "little")
