"""Tiles of a picture, and the pixels that a transform needs around a part of it.

Tiles bound what entropy coding depends on: the symbols of a tile decode without any other tile. The transforms see beyond
it: they run in blocks with a margin as wide as their reach, so that there are no seams and memory is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from foveal.codecs.learned.frequency.transforms import STRIDES, WINDOW

STRIDE = STRIDES[0]
GRID = WINDOW * STRIDES[-1]
"""Pixels between the attention's windows; tiles and blocks begin on this grid."""
TILE = 1024
LARGEST_UNTILED = 2048
_BLOCK = 1024
_WHOLE = 1 << 22
MARGIN = 2 * GRID
"""Pixels around a block: the synthesis reaches 72 to its windows, these 128, and what a window sees 32 beyond, or 64 with adapters, whose
windows of 64 pixels lie within the others; the analysis 208."""
ADAPTED_MARGIN = 3 * GRID
"""For an analysis with adapters: it reaches 24 to their windows at 1/8, then 64 for the blocks at 1/16, at 1/32, their adapter, the blocks at
1/64 and the place beyond that their mean up the pyramid takes."""

Latent = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Rect:
    """Pixels ``left <= x < right``, ``top <= y < bottom``."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def meets(self, other: Rect) -> bool:
        """Whether they share a pixel."""
        return self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom

    def around(self, margin: int, bounds: Rect) -> Rect:
        """The rectangle and ``margin`` more on each side, widened to the grid, within ``bounds``."""
        return Rect(
            max(bounds.left, (self.left - margin) // GRID * GRID),
            max(bounds.top, (self.top - margin) // GRID * GRID),
            min(bounds.right, -(-(self.right + margin) // GRID) * GRID),
            min(bounds.bottom, -(-(self.bottom + margin) // GRID) * GRID),
        )

    def part_of(self, origin: Rect, stride: int) -> tuple[slice, slice]:
        """Rows and columns of this in an array of ``origin`` that has one sample for each ``stride`` pixels."""
        y, x = self.top - origin.top, self.left - origin.left
        return slice(y // stride, -(-(y + self.height) // stride)), slice(x // stride, -(-(x + self.width) // stride))


def padded(width: int, height: int) -> Rect:
    """A picture's pixels with its padding to multiples of 64."""
    return Rect(0, 0, -(-width // STRIDE) * STRIDE, -(-height // STRIDE) * STRIDE)


def tile_side(width: int, height: int, asked: int | None) -> int | None:
    """Pixels a side of the tiles that an encoder makes; None for a picture in one piece."""
    if asked is not None:
        return asked if max(width, height) > asked else None
    return TILE if max(width, height) > LARGEST_UNTILED else None


def tiles(bounds: Rect, side: int | None) -> tuple[Rect, ...]:
    """The tiles of a padded picture, rows from the top, each from the left."""
    if side is None:
        return (bounds,)
    return tuple(
        Rect(x, y, min(x + side, bounds.right), min(y + side, bounds.bottom))
        for y in range(0, bounds.bottom, side)
        for x in range(0, bounds.right, side)
    )


def blocks(area: Rect) -> Iterator[Rect]:
    """Parts of an area, each to be transformed in one piece; their corners lie on the grid."""
    if area.width * area.height <= _WHOLE:
        yield area
        return
    for y in range(area.top // GRID * GRID, area.bottom, _BLOCK):
        for x in range(area.left // GRID * GRID, area.right, _BLOCK):
            yield Rect(max(x, area.left), max(y, area.top), min(x + _BLOCK, area.right), min(y + _BLOCK, area.bottom))


def analyse(
    net: Callable[[Tensor], list[Tensor]],
    pixels: Callable[[Rect], Tensor],
    bounds: Rect,
    latents: list[Latent],
    margin: int = MARGIN,
) -> None:
    """Fills ``latents`` ``(h, w, latent)`` of the whole padded picture; ``pixels`` gives ``(1, 3, h, w)`` of a part of it."""
    for block in blocks(bounds):
        around = block.around(margin, bounds)
        for out, stride, y in zip(latents, STRIDES, net(pixels(around)), strict=True):
            rows, columns = block.part_of(around, stride)
            at_rows, at_columns = block.part_of(bounds, stride)
            out[at_rows, at_columns] = y[0, :, rows, columns].permute(1, 2, 0).numpy()


def synthesise(
    net: Callable[[list[Tensor], Tensor], Tensor],
    latents: list[Latent],
    held: Rect,
    hats: Callable[[Rect], Tensor],
    area: Rect,
    bounds: Rect,
) -> Iterator[tuple[Rect, Tensor]]:
    """Pixels ``(1, 3, h, w)`` of the area, in blocks. ``latents`` are those of ``held``, ``hats`` the quality of a part."""
    for block in blocks(area):
        around = block.around(MARGIN, bounds)
        parts: list[Tensor] = []
        for y, stride in zip(latents, STRIDES, strict=True):
            rows, columns = around.part_of(held, stride)
            parts.append(torch.from_numpy(np.ascontiguousarray(y[rows, columns]))[None].permute(0, 3, 1, 2))
        x = net(parts, hats(around))
        rows, columns = block.part_of(around, 1)
        yield block, x[:, :, rows, columns]
