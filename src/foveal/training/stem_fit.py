"""Least squares for what is linear of a trunk's features: the picture at half its size, and a network's first filters over it (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.tasks.input import Geometry
from foveal.tasks.latent.tensor_heads import FEATURE_STRIDE, StemHead

_RIDGE: Final = 1e-6
"""Of the mean square of what is read, beside it: so that channels which are hardly there get no large weights."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A coded picture as the trunk sees it, and as the network does before it was coded.

    features: ``(1, spectrum, h, w)``. picture: ``(1, 3, 8 h, 8 w)`` in 0..1. tensor: ``(1, channels, rows, columns)``, what the head should
    make, as it comes from the network. geometry: how the picture lies in the network's input.
    """

    features: Tensor
    picture: Tensor
    tensor: Tensor
    geometry: Geometry


@torch.no_grad()
def fit_stem(head: StemHead, seen: Sequence[Seen]) -> None:
    """Gives a head the weights that are best on some pictures, after mean and spread of its channels."""
    finer = round((head.colours.out_channels // 3) ** 0.5)
    half = FEATURE_STRIDE // finer
    fit_convolution(
        head.colours,
        ((one.features, functional.pixel_unshuffle(functional.avg_pool2d(one.picture, half), finer)) for one in seen),
    )
    fit_convolution(head.filters, ((head.laid(one.features, one.geometry), head.normal(one.tensor)) for one in seen))


@torch.no_grad()
def fit_convolution(conv: nn.Conv2d, pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Least squares over pairs of what a convolution reads and what it should make, one picture each."""
    count = conv.in_channels * conv.kernel_size[0] * conv.kernel_size[1] + 1
    squares, wanted = torch.zeros(count, count, dtype=torch.float64), torch.zeros(count, conv.out_channels, dtype=torch.float64)
    for x, y in pairs:
        padding, stride = cast("tuple[int, int]", conv.padding), cast("tuple[int, int]", conv.stride)
        read = functional.unfold(x.float(), conv.kernel_size, padding=padding, stride=stride)[0].T
        read = torch.cat([read, torch.ones_like(read[:, :1])], 1)
        squares += (read.T @ read).double()
        wanted += (read.T @ y[0].flatten(1).T).double()
    ridge = _RIDGE * squares.diagonal().mean() * torch.eye(count, dtype=torch.float64)
    solved = cast(Tensor, torch.linalg.solve(squares + ridge, wanted)).float().T
    conv.weight.copy_(solved[:, :-1].reshape(conv.weight.shape))
    cast(Tensor, conv.bias).copy_(solved[:, -1])
