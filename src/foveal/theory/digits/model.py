"""The float twin of the codec: what training optimises, and what its tables are counted for.

::

    x ─► analysis ─► y ─► nearest cluster m ─► (y - m) · gain ─► round ─► symbols, bits
    x̂ ◄─ synthesis ◄─ ŷ = m + symbols / gain ◄─────────────────────────────┘

A file names one of several clusters, a point m in the space of latents, and what is left in rounding steps of 1 / gain. At
fine rates the steps hold nearly everything; at a few bits a digit the steps are so wide that the cluster is all, a vector
quantiser, which rounding single latents cannot be. Bits of noisy symbols are those of Ballé et al., ICLR 2017; the
gradient past rounding that clusters get, and no others, is that of van den Oord et al., "Neural discrete
representation learning", NeurIPS 2017, sec. 3, with the synthesis in the place of its second loss; the rest is ours.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, final

import torch
from torch import Tensor, nn

from foveal.codecs.learned.layers import add_uniform_noise
from foveal.theory.digits.networks import analysis_transform, synthesis_transform
from foveal.theory.digits.recipe import CodecSizes

STEP_ERROR_BITS: Final = 6 / math.log(2)
"""What the square of a rounding error, in steps, is worth in bits where steps are as they pay best: from ``R = -log2 step`` and ``D ~ step^2 / 12``."""
_LOUDNESS: Final = 16.0  # of the analysis, which begins with latents of about a quarter; so they are some steps wide at the start
_NEAR: Final = 8
_SWEEPS: Final = 12


class Coded(NamedTuple):
    """bits ``(batch,)`` of each digit; picture ``(batch, 1, 28, 28)`` in 0..1; strayed ``(batch,)``: squared rounding errors in steps."""

    bits: Tensor
    picture: Tensor
    strayed: Tensor


@final
class DigitModel(nn.Module):
    """Transforms, clusters and densities of one point."""

    def __init__(self, sizes: CodecSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.analysis = analysis_transform(sizes)
        self.synthesis = synthesis_transform(sizes)
        self.centres = nn.Parameter(torch.zeros(sizes.clusters, sizes.latents))
        self.log_gain = nn.Parameter(torch.zeros(sizes.latents))
        self.log_scales = nn.Parameter(torch.ones(sizes.clusters, sizes.latents))
        self.weights = nn.Parameter(torch.zeros(sizes.clusters))

    def latents(self, x: Tensor) -> Tensor:
        """``(batch, 1, 28, 28)`` to ``(batch, latents)``."""
        return _LOUDNESS * self.analysis(x)

    def near(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The clusters ``(batch, near)`` that lie nearest, and how many steps each latent is from each, ``(batch, near, latents)``."""
        return self._near(self.latents(x))

    def pictures(self, cluster: Tensor, symbols: Tensor) -> Tensor:
        """Clusters ``(batch,)`` and symbols ``(batch, latents)`` to uint8 ``(batch, 1, 28, 28)``."""
        latents = self.centres[cluster] + symbols / self.log_gain.exp()
        return (255 * self._synthesised(latents)).round().to(torch.uint8)

    def forward(self, x: Tensor) -> Coded:
        y, gain = self.latents(x), self.log_gain.exp()
        with torch.no_grad():
            cluster, symbols = self.cheapest(*self._near(y))
        centre = self.centres[cluster]
        steps = (y - centre) * gain
        mass = _mass(add_uniform_noise(steps), self.log_scales[cluster].exp())
        bits = -(self.weights.log_softmax(0)[cluster] / math.log(2) + mass.log2().sum(1))
        # Rounding passes the gradient to the latents, the clusters and the gain alike.
        decoded = centre + symbols / gain + y - y.detach()
        return Coded(bits, self._synthesised(decoded), (steps - symbols).square().sum(1))

    def cheapest(self, clusters: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Of what ``near`` gives, the cluster ``(batch,)`` and symbols ``(batch, latents)`` whose bits and rounding errors cost least.

        A symbol is the nearest, or the next one towards 0.
        """
        scales, rounded = self.log_scales[clusters].exp(), steps.round()
        options = torch.stack([rounded, rounded - rounded.sign()])
        costs = STEP_ERROR_BITS * (steps - options).square() - _mass(options, scales).log2()
        least, way = costs.min(0)
        best = (least.sum(2) - (self.weights.log_softmax(0) / math.log(2))[clusters]).argmin(1)
        rows = torch.arange(len(steps))
        return clusters[rows, best], torch.where(way == 0, options[0], options[1])[rows, best]

    def _near(self, y: Tensor) -> tuple[Tensor, Tensor]:
        gain = self.log_gain.exp()
        distance = torch.cdist(y * gain, self.centres * gain)
        clusters = distance.topk(min(_NEAR, len(self.centres)), largest=False).indices
        return clusters, (y[:, None] - self.centres[clusters]) * gain

    def _synthesised(self, latents: Tensor) -> Tensor:
        return self.synthesis(latents * (4 / _LOUDNESS))

    @torch.no_grad()
    def place(self, x: Tensor, gain: float, chance: torch.Generator) -> None:
        """Lays the clusters where the latents of digits ``(n, 1, 28, 28)`` lie, by Lloyd's algorithm, and the densities around them."""
        y = self.latents(x)
        centres = y[torch.randperm(len(y), generator=chance)[: self.sizes.clusters]]
        for _ in range(_SWEEPS):
            nearest = torch.cdist(y, centres).argmin(1)
            count = torch.bincount(nearest, minlength=len(centres))
            total = torch.zeros_like(centres).index_add_(0, nearest, y)
            centres = torch.where(count[:, None] > 0, total / count.clamp_min(1)[:, None], centres)
        spread = (y - centres[nearest]).square().mean(0).sqrt() * gain
        self.centres.copy_(centres)
        self.log_gain.fill_(math.log(gain))
        self.weights.copy_((count + 1.0).log())
        self.log_scales.copy_((0.55 * spread).clamp_min(0.1).log().expand_as(self.log_scales))


def _mass(steps: Tensor, scale: Tensor) -> Tensor:
    """The probability of the unit cell around each number under a logistic density of mean 0."""
    left = -steps.abs()  # mirrored into the left tail, where a difference of sigmoids is precise
    return (torch.sigmoid((left + 0.5) / scale) - torch.sigmoid((left - 0.5) / scale)).clamp_min(1e-9)
