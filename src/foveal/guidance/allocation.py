"""From importance and texture to how coarsely each block is quantised.

With a distortion weighed by ``w`` the Lagrangian of a block is ``w D + lambda R``, so its own lambda is ``lambda / w``: with ``D``
proportional to the square of the step, a step proportional to ``w ** -1/2``. ``focus`` takes a part of that, because importance is
known roughly and the law holds at fine rates alone. Texture hides errors and costs bits: a block's weight falls with its variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import numpy as np
import numpy.typing as npt
from PIL import Image

from foveal.codecs.guide import SWING, Guide
from foveal.picture import Picture

if TYPE_CHECKING:
    from foveal.guidance.importance import Importance

BLOCK: Final = 16
"""Pixels a side of the blocks that share a step."""

Grid = npt.NDArray[np.float64]


@final
@dataclass(frozen=True)
class Allocation:
    """How far bits move. The defaults were chosen on 48 of COCO's train pictures and 24 of CamVid's val part (docs/results/guidance.md).

    focus: what part of the step that importance asks for is taken. texture: by what power a block's weight falls with its
    variance. finest, coarsest: octaves of the step that a block may have less, or more, than the picture. chroma: octaves by
    which the steps of chroma differ, where a codec has them apart: networks look at colour more than 4:2:0 allows for.
    """

    focus: float = 0.5
    texture: float = 0.4
    finest: float = 1.5
    coarsest: float = 2.5
    chroma: float = -0.83

    def octaves(self, importance: Importance, picture: Picture) -> Grid:
        """Octaves of each block's step, so shifted that the bits that move away come back elsewhere, by estimate."""
        rows, columns = -(-picture.height // BLOCK), -(-picture.width // BLOCK)
        variance = block_variance(picture, rows, columns)
        weight = importance.blocks(rows, columns) * (variance + _NOISE) ** -self.texture
        octaves = -0.5 * self.focus * np.log2(weight)
        cost = 0.5 * np.log2(1 + variance / _NOISE)  # bits of a sample at a step of the noise: what an octave moves
        for _ in range(3):
            octaves = np.clip(octaves - (octaves * cost).sum() / max(1e-9, cost.sum()), -self.finest, self.coarsest)
        return octaves

    def guide(self, importance: Importance, picture: Picture, *, hold_rate: bool = False) -> Guide:
        """The guide of a picture."""
        octaves = self.octaves(importance, picture).astype(np.float32)
        return Guide(octaves, hold_rate, self.chroma, sharp=False, matrices=True)

    def drawn(self, importance: Importance) -> npt.NDArray[np.float32]:
        """Importance as a drawn map ``(rows, columns)`` of 0..1, 1/2 at the mean score: steps move by it as here, texture aside.

        Scores beyond those of 0 and 1, ``2 ** (SWING / focus)`` times the mean and as much below it, are cut off.
        """
        return np.clip(0.5 + 0.5 * self.focus / SWING * np.log2(importance.score), 0, 1).astype(np.float32)


DEFAULT_ALLOCATION: Final = Allocation()
_NOISE = 25.0
"""Variance of the samples of a flat block, and of what any codec loses at common rates."""


def block_variance(picture: Picture, rows: int, columns: int) -> Grid:
    """The variance of luma in each cell of a grid over the picture."""
    gray = picture.samples[:, :, 0] if picture.is_gray else np.asarray(Image.fromarray(picture.samples).convert("L"))
    luma = gray.astype(np.float32)
    mean, square = (
        np.asarray(Image.fromarray(x).resize((columns, rows), Image.Resampling.BOX), np.float64) for x in (luma, luma * luma)
    )
    return np.maximum(square - mean * mean, 0)
