"""The transforms of Ballé et al., ICLR 2017, which ``gdn`` and ``hyperprior`` share: three strided convolutions each way."""

from __future__ import annotations

from fractions import Fraction

from torch import nn

from foveal.codecs.learned.layers import GDN
from foveal.codecs.learned.runtime import Reach
from foveal.codecs.learned.start import start_as_block_transform

STRIDE = 16
ANALYSIS_REACH = Reach(Fraction(1, STRIDE), margin=32, step=STRIDE)
SYNTHESIS_REACH = Reach(Fraction(STRIDE), margin=4, step=1)


def analysis_transform(channels: int, latent_channels: int) -> nn.Sequential:
    """g_a: ``(batch, 3, H, W)`` in 0..1 to ``(batch, latent_channels, H/16, W/16)``; H, W multiples of 16."""
    n, m = channels, latent_channels
    return nn.Sequential(
        nn.Conv2d(3, n, 9, stride=4, padding=4),
        GDN(n),
        nn.Conv2d(n, n, 5, stride=2, padding=2),
        GDN(n),
        nn.Conv2d(n, m, 5, stride=2, padding=2),
    )


def synthesis_transform(channels: int, latent_channels: int) -> nn.Sequential:
    """g_s: ``(batch, latent_channels, h, w)`` to ``(batch, 3, 16 h, 16 w)``, about 0..1 but not clipped."""
    n, m = channels, latent_channels
    return nn.Sequential(
        nn.ConvTranspose2d(m, n, 5, stride=2, padding=2, output_padding=1),
        GDN(n, inverse=True),
        nn.ConvTranspose2d(n, n, 5, stride=2, padding=2, output_padding=1),
        GDN(n, inverse=True),
        nn.ConvTranspose2d(n, 3, 9, stride=4, padding=4, output_padding=3),
    )


def start_transforms(analysis: nn.Sequential, synthesis: nn.Sequential) -> None:
    """Sets both to an orthonormal block transform and its inverse, so that the first step of training codes pictures."""
    start_as_block_transform(
        [m for m in analysis if isinstance(m, nn.Conv2d)],
        [m for m in synthesis if isinstance(m, nn.ConvTranspose2d)],
    )
