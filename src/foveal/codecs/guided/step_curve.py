"""The step by which a codec seems to quantise a picture, at any quality: measured, for no two codecs say it in one way. Ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, final

import numpy as np
import numpy.typing as npt

from foveal.codecs.base import Codec, EncodeSettings
from foveal.metrics.psnr import psnr_y_db
from foveal.picture import Picture

_QUALITIES: Final = tuple(1.0 + 11 * i for i in range(10))  # measured; others lie between two of them
_LONGEST, _RUNS = 512, 4  # of a longer side, so many pixels are coded, in so many runs
_FINEST = -2.0  # octaves over one level, the least that is told
_OCTAVE: Final = 0.7  # of measured steps, where a codec's own doubles


@final
class StepCurve:
    """Steps in levels of 8 bits: those of a uniform quantiser with the error in luma that the codec makes.

    Each of ten qualities is coded and decoded once, when it is first needed; between them the logarithm goes straight. A large
    picture is judged by 512x512 pixels of it. A codec zeroes most coefficients, so its error grows by less than its steps: by 4 to
    4.8 dB an octave in x265, 3.3 to 4.8 in VVenC, 2 to 4 in JPEG (six to eight photographs), where 6 would be of a quantiser alone.
    """

    def __init__(self, codec: Codec, picture: Picture, settings: EncodeSettings) -> None:
        self._codec, self._settings = codec, replace(settings, guide=None)
        part = picture.samples[_runs(picture.height)][:, _runs(picture.width)]
        self._sample = Picture(np.ascontiguousarray(part))
        self._octaves: dict[int, float] = {}

    def step(self, quality: float) -> float:
        """The step at a quality."""
        return 2.0 ** self._at(quality)

    def moved(self, quality: float, octaves: float) -> float:
        """The quality at which the codec's own step is so many octaves above that of another, or the end of the scale on that side.

        An octave is taken as 4.2 dB of error.
        """
        wanted = self._at(quality) + _OCTAVE * octaves
        place = _place(quality)
        while place + 1 < len(_QUALITIES) - 1 and self._known(place + 1) > wanted:
            place += 1
        while place > 0 and self._known(place) < wanted:
            place -= 1
        coarse, fine = self._known(place), self._known(place + 1)
        share = (coarse - wanted) / (coarse - fine) if coarse > fine else 0.0
        moved = _QUALITIES[place] + share * (_QUALITIES[place + 1] - _QUALITIES[place])
        return min(max(moved, 1.0), 100.0)

    def _at(self, quality: float) -> float:
        place = _place(quality)
        share = (quality - _QUALITIES[place]) / (_QUALITIES[place + 1] - _QUALITIES[place])
        return (1 - share) * self._known(place) + (share * self._known(place + 1) if share else 0)

    def _known(self, number: int) -> float:
        """Octaves of the step over one level, at one of the ten qualities."""
        if number not in self._octaves:
            data = self._codec.encode(self._sample, replace(self._settings, quality=_QUALITIES[number]))
            root_db = psnr_y_db(self._sample, self._codec.decode(data))
            squared = 12 * 255**2 * 10 ** (-root_db / 10)
            self._octaves[number] = max(_FINEST, 0.5 * float(np.log2(squared))) if squared > 0 else _FINEST
        return self._octaves[number]


def _place(quality: float) -> int:
    """The number of the measured quality below."""
    return min(int((quality - 1) // 11), len(_QUALITIES) - 2)


def _runs(length: int) -> npt.NDArray[np.intp]:
    """The rows or columns that are coded: all of a short side, or runs that are spread over it."""
    if length <= _LONGEST:
        return np.arange(length)
    run = _LONGEST // _RUNS
    begins = np.linspace(0, length - run, _RUNS).astype(np.intp)
    return (begins[:, None] + np.arange(run)).ravel()
