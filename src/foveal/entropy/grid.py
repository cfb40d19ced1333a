"""A density on an integer grid, and the coding tables that it gives for any step size.

A learned prior is a smooth function, but what chooses an entropy-coder table has to be integer
arithmetic. So the distribution function of each channel is sampled once, at export, on a fixed grid
of knots; at coding time, the tables for a step size are read off it by integer interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foveal.entropy.tables import Tables, tables_from_cumulative

CDF_BITS = 24
POSITION_BITS = 30
MAX_SYMBOL = 255
_KNOTS = 257
_BEND = 6.0


def unit_knots() -> npt.NDArray[np.float64]:
    """The knots in -1..1, dense around zero: ``sinh(6 t) / sinh(6)`` for 257 equidistant ``t``. Export only."""
    return np.sinh(np.linspace(-_BEND, _BEND, _KNOTS)) / np.sinh(_BEND)


@dataclass(frozen=True)
class GridPrior:
    """Distribution functions on a grid.

    ``knots`` ``(K,)`` int64, rising, in units of ``2**-POSITION_BITS`` of a channel's extent;
    ``cdf`` ``(channels, K)`` int64, not falling, 0 first and ``2**CDF_BITS`` last.
    """

    knots: npt.NDArray[np.int64]
    cdf: npt.NDArray[np.int64]

    def cumulative(self, position: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Interpolates at positions ``(channels, n)``; the result is out of ``2**CDF_BITS``."""
        position = np.clip(position, self.knots[0], self.knots[-1])
        cell = np.clip(np.searchsorted(self.knots, position, side="right") - 1, 0, len(self.knots) - 2)
        left, right = self.knots[cell], self.knots[cell + 1]
        low = np.take_along_axis(self.cdf, cell, axis=1)
        high = np.take_along_axis(self.cdf, cell + 1, axis=1)
        return low + (high - low) * (position - left) // (right - left)

    def tables(self, step: npt.NDArray[np.int64]) -> Tables:
        """The tables of all channels at quantiser steps ``(channels,)`` in position units, each at least 1."""
        edges = 2 * np.arange(-MAX_SYMBOL, MAX_SYMBOL + 2, dtype=np.int64) - 1
        return tables_from_cumulative(self.cumulative(edges[None, :] * step[:, None] // 2), low=-MAX_SYMBOL, bits=CDF_BITS)
