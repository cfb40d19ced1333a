"""Initial weights of ``cae-pca``: an 8x8 DCT and its inverse, exactly, in directions drawn at random.

With slopes of 1 PReLU does nothing, so the convolutions begin as one linear transform: colours, two steps of 2x2 Haar, and in the
last layer of g_a what is left to the DCT. All luma frequencies are kept, and the lowest of either chroma. A start from noise would need hours
to pass a picture through.

The maps are those of the DCT under a rotation drawn at random. The loss (``model``) is the same in all directions, as in the paper, so
training has no reason to undo it: as there, only principal components tell one direction of the latent from another. Ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foveal.codecs.learned.start import COLOURS, dct

_PASSED = (3, 12, 48)
"""Channels that carry the picture at the full sides, the half and the quarter; the others start beside it."""


@torch.no_grad()
def start_as_dct(analysis: nn.Sequential, synthesis: nn.Sequential) -> None:
    """Sets both networks of ``transforms``, if they are wide enough to pass a picture on."""
    a, b, c = _PASSED
    colours = COLOURS / COLOURS.square().sum(1, keepdim=True).sqrt()
    _set(analysis[0], colours[:, :, None, None], at=1)
    _bias(analysis[0])[:a] = -0.5 * colours.sum(1)
    _set(analysis[2], _haar(a), at=1)
    _set(analysis[4], _same(b), at=1)
    _set(analysis[6], _haar(b), at=1)
    _set(analysis[8], _same(c), at=1)
    for net, passed in ((analysis, (a, b, b, c, c)), (synthesis, (c, c, b, b, a))):
        for prelu, channels in zip([m for m in net if isinstance(m, nn.PReLU)], passed, strict=True):
            prelu.weight[:channels] = 1.0
    # Haar steps are orthonormal: what they make of a filter, seen as a picture, is how the last layer finds it.
    maps = _bias(analysis[10]).numel()
    last = analysis[:10](0.5 + _mixed(_filters(colours)[:maps]))[:, :c]
    _set(analysis[10], last, at=1)

    _set(synthesis[0], last, at=1)
    _set(synthesis[2], _same(c), at=1)
    _set(synthesis[4], _haar(b), at=1)
    _set(synthesis[6], _same(b), at=1)
    _set(synthesis[8], _haar(a), at=1)
    _set(synthesis[10], colours.T[:, :, None, None], at=1)
    _bias(synthesis[10]).fill_(0.5)


def _filters(colours: Tensor) -> Tensor:
    """The DCT of the three colours ``(192, 3, 8, 8)``, orthonormal: luma first, then both chromas by rising frequency."""
    rows = dct(8)
    filters = torch.einsum("ci,uh,vw->cuvihw", colours, rows, rows).reshape(-1, 3, 8, 8)
    far = torch.tensor([max(u, v) + 0.1 * (u + v) + 100 * (c > 0) for c in range(3) for u in range(8) for v in range(8)])
    return filters[far.argsort(stable=True)]


def _mixed(filters: Tensor) -> Tensor:
    """The filters under a random rotation of all of them."""
    turn = nn.init.orthogonal_(torch.empty(len(filters), len(filters)))
    return torch.einsum("mn,nihw->mihw", turn, filters)


def _haar(channels: int) -> Tensor:
    """Filters ``(4 * channels, channels, 2, 2)``."""
    return torch.einsum("ci,uh,vw->cuvihw", torch.eye(channels), dct(2), dct(2)).reshape(-1, channels, 2, 2)


def _same(channels: int) -> Tensor:
    return torch.eye(channels)[:, :, None, None]


def _set(layer: nn.Module, filters: Tensor, *, at: int) -> None:
    """Gives a layer's first outputs nothing but the filters, ``(out, in, size, size)``, at the kernel's places ``at`` and after.

    Of a transposed convolution the filters are those of the convolution that it undoes, ``(in, out, size, size)``.
    """
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    first, second, size = filters.shape[:3]
    out = filters.shape[isinstance(layer, nn.ConvTranspose2d)]
    outputs = layer.weight[:, :out] if isinstance(layer, nn.ConvTranspose2d) else layer.weight[:out]
    outputs.zero_()
    layer.weight[:first, :second, at : at + size, at : at + size] = filters
    _bias(layer)[:out] = 0


def _bias(layer: nn.Module) -> Tensor:
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    assert layer.bias is not None
    return layer.bias
