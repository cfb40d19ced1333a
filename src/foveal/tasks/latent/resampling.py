"""From features of a coded picture to the places of a network's own grid: separable, bilinear where it enlarges, by area where it shrinks.

A cell of the grid reads what lies under it in the picture, wherever the network's preparation (``tasks.input``) has put that, so
that pictures of any size need no pixels. The filter is Pillow's triangle; ours is only that it maps features in place of pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from foveal.tasks.input import Geometry
from foveal.tasks.latent.cuts import CutTensor

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Lie:
    """How a grid lies over features ``(h, w)``.

    down: ``(rows, h)`` and across: ``(columns, w)``, what each cell takes of each feature; rows of zeros for cells outside the picture.
    held: ``(1, 1, rows, columns)``, the part of each cell that the picture covers, 0..1. scale: ``(2,)``, the logarithm to base 2 of
    how many coded pixels a cell covers, in rows and in columns, less 4.
    """

    down: Tensor
    across: Tensor
    held: Tensor
    scale: Tensor

    def of(self, x: Tensor) -> Tensor:
        """``(batch, channels, rows, columns)`` of features ``(batch, channels, h, w)``."""
        return self.down.to(x.dtype) @ (x @ self.across.to(x.dtype).T)


def lie(tensor: CutTensor, geometry: Geometry, size: tuple[int, int], pixels: int, device: torch.device) -> Lie:
    """For features of ``size`` (rows, columns), each of ``pixels`` coded pixels a side. They may cover more than the picture."""
    g, (h, w) = geometry, size
    down, rows_held = axis_weights(tensor.rows, tensor.stride / g.scale_y, -g.offset_y / g.scale_y, g.height, h, pixels)
    across, columns_held = axis_weights(tensor.columns, tensor.stride / g.scale_x, -g.offset_x / g.scale_x, g.width, w, pixels)
    scale = torch.tensor([math.log2(tensor.stride / along) - 4 for along in (g.scale_y, g.scale_x)], device=device)
    held = (rows_held[:, None] * columns_held)[None, None]
    on_rows, on_columns, covered = (torch.from_numpy(values).to(device) for values in (down, across, held))
    return Lie(on_rows, on_columns, covered, scale)


def axis_weights(
    cells: int, cell: float, start: float, length: int, samples: int, pixels: int
) -> tuple[Weights, npt.NDArray[np.float32]]:
    """Along one side: what cells take of samples ``(cells, samples)``, and how much of each the picture covers ``(cells,)``.

    cell: pixels of the picture that a cell covers; start: where the first begins. length: of the picture. pixels: that a sample covers.
    """
    low = start + cell * np.arange(cells)
    covered = np.clip(np.minimum(low + cell, length) - np.maximum(low, 0), 0, None) / cell
    inside = min(samples, -(-length // pixels))
    places = pixels * (np.arange(samples) + 0.5)
    centres = np.clip(low + cell / 2, places[0], places[inside - 1])
    weights = np.clip(1 - np.abs(centres[:, None] - places) / max(cell, pixels), 0, None)
    weights[:, inside:] = 0
    weights /= weights.sum(1, keepdims=True)
    weights[covered == 0] = 0
    return weights.astype(np.float32), covered.astype(np.float32)
