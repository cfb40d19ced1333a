"""What a caller asks of a codec: how to encode, and how much of a file to decode."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from foveal.codecs.guide import Guide
from foveal.errors import SettingsError
from foveal.picture import Picture

Chroma = Literal["400", "420", "422", "444"]

LARGEST_TILE = 4096
"""Pixels a side of the largest tile, or of a picture in one piece, so that a decoder's memory is bounded (docs/format.md, section 8)."""


@dataclass(frozen=True)
class EncodeSettings:
    """How to encode. None means the codec's default.

    quality: 1..100. chroma, preset: one of those in the codec's ``CodecInfo``. suffix: one of its suffixes,
    where a codec writes more than one kind of file. threads: how many the encoder may use.
    guide: where the bits shall go; it is no part of equality, hash and repr. tile: pixels a side, a multiple of 128 from 256 to 4096.
    adaptive: the codec's own adaptive quantisation, as its authors ship or recommend it; not beside a guide.
    """

    quality: float = 50.0
    chroma: Chroma | None = None
    preset: str | None = None
    suffix: str | None = None
    threads: int | None = None
    guide: Guide | None = field(default=None, compare=False, repr=False)
    tile: int | None = None
    adaptive: bool = False


@dataclass(frozen=True)
class Region:
    """A part of a picture, in pixels from its top left corner."""

    x: int
    y: int
    width: int
    height: int

    def check(self) -> None:
        """Raises SettingsError if no picture holds such a part."""
        if self.x < 0 or self.y < 0 or self.width < 1 or self.height < 1:
            raise SettingsError(f"crop {self}; x and y of 0 or more, and a width and height of 1 or more are needed")

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"

    def check_within(self, width: int, height: int) -> None:
        """Raises SettingsError if a picture of this size does not hold all of the part, or the part is empty."""
        inside = self.x >= 0 and self.y >= 0 and self.x + self.width <= width and self.y + self.height <= height
        if not inside or self.width < 1 or self.height < 1:
            raise SettingsError(
                f"crop {self}; the picture is {width}x{height}, and the crop must lie inside "
                "and hold at least one pixel: give x,y,width,height to match"
            )

    def of(self, picture: Picture) -> Picture:
        """The part of a picture, alpha too. Raises as ``check_within``."""
        self.check_within(picture.width, picture.height)
        part = np.s_[self.y : self.y + self.height, self.x : self.x + self.width]
        alpha = None if picture.alpha is None else np.ascontiguousarray(picture.alpha[part])
        return replace(picture, samples=np.ascontiguousarray(picture.samples[part]), alpha=alpha)


@dataclass(frozen=True)
class DecodeSettings:
    """How to decode. None means all of it.

    bands: how many, the coarsest first. crop: the part of the picture to return. allow_partial: take a file that was cut, as
    far as it goes; learned codecs alone can. threads: how many the decoder's networks may use.
    """

    bands: int | None = None
    crop: Region | None = None
    allow_partial: bool = False
    threads: int | None = None
