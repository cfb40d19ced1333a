"""The rotation of the maps to their principal axes, in integers, and back.

::

        y ─► axes^T ─► / step ─► round ─► symbols ─► axes (exact) ─► · step ─► ŷ

One step serves all maps: after the rotation an error of the same size costs the same in each of them.

Reference: Cheng et al., PCS 2018, section III: eigenvectors of the covariance of y, sorted. Ours: one basis for all pictures, of photographs that trained the
network, where a basis of each picture would have to be sent; in units of 2^-14, so that a decoder's sums have no rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foveal.entropy.coder import Symbols
from foveal.entropy.fixed_point import Integers, exp2_factors

AXIS_BITS = 14
_AT_ONCE = 1 << 15  # places, which bounds the memory of doubles

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rotation:
    """``axes`` int64 ``(maps, maps)`` in units of ``2**-AXIS_BITS``: column ``n`` is where rotated map ``n`` lies in the latent."""

    axes: Integers

    def rotate(self, y: Floats) -> Floats:
        """A latent ``(maps, places)`` along the axes."""
        return np.ldexp(self.axes.T.astype(np.float32), -AXIS_BITS) @ y

    def restore(self, symbols: Symbols) -> Doubles:
        """The latent ``(maps, places)`` of symbols, in units of ``2**-AXIS_BITS`` steps: exact integers.

        Symbols are below ``2^31``, axes at most ``2^14``, and no more than 128 maps are added: every sum is below ``2^53``, so that doubles hold it,
        in whatever order a machine adds.
        """
        assert len(self.axes) <= 128, "sums of more maps than doubles hold"
        return self.axes.astype(np.float64) @ symbols.astype(np.float64)

    def latent(self, symbols: Symbols, log_step: int) -> Floats:
        """The same as float32, times the step ``2^(log_step / 256)``: one rounding to doubles and one to float32, the same everywhere."""
        factor = exp2_factors(np.array(log_step)) * 2.0**-AXIS_BITS
        latent = np.empty(symbols.shape, np.float32)
        for first in range(0, symbols.shape[1], _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            latent[:, part] = self.restore(symbols[:, part]) * factor
        return latent


def principal_axes(covariance: Doubles) -> Doubles:
    """The eigenvectors of a covariance ``(maps, maps)`` as columns, that of the largest variance first, each with its largest part positive."""
    axes = np.linalg.eigh(covariance)[1][:, ::-1]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(0)[None], 0)
    return axes * np.sign(largest)


def own_axes(covariance: Doubles) -> Doubles:
    """The maps as they are, those of largest variance first: what a file without the rotation has."""
    return np.eye(len(covariance))[:, np.argsort(-np.diag(covariance), kind="stable")]


def as_integers(axes: Doubles) -> npt.NDArray[np.int16]:
    """Axes as they ship."""
    return np.rint(np.ldexp(axes, AXIS_BITS)).astype(np.int16)
