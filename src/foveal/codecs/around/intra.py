"""Square blocks of a plane, and their prediction from pixels above and to the left, as HEVC and VVC do it, differentiable."""

from __future__ import annotations

import math
from typing import Final, final

import torch
from torch import Tensor, nn

_ANGLES: Final = (32, 26, 21, 17, 13, 9, 5, 2, 0, -2, -5, -9, -13, -17, -21, -26)
"""Of HEVC's directions 2..17, in 1/32 of a pixel for each pixel; 34 down to 19 mirror them, and 18 is the diagonal."""
_THINNED_FROM: Final = 16  # of larger blocks a quarter of the pixels is looked at to find a direction


def cut(plane: Tensor, size: int) -> Tensor:
    """``(n, rows, columns)`` as blocks ``(n, rows / size, columns / size, size, size)``."""
    n, rows, columns = plane.shape
    return plane.view(n, rows // size, size, columns // size, size).transpose(2, 3)


def join(blocks: Tensor) -> Tensor:
    """What ``cut`` was given."""
    n, down, across, size, _ = blocks.shape
    return blocks.transpose(2, 3).reshape(n, down * size, across * size)


def cosines(size: int) -> Tensor:
    """The orthonormal DCT-II, ``(size, size)``; a row is a basis function."""
    k, x = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)[None]
    basis = math.sqrt(2 / size) * torch.cos(math.pi * k * (2 * x + 1) / (2 * size))
    basis[0] /= math.sqrt(2)
    return basis.float()


def borders(plane: Tensor, size: int) -> Tensor:
    """What lies around each block of ``(n, rows, columns)``: ``(n, down, across, 3 * size + 1)``.

    First the corner, then ``2 * size`` pixels above from left to right, then ``size`` on the left from the top. Where the picture ends they
    are the nearest that there are, and 0 for the first block. All that is above is taken to be decoded already.
    """
    n, rows, columns = plane.shape
    wide = torch.cat([plane[..., :1], plane, plane[..., -1:].expand(-1, -1, size)], 2)
    lines = torch.cat([wide.new_zeros(n, 1, wide.shape[2]), wide[:, size - 1 : rows - 1 : size]], 1)
    above = lines.unfold(2, 2 * size + 1, size)
    stripes = torch.cat([plane.new_zeros(n, rows, 1), plane[..., size - 1 : columns - 1 : size]], 2)
    left = stripes.view(n, rows // size, size, columns // size).transpose(2, 3)
    above = torch.cat([left[:, :1, :, :1].expand(-1, -1, -1, 2 * size + 1), above[:, 1:]], 1)
    left = torch.cat([above[:, :, :1, 1:2].expand(-1, -1, -1, size), left[:, :, 1:]], 2)
    return torch.cat([above, left], 3)


@final
class Predictor(nn.Module):
    """Blocks of one size from what lies around them: their mean, a plane, or along each ``step``-th of HEVC's 33 directions."""

    kinds: Tensor
    seen: Tensor

    def __init__(self, size: int, step: int) -> None:
        super().__init__()
        self.size = size
        kinds = [_mean(size), _slope(size), *(_direction(size, mode) for mode in range(2, 35, step))]
        self.register_buffer("kinds", torch.stack(kinds), persistent=False)  # (kinds, size * size, 3 * size + 1)
        pixels = torch.arange(size * size).view(size, size)
        thinned = pixels[::2, ::2] if size >= _THINNED_FROM else pixels
        self.register_buffer("seen", thinned.flatten(), persistent=False)

    @torch.no_grad()
    def best(self, around: Tensor, blocks: Tensor) -> Tensor:
        """Which kind leaves the least absolute difference. around ``(m, 3 * size + 1)``, blocks ``(m, size, size)``; ``(m,)``."""
        wanted = blocks.flatten(1)[:, self.seen]
        kinds = len(self.kinds)
        told = around @ self.kinds[:, self.seen].flatten(0, 1).T
        return (told.view(-1, kinds, len(self.seen)) - wanted[:, None]).abs_().mean(2).argmin(1)

    def forward(self, around: Tensor, kind: Tensor) -> Tensor:
        """The blocks ``(m, size, size)`` that a kind for each foretells."""
        order = kind.argsort()
        counts = [int(count) for count in torch.bincount(kind, minlength=len(self.kinds))]
        parts = torch.split(around[order], counts)
        told = torch.cat([part @ matrix.T for part, matrix in zip(parts, self.kinds, strict=True)])
        return told[order.argsort()].view(-1, self.size, self.size)


def _mean(size: int) -> Tensor:
    told = torch.zeros(size * size, 3 * size + 1)
    told[:, 1 : size + 1] = told[:, 2 * size + 1 :] = 1 / (2 * size)
    return told


def _slope(size: int) -> Tensor:
    """HEVC's planar kind; below the left column it goes on with its last pixel."""
    y, x, told = _pixels(size)
    for place, weight in ((2 * size + 1 + y, size - 1 - x), (1 + size, x + 1), (1 + x, size - 1 - y), (3 * size, y + 1)):
        _add(told, torch.as_tensor(place).expand(len(y)), weight / (2 * size))
    return told


def _direction(size: int, mode: int) -> Tensor:
    """HEVC's directions 2..34, with lines between pixels where the standard has whole ones beyond the corner."""
    upright = mode >= 18
    angle = -32 if mode == 18 else _ANGLES[34 - mode] if upright else _ANGLES[mode - 2]
    y, x, told = _pixels(size)
    along, across = (y, x) if upright else (x, y)  # away from the border that is mainly read, and beside it
    at = across + (along + 1) * (angle / 32)
    on_main = at >= -1
    at = torch.where(on_main, at, along - (across + 1) * (32 / max(1, -angle)))
    first = at.floor()
    above = on_main if upright else ~on_main
    for index, weight in ((first, 1 - (at - first)), (first + 1, at - first)):
        place = torch.where(above, 1 + index.clamp(max=2 * size - 1), 2 * size + 1 + index.clamp(max=size - 1))
        _add(told, torch.where(index < 0, 0, place).long(), weight)  # -1 is the corner
    return told


def _pixels(size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns of a block's pixels, and room for what each takes of ``borders``."""
    pixels = torch.arange(size * size)
    return pixels // size, pixels % size, torch.zeros(size * size, 3 * size + 1)


def _add(told: Tensor, places: Tensor, weights: Tensor) -> None:
    told.scatter_add_(1, places[:, None], weights.to(told.dtype)[:, None])
