"""docs/format.md as constants and records."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

SIGNATURE = b"\x89FVL"
VERSION = 1
OPTIONAL = 0x80


class ChunkType(IntEnum):
    """What a chunk holds; types with the top bit set may be skipped."""

    HEAD = 0x01
    DATA = 0x02
    ALPHA = 0x03
    END = 0x04
    ICC = 0x81
    EXIF = 0x82
    INDEX = 0x83


class HeadFlag(IntFlag):
    """The first byte of HEAD."""

    CLIP = 1
    TILES = 2
    COLOUR = 4
    SHORT_SUMS = 8


class Layout(IntFlag):
    """The layout byte of HEAD, below the sample depth."""

    RGB = 1
    ALPHA = 4


@dataclass(frozen=True)
class Colour:
    """Code points of ITU-T H.273; the default is sRGB."""

    primaries: int = 1
    transfer: int = 13
    matrix: int = 0
    full_range: bool = True


@dataclass(frozen=True)
class Tiling:
    """Tile width, height and overlap in pixels."""

    width: int
    height: int
    overlap: int


@dataclass(frozen=True)
class Timing:
    """Frame rate as a fraction; ``frames`` is 0 where only END knows."""

    numerator: int
    denominator: int
    frames: int


@dataclass(frozen=True)
class Head:
    """The HEAD chunk. ``weights`` is 4 bytes; ``parameters`` belong to the codec.

    short_sums: check sums of units take 2 bytes in place of 4, for files of many units or few bytes.
    """

    codec: int
    weights: bytes
    width: int
    height: int
    gray: bool = False
    alpha: bool = False
    depth: int = 8
    bands: int = 1
    colour: Colour = Colour()
    tiling: Tiling | None = None
    timing: Timing | None = None
    parameters: bytes = b""
    short_sums: bool = False

    @property
    def sum_bytes(self) -> int:
        """The bytes of a unit's check sums: of its symbols, and of its chunk."""
        return 2 if self.short_sums else 4

    @property
    def tiles(self) -> int:
        """The number of tiles of a frame."""
        if self.tiling is None:
            return 1
        return -(-self.width // self.tiling.width) * -(-self.height // self.tiling.height)

    @property
    def units(self) -> int:
        """The number of units of a still picture."""
        return self.bands * self.tiles

    def unit_of(self, band: int, tile: int) -> int:
        """The number of the unit that holds a band of a tile of a still picture."""
        return band * self.tiles + tile

    def band_of(self, unit: int) -> int:
        """The band that a unit holds."""
        return unit // self.tiles % self.bands

    def tile_of(self, unit: int) -> int:
        """The tile that a unit belongs to, counted in rows from the top left."""
        return unit % self.tiles


@dataclass(frozen=True)
class Unit:
    """One DATA chunk: a band of a tile of a frame. ``bytes`` is the size of the whole chunk in the file.

    symbols_crc: of a file that was read, its low ``sum_bytes`` bytes alone.
    """

    number: int
    symbols_crc: int
    payload: bytes
    bytes: int = 0
    sum_bytes: int = 4


@dataclass(frozen=True)
class Container:
    """A file, taken apart: its units, or those that were wanted, or came before a cut, by rising number.

    alpha: the first frame's ALPHA body after its frame number. read_bytes: the bytes of the file that were read for it, of
    a unit that was not wanted only those up to its number. cut_bytes: what follows the last whole chunk. A writer looks at neither.
    """

    head: Head
    units: tuple[Unit, ...]
    alpha: bytes | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    read_bytes: int = field(default=0, compare=False)
    cut_bytes: int = field(default=0, compare=False)

    @property
    def decodable(self) -> bool:
        """Whether every tile has its band 0; only what ``read_cut`` took apart may lack one."""
        return sum(unit.number < self.head.tiles for unit in self.units) == self.head.tiles
