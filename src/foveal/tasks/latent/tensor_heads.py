"""How one tensor inside a third-party network is made from the trunk's features (ours): what a network's first filters see of the picture
is a linear map of features, and what lies deeper is learned.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Final, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.tasks.input import Geometry
from foveal.tasks.latent.cuts import CutTensor
from foveal.tasks.latent.resampling import Lie, lie
from foveal.tasks.residual import Block, Normed

FEATURE_STRIDE: Final = 8
"""Coded pixels a side that a feature of the trunk stands for."""
COARSE: Final = 4
"""The stride of a tensor from which on its network has seen more than lines and colours there."""
_GRID: Final = 4, 2, 32
"""Of a tensor of that stride or more: the stride of the network's input that features are resampled to, from where convolutions go on; to
how many times their places a side they are brought before, for what a network sees between them is lost after; channels up to there.
"""
_FINER: Final = 4
"""To how many times its places a side a feature is brought where a network's first filters read: the picture at half its size."""
_COLOURS: Final = 3
_SEEN: Final = 7
"""Pixels of the network's input a side that its first filters see at most."""
_LEAST_SPREAD: Final = 0.02
"""Of the middle channel's: what a channel that hardly changes is divided by."""
_TOLD: Final = 32


class TensorHead(nn.Module):
    """One tensor of a cut, ``(batch, channels, rows, columns)``, made in spreads of features ``(batch, spectrum, h, w)`` at 1/8. An abstract base.

    mean, spread: of its channels, which are learned as their distance from the mean in spreads. What ``forward`` is given is a subclass's own:
    features, and how the pictures, all of one size, lie in the network's input (``geometry``).
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, tensor: CutTensor) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(tensor.channels))
        self.register_buffer("spread", torch.ones(tensor.channels))

    @torch.no_grad()
    def measured(self, mean: Tensor, spread: Tensor) -> None:
        """Takes mean and spread of the channels."""
        self.mean.copy_(mean)
        self.spread.copy_(spread.clamp_min(_LEAST_SPREAD * float(spread.median())).clamp_min(1e-4))

    def normal(self, tensor: Tensor) -> Tensor:
        """A tensor of the network itself, in spreads."""
        return (tensor - self.mean[:, None, None]) / self.spread[:, None, None]

    def real(self, normal: Tensor) -> Tensor:
        """The way back of ``normal``."""
        return normal * self.spread[:, None, None] + self.mean[:, None, None]


@final
class StemHead(TensorHead):
    """What a network's first filters give, of a stride below ``COARSE``: linear from features to the tensor, as they are of the picture.

    From features and their neighbours comes the picture at half its size (``colours``), which is laid where the network's preparation would
    have put it, and filtered.
    """

    def __init__(self, spectrum: int, tensor: CutTensor) -> None:
        super().__init__(tensor)
        self.grid = replace(tensor, rows=tensor.rows * tensor.stride, columns=tensor.columns * tensor.stride, stride=1)
        self.colours = nn.Conv2d(spectrum, _COLOURS * _FINER**2, 3, padding=1)
        self.filters = nn.Conv2d(_COLOURS + 1, tensor.channels, _SEEN, tensor.stride, _SEEN // 2)

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        return self.filters(self.laid(x, geometry))

    def laid(self, x: Tensor, geometry: Geometry) -> Tensor:
        """The picture ``(batch, 3 + 1, rows, columns)`` at the places of the network's input, and which of them it covers."""
        return _laid(functional.pixel_shuffle(self.colours(x), _FINER), self.grid, geometry, _FINER)[0]


@final
class GridHead(TensorHead):
    """A tensor of any stride from ``COARSE`` on. channels: where the grid is the tensor's. blocks: there."""

    def __init__(self, spectrum: int, tensor: CutTensor, *, channels: int, blocks: int, folded: bool) -> None:
        super().__init__(tensor)
        stride, self.finer, fine = _GRID
        halvings = round(math.log2(tensor.stride / stride))
        self.grid = replace(
            tensor, rows=tensor.rows << halvings, columns=tensor.columns << halvings, stride=tensor.stride >> halvings
        )
        self.enter = Normed(spectrum, fine * self.finer**2, size=1, folded=folded)
        self.join = Normed(fine + 1, fine, folded=folded)
        self.told = nn.Sequential(nn.Linear(2, _TOLD), nn.ReLU(), nn.Linear(_TOLD, 2 * fine))
        widths = [fine, *(max(1, channels >> (halvings - number)) for number in range(1, halvings + 1))]
        self.down = nn.Sequential(
            *(nn.Sequential(Normed(into, out, stride=2, folded=folded), nn.ReLU()) for into, out in itertools.pairwise(widths))
        )
        own = widths[-1]
        self.blocks = nn.Sequential(*(Block(own, folded=folded) for _ in range(blocks)))
        self.leave = nn.Conv2d(own, tensor.channels, 1)
        last = cast(nn.Linear, self.told[2])
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        x, lies = _laid(functional.pixel_shuffle(self.enter(x), self.finer), self.grid, geometry, self.finer)
        gain, shift = self.told(lies.scale).chunk(2)
        x = functional.relu(self.join(x) * (1 + gain[:, None, None]) + shift[:, None, None])
        return self.leave(self.blocks(self.down(x)))


@final
class CorrectedHead(TensorHead):
    """A tensor of any stride from ``COARSE`` on, of what the network's own layers make of one before it, which came from coded features: what is
    lost there is added, as far as features tell it. Before anything is learned that is nothing.
    """

    def __init__(self, spectrum: int, tensor: CutTensor, *, channels: int, blocks: int, folded: bool) -> None:
        super().__init__(tensor)
        self._tensor = tensor
        self.enter = Normed(spectrum + 1, channels, size=1, folded=folded)
        self.join = Normed(tensor.channels, channels, folded=folded)
        self.blocks = nn.Sequential(*(Block(channels, folded=folded) for _ in range(blocks)))
        self.leave = nn.Conv2d(channels, tensor.channels, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, geometry: Geometry, grown: Tensor) -> Tensor:
        """grown: the tensor as the network's layers made it."""
        known = self.normal(grown)
        x = functional.relu(self.enter(_laid(x, self._tensor, geometry, 1)[0]) + self.join(known))
        return known + self.leave(self.blocks(x))


def _laid(x: Tensor, grid: CutTensor, geometry: Geometry, finer: int) -> tuple[Tensor, Lie]:
    """Features of ``finer`` times their places at those of the grid, and one channel more: the part of each place that the picture covers."""
    lies = lie(grid, geometry, (x.shape[2], x.shape[3]), FEATURE_STRIDE // finer, x.device)
    return torch.cat([lies.of(x), lies.held.to(x.dtype).expand(len(x), -1, -1, -1)], 1), lies
