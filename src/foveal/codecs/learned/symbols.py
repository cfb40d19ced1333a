"""What every learned codec does with the symbols and the chunks of its file."""

from __future__ import annotations

import zlib

import numpy as np

from foveal.codecs.base import BandInfo, CodecInfo, FileInfo
from foveal.codecs.learned.weights import cards
from foveal.container.format import Container, Head, Unit
from foveal.container.reader import read_cut
from foveal.container.sums import short
from foveal.entropy.coder import Symbols
from foveal.errors import DamagedError, DriftError, NotFovealError
from foveal.limits import Limits

PARAMETER_MAX = 65535
QUALITY_BYTES = 2


def symbols_crc(symbols: Symbols) -> int:
    """The CRC-32 of symbols as little-endian int32 in coding order."""
    return zlib.crc32(np.ascontiguousarray(symbols, "<i4").data.cast("B"))


def check_symbols(symbols: Symbols, unit: Unit) -> None:
    """Compares decoded symbols with those that were coded.

    Raises:
        DriftError: they differ.
    """
    if (found := short(symbols_crc(symbols), unit.sum_bytes)) != unit.symbols_crc:
        digits = 2 * unit.sum_bytes
        raise DriftError(
            f"unit {unit.number} decoded to symbols with CRC {found:0{digits}x}; {unit.symbols_crc:0{digits}x} were coded"
        )


def quality_parameter(info: CodecInfo, quality: float) -> int:
    """The 16-bit parameter that a file carries for a quality. Raises SettingsError: outside 1..100."""
    return round(PARAMETER_MAX * (info.scale.native(quality) - 1) / 99)


def write_quality(parameter: int) -> bytes:
    """How the parameters in HEAD of every learned codec begin."""
    return parameter.to_bytes(QUALITY_BYTES, "little")


def read_quality(info: CodecInfo, head: Head) -> int:
    """The quality parameter, 0..65535, with which the parameters in HEAD of every learned codec begin.

    Raises:
        NotFovealError: the file is of another codec. DamagedError: HEAD says what no file of this codec says.
    """
    if head.codec != info.id:
        raise NotFovealError(f"the file names codec {head.codec}; {info.name} is {info.id}")
    size, least = len(head.parameters), QUALITY_BYTES + info.preset_in_file
    if size < least or (size > least and not info.importance):
        raise DamagedError(f"HEAD has {size} parameter bytes; {info.name} has {least}{' or more' * info.importance}")
    fits = 1 <= head.bands <= info.bands if info.quality_is_bands else head.bands == info.bands
    if not fits or head.depth != 8 or (head.tiling is not None and not info.tiles):
        tiles = "tiles" if head.tiling else "no tiles"
        least_bands = "1 to " * info.quality_is_bands
        raise DamagedError(
            f"HEAD has {head.bands} bands, depth {head.depth} and {tiles}; {info.name} has {least_bands}{info.bands} and 8"
        )
    parameter = int.from_bytes(head.parameters[:QUALITY_BYTES], "little")
    if info.quality_is_bands and parameter != parameter_of_bands(info, head.bands):
        raise DamagedError(f"HEAD has the quality {parameter}; {head.bands} bands are {parameter_of_bands(info, head.bands)}")
    return parameter


def parameter_of_bands(info: CodecInfo, bands: int) -> int:
    """The quality parameter of so many bands, for a codec whose quality that is."""
    return PARAMETER_MAX * (bands - 1) // (info.bands - 1)


def write_preset(info: CodecInfo, preset: str | None) -> bytes:
    """What stands behind the quality in HEAD: the number of the preset, None being the default, for codecs that say it there."""
    return bytes([info.presets.index(preset or info.presets[0])]) if info.preset_in_file else b""


def read_preset(info: CodecInfo, head: Head) -> int:
    """The number of the preset that coded a file, after ``read_quality``; 0 for codecs that do not say it.

    Raises:
        DamagedError: there is no preset of this number.
    """
    number = head.parameters[QUALITY_BYTES] if info.preset_in_file else 0
    if number and number >= len(info.presets):
        raise DamagedError(f"HEAD names preset {number} of {info.name}, whose presets are 0 to {len(info.presets) - 1}")
    return number


def describe_learned(info: CodecInfo, data: bytes, limits: Limits) -> FileInfo:
    """What a .fvl file of a learned codec, cut or whole, says of itself; needs neither its networks nor its weights. Raises as ``Codec.decode``."""
    container = read_cut(data, limits)
    head = container.head
    quality = 1 + 99 * read_quality(info, head) / PARAMETER_MAX
    parameter = f"{info.scale.parameter} {head.bands}" if info.quality_is_bands else f"quality {quality:.2f}"
    preset = f", {info.presets[read_preset(info, head)]}" if info.preset_in_file else ""
    map_bytes = len(head.parameters) - QUALITY_BYTES - info.preset_in_file
    return describe_container(info.name, container, len(data), parameter + preset, map_bytes)


def describe_container(codec: str, container: Container, size: int, parameter: str, importance_bytes: int = 0) -> FileInfo:
    """What a .fvl file says of itself; ``size`` is the file's, in bytes."""
    head, weights = container.head, container.head.weights.hex()
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
        weights=weights,
        preset=next((card.preset for card in cards() if (card.codec, card.id) == (codec, weights)), None),
        icc_bytes=len(container.icc or b""),
        exif_bytes=len(container.exif or b""),
        bands=_bands(container),
        tiles=None if head.tiling is None else (head.tiling.width, head.tiling.height),
        importance_bytes=importance_bytes,
        missing_units=head.units - len(container.units),
        cut_bytes=container.cut_bytes,
        decodable=container.decodable,
    )


def _bands(container: Container) -> tuple[BandInfo, ...]:
    units = [list[Unit]() for _ in range(container.head.bands)]
    for unit in container.units:
        units[container.head.band_of(unit.number)].append(unit)
    return tuple(BandInfo(i, sum(u.bytes for u in own), _band_crc(own), len(own)) for i, own in enumerate(units))


def _band_crc(units: list[Unit]) -> int:
    if len(units) == 1:
        return units[0].symbols_crc
    return zlib.crc32(b"".join(unit.symbols_crc.to_bytes(4, "little") for unit in units))
