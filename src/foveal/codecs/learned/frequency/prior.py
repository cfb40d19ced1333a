"""The entropy networks of ``frequency``: what is decoded already says where and how wide the next symbols lie.

A band is coded in steps. In each step a network of exact integers (``exact``) reads the features that come from the
coarser bands, and what the steps before have decoded of this band, and gives every latent a mean and a scale. The
finest band's four steps each take another quarter of the channels at each place of a 2x2 square, so that every position
has decoded neighbours in space and across channels from the second step on.

Reference: coarser bands in the place of the hyperprior of Ballé et al., ICLR 2018, are ours; the four steps are the
quadtree partition of Li, Li, Lu, "Neural video compression with diverse contexts", CVPR 2023, sec. 3.3.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.learned.exact import ExactConv2d, rectify
from foveal.codecs.learned.frequency.transforms import BANDS, FrequencyConfig
from foveal.codecs.learned.quality_levels import NODES

STEPS = 4


def step_masks(channels: int, height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Which latents each step codes: bool ``(STEPS, channels, height, width)``, every latent in one step."""
    group = torch.arange(channels, device=device) * STEPS // channels
    place = 2 * (torch.arange(height, device=device)[:, None] % 2) + torch.arange(width, device=device)[None, :] % 2
    step = (group[:, None, None] + place) % STEPS
    return step[None] == torch.arange(STEPS, device=device)[:, None, None, None]


@final
class ExactBlock(nn.Module):
    """``x + 1x1(relu(depthwise 3x3(relu(1x1 x))))`` in exact integers, rectified."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = ExactConv2d(channels, channels)
        self.depth = ExactConv2d(channels, channels, 3, groups=channels)
        self.leave = ExactConv2d(channels, channels, gain=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return rectify(x + self.leave(self.depth.rectified(self.enter.rectified(x))))


@final
class StepPrior(nn.Module):
    """Means and scales of one step: ``(batch, features + known, h, w)`` to twice ``(batch, latent, h, w)``."""

    def __init__(self, inputs: int, width: int, latent: int) -> None:
        super().__init__()
        self.enter = ExactConv2d(inputs, width)
        self.block = ExactBlock(width)
        self.leave = ExactConv2d(width, 2 * latent, gain=0.1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, scale = self.leave(self.block(self.enter.rectified(x))).chunk(2, 1)
        return mean, scale


@final
class BandPrior(nn.Module):
    """One band's networks. Everything in and out is integers in units of ``exact.UNIT``.

    ``below``: channels of the features that the coarser band hands up, 0 for the coarsest band.
    ``above``: channels to hand to the next finer band, 0 for the finest.
    """

    def __init__(self, below: int, width: int, latent: int, above: int) -> None:
        super().__init__()
        self.latent = latent
        self.fuse = ExactConv2d(below + NODES, width)
        self.block = ExactBlock(width)
        self.steps = nn.ModuleList([StepPrior(width + (latent if i else 0), width, latent) for i in range(STEPS)])
        self.join = ExactConv2d(width + latent, width) if above else None
        self.lift = ExactConv2d(width, 4 * above) if above else None

    def features(self, below: Tensor | None, hats: Tensor) -> Tensor:
        """What the steps share: from the coarser band's ``lifted`` and the quality ``(batch, NODES, h, w)``."""
        return self.block(self.fuse.rectified(hats if below is None else torch.cat([below, hats], 1)))

    def step(self, number: int, features: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Means and the logarithms of scales (to base 2) for a step; ``known`` is 0 where nothing is decoded yet."""
        return self.steps[number](torch.cat([features, known], 1) if number else features)

    def lifted(self, features: Tensor, known: Tensor) -> Tensor:
        """Features for the next finer band, at twice the size, once this band is known."""
        assert self.join is not None
        assert self.lift is not None
        joined = self.join.rectified(torch.cat([features, known], 1))
        return functional.pixel_shuffle(self.lift.rectified(joined), 2)


def band_priors(config: FrequencyConfig) -> nn.ModuleList:
    """The networks of all bands, the coarsest first."""
    widths = (config.prior_coarse, config.prior_coarse, config.prior_fine)
    return nn.ModuleList(
        [
            BandPrior(widths[k] if k else 0, widths[k], config.latents[k], widths[k + 1] if k + 1 < BANDS else 0)
            for k in range(BANDS)
        ]
    )
