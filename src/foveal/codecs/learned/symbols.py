"""What every learned codec does with the symbols and the chunks of its file."""

from __future__ import annotations

import zlib

import numpy as np

from foveal.codecs.base import BandInfo, FileInfo
from foveal.container.format import Container, Unit
from foveal.entropy.coder import Symbols
from foveal.errors import DriftError


def symbols_crc(symbols: Symbols) -> int:
    """The CRC-32 of symbols as little-endian int32 in coding order."""
    return zlib.crc32(np.ascontiguousarray(symbols, "<i4").data.cast("B"))


def check_symbols(symbols: Symbols, unit: Unit) -> None:
    """Compares decoded symbols with those that were coded.

    Raises:
        DriftError: they differ.
    """
    if (found := symbols_crc(symbols)) != unit.symbols_crc:
        raise DriftError(f"unit {unit.number} decoded to symbols with CRC {found:08x}; {unit.symbols_crc:08x} were coded")


def describe_container(codec: str, container: Container, size: int, parameter: str) -> FileInfo:
    """What a .fvl file says of itself; ``size`` is the file's, in bytes."""
    head = container.head
    return FileInfo(
        codec,
        size,
        head.width,
        head.height,
        channels=1 if head.gray else 3,
        alpha=head.alpha,
        bit_depth=head.depth,
        parameter=parameter,
        format_version=1,
        weights=head.weights.hex(),
        icc_bytes=len(container.icc or b""),
        exif_bytes=len(container.exif or b""),
        bands=tuple(BandInfo(unit.number % head.bands, unit.bytes, unit.symbols_crc) for unit in container.units),
    )
