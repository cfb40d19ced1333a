"""A head that makes the middle tensors of a third-party network from the trunk's features (ours)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.tasks.input import Geometry
from foveal.tasks.latent.cuts import Cut, CutTensor
from foveal.tasks.latent.resampling import lie
from foveal.tasks.residual import Block, Normed

FEATURE_STRIDE: Final = 8
"""Coded pixels a side that a feature of the trunk stands for."""
_COARSE: Final = 4
"""The stride of a tensor from which on its network has seen more than lines and colours there."""
_GRID: Final = 4, 2, 32
"""Of a tensor of that stride or more: the stride of the network's input that features are resampled to, from where convolutions go on; to
how many times their places a side they are brought before, for what a network sees between them is lost after; channels up to there.
"""
_FINE_GRID: Final = 1, 4, 8
"""Of tensors before: their filters see every pixel of the input."""
_LEAST_SPREAD: Final = 0.02
"""Of the middle channel's: what a channel that hardly changes is divided by."""
_TOLD: Final = 32


@final
class GridHead(nn.Module):
    """One tensor of a cut. channels: where the grid is the tensor's. blocks: there.

    mean, spread: of the tensor's channels, which are learned as their distance from the mean in spreads.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, spectrum: int, tensor: CutTensor, *, channels: int, blocks: int, folded: bool) -> None:
        super().__init__()
        stride, self.finer, fine = _GRID if tensor.stride >= _COARSE else _FINE_GRID
        halvings = round(math.log2(tensor.stride / stride))
        self.grid = replace(
            tensor, rows=tensor.rows << halvings, columns=tensor.columns << halvings, stride=tensor.stride >> halvings
        )
        self.enter = Normed(spectrum, fine * self.finer**2, size=1, folded=folded)
        self.join = Normed(fine + 1, fine, folded=folded)
        self.told = nn.Sequential(nn.Linear(2, _TOLD), nn.ReLU(), nn.Linear(_TOLD, 2 * fine))
        widths = [fine, *(max(1, channels >> (halvings - number)) for number in range(1, halvings + 1))]
        self.down = nn.ModuleList(Normed(into, out, stride=2, folded=folded) for into, out in itertools.pairwise(widths))
        own = widths[-1]
        self.blocks = nn.Sequential(*(Block(own, folded=folded) for _ in range(blocks)))
        self.leave = nn.Conv2d(own, tensor.channels, 1)
        self.register_buffer("mean", torch.zeros(tensor.channels))
        self.register_buffer("spread", torch.ones(tensor.channels))
        last = cast(nn.Linear, self.told[2])
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """The tensor ``(batch, channels, rows, columns)`` in spreads, of features ``(batch, spectrum, h, w)`` at 1/8."""
        x = functional.pixel_shuffle(self.enter(x), self.finer)
        lies = lie(self.grid, geometry, (x.shape[2], x.shape[3]), FEATURE_STRIDE // self.finer, x.device)
        x = torch.cat([lies.of(x), lies.held.to(x.dtype).expand(len(x), -1, -1, -1)], 1)
        gain, shift = self.told(lies.scale).chunk(2)
        x = self.join(x) * (1 + gain[:, None, None]) + shift[:, None, None]
        for number, down in enumerate(self.down):
            x = down(functional.relu(x) if number else x)  # linear up to the first, as a picture is
        return self.leave(self.blocks(functional.relu(x)))

    def normal(self, tensor: Tensor) -> Tensor:
        """A tensor of the network itself, in spreads."""
        return (tensor - self.mean[:, None, None]) / self.spread[:, None, None]

    def real(self, normal: Tensor) -> Tensor:
        """The way back of ``normal``."""
        return normal * self.spread[:, None, None] + self.mean[:, None, None]


@final
class FeatureHead(nn.Module):
    """All tensors of a cut."""

    def __init__(self, spectrum: int, cut: Cut, *, channels: int, blocks: int, folded: bool) -> None:
        super().__init__()
        self.cut = cut
        self.grids = nn.ModuleList(
            GridHead(spectrum, tensor, channels=channels, blocks=blocks, folded=folded) for tensor in cut.tensors
        )

    @property
    def parts(self) -> list[GridHead]:
        """One for each tensor of the cut."""
        return [cast(GridHead, grid) for grid in self.grids]

    def forward(self, features: Tensor, geometry: Geometry) -> list[Tensor]:
        """The tensors in spreads. geometry: how the pictures, all of one size, lie in the network's input."""
        return [grid(features, geometry) for grid in self.parts]

    def real(self, normal: Sequence[Tensor]) -> list[Tensor]:
        """The tensors as the tail reads them, float32."""
        return [grid.real(tensor.float()) for grid, tensor in zip(self.parts, normal, strict=True)]

    @torch.no_grad()
    def measured(self, means: Sequence[Tensor], spreads: Sequence[Tensor]) -> None:
        """Takes mean and spread of each tensor's channels."""
        for grid, mean, spread in zip(self.parts, means, spreads, strict=True):
            grid.mean.copy_(mean)
            grid.spread.copy_(spread.clamp_min(_LEAST_SPREAD * float(spread.median())).clamp_min(1e-4))
