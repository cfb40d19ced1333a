"""The float twin of ``cae-pca``: what training optimises.

Reference: Cheng et al., PCS 2018 (``transforms``). Kept: squared error plus a rate that does not depend on the directions of the latent, and the
rotation to principal axes before the quantiser. Ours, with the reason: the rate is that of the rotated maps, where the paper takes the latent's energy, ``|y|^2``,
under which maps of much variance get more error than others; rounding in the place of noise for the reconstruction, as the decoder sees it; one set of weights for all rates,
by a step that goes with lambda.
"""

from __future__ import annotations

import math
from typing import cast, final

import torch
from torch import Tensor, nn

from foveal.codecs.learned.cae_pca.start import start_as_dct
from foveal.codecs.learned.cae_pca.transforms import CaePcaConfig, analysis_transform, synthesis_transform
from foveal.codecs.learned.gains import rate_weight
from foveal.codecs.learned.layers import add_uniform_noise, round_through

_FOLLOWED = 0.02  # how much of itself a batch adds to the covariance that is kept


def step_of(weight: Tensor) -> Tensor:
    """The quantiser's step at a lambda of bits a pixel: what an orthonormal transform of three colours wants at high rates.

    There a coefficient's squared error is ``step^2 / 12``, a third of which counts in the mean of the colours, and half the step costs one bit.
    """
    return (18 / (math.log(2) * 255.0**2 * weight)).sqrt()


@final
class CaePcaModel(nn.Module):
    """Analysis, rotation, quantiser, inverse rotation, synthesis; the rotation is that of the latents of the last batches."""

    bands = 1
    quality_cell = 0

    def __init__(self, config: CaePcaConfig) -> None:
        super().__init__()
        self.config = config
        self.analysis = analysis_transform(config)
        self.synthesis = synthesis_transform(config)
        self.covariance: Tensor
        self.register_buffer("covariance", torch.zeros(config.maps, config.maps))
        start_as_dct(self.analysis, self.synthesis)

    def forward(self, x: Tensor, quality: Tensor, bands: int = 1) -> tuple[Tensor, Tensor]:
        """Returns the bits ``(batch,)`` and the reconstruction like ``x``, for quality ``(batch,)``; there is one band."""
        y = self.analysis(x)
        if self.training:
            self._follow(y)
        basis = principal_axes(self.covariance)
        step = step_of(rate_weight(quality, self.config.coarse_lambda, self.config.fine_lambda))[:, None, None, None]
        rotated = torch.einsum("mn,bmhw->bnhw", basis, y)
        rounded = round_through(rotated / step)
        symbols = add_uniform_noise(rotated / step) if self.training else rounded
        bits = laplace_bits(symbols, rotated.abs().mean((0, 2, 3), keepdim=True) / step).sum((1, 2, 3))
        return bits, self.synthesis(torch.einsum("mn,bnhw->bmhw", basis, rounded * step))

    @torch.no_grad()
    def _follow(self, y: Tensor) -> None:
        places = y.transpose(0, 1).flatten(1)
        fresh = torch.cov(places)
        self.covariance.lerp_(fresh, _FOLLOWED if self.covariance.any() else 1.0)


def principal_axes(covariance: Tensor) -> Tensor:
    """The eigenvectors of a covariance ``(maps, maps)`` as columns, that of the largest variance first."""
    _, vectors = cast("tuple[Tensor, Tensor]", torch.linalg.eigh(covariance.double()))
    return vectors.flip(1).to(covariance.dtype)


def laplace_bits(v: Tensor, width: Tensor) -> Tensor:
    """Bits of the unit cells about ``v`` under Laplace densities of mean absolute value ``width``, which broadcasts to ``v``.

    The densities of the maps are measured on the batch itself and so need no parameters, whose order would change with that of the axes.
    """
    a = 1 / (2 * width.clamp_min(1e-3))
    far = v.abs().clamp_min(0.5)
    outside = 2 * a * far - a - torch.log1p(-torch.exp(-2 * a)) + math.log(2)
    near = v.abs().clamp_max(0.5)
    inside = -torch.log1p(-0.5 * (torch.exp(2 * a * near - a) + torch.exp(-2 * a * near - a)).clamp_max(2 - 1e-6))
    return torch.where(v.abs() >= 0.5, outside, inside) / math.log(2)
