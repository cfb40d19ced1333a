"""The plainest way to make a file smaller before any codec: a Gaussian low-pass everywhere. What guides are measured against."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, final

import numpy as np
import numpy.typing as npt

from foveal.codecs.base import Codec, EncodeSettings, Prepared
from foveal.codecs.held_rate import AsLarge
from foveal.codecs.wrapped import WrappedCodec
from foveal.errors import SettingsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture
from foveal.scalars import real

_REACH: Final = 4.0  # sigmas
MOST_SIGMA: Final = 64.0
_LEAST: Final = 0.1  # a sigma below it changes no sample
_Floats = npt.NDArray[np.float32]
_ROWS: Final = 256  # of the result, made at once, so that memory is bounded


def check_sigma(sigma: float) -> float:
    """Pixels. Raises SettingsError: a sigma that is no number of 0 to 64."""
    number = real(sigma)
    if number is None or not 0 <= number <= MOST_SIGMA:
        raise SettingsError(f"a low-pass of sigma = {sigma!r} pixels; a number of 0 to {MOST_SIGMA:g} is needed")
    return number


def low_pass(picture: Picture, sigma: float) -> Picture:
    """The picture under a Gaussian of ``sigma`` pixels, its edges repeated; 0 changes nothing. Alpha is left alone.

    Raises:
        SettingsError: as ``check_sigma``.
    """
    number = check_sigma(sigma)
    if number < _LEAST:
        return picture
    reach = math.ceil(_REACH * number)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / number) ** 2)
    taps /= taps.sum()
    samples = np.empty_like(picture.samples)
    for top in range(0, picture.height, _ROWS):
        bottom = min(top + _ROWS, picture.height)
        rows = np.clip(np.arange(top - reach, bottom + reach), 0, picture.height - 1)
        part = np.pad(picture.samples[rows], ((0, 0), (reach, reach), (0, 0)), mode="edge").astype(np.float32)
        for axis, length in ((0, bottom - top), (1, picture.width)):
            part = _convolved(part, taps, axis, length)
        samples[top:bottom] = np.rint(part).astype(np.uint8)
    return replace(picture, samples=samples)


def _convolved(part: _Floats, taps: npt.NDArray[np.float64], axis: int, length: int) -> _Floats:
    """Weighted means along an axis, as many as there are where all taps find a sample."""
    lines = np.moveaxis(part, axis, 0)
    out = np.zeros((length, *lines.shape[1:]), np.float32)
    for at, tap in enumerate(taps.tolist()):
        out += np.float32(tap) * lines[at : at + length]
    return np.moveaxis(out, 0, axis)


@final
class LowPassed(Prepared):
    """A picture that a low-pass of ``sigma`` pixels has gone over before the codec. Raises as ``low_pass`` and ``codec.prepare``."""

    def __init__(
        self, codec: Codec, picture: Picture, settings: EncodeSettings, sigma: float, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._prepared = codec.prepare(low_pass(picture, sigma), settings, limits)

    def encode(self, quality: float) -> bytes:
        return self._prepared.encode(quality)

    def size(self, quality: float) -> int:
        return self._prepared.size(quality)


@final
class LowPassCodec(WrappedCodec):
    """Another codec behind a low-pass of ``sigma`` pixels, matched in rate: quality rises until a file is as large as the plain one.

    Where the codec's parameter is an integer, or the scale ends, sizes are as near as they get. limits: for what is coded.

    Raises:
        SettingsError: as ``check_sigma``.
    """

    def __init__(self, codec: Codec, sigma: float, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(codec)
        self._sigma, self._limits = check_sigma(sigma), limits

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        plain = self._codec.prepare(picture, settings, self._limits)
        filtered = LowPassed(self._codec, picture, settings, self._sigma, self._limits)
        return AsLarge(filtered, plain, self.info.scale)
