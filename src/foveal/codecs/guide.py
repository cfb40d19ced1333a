"""Where a file's bits shall go: one type for every codec, and for maps drawn by a person or made by a network.

Each codec that takes a guide turns octaves into steps of its own, in one place of its own file.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
import numpy.typing as npt
from PIL import Image

from foveal.errors import SettingsError

SWING: Final = 1.875
"""Octaves between importance 0 and 1 of a drawn map: 11 QP of HEVC, 35 of quality of frequency."""
MOST: Final = 8.0
"""Octaves that a guide may ask for at most; no codec's scale is longer."""
MOST_CHROMA: Final = 2.0
"""Octaves that chroma may be coarser or finer by: the 12 QP of HEVC."""
_SLACK = 1e-6  # what a resampled map may pass 0 and 1 by


@final
@dataclass(frozen=True, eq=False)
class Guide:
    """How much coarser each place of a picture is to be quantised than the whole is.

    octaves: float32 ``(rows, columns)`` of any size, laid over the whole picture: the base-2 logarithm of the quantiser's step over
    that of the quality; positive is coarser, and an octave is 6 QP of HEVC.
    hold_rate: the file is to be as large as one of the same quality without a guide.
    chroma_octaves: how much coarser still chroma is quantised, -2 to 2, everywhere; hevc alone does so, the others look past it.
    sharp: each block keeps to its own step, whatever that costs; else larger ones may take the mean of what they cover: hevc alone.
    matrices: high frequencies are quantised more coarsely than low ones, as the codec's standard has it by default: hevc and kvazaar.
    """

    octaves: npt.NDArray[np.float32]
    hold_rate: bool = False
    chroma_octaves: float = 0.0
    sharp: bool = True
    matrices: bool = False

    def __post_init__(self) -> None:
        given = np.asarray(self.octaves)
        _check_form(given, "a guide's octaves")
        largest = float(np.abs(given).max())
        if not largest <= MOST:  # false for what is not a number, too
            raise SettingsError(f"a guide of up to {largest:.9g} octaves; {-MOST:g} to {MOST:g} are allowed, without NaN")
        if not abs(self.chroma_octaves) <= MOST_CHROMA:
            raise SettingsError(
                f"chroma coarser by {self.chroma_octaves:.9g} octaves; {-MOST_CHROMA:g} to {MOST_CHROMA:g} are allowed"
            )
        object.__setattr__(self, "octaves", np.ascontiguousarray(given, np.float32))

    @staticmethod
    def of_importance(importance: npt.NDArray[np.float32], *, hold_rate: bool = False) -> Guide:
        """The guide of a drawn map ``(rows, columns)`` of any size, 0..1, 1 where the bits shall go; its mean is 0.

        Raises:
            SettingsError: no numbers in two dimensions, empty, or outside 0..1.
        """
        given = np.asarray(importance)
        _check_form(given, "an importance map")
        low, high = float(given.min()), float(given.max())
        if not (low >= -_SLACK and high <= 1 + _SLACK):
            raise SettingsError(
                f"an importance map of {low:.9g} to {high:.9g}; 0 to 1 is needed: bring it into that range, without NaN"
            )
        clipped = np.clip(np.asarray(given, np.float32), 0, 1)
        return Guide(np.asarray(SWING * (clipped.mean() - clipped), np.float32), hold_rate)

    def on_grid(self, rows: int, columns: int) -> npt.NDArray[np.float64]:
        """Octaves of each cell of a grid over the whole picture, the mean of the area that it covers."""
        image = Image.fromarray(self.octaves)
        return np.asarray(image.resize((columns, rows), Image.Resampling.BOX), np.float64)

    def on_cells(self, width: int, height: int, side: int) -> npt.NDArray[np.float64]:
        """Octaves of square cells of ``side`` pixels from the top left of a picture of this size, those at its edges cut off by them.

        ``(ceil(height / side), ceil(width / side))``, each the mean of what a cell covers of the picture.
        """
        rows, columns = self.octaves.shape
        return _shares(rows, height, side) @ self.octaves @ _shares(columns, width, side).T

    @functools.cached_property
    def is_flat(self) -> bool:
        """Whether it asks for the same everywhere, so that it moves nothing inside the picture."""
        return bool(self.octaves.min() == self.octaves.max())


def asked_guide(
    importance: npt.NDArray[np.float32] | None, *, hold_rate: bool = False, guide: Guide | None = None
) -> Guide | None:
    """What a caller asks for by a drawn map or by a guide, with its rate held where ``hold_rate`` says so.

    Raises:
        SettingsError: both are given, ``hold_rate`` without either, or as ``Guide.of_importance``.
    """
    if importance is not None and guide is not None:
        raise SettingsError("an importance map and a guide are both given; leave one out")
    if importance is not None:
        return Guide.of_importance(importance, hold_rate=hold_rate)
    if hold_rate and guide is None:
        raise SettingsError("hold_rate without an importance map; give a map too, or leave hold_rate out")
    return replace(guide, hold_rate=True) if hold_rate and isinstance(guide, Guide) else guide


def _shares(samples: int, length: int, side: int) -> npt.NDArray[np.float64]:
    """How much of each cell is covered by each of the samples that share out ``length`` pixels: ``(cells, samples)``, rows of sum 1."""
    edges = np.minimum(np.arange(-(-length // side) + 1) * side, length) * (samples / length)
    low, high, at = edges[:-1, None], edges[1:, None], np.arange(samples)
    return np.maximum(np.minimum(high, at + 1) - np.maximum(low, at), 0) / (high - low)


def _check_form(given: npt.NDArray[np.generic], what: str) -> None:
    if given.dtype.kind not in "fiub" or given.ndim != 2 or not given.size:
        raise SettingsError(f"{what} of {given.dtype}, shape {given.shape}; numbers in (rows, columns) are needed, not empty")
