"""The rate-distortion loss over a range of rates."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from foveal.codecs.learned.gains import rate_weight
from foveal.training.models import RateConfig


@dataclass(frozen=True)
class RateDistortion:
    """One batch's loss, a scalar to differentiate, with its parts per picture for the log."""

    loss: Tensor
    bpp: Tensor
    mse: Tensor


def rate_distortion(
    x: Tensor, reconstruction: Tensor, bits: Tensor, quality: Tensor, config: RateConfig, balance: float
) -> RateDistortion:
    """``(bpp + lambda * 255^2 * MSE) / lambda^balance``, the mean over the batch.

    ``x`` and ``reconstruction``: ``(batch, 3, height, width)`` in 0..1; ``bits`` and ``quality``: ``(batch,)``.
    Without the division the finest rates, whose loss is some thirty times larger, are all that is learned (ours).
    """
    weight = rate_weight(quality, config.coarse_lambda, config.fine_lambda)
    middle = (config.coarse_lambda * config.fine_lambda) ** 0.5
    bpp = bits / (x.shape[2] * x.shape[3])
    mse = (x - reconstruction.float()).square().mean((1, 2, 3))
    loss = (bpp + weight * 255.0**2 * mse) / (weight / middle) ** balance
    return RateDistortion(loss.mean(), bpp, mse)
