"""Initial weights that already code pictures: an orthonormal block transform, in stages.

Networks of strided convolutions learn to pass a picture through slowly when they start from noise.
Started as a 4x4 DCT of YCbCr-like colours, then 2x2 Haar steps that keep the most energetic outputs,
analysis and synthesis are each other's transposes from the first step (ours).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_NOISE = 0.05
COLOURS = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
_COLOUR_COST = 6.0  # a chroma coefficient is kept where a luma one of this much higher frequency would be


def start_as_block_transform(analysis: list[nn.Conv2d], synthesis: list[nn.ConvTranspose2d]) -> None:
    """Sets three analysis convolutions (9x9 stride 4, 5x5 stride 2 twice) and the synthesis that mirrors them."""
    basis = _separable(dct(4), COLOURS / COLOURS.square().sum(1, keepdim=True).sqrt())
    frequency = torch.tensor([_COLOUR_COST * (c > 0) + u + v for c in range(3) for u in range(4) for v in range(4)])
    kept = frequency.argsort(stable=True)[: analysis[0].out_channels]
    basis, frequency = basis[kept], frequency[kept]
    _set(analysis[0], synthesis[-1], basis, at=4)
    for down, up in zip(analysis[1:], synthesis[-2::-1], strict=True):
        haar = _separable(dct(2), torch.eye(basis.shape[0]))
        frequency = torch.stack([2 * frequency + u + v for u in range(2) for v in range(2)], 1).ravel()
        kept = frequency.argsort(stable=True)[: down.out_channels]
        basis, frequency = haar[kept], frequency[kept]
        _set(down, up, basis, at=2)
    with torch.no_grad():
        middle = torch.full((1, 3, 9, 9), 0.5)
        first, last = analysis[0], synthesis[-1]
        assert first.bias is not None
        assert last.bias is not None
        first.bias -= nn.functional.conv2d(middle, first.weight)[0, :, 0, 0]
        last.bias.fill_(0.5)


def dct(size: int) -> Tensor:
    """The orthonormal DCT-II, one row a frequency."""
    n = torch.arange(size, dtype=torch.float32)
    rows = torch.cos(torch.pi * (2 * n[None, :] + 1) * n[:, None] / (2 * size)) * (2 / size) ** 0.5
    rows[0] /= 2**0.5
    return rows


def _separable(dct: Tensor, channels: Tensor) -> Tensor:
    """Filters ``(channels out * size^2, channels in, size, size)``, frequencies innermost."""
    filters = torch.einsum("ci,uh,vw->cuvihw", channels, dct, dct)
    return filters.reshape(-1, channels.shape[1], *dct.shape)


@torch.no_grad()
def _set(down: nn.Conv2d, up: nn.ConvTranspose2d, basis: Tensor, *, at: int) -> None:
    """Adds the filters to faded random ones, at the kernels' places ``at`` and after."""
    out, into, size = basis.shape[:3]
    for weight, bias in ((down.weight, down.bias), (up.weight, up.bias)):
        assert bias is not None
        weight *= _NOISE
        bias.zero_()
        weight[:out, :into, at : at + size, at : at + size] += basis[:out]
