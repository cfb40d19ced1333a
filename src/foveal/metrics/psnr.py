"""PSNR on 8-bit samples. Alpha is ignored; gray is compared as RGB of equal channels; identical samples give ``inf``."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from foveal.errors import PictureError
from foveal.picture import Picture

_PEAK: Final = 255.0
_BT601_LUMA: Final = np.array([0.299, 0.587, 0.114])


def psnr_rgb_db(reference: Picture, decoded: Picture) -> float:
    """PSNR in dB from the squared error averaged over all samples of R, G and B; ``inf`` if they are identical.

    Raises:
        PictureError: the pictures differ in size.
    """
    difference = _difference(reference, decoded)
    return _psnr_db(float(np.mean(np.square(difference), dtype=np.float64)))


def psnr_y_db(reference: Picture, decoded: Picture) -> float:
    """PSNR in dB of luma, BT.601 full range (0.299 R + 0.587 G + 0.114 B) of the 8-bit samples, luma itself not rounded.

    ``inf`` if luma is identical.

    Raises:
        PictureError: the pictures differ in size.
    """
    luma = np.dot(_difference(reference, decoded), _BT601_LUMA)
    return _psnr_db(float(np.mean(np.square(luma), dtype=np.float64)))


def check_same_size(reference: Picture, decoded: Picture) -> None:
    """Raises PictureError if the two pictures differ in width or height."""
    if (reference.width, reference.height) != (decoded.width, decoded.height):
        raise PictureError(
            f"{decoded.width}x{decoded.height} cannot be compared with {reference.width}x{reference.height}; "
            "both pictures need the same size"
        )


def _difference(reference: Picture, decoded: Picture) -> npt.NDArray[np.int32]:
    check_same_size(reference, decoded)
    return np.subtract(reference.rgb(), decoded.rgb(), dtype=np.int32)


def _psnr_db(mean_squared_error: float) -> float:
    return math.inf if mean_squared_error == 0 else 10 * math.log10(_PEAK**2 / mean_squared_error)
