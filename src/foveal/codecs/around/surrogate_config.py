"""The sizes of a surrogate, and its codec's law: which step of the quantiser belongs to which quality."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

from foveal.errors import RecipeError

# Annex K of JPEG, in steps at quality 50.
_LUMA_TABLE: Final = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA_TABLE: Final = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, *(99,) * 38,
)  # fmt: skip


@final
@dataclass(frozen=True)
class SurrogateConfig:
    """smallest, largest: sides of luma blocks, powers of two; those of chroma are half of them, from 4 on, but for a single size.

    directions: every how many-th of HEVC's directions is tried; 0 for a codec without prediction, which is JPEG with its tables.
    coarsest, finest: the quantiser's parameter at quality 1 and 100. matrix: CICP's. centred: 1 where chroma lies between pixels.
    channels: of the network for loop filters; 0 for none.
    """

    smallest: int
    largest: int
    coarsest: float
    finest: float
    directions: int = 4
    matrix: int = 1
    centred: int = 0
    channels: int = 16

    def __post_init__(self) -> None:
        sizes = [2**i for i in range(2, 7)]
        if self.smallest not in sizes or self.largest not in sizes or self.smallest > self.largest:
            raise RecipeError(
                f"blocks from {self.smallest} to {self.largest}; of {sizes} one, and one that is not smaller, are needed"
            )
        if self.directions == 0 and (self.smallest, self.largest) != (8, 8):
            raise RecipeError(f"blocks from {self.smallest} to {self.largest} without directions; JPEG has 8 alone")
        if self.directions < 0 or self.channels < 0 or self.matrix not in (1, 6):
            raise RecipeError(
                f"directions = {self.directions}, channels = {self.channels}, matrix = {self.matrix}; 0 or more, 0 or more, and 1 or 6 are allowed"
            )

    def log_step(self, level: Tensor, size: int, *, luma: bool) -> Tensor:
        """The natural logarithm of the quantiser's step, ``(n, 1, size, size)`` or ``(n, 1, 1, 1)``, for an orthonormal transform in 8 bits."""
        if self.directions:
            parameter = self.coarsest + (self.finest - self.coarsest) * level
            return ((parameter - 4) / 6 * math.log(2))[:, None, None, None]
        quality = (1 + 99 * level).round()
        scale = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
        table = level.new_tensor(_LUMA_TABLE if luma else _CHROMA_TABLE)
        return ((table * scale[:, None] + 50) / 100).floor().clamp(1, 255).log().view(-1, 1, size, size)
