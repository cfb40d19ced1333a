"""A standard codec in the middle of a network in training: real pictures and bits forward, estimates of their gradients backward. Ours.

Both estimates are of the cosine transform in blocks of 8x8, of luma and of chroma at half the size, where a coefficient has ``c`` steps of
the quantiser. Of a change of it 4c² / (1 + 4c²) arrive: all where it is coded, next to nothing where it is lost. It takes about
log2(1 + 4c²) bits; their sum is scaled to the real bits, so only how they are shared out is an estimate. A learned stand-in
of a codec would know more; this one needs no training, and serves all codecs that quantise transformed blocks.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from foveal.training.host import Host

_BLOCK = 8
SIDES = 2 * _BLOCK
"""The sides of what is coded are multiples of this."""


@final
@dataclass(frozen=True, eq=False)
class Passed:
    """decoded: ``(n, 3, height, width)`` in 0..1. bits: of each picture, ``(n,)``."""

    decoded: Tensor
    bits: Tensor


def code_through(host: Host, x: Tensor, qualities: list[float]) -> Passed:
    """Codes RGB ``(n, 3, height, width)`` in 0..1, each picture at its quality; no gradients."""
    pixels = (x.detach() * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().contiguous().numpy()
    coded = [host.code(one, quality) for one, quality in zip(pixels, qualities, strict=True)]
    decoded = torch.from_numpy(np.stack([one.decoded for one in coded])).to(x.device)  # pyright: ignore[reportUnknownMemberType]
    bits = torch.tensor([float(one.bits) for one in coded], device=x.device)
    return Passed(decoded.permute(0, 3, 1, 2).float() / 255, bits)


def straight(x: Tensor, passed: Passed, step: Tensor) -> Passed:
    """The same with gradients for ``x``, whose sides are multiples of ``SIDES``. step: of the quantiser, of each picture, in units of 0..1."""
    steps = [_transformed(planes) / (step / 2)[:, None, None, None] for planes in _planes(x)]
    estimated = torch.stack([torch.log2(1 + some.square()).sum((1, 2, 3)) for some in steps]).sum(0)
    bits = passed.bits * estimated / estimated.detach().clamp(min=1)
    kept = [_inverse(some * (some.square() / (1 + some.square())).detach()) for some in steps]
    arrived = _rgb(kept[0], functional.interpolate(kept[1], scale_factor=2)) * (step / 2)[:, None, None, None]
    return Passed(arrived + (passed.decoded - arrived).detach(), bits)


def _planes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Luma ``(n, 1, height, width)`` and chroma ``(n, 2, height / 2, width / 2)``, both about 0."""
    y = torch.einsum("ij,njhw->nihw", _matrix().to(x.device), x)
    return y[:, :1] - 0.5, functional.avg_pool2d(y[:, 1:], 2)


def _rgb(luma: Tensor, chroma: Tensor) -> Tensor:
    planes = torch.cat([luma + 0.5, chroma], 1)
    return torch.einsum("ij,njhw->nihw", torch.linalg.inv(_matrix()).to(planes.device), planes)


def _transformed(planes: Tensor) -> Tensor:
    """Coefficients ``(n, channels, blocks, 64)``."""
    n, channels = planes.shape[:2]
    blocks = functional.unfold(planes.reshape(n * channels, 1, *planes.shape[2:]), _BLOCK, stride=_BLOCK)
    return (_basis().to(planes.device) @ blocks).reshape(n, channels, *blocks.shape[1:])


def _inverse(coefficients: Tensor) -> Tensor:
    """The planes, square ones."""
    n, channels, _, count = coefficients.shape
    side = math.isqrt(count) * _BLOCK
    blocks = _basis().to(coefficients.device).T @ coefficients.reshape(n * channels, -1, count)
    return functional.fold(blocks, (side, side), _BLOCK, stride=_BLOCK).reshape(n, channels, side, side)


@functools.cache
def _matrix() -> Tensor:
    """RGB to YCbCr as JPEG has it (BT.601)."""
    return torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


@functools.cache
def _basis() -> Tensor:
    """The orthonormal cosine transform of 8x8, ``(64, 64)``: coefficients of samples."""
    k, i = torch.arange(_BLOCK)[:, None], torch.arange(_BLOCK)[None]
    one = torch.cos(math.pi * (2 * i + 1) * k / (2 * _BLOCK)) * math.sqrt(2 / _BLOCK)
    one[0] /= math.sqrt(2)
    return torch.kron(one, one)
