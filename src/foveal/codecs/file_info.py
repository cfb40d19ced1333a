"""What a file says of itself, and of each of its bands."""

from __future__ import annotations

from dataclasses import dataclass

from foveal.codecs.settings import Chroma


@dataclass(frozen=True)
class BandInfo:
    """One band of a learned file: its number, the bytes that it takes over all tiles, and how many units it has, one a tile.

    symbols_crc: the CRC-32 of the symbols of its unit; of several units the CRC-32 of their CRCs, each as four bytes, little-endian;
    0 where there is none.
    """

    number: int
    bytes: int
    symbols_crc: int
    units: int = 1


@dataclass(frozen=True)
class FileInfo:
    """What a file says of itself. Fields that a format does not hold are None or empty.

    alpha: whether the decoded picture has one. parameter: the codec's own quality parameter, as it can be read back from the
    file, such as ``quality 40``. preset: the one that the weights of a learned codec are for, where this installation has them.
    tiles: width and height of a tile in pixels. importance_bytes: what an importance map takes of the file.
    missing_units: how many a cut file lacks of the units (one a band and tile) that it announces; cut_bytes: what it holds of
    a chunk that was cut; decodable: False if it was cut before all of its first band was there. restored_from: width and height of the
    coded picture, where a network restores it when it is decoded.
    """

    codec: str
    bytes: int
    width: int
    height: int
    channels: int
    alpha: bool = False
    chroma: Chroma | None = None
    bit_depth: int = 8
    parameter: str | None = None
    format_version: int | None = None
    weights: str | None = None
    preset: str | None = None
    icc_bytes: int = 0
    exif_bytes: int = 0
    bands: tuple[BandInfo, ...] = ()
    tiles: tuple[int, int] | None = None
    importance_bytes: int = 0
    missing_units: int = 0
    cut_bytes: int = 0
    decodable: bool = True
    restored_from: tuple[int, int] | None = None

    @property
    def whole_bands(self) -> int:
        """How many bands, from the coarsest on, no tile lacks."""
        across, down = self.tiles or (self.width, self.height)
        tiles = -(-self.width // across) * -(-self.height // down)
        return next((band.number for band in self.bands if band.units < tiles), len(self.bands))
