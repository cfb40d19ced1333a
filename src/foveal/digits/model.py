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
from torch.nn.functional import logsigmoid

from foveal.codecs.learned.layers import add_uniform_noise
from foveal.digits.networks import analysis_transform, synthesis_transform
from foveal.digits.recipe import CodecSizes

STEP_ERROR_BITS: Final = 6 / math.log(2)
"""What the square of a rounding error, in steps, is worth in bits where steps are as they pay best: from ``R = -log2 step`` and ``D ~ step^2 / 12``."""
_LOUDNESS: Final = 16.0  # of the analysis, which begins with latents of about a quarter; so they are some steps wide at the start
_NEAR: Final = 8
_NOWHERE: Final = 1e4
_NEVER: Final = -30.0
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
        log2_mass = _log2_mass(add_uniform_noise(steps), self.log_scales[cluster].exp())
        bits = -(self.weights.log_softmax(0)[cluster] / math.log(2) + log2_mass.sum(1))
        # Rounding passes the gradient to the latents, the clusters and the gain alike.
        decoded = centre + symbols / gain + y - y.detach()
        return Coded(bits, self._synthesised(decoded), (steps - symbols).square().sum(1))

    def cheapest(self, clusters: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Of what ``near`` gives, the cluster ``(batch,)`` and symbols ``(batch, latents)`` whose bits and rounding errors cost least.

        A symbol is the nearest, or the next one towards 0.
        """
        scales, rounded = self.log_scales[clusters].exp(), steps.round()
        options = torch.stack([rounded, rounded - rounded.sign()])
        costs = STEP_ERROR_BITS * (steps - options).square() - _log2_mass(options, scales)
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
    def place(self, x: Tensor, count: int, gain: float, chance: torch.Generator) -> None:
        """Lays ``count`` clusters where the latents of digits ``(n, 1, 28, 28)`` lie, by Lloyd's algorithm, and densities around them.

        The other clusters are left where no latent is, and as good as never named.
        """
        y = self.latents(x)
        centres = y[torch.randperm(len(y), generator=chance)[:count]]
        nearest, size = _nearest(y, centres)
        for _ in range(_SWEEPS):
            total = torch.zeros_like(centres).index_add_(0, nearest, y)
            centres = torch.where(size[:, None] > 0, total / size.clamp_min(1)[:, None], centres)
            nearest, size = _nearest(y, centres)
        spread = (y - centres[nearest]).square().mean(0).sqrt() * gain
        self.centres.fill_(_NOWHERE)[: len(centres)] = centres
        self.weights.fill_(_NEVER)[: len(centres)] = (size / len(y) + 1e-4).log()
        self.log_gain.fill_(math.log(gain))
        self.log_scales.copy_((0.55 * spread).clamp_min(0.1).log().expand(self.log_scales.shape))

    @torch.no_grad()
    def arrange(self, order: Tensor) -> None:
        """Puts the clusters in another order ``(clusters,)``."""
        for part in (self.centres, self.log_scales, self.weights):
            part.copy_(part[order])


def _nearest(y: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest centre of each row of ``y``, and how many rows each has."""
    nearest = torch.cdist(y, centres).argmin(1)
    return nearest, torch.bincount(nearest, minlength=len(centres))


def _log2_mass(steps: Tensor, scale: Tensor) -> Tensor:
    """log2 of the probability of the unit cell around each number under a logistic density of mean 0; far tails keep a gradient."""
    left = -steps.abs()
    upper, lower = logsigmoid((left + 0.5) / scale), logsigmoid((left - 0.5) / scale)
    return (upper + (-torch.expm1(lower - upper)).log()) / math.log(2)
