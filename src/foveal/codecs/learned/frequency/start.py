"""Initial weights of ``frequency``: a lapped transform and its inverse, critically sampled, ordered by variance.

Networks learn to pass a picture through slowly when they start from noise. Started as an orthonormal transform, the first
step already codes pictures, and training only has to bend it. Which channels are worth a place is measured on pictures.
Reference: the lapped transform is Malvar's (IEEE Trans. ASSP 1990, sec. III) with his angles for natural pictures; its use
as a start, and the splitting into bands, are ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.learned.frequency.transforms import SAMPLED, Analysis, FrequencyConfig, Synthesis, lapped_pieces
from foveal.codecs.learned.start import COLOURS, dct

_NOISE = 0.001  # so that no channel is dead; more would hide what is fine
_ANGLES = (0.13, 0.16, 0.13)


def lapped_transform() -> Tensor:
    """Rows ``(8, 16)`` by rising frequency, orthonormal, also to themselves moved by 8."""
    rows = dct(8)
    half = (rows[0::2] - rows[1::2]) / 2
    even = torch.cat([half, half.flip(1)], 1)
    odd = torch.cat([half, -half.flip(1)], 1)
    for i, angle in enumerate(_ANGLES):
        c, s = torch.cos(torch.tensor(angle * torch.pi)), torch.sin(torch.tensor(angle * torch.pi))
        odd[i], odd[i + 1] = c * odd[i] + s * odd[i + 1], -s * odd[i] + c * odd[i + 1]
    return torch.stack([even, odd], 1).reshape(8, 16)


@torch.no_grad()
def start(analysis: Analysis, synthesis: Synthesis, config: FrequencyConfig, pictures: Tensor) -> None:
    """Sets both networks; ``pictures`` ``(batch, 3, H, W)`` in 0..1, sides multiples of 64, say which channels matter."""
    kept_0, kept_1 = config.latent_0 // 4, (config.latent_1 + config.latent_0 // 4) // 4
    rows = lapped_transform()
    windows = torch.einsum("ci,uh,vw->cuvihw", COLOURS / COLOURS.square().sum(1, keepdim=True).sqrt(), rows, rows)
    # To pieces of 8x8 pixels, two by two.
    kernels = windows.reshape(SAMPLED, 3, 2, 8, 2, 8).permute(0, 1, 3, 5, 2, 4).reshape(SAMPLED, SAMPLED, 2, 2)
    x = lapped_pieces(pictures)
    order = _order(functional.conv2d(x, kernels))
    kernels = kernels[order]
    signs = torch.tensor([1.0, -1.0]).repeat(4)
    synthesis.mirror.copy_(torch.stack([signs[:, None].expand(8, 8).reshape(-1), signs.repeat(8)]).repeat(1, 3)[:, order])
    for net in (analysis.sample, synthesis.restore):
        _fade(net)
        net.weight += kernels

    f = functional.pixel_unshuffle(functional.conv2d(x, kernels), 2)
    split = _haar(SAMPLED)
    split = split[_order(_apply(f, split))]
    _pair(analysis.to_middle, synthesis.from_middle, split[: config.middle])
    first = config.middle - kept_1
    beyond = split[config.middle : config.middle + config.latent_2 - first]
    _pair(analysis.past, synthesis.past, torch.cat([torch.zeros(first, 4 * SAMPLED), beyond]))

    f = _apply(f, split[:kept_1])
    lower = _haar(kept_1)
    lower = lower[_order(_apply(functional.pixel_unshuffle(f, 2), lower))]
    _pair(analysis.to_32, synthesis.from_32, lower)
    f = _apply(functional.pixel_unshuffle(f, 2), lower[:kept_0])
    lowest = _haar(kept_0)
    lowest = lowest[_order(_apply(functional.pixel_unshuffle(f, 2), lowest))]
    _pair(analysis.to_64, synthesis.from_64, lowest)

    for head, enter, column in zip(analysis.heads, synthesis.enter, (0, kept_0, kept_1), strict=True):
        assert isinstance(head, nn.Conv2d)
        assert isinstance(enter, nn.Conv2d)
        _pair(head, enter, torch.eye(head.in_channels - column)[: head.out_channels], column=column)
    for net, haar in ((analysis.subtract_1, lowest), (analysis.subtract_2, lower)):
        means = haar.reshape(len(haar), -1, 4).sum(2) / 4  # half of a Haar sum of four is their mean
        _fade(net)
        net.weight[: means.shape[1], : means.shape[0], 0, 0] += means.T


def _order(coefficients: Tensor) -> Tensor:
    """Channels by falling energy."""
    return coefficients.square().mean((0, 2, 3)).argsort(descending=True, stable=True)


def _haar(channels: int) -> Tensor:
    """A 2x2 Haar step after ``pixel_unshuffle``, ``(4 channels, 4 channels)``."""
    pair = dct(2)
    return torch.kron(torch.eye(channels), torch.einsum("uh,vw->uvhw", pair, pair).reshape(4, 4))


def _apply(x: Tensor, rows: Tensor) -> Tensor:
    return functional.conv2d(x, rows[:, :, None, None])


def _fade(net: nn.Conv2d | nn.ConvTranspose2d) -> None:
    assert net.bias is not None
    nn.init.normal_(net.weight, std=_NOISE * net.weight[0].numel() ** -0.5)
    nn.init.zeros_(net.bias)


def _pair(down: nn.Conv2d, up: nn.Conv2d, rows: Tensor, *, column: int = 0) -> None:
    """Adds orthonormal rows to faint random weights of ``down``, and their transpose to those of ``up``."""
    out, into = rows.shape
    _fade(down)
    _fade(up)
    down.weight[:out, column : column + into, 0, 0] += rows
    up.weight[column : column + into, :out, 0, 0] += rows.T
