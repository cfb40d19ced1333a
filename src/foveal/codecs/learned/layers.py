"""Layers that more than one learned codec uses."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional


@final
class GDN(nn.Module):
    """Generalised divisive normalisation, a local gain control across channels.

    Forward: ``y_i = x_i / sqrt(beta_i + sum_j gamma_ij x_j^2)``; with ``inverse=True`` it multiplies
    instead. Shapes: ``(batch, channels, height, width)`` in and out. ``beta`` and ``gamma`` are kept
    non-negative by storing their square roots.

    Reference: Ballé, Laparra, Simoncelli, "Density modeling of images using a generalized
    normalization transformation", ICLR 2016, eq. 2-3.
    """

    def __init__(self, channels: int, *, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter(torch.ones(channels))
        self.gamma = nn.Parameter((0.02 * torch.eye(channels) + 1e-6).sqrt())

    def forward(self, x: Tensor) -> Tensor:
        beta = self.beta.square() + 1e-6
        norm = functional.conv2d(x.square(), self.gamma.square()[:, :, None, None], beta)
        return x * (norm.sqrt() if self.inverse else norm.rsqrt())


def round_through(v: Tensor) -> Tensor:
    """Rounds to integers; the gradient passes as if nothing had happened (straight-through)."""
    return v + (v.round() - v).detach()


def add_uniform_noise(v: Tensor) -> Tensor:
    """Adds noise from U(-1/2, 1/2), the differentiable stand-in for rounding.

    Reference: Ballé, Laparra, Simoncelli, "End-to-end optimized image compression", ICLR 2017, sec. 3.
    """
    return v + torch.empty_like(v).uniform_(-0.5, 0.5)
