"""What it costs to code the coefficients of blocks, and what is left of them: smooth in each coefficient, and rising with its size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.around.intra import cosines

_KNOTS: Final = 8  # of a table a side; larger blocks read between them
_FLOOR: Final = 1e-4  # of a squared coefficient in steps, below which nothing is told apart
_LEVELS: Final = 5  # of quality, from the coarsest to the finest, at which there are tables
_NOISE: Final = 1 / 12
_SHARPEST: Final = 3  # of g and of p / 2: a slope that is steeper than this is felt by few coefficients, and too much


@final
@dataclass(frozen=True, eq=False)
class Tried:
    """Blocks ``(n, m, size, size)`` coded at one size: what comes back, bits ``(n, m)``, and the squared error ``(n, m)``, without gradient."""

    back: Tensor
    bits: Tensor
    harm: Tensor


@final
class BlockCoder(nn.Module):
    """Square blocks of one size.

    A coefficient of ``u`` steps costs ``w log2(1 + (u^2 / d)^g) / g`` bits: next to nothing in the dead zone, and ``2 w`` bits for each doubling
    above it. ``w`` and ``d`` are tables over frequency for some levels of quality, read between them; a block that has anything costs a start more.
    ``u^p / (u^p + t^p)`` of the coefficient is left. That is the mean of what a quantiser leaves where its rounding points are spread, and its
    slope the mean slope, which is what a gradient shall follow.
    """

    basis: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("basis", cosines(size), persistent=False)
        knots = min(size, _KNOTS)
        self.weight, self.dead, self.lost = (nn.Parameter(torch.zeros(_LEVELS, knots, knots)) for _ in range(3))
        self.dead.data += math.log(0.4)
        self.lost.data += math.log(0.35)
        self.shape = nn.Parameter(torch.tensor([0.0, 0.0]))
        self.start = nn.Parameter(torch.tensor([[1.0], [0.5]]).repeat(1, _LEVELS))  # of a block that has anything, and of any

    def forward(
        self, blocks: Tensor, foretold: Tensor | None, log_step: Tensor, level: Tensor, *, rounded: bool = False, across: int = 1
    ) -> Tried:
        """Codes what is left of ``(n, m, size, size)`` blocks beside what is foretold of them.

        Without anything foretold the first coefficient costs what it differs from that of the block before, of ``across`` in a row.

        What is foretold has a gradient for what comes back and none for bits. Real encoders predict from decoded pixels; what is changed there by
        less than a step does not arrive in the next block, but gradients of bits alone would look for just such changes. Descending along
        them, x265 saved 4 to 6 % where they said 13, and 8 to 11 % at as large a change without them. What is decoded does follow, in the mean.

        log_step: of each frequency, ``(n, 1, size, size)``, or of all. level: ``(n,)``, 0..1. rounded: whether coefficients come back as
        whole steps, with the slope of the mean.
        """
        found = self.basis @ (blocks if foretold is None else blocks - foretold.detach()) @ self.basis.T
        step = log_step.exp()
        share = ((found / step).square() + _FLOOR).log()
        near = (1 - (level[:, None] * (_LEVELS - 1) - torch.arange(_LEVELS, device=level.device)).abs()).clamp(min=0)
        sharp, steep = 1 + (_SHARPEST - 1) * torch.sigmoid(self.shape)
        kept = torch.sigmoid(steep * (share - self._table(self.lost, near)))
        left = found * kept
        with torch.no_grad():
            harm = ((found - left).square() + _NOISE * torch.sigmoid(share) * step.square()).sum((2, 3))
        if rounded:
            left = left + ((found / step).round() * step - left).detach()
        if foretold is not None and foretold.requires_grad:
            slope = (kept * (1 + 2 * steep * (1 - kept))).detach()
            left = left + (1 - slope) * (self.basis @ (foretold - foretold.detach()) @ self.basis.T)
        back = self.basis.T @ left @ self.basis
        if foretold is None:
            share = _chained(found, step, share, across)
        else:
            back = back + foretold.detach()
        cost = functional.softplus(sharp * (share - self._table(self.dead, near))) / (sharp * math.log(2))
        bits = (cost * self._table(self.weight, near).exp()).sum((2, 3))
        begun, always = functional.softplus(near @ self.start.T)[..., None].unbind(1)
        return Tried(back, bits + always + begun * bits / (bits + 1), harm)

    def _table(self, knots: Tensor, near: Tensor) -> Tensor:
        """For each picture and frequency, ``(n, 1, size, size)``."""
        told = torch.einsum("nl,lij->nij", near, knots)[:, None]
        if told.shape[2] == self.size:
            return told
        return functional.interpolate(told, (self.size, self.size), mode="bilinear", align_corners=True)


def _chained(found: Tensor, step: Tensor, share: Tensor, across: int) -> Tensor:
    """With the first coefficients as they differ from those before."""
    first = found[..., 0, 0]
    rows = first.reshape(len(first), -1, across)
    moved = first - functional.pad(rows, (1, 0))[..., :-1].reshape(first.shape)
    own = ((moved / step.expand_as(found)[..., 0, 0]).square() + _FLOOR).log()
    return torch.cat([own[..., None], share.flatten(2)[..., 1:]], 2).view_as(share)
