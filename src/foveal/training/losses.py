"""The rate-distortion loss over a range of rates."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from foveal.codecs.learned.gains import rate_weight
from foveal.errors import MissingDependencyError, RecipeError
from foveal.training.config import CodecConfig
from foveal.training.models import RateConfig

_MS_SSIM_WEIGHT = 1300.0


@dataclass(frozen=True)
class RateDistortion:
    """One batch's loss, a scalar to differentiate, with its parts per picture for the log."""

    loss: Tensor
    bpp: Tensor
    mse: Tensor


def rate_distortion(
    x: Tensor, reconstruction: Tensor, bits: Tensor, quality: Tensor, rates: RateConfig, config: CodecConfig
) -> RateDistortion:
    """``(bpp + lambda * distortion) / lambda^balance``, the mean over the batch.

    ``x`` and ``reconstruction``: ``(batch, 3, height, width)`` in 0..1; ``bits``: ``(batch,)``; ``quality``: ``(batch,)``,
    or ``(batch, 1, rows, columns)`` where it changes inside the pictures, and lambda with it. The distortion is
    ``255^2 * MSE``, or ``1300 * (1 - MS-SSIM)``, at which the published weights of both losses meet (CompressAI's model zoo).
    Without the division the finest rates, whose loss is some thirty times larger, are all that is learned (ours).

    Raises:
        RecipeError: the recipe asks for another distortion, or for MS-SSIM of a quality that changes inside the pictures.
        MissingDependencyError: pytorch-msssim is not installed.
    """
    weight = rate_weight(quality, rates.coarse_lambda, rates.fine_lambda).reshape(len(x), 1, *(quality.shape[2:] or (1, 1)))
    middle = (rates.coarse_lambda * rates.fine_lambda) ** 0.5
    bpp = bits / (x.shape[2] * x.shape[3])
    squared = (x - reconstruction.float()).square()
    if config.distortion == "mse":
        pooled = functional.adaptive_avg_pool2d(squared.mean(1, keepdim=True), (weight.shape[2], weight.shape[3]))
        distortion = 255.0**2 * (pooled * weight).mean((1, 2, 3))
    elif config.distortion == "ms-ssim" and not config.spatial_quality:
        distortion = _MS_SSIM_WEIGHT * weight[:, 0, 0, 0] * (1 - _ms_ssim(x, reconstruction.float().clamp(0, 1)))
    else:
        raise RecipeError(
            f"distortion = {config.distortion!r} with spatial_quality = {config.spatial_quality}; mse, or ms-ssim with spatial_quality = 0"
        )
    loss = (bpp + distortion) / (weight.log().mean((1, 2, 3)).exp() / middle) ** config.loss_balance
    return RateDistortion(loss.mean(), bpp, squared.mean((1, 2, 3)))


def _ms_ssim(x: Tensor, reconstruction: Tensor) -> Tensor:
    try:
        from pytorch_msssim import ms_ssim  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
    except ImportError as error:
        raise MissingDependencyError("distortion = 'ms-ssim' needs pytorch-msssim; pip install pytorch-msssim") from error
    return ms_ssim(x, reconstruction, data_range=1.0, size_average=False)
