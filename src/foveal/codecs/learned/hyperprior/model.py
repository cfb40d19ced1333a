"""The float twin of ``hyperprior``: what training optimises.

::

    x ─► g_a ─► y ────────────────────► y - mean ─► / step ─► round ─► symbols of y
                └─► h_a ─► z ─► / step ─► round ─► symbols of z
                                            └─► h_s ─► mean, scale

Reference: Ballé et al., "Variational image compression with a scale hyperprior", ICLR 2018 (arXiv 1802.01436); means
beside scales: Minnen, Ballé, Toderici, "Joint autoregressive and hierarchical priors for learned image compression",
NeurIPS 2018 (arXiv 1809.02736), without its context model. Gains for variable rate: Cui et al., CVPR 2021. Ours:
logistic densities, a hyper synthesis in exact integers that also sees the quality, and steps of z that follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.learned.exact import UNIT, ExactConv2d, rectify, to_units
from foveal.codecs.learned.factorized import LogisticMixturePrior
from foveal.codecs.learned.gains import Gains
from foveal.codecs.learned.gdn_transforms import analysis_transform, start_transforms, synthesis_transform
from foveal.codecs.learned.layers import add_uniform_noise, round_through
from foveal.codecs.learned.logistic import cell_probability
from foveal.codecs.learned.pink_noise import pink_noise
from foveal.codecs.learned.quality_levels import HAT_MAX, NODES, float_hats
from foveal.codecs.learned.scale_tables import Expected

SCALE_LEAST = 2.0**-4.5  # in steps: that of the first table


@dataclass(frozen=True)
class HyperpriorConfig:
    """Sizes of the networks; they are stored with the weights."""

    channels: int = 128
    latent_channels: int = 256
    hyper_channels: int = 128
    coarse_lambda: float = 0.0002
    fine_lambda: float = 0.3


def hyper_analysis(config: HyperpriorConfig) -> nn.Sequential:
    """h_a: normalised ``(batch, latent_channels, h, w)`` to ``(batch, hyper_channels, h / 4, w / 4)``; h, w multiples of 4."""
    n = config.hyper_channels
    return nn.Sequential(
        nn.Conv2d(config.latent_channels, n, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(n, n, 5, stride=2, padding=2),
        nn.LeakyReLU(0.1),
        nn.Conv2d(n, n, 5, stride=2, padding=2),
    )


@final
class HyperSynthesis(nn.Module):
    """h_s in exact integers, in units of ``exact.UNIT``: ``(batch, hyper_channels + NODES, h, w)``, z and the quality's
    hats, to ``(batch, 2 * latent_channels, 4 h, 4 w)``: means of normalised latents, then logarithms to base 2 of scales.
    """

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__()
        n = config.hyper_channels
        self.lift_32 = ExactConv2d(n + NODES, 4 * n)
        self.mix_32 = ExactConv2d(n, n, 3)
        self.lift_16 = ExactConv2d(n, 4 * n)
        self.mix_16 = ExactConv2d(n, n, 3)
        self.leave = ExactConv2d(n, 2 * config.latent_channels, gain=0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = rectify(self.mix_32(functional.pixel_shuffle(rectify(self.lift_32(x)), 2)))
        x = rectify(self.mix_16(functional.pixel_shuffle(rectify(self.lift_16(x)), 2)))
        return self.leave(x)


@final
class HyperpriorModel(nn.Module):
    """In training mode bits are those of noisy latents, and the reconstruction that of rounded ones; else the bits are
    those of the rounded latents, which the file holds.

    ``exponent``: the power of two by which a channel of y is scaled for the hyper networks, near its standard deviation.
    ``hyper_log_step``: logarithms to base 2 of z's steps at the quality nodes.
    """

    bands = 1
    quality_cell = 0

    def __init__(self, config: HyperpriorConfig) -> None:
        super().__init__()
        self.config = config
        n, m = config.hyper_channels, config.latent_channels
        self.analysis, self.synthesis = analysis_transform(config.channels, m), synthesis_transform(config.channels, m)
        self.gains = Gains(m, NODES, coarse=config.coarse_lambda, fine=config.fine_lambda)
        self.hyper_analysis, self.hyper_synthesis = hyper_analysis(config), HyperSynthesis(config)
        self.hyper_log_step = nn.Parameter(torch.linspace(1, -1, NODES).repeat(n, 1))
        self.prior = LogisticMixturePrior(n)
        self.exponent: Tensor
        self.register_buffer("exponent", torch.zeros(m))
        start_transforms(self.analysis, self.synthesis)
        self._start_hyper_networks()

    def forward(self, x: Tensor, quality: Tensor, bands: int = 1) -> tuple[Tensor, Tensor]:
        """Returns the bits ``(batch,)`` and the reconstruction like ``x``, for quality ``(batch,)``; there is one band."""
        gain, inverse = self.gains(quality)
        unit = torch.exp2(self.exponent)[:, None, None]
        y = self.analysis(x)
        z = self.hyper_analysis(y / unit)
        with torch.autocast(x.device.type, enabled=False):
            hyper_bits, mean, log_scale = self._predict(z.float(), float_hats(quality)[:, :, 0, 0])
            mean = mean * unit
            residual = (y.float() - mean) * gain
            rounded = round_through(residual)
            noisy = add_uniform_noise(residual) if self.training else rounded
            likelihood = cell_probability(noisy, torch.exp2(log_scale).mul(unit * gain).clamp_min(SCALE_LEAST))
            bits = hyper_bits - likelihood.log2().sum((1, 2, 3))
            latent = mean + rounded * inverse
        return bits, self.synthesis(latent)

    def expected(self, x: Tensor, quality: Tensor) -> list[Expected]:
        """All symbols of y, and the scales that were predicted for them (for ``scale_tables``)."""
        gain, _ = self.gains(quality)
        unit = torch.exp2(self.exponent)[:, None, None]
        y = self.analysis(x)
        _, mean, log_scale = self._predict(self.hyper_analysis(y / unit), float_hats(quality)[:, :, 0, 0])
        return [Expected(((y - mean * unit) * gain).round(), log_scale + (unit * gain).log2())]

    def _predict(self, z: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The bits of z, and from its decoded values the means of normalised latents and logarithms to base 2 of scales."""
        step = torch.exp2(weights @ self.hyper_log_step.T)[:, :, None, None]
        v = z / step
        rounded = round_through(v)
        likelihood = self.prior.likelihood(add_uniform_noise(v) if self.training else rounded, 1 / step)
        bits = -likelihood.clamp_min(1e-9).log2().sum((1, 2, 3))
        quality = (weights * HAT_MAX).round()[:, :, None, None].expand(-1, -1, *z.shape[2:])
        mean, scale = self.hyper_synthesis(torch.cat([to_units(rounded * step), quality], 1)).chunk(2, 1)
        return bits, mean / UNIT, scale / UNIT

    @torch.no_grad()
    def _start_hyper_networks(self) -> None:
        """Measures the exponents on noise, and starts h_a so that z has a deviation of 1 there, and the densities of z to match."""
        y = self.analysis(pink_noise())
        self.exponent.copy_(y.std((0, 2, 3)).clamp_min(1e-4).log2().round())
        layers = [layer for layer in self.hyper_analysis if isinstance(layer, nn.Conv2d)]
        for layer in layers:
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, a=0.1)
            nn.init.zeros_(layer.bias)
        z = self.hyper_analysis(y / torch.exp2(self.exponent)[:, None, None])  # type: ignore[arg-type]
        layers[-1].weight /= z.std((0, 2, 3))[:, None, None, None]
        self.prior.log_scales.add_(1.5)
