"""Convolutions and residual blocks that the networks behind a codec are built of."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from foveal.codecs.around.conditioning import QualityScale


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A convolution of 3x3 that keeps the size, or halves it with stride 2."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


def zeroed(conv: nn.Conv2d) -> nn.Conv2d:
    """The convolution with weights of 0, so that a network starts as what stands beside it."""
    nn.init.zeros_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


@final
class ResidualBlock(nn.Module):
    """Two convolutions beside the identity, with what is between them scaled by quality."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.scale, self.second = conv3x3(channels, channels), QualityScale(channels), conv3x3(channels, channels)
        with torch.no_grad():
            self.second.weight.mul_(0.3)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        return x + self.second(self.scale(torch.relu(self.first(x)), level))
