"""Planes to half the sides and back, in integers: exact on every machine.

A sample of a halved plane stands where the even samples of even rows stand. So doubling keeps those, and only finds what is between
two of them: by the half-sample taps that HEVC predicts motion with (ITU-T H.265, table 8-11), which are a cosine transform read at half
steps. Li et al. (arXiv 1702.06728) take the same as their up-sampler without a network.

The filter that halves is that of the reference software of scalable video (JSVM), of 13 taps. No decoder needs it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from foveal.media.color import Plane

_HALVING: Final = (2, 0, -4, -3, 5, 19, 26, 19, 5, -3, -4, 0, 2)
_BETWEEN: Final = (-1, 4, -11, 40, 40, -11, 4, -1)
_UNIT: Final = 64  # what the taps of either sum to
_STRIP: Final = 256  # rows of a halved plane that are doubled at once, so that memory is bounded

_Sums = npt.NDArray[np.int32]


def halved(plane: Plane) -> Plane:
    """uint8 ``(height, width)`` to half of each side, rounded up; the edge is repeated."""
    rows = _halved_rows(plane.astype(np.int32))
    return _rounded(_halved_rows(rows.T).T)


def doubled(plane: Plane, height: int, width: int) -> Plane:
    """uint8 ``(rows, columns)`` to ``(height, width)``, of which they are the halves, rounded up; the edge is repeated."""
    assert plane.shape == (-(-height // 2), -(-width // 2)), "the halves of the size"
    reach, out = len(_BETWEEN) // 2, np.empty((2 * plane.shape[0], 2 * plane.shape[1]), np.uint8)
    padded = np.pad(plane, ((reach, reach), (0, 0)), mode="edge")
    for top in range(0, plane.shape[0], _STRIP):
        strip = padded[top : top + _STRIP + 2 * reach].astype(np.int32)
        sums = _doubled_rows(_doubled_rows(strip.T, around=0).T, around=reach)
        out[2 * top : 2 * top + len(sums)] = _rounded(sums)
    return out[:height, :width]


def _halved_rows(x: _Sums) -> _Sums:
    """Times ``_UNIT``."""
    reach, count = len(_HALVING) // 2, -(-len(x) // 2)
    padded = np.pad(x, ((reach, reach + 1), (0, 0)), mode="edge")
    return sum((tap * padded[i : i + 2 * count : 2] for i, tap in enumerate(_HALVING)), np.zeros((count, x.shape[1]), np.int32))


def _doubled_rows(x: _Sums, *, around: int) -> _Sums:
    """Times ``_UNIT``. around: how many rows at each end only stand around what is doubled; without them the edge is repeated."""
    reach = len(_BETWEEN) // 2
    padded = np.pad(x, ((reach - around, reach - around), (0, 0)), mode="edge")
    count = len(padded) - 2 * reach
    out = np.empty((2 * count, x.shape[1]), np.int32)
    out[0::2] = _UNIT * padded[reach : reach + count]
    out[1::2] = sum(tap * padded[i + 1 : i + 1 + count] for i, tap in enumerate(_BETWEEN))
    return out


def _rounded(sums: _Sums) -> Plane:
    """Of what was filtered twice."""
    return np.clip((sums + _UNIT**2 // 2) // _UNIT**2, 0, 255).astype(np.uint8)
