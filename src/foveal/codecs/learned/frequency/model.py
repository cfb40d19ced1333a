"""The float twin of ``frequency``: what training optimises."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.learned.exact import UNIT, to_units
from foveal.codecs.learned.frequency.prior import BandPrior, band_priors, step_masks
from foveal.codecs.learned.frequency.start import start
from foveal.codecs.learned.frequency.transforms import (
    BANDS,
    STRIDES,
    Analysis,
    FrequencyConfig,
    Synthesis,
)
from foveal.codecs.learned.gains import QUALITY_MAX, QUALITY_MIN, rate_weight
from foveal.codecs.learned.layers import add_uniform_noise, round_through
from foveal.codecs.learned.logistic import cell_probability
from foveal.codecs.learned.pink_noise import pink_noise
from foveal.codecs.learned.quality_levels import HAT_MAX, NODES, float_hats
from foveal.codecs.learned.scale_tables import Expected

QUALITY_CELL = 32  # pixels a side that share one quality
_SCALE_MIN = 0.03  # in steps; the narrowest coding table is wider


def at_band(grid: Tensor, band: int) -> Tensor:
    """A grid of one value for each 32 pixels at a band's scale; a single value stays one."""
    if grid.shape[2:] == (1, 1) or STRIDES[band] == QUALITY_CELL:
        return grid
    if STRIDES[band] > QUALITY_CELL:
        return functional.avg_pool2d(grid, 2)
    return functional.interpolate(grid, scale_factor=2)


@final
class Quantiser(nn.Module):
    """Steps of a band's latents: their logarithm to base 2 is piecewise linear in quality, for each channel its own.

    ``exponent``: the power of two by which a channel is scaled for the entropy networks, near its standard deviation.
    The start is the step that an orthonormal transform would want at high rate, ``6 / (ln 2 lambda 255^2)`` squared.
    """

    def __init__(self, latent: int, config: FrequencyConfig) -> None:
        super().__init__()
        weight = rate_weight(torch.linspace(QUALITY_MIN, QUALITY_MAX, NODES), config.coarse_lambda, config.fine_lambda)
        step = -0.5 * torch.log2(weight * 255.0**2 * math.log(2) / 6)
        self.log_step = nn.Parameter(step[None].repeat(latent, 1))
        self.exponent: Tensor
        self.register_buffer("exponent", torch.zeros(latent))

    def forward(self, weights: Tensor) -> Tensor:
        """Logarithms to base 2 of the steps, ``(batch, latent, h, w)``, for ``float_hats``."""
        return functional.conv2d(weights, self.log_step[:, :, None, None])


@dataclass(frozen=True)
class CodedBand:
    """A band's bits ``(batch,)``, its decoded latents (the predicted ones if it is missing), features for the next band."""

    bits: Tensor
    latent: Tensor
    lifted: Tensor | None
    expected: Expected | None


@final
class FrequencyModel(nn.Module):
    """In training mode bits are those of noisy latents, and the reconstruction that of rounded ones; else the bits are
    those of the rounded latents, which the file holds.
    """

    bands = BANDS
    quality_cell = QUALITY_CELL
    started = r"analysis\.(sample|to_|subtract_|past|heads)|synthesis\.(enter|from_|past|restore)"

    def __init__(self, config: FrequencyConfig) -> None:
        super().__init__()
        self.config = config
        self.analysis, self.synthesis = Analysis(config), Synthesis(config)
        self.quantisers = nn.ModuleList([Quantiser(latent, config) for latent in config.latents])
        self.prior = band_priors(config)
        self.start(pink_noise())

    def forward(self, x: Tensor, quality: Tensor, bands: int = BANDS) -> tuple[Tensor, Tensor]:
        """Bits ``(batch,)`` of the first ``bands`` bands and the reconstruction from them, like ``x``.

        ``quality``: ``(batch,)``, or ``(batch, 1, H / 32, W / 32)`` for one that changes inside the picture.
        """
        bits, picture, _ = self.with_latents(x, quality, bands)
        return bits, picture

    def expected(self, x: Tensor, quality: Tensor) -> list[Expected]:
        """All symbols, and the scales that were predicted for them (for ``scale_tables``)."""
        return [band.expected for band in self._code(x, float_hats(quality), BANDS) if band.expected is not None]

    def latents(self, x: Tensor, quality: Tensor, bands: int = BANDS) -> list[Tensor]:
        """The decoded latents of the first ``bands`` bands, each channel divided by the power of two near its spread."""
        return self._scaled(self._code(x, float_hats(quality), bands)[:bands])

    def with_latents(self, x: Tensor, quality: Tensor, bands: int = BANDS) -> tuple[Tensor, Tensor, list[Tensor]]:
        """As ``forward``, and what ``latents`` gives, of one pass; gradients go through rounding."""
        weights = float_hats(quality)
        coded = self._code(x, weights, bands)
        bits = torch.stack([band.bits for band in coded]).sum(0)
        return bits, self.synthesis([band.latent for band in coded], weights), self._scaled(coded[:bands])

    def _scaled(self, coded: list[CodedBand]) -> list[Tensor]:
        return [
            band.latent * torch.exp2(-cast(Quantiser, quantiser).exponent)[:, None, None]
            for band, quantiser in zip(coded, self.quantisers, strict=False)
        ]

    def _code(self, x: Tensor, weights: Tensor, bands: int) -> list[CodedBand]:
        y = self.analysis(x)
        coded: list[CodedBand] = []
        with torch.autocast(x.device.type, enabled=False):
            for band in range(BANDS):
                below = coded[-1].lifted if coded else None
                coded.append(self._code_band(band, y[band].float(), at_band(weights, band), below, band < bands))
        return coded

    def _code_band(self, band: int, y: Tensor, weights: Tensor, below: Tensor | None, present: bool) -> CodedBand:
        prior, quantiser = self.prior[band], self.quantisers[band]
        assert isinstance(prior, BandPrior)
        assert isinstance(quantiser, Quantiser)
        unit = torch.exp2(quantiser.exponent)[:, None, None]
        log_step = quantiser(weights) - quantiser.exponent[:, None, None]
        step = torch.exp2(log_step)
        y = y / unit
        features = prior.features(below, (weights * HAT_MAX).round().expand(-1, -1, *y.shape[2:]))
        mean, scale = prior.step(0, features, y)
        if not present:
            latent, bits, expected = mean / UNIT, y.new_zeros(y.shape[0]), None
        else:
            latent, known = torch.zeros_like(y), torch.zeros_like(y)
            means, scales = torch.zeros_like(y), torch.zeros_like(y)
            masks = step_masks(y.shape[1], y.shape[2], y.shape[3], y.device)
            for number, mask in enumerate(masks):
                if number:
                    mean, scale = prior.step(number, features, known)
                means, scales = torch.where(mask, mean, means), torch.where(mask, scale, scales)
                centre = mean / UNIT
                latent = torch.where(mask, centre + round_through((y - centre) / step) * step, latent)
                known = to_units(latent)
            residual, log_scale = (y - means / UNIT) / step, scales / UNIT - log_step
            noisy = add_uniform_noise(residual) if self.training else residual.round()
            bits = -cell_probability(noisy, torch.exp2(log_scale).clamp_min(_SCALE_MIN)).log2().sum((1, 2, 3))
            expected = None if self.training else Expected(noisy, log_scale)
        lifted = prior.lifted(features, to_units(latent)) if band + 1 < BANDS else None
        return CodedBand(bits, latent * unit, lifted, expected)

    @torch.no_grad()
    def start(self, pictures: Tensor) -> None:
        """Sets the transforms to a lapped one that suits pictures ``(batch, 3, H, W)``, and the exponents to its variances."""
        start(self.analysis, self.synthesis, self.config, pictures)
        for latent, quantiser in zip(self.analysis(pictures), self.quantisers, strict=True):
            assert isinstance(quantiser, Quantiser)
            deviation = latent.std((0, 2, 3)).clamp_min(1e-4)
            quantiser.exponent.copy_(deviation.log2().round())
