"""Properties of a surface, checked on its numbers: monotone in both bounds, and jointly convex.

A violation is counted only as far as the certificates reach: what no channel stays below (``lower``) against what channels do reach (``rate``).
So a positive amount is a proof that the property fails, and a solver's tolerance can neither feign nor excuse one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foveal.errors import TheoryError
from foveal.theory.arrays import Array
from foveal.theory.surface import Surface

Place = tuple[float, float]
"""A point (D, C)."""


@dataclass(frozen=True)
class Violation:
    """The worst of all comparisons. amount: bits by which the property certainly fails; 0 or less if it nowhere does.

    doubt: bits, the same with ``rate`` alone, which may be positive by as much as the surface's gap. places: the points compared, the one
    that is too high last; empty if there was nothing to compare.
    """

    amount: float
    doubt: float
    places: tuple[Place, ...]

    @property
    def holds(self) -> bool:
        """Whether no comparison proves a failure. 1e-9 bits are left to rounding."""
        return self.amount <= 1e-9


def monotone(surface: Surface) -> Violation:
    """R rises neither with D nor with C, and what is feasible stays so: each point against the next one on either axis."""
    worst = Violation(-math.inf, -math.inf, ())
    for axis in (0, 1):
        count = surface.rate.shape[axis]
        before, after = (slice(None),) * axis + (slice(0, count - 1),), (slice(None),) * axis + (slice(1, count),)
        worst = _worse(worst, surface, surface.rate[before], before, after)
    return worst


def convex(surface: Surface) -> Violation:
    """R at a point halfway between two of the grid is at most the mean of theirs, for all pairs that have such a point.

    Raises:
        TheoryError: an axis is not evenly spaced, so that halfway is nowhere.
    """
    for what, values in (("distortion", surface.distortion), ("classification", surface.classification)):
        steps = np.diff(values)
        if len(steps) and not np.allclose(steps, steps[0], rtol=1e-6, atol=0):
            raise TheoryError(f"{what}: steps of {steps.min():g} to {steps.max():g}; convexity is checked on an even axis")
    rows, columns = surface.rate.shape
    worst = Violation(-math.inf, -math.inf, ())
    for di in range((rows - 1) // 2 + 1):
        for dj in range(-((columns - 1) // 2), (columns - 1) // 2 + 1):
            if (di, dj) <= (0, 0):
                continue
            here = slice(di, rows - di), slice(abs(dj), columns - abs(dj))
            one = slice(0, rows - 2 * di), _shifted(columns, dj, -1)
            other = slice(2 * di, rows), _shifted(columns, dj, 1)
            mean = (surface.rate[one] + surface.rate[other]) / 2
            worst = _worse(worst, surface, mean, here, here, (one, other))
    return worst


def _shifted(columns: int, offset: int, sign: int) -> slice:
    start = abs(offset) + sign * offset
    return slice(start, start + columns - 2 * abs(offset))


_Part = tuple[slice, ...]


def _worse(
    worst: Violation, surface: Surface, most: Array, first: _Part, high: _Part, ends: tuple[_Part, ...] | None = None
) -> Violation:
    """The worse of ``worst`` and of the points ``high`` that must not exceed ``most``; nothing is said where that is infinite."""
    if not most.size:
        return worst
    finite = np.isfinite(most)
    with np.errstate(invalid="ignore"):
        amount = np.where(finite, surface.lower[high] - most, -np.inf)
        doubt = np.where(finite, surface.rate[high] - most, -np.inf)
    place = tuple(int(i) for i in np.unravel_index(int(amount.argmax()), amount.shape))
    greatest = max(worst.doubt, float(doubt.max()))
    if not amount[place] > worst.amount:
        return Violation(worst.amount, greatest, worst.places)
    parts = (*(ends or (first,)), high)
    return Violation(float(amount[place]), greatest, tuple(_place(surface, part, place) for part in parts))


def _place(surface: Surface, part: _Part, index: tuple[int, ...]) -> Place:
    full = part + (slice(None),) * (2 - len(part))
    d, c = surface.distortion[full[0]][index[0]], surface.classification[full[1]][index[1]]
    return float(d), float(c)
