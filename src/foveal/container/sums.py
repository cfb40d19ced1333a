"""Check sums of chunks and symbols (docs/format.md, sections 2 and 4)."""

from __future__ import annotations

import binascii
import zlib


def chunk_sum(framed: bytes | memoryview, sum_bytes: int) -> int:
    """Of a chunk's type, length and body: CRC-32, or CRC-16 (polynomial 0x1021, begun with 0xFFFF) where sums take 2 bytes."""
    return zlib.crc32(framed) if sum_bytes == 4 else binascii.crc_hqx(framed, 0xFFFF)


def short(crc: int, sum_bytes: int) -> int:
    """The low bytes of a CRC-32 of symbols, as many as a file keeps."""
    return crc & (1 << 8 * sum_bytes) - 1
