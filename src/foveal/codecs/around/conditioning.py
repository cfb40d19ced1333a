"""Quality as an input of a network, so that one network serves all qualities."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

_HIDDEN = 16


@final
class QualityScale(nn.Module):
    """A multiplier for each channel, by quality: the quantisation-adaptive layer of NPP (Lu et al., arXiv 2206.05650).

    Called with ``x`` ``(n, channels, rows, columns)`` and ``level`` ``(n,)``, quality 1..100 as 0..1. Starts at 1 for every quality.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(1, _HIDDEN), nn.Linear(_HIDDEN, channels)
        nn.init.zeros_(self.second.weight)
        nn.init.ones_(self.second.bias)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        scale = self.second(torch.relu(self.first(2 * level[:, None] - 1)))
        return x * scale[:, :, None, None]


@final
class AtLevel(nn.Module):
    """A network that is told a level, at one of them, on single pictures."""

    def __init__(self, net: nn.Module, level: float) -> None:
        super().__init__()
        self._net, self._level = net, torch.tensor([level])

    def forward(self, x: Tensor) -> Tensor:
        return self._net(x, self._level)


def level_of(quality: float) -> float:
    """Quality 1..100 as what networks are given, 0..1."""
    return (quality - 1) / 99
