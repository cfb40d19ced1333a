"""The transforms of ``cae-pca``: pairs of 3x3 convolutions, the second of which halves or doubles the sides.

Reference: Cheng, Sun, Takeuchi, Katto, "Deep Convolutional AutoEncoder-based Lossy Image Compression", PCS 2018 (arXiv 1804.09535),
section II: three such pairs each way, PReLU between them. Theirs are three networks, for Y, Cb and Cr, with 32 maps each and up to 64
channels; one network of RGB with as many maps together is ours, as are fewer channels where the sides are large, so that it trains on one core.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from torch import nn

from foveal.codecs.learned.runtime import Reach

STRIDE = 8
ANALYSIS_REACH = Reach(Fraction(1, STRIDE), margin=16, step=STRIDE)
SYNTHESIS_REACH = Reach(Fraction(STRIDE), margin=3, step=1)


@dataclass(frozen=True)
class CaePcaConfig:
    """Sizes of the network; they are stored with the weights.

    maps: of the latent, at an eighth of the sides. channels_1, channels_2, channels_4: of the layers before them, at the full sides, the half and the quarter.
    coarse_lambda, fine_lambda: what 255^2 of squared error is worth in bits at quality 1 and at quality 100.
    """

    maps: int = 96
    channels_1: int = 16
    channels_2: int = 32
    channels_4: int = 64
    coarse_lambda: float = 0.0004
    fine_lambda: float = 0.4


def analysis_transform(config: CaePcaConfig) -> nn.Sequential:
    """g_a: ``(batch, 3, H, W)`` in 0..1 to ``(batch, maps, H/8, W/8)``; H, W multiples of 8."""
    a, b, c = config.channels_1, config.channels_2, config.channels_4
    return nn.Sequential(
        nn.Conv2d(3, a, 3, padding=1),
        nn.PReLU(a),
        nn.Conv2d(a, b, 3, stride=2, padding=1),
        nn.PReLU(b),
        nn.Conv2d(b, b, 3, padding=1),
        nn.PReLU(b),
        nn.Conv2d(b, c, 3, stride=2, padding=1),
        nn.PReLU(c),
        nn.Conv2d(c, c, 3, padding=1),
        nn.PReLU(c),
        nn.Conv2d(c, config.maps, 3, stride=2, padding=1),
    )


def synthesis_transform(config: CaePcaConfig) -> nn.Sequential:
    """g_s: ``(batch, maps, h, w)`` to ``(batch, 3, 8 h, 8 w)``, about 0..1 but not clipped."""
    a, b, c = config.channels_1, config.channels_2, config.channels_4
    return nn.Sequential(
        _twice(config.maps, c),
        nn.PReLU(c),
        nn.Conv2d(c, c, 3, padding=1),
        nn.PReLU(c),
        _twice(c, b),
        nn.PReLU(b),
        nn.Conv2d(b, b, 3, padding=1),
        nn.PReLU(b),
        _twice(b, a),
        nn.PReLU(a),
        nn.Conv2d(a, 3, 3, padding=1),
    )


def _twice(into: int, out: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(into, out, 3, stride=2, padding=1, output_padding=1)
