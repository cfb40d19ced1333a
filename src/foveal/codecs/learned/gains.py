"""One set of weights for every rate: learned gains per channel, interpolated over quality."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

QUALITY_MIN, QUALITY_MAX = 1.0, 100.0


def rate_weight(quality: Tensor, coarse: float, fine: float) -> Tensor:
    """Returns lambda of ``R + lambda * 255^2 * MSE``: geometric from ``coarse`` at 1 to ``fine`` at 100."""
    t = (quality - QUALITY_MIN) / (QUALITY_MAX - QUALITY_MIN)
    return torch.exp(math.log(coarse) + t * (math.log(fine) - math.log(coarse)))


def octave_in_quality(coarse: float, fine: float) -> float:
    """How much lower the quality is whose quantiser has twice the step: a quarter of lambda, as at the start of ``Gains``."""
    return (QUALITY_MAX - QUALITY_MIN) * 2 * math.log(2) / math.log(fine / coarse)


@final
class Gains(nn.Module):
    """Per-channel gains that scale the latent before rounding, and their learned inverses.

    The logarithm of a gain is piecewise linear in quality between ``nodes`` equidistant nodes, so any
    quality in 1..100 has a gain. The start is the step that an orthonormal transform would want at high rate,
    ``6 / (ln 2 lambda 255^2)`` squared.

    Reference: Cui et al., "Asymmetric gained deep image compression with continuous rate adaptation",
    CVPR 2021, sec. 3.2; the start is ours.
    """

    def __init__(self, channels: int, nodes: int, *, coarse: float, fine: float) -> None:
        """``coarse``, ``fine``: the lambda of quality 1 and of quality 100 (``rate_weight``)."""
        super().__init__()
        weight = rate_weight(torch.linspace(QUALITY_MIN, QUALITY_MAX, nodes), coarse, fine)
        ramp = 0.5 * torch.log(weight * 255.0**2 * math.log(2) / 6)
        self.log_gain = nn.Parameter(ramp[:, None].repeat(1, channels))
        self.log_inverse = nn.Parameter(torch.zeros(nodes, channels))

    def forward(self, quality: Tensor) -> tuple[Tensor, Tensor]:
        """Maps quality ``(batch,)`` to gain and inverse gain, each ``(batch, channels, 1, 1)``."""
        nodes = self.log_gain.shape[0]
        t = (quality.clamp(QUALITY_MIN, QUALITY_MAX) - QUALITY_MIN) / (QUALITY_MAX - QUALITY_MIN)
        position = t * (nodes - 1)
        low = position.floor().clamp(max=nodes - 2).long()
        mix = (position - low)[:, None]
        log_gain = torch.lerp(self.log_gain[low], self.log_gain[low + 1], mix)
        correction = torch.lerp(self.log_inverse[low], self.log_inverse[low + 1], mix)
        return log_gain.exp()[:, :, None, None], (correction - log_gain).exp()[:, :, None, None]
