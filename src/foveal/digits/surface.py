"""The lower convex envelope of measured points: the least rate at each distortion and error that mixing codecs reaches.

Two codecs, of which one codes a part q of all digits, as was agreed on beforehand, have q times the rate, the distortion
and the error of the one and 1 - q times those of the other. So whatever lies above the envelope is beaten by
a mixture of what was measured; R(D, C) itself is convex and lies below.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt

from foveal.errors import CurveError, MissingDependencyError

Numbers = npt.NDArray[np.float64]
_EDGE = 1e-9


@final
@dataclass(frozen=True, eq=False)
class Envelope:
    """A convex surface that falls, or stays, in both directions.

    planes ``(m, 3)``: the rate in bits is the greatest of ``a D + b C + c``. sides ``(k, 3)``: points with ``a D + b C + c`` above
    0 lie outside: no mixture reaches so low a distortion with so low an error.
    """

    planes: Numbers
    sides: Numbers

    def rate_bits(self, distortion: npt.ArrayLike, error: npt.ArrayLike) -> Numbers:
        """The rate at arrays of one shape; inf where no mixture gets there."""
        at = np.stack(np.broadcast_arrays(distortion, error, 1.0), -1).astype(np.float64)
        rate = (at @ self.planes.T).max(-1)
        reach = 1e-7 * np.abs(self.sides).max(initial=1.0)
        return np.where((at @ self.sides.T).max(-1) > reach, np.inf, rate)


def lower_envelope(distortion: npt.ArrayLike, error: npt.ArrayLike, rate_bits: npt.ArrayLike) -> Envelope:
    """The envelope of points, arrays ``(n,)``; whoever allows more distortion or more errors may still take what has less.

    Raises:
        CurveError: fewer than three points, one that is not finite, or all of one distortion or of one error.
        MissingDependencyError: scipy is not installed.
    """
    points = np.stack([np.asarray(column, np.float64).reshape(-1) for column in (distortion, error, rate_bits)], 1)
    if len(points) < 3 or not np.isfinite(points).all():
        raise CurveError(
            f"{len(points)} points, {int((~np.isfinite(points)).any(1).sum())} of them not finite; three finite ones are needed"
        )
    low, span = points.min(0), np.ptp(points, 0)
    if (span[:2] <= 0).any():
        raise CurveError("all points have one distortion, or one error; an envelope needs points that differ in both")
    span[2] = span[2] or 1.0
    unit = (points - low) / span
    # What allows more than all points do, at the rate of each of them: so the hull below falls in both directions.
    far = 1.0 + _EDGE
    over = [np.where(np.array(mask), far, unit) for mask in ([True, False, False], [False, True, False])]
    corner = np.array([[far, far, unit[:, 2].min()], [far, far, 2.0]])
    hull = _hull(np.concatenate([unit, *over, corner]))
    flat = np.concatenate([unit, *over])[:, :2]
    sides = _hull(np.concatenate([flat, [[far, far]]])).equations
    below = hull.equations[hull.equations[:, 2] < -_EDGE]
    slopes, offset = -below[:, :2] / below[:, 2:3], -below[:, 3] / below[:, 2]
    outer = sides[(sides[:, :2] < _EDGE).all(1)]  # towards less; towards more there is no end
    return Envelope(
        _in_units(slopes, offset, low, span, span[2], low[2]), _in_units(outer[:, :2], outer[:, 2], low, span, 1.0, 0.0)
    )


def _in_units(slopes: Numbers, offset: Numbers, low: Numbers, span: Numbers, height: float, base: float) -> Numbers:
    """Planes over the unit square as planes over distortions and errors."""
    own = slopes / span[:2]
    return np.column_stack([own * height, (offset - own @ low[:2]) * height + base])


def _hull(points: Numbers) -> Any:
    if importlib.util.find_spec("scipy") is None:
        raise MissingDependencyError("convex envelopes need scipy; pip install 'foveal[bench]'")
    from scipy.spatial import ConvexHull  # pyright: ignore[reportMissingTypeStubs]

    return ConvexHull(points)
