"""SSIM and MS-SSIM on 8-bit RGB samples by pytorch-msssim (11x11 Gaussian window, sigma 1.5, range 255, mean of R, G and B).

Alpha is ignored; gray is compared as RGB of equal channels. Importing this module does not import torch; calling it does.
"""

from __future__ import annotations

import importlib.util
import math
from typing import TYPE_CHECKING, Final

import numpy as np

from foveal.errors import MissingDependencyError, PictureError
from foveal.metrics.psnr import check_same_size
from foveal.picture import Picture, Samples

if TYPE_CHECKING:
    from torch import Tensor

SSIM_LEAST_SIDE: Final = 11
MS_SSIM_LEAST_SIDE: Final = 161
"""The window must fit into the coarsest of five scales; fewer scales would be another measure under the same name."""


def ssim(reference: Picture, decoded: Picture) -> float:
    """SSIM, 1 for identical pictures.

    Raises:
        PictureError: the pictures differ in size, or a side is below 11 pixels. MissingDependencyError: no pytorch-msssim.
    """
    _check(reference, decoded, SSIM_LEAST_SIDE, "SSIM")
    import torch
    from pytorch_msssim import ssim as measure

    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        return float(measure(_tensor(reference.rgb()), _tensor(decoded.rgb()), data_range=255))


def ms_ssim(reference: Picture, decoded: Picture) -> float:
    """MS-SSIM over five scales with the usual weights, 1 for identical pictures.

    Raises:
        PictureError: the pictures differ in size, or a side is below 161 pixels. MissingDependencyError: no pytorch-msssim.
    """
    _check(reference, decoded, MS_SSIM_LEAST_SIDE, "MS-SSIM")
    import torch
    from pytorch_msssim import ms_ssim as measure

    with torch.inference_mode(), torch.autocast("cpu", enabled=False):
        return float(measure(_tensor(reference.rgb()), _tensor(decoded.rgb()), data_range=255))


def ssim_db(value: float) -> float:
    """An SSIM or MS-SSIM on the scale that curves are drawn on: -10 log10(1 - value) in dB, ``inf`` at 1."""
    return math.inf if value >= 1 else -10 * math.log10(1 - value)


def check_available() -> None:
    """Raises MissingDependencyError if pytorch-msssim or torch is not installed; imports neither."""
    for module, package in (("torch", "torch"), ("pytorch_msssim", "pytorch-msssim")):
        if importlib.util.find_spec(module) is None:
            raise MissingDependencyError(f"SSIM and MS-SSIM need {package}; pip install {package}")


def _check(reference: Picture, decoded: Picture, least: int, name: str) -> None:
    check_same_size(reference, decoded)
    if min(reference.width, reference.height) < least:
        raise PictureError(
            f"{name} of {reference.width}x{reference.height} is not defined; each side must be {least} pixels or more"
        )
    check_available()


def _tensor(samples: Samples) -> Tensor:
    """Shape (1, 3, height, width), channels last in memory as the samples are: nearly twice as fast, with the same result."""
    import torch

    pixels = torch.from_numpy(samples.astype(np.float32))  # pyright: ignore[reportUnknownMemberType]
    return pixels.permute(2, 0, 1)[None]
