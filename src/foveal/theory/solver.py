"""R(D, C) of the classifier definition for any discrete source: min I(X; X̂) with E[Δ] <= D and P(S != c0(X̂)) <= C.

Both are expectations of a distortion of (x, x̂), so the function is a rate-distortion function with two distortion measures, and convex.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import TheoryError
from foveal.theory.arrays import Array, bound_pairs, number
from foveal.theory.frontier import Touching, frontier, rate_zero, touching
from foveal.theory.interior import solve
from foveal.theory.saddle import Start, shared
from foveal.theory.source import Source
from foveal.theory.surface import Surface, grid_points

LN2: Final = math.log(2)
TOLERANCE_BITS: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Points:
    """What is known of R at some pairs of bounds. rate, lower: (points,), bits, inf where infeasible. prices: (points, 2), bits per unit.

    output: (points, letters), the law of X̂ of the channel that has ``rate``, up to its certificate; 0 where infeasible.
    """

    rate: Array
    lower: Array
    prices: Array
    output: Array


def two_constraint_rate(p: Array, costs: Array, bounds: Array, tolerance_bits: float = TOLERANCE_BITS) -> Points:
    """The least I(X; Y) in bits with E[costs[0]] <= bounds[:, 0] and E[costs[1]] <= bounds[:, 1], at every row of ``bounds``.

    p: (symbols,), above 0. costs: (2, symbols, letters), finite. bounds: (points, 2), finite.

    Raises:
        TheoryError: bounds that are no such numbers.
    """
    bounds = bound_pairs(bounds)
    count, letters = len(bounds), costs.shape[2]
    bounds = np.minimum(bounds, costs.max(axis=(1, 2)) + 1.0)  # beyond that a bound says nothing
    rate, lower = np.full(count, np.inf), np.full(count, np.inf)
    prices, output = np.full((count, 2), np.inf), np.zeros((count, letters))
    most = float(-(p * np.log(p)).sum())
    border, free = frontier(p, costs), rate_zero(p, costs)
    for group in touching(border, p, costs, bounds):
        points = group.points
        nothing = free.reaches(bounds[points])
        rate[points[nothing]] = lower[points[nothing]] = 0.0
        prices[points[nothing]] = 0.0
        output[points[nothing]] = _constant(p, costs, bounds[points[nothing]])
        kept = np.flatnonzero(~nothing)
        if len(kept):
            usable = np.flatnonzero(group.letters.any(axis=0))
            end, low, high = _solve_group(p, costs[:, :, usable], bounds, group, kept, most, tolerance_bits)
            here = points[kept]
            rate[here], lower[here] = high / LN2, low / LN2
            prices[here] = np.where(np.array(group.constraints) == "most", end.s / LN2, np.inf)
            output[np.ix_(here, usable)] = end.q / end.q.sum(axis=1, keepdims=True)
    return Points(rate, lower, prices, output)


def _solve_group(
    p: Array, costs: Array, bounds: Array, group: Touching, kept: NDArray[np.int64], most: float, tolerance_bits: float
) -> tuple[Start, Array, Array]:
    """The rates of points that touch the border in the same place, over the letters that they may use."""
    letters = group.letters[:, group.letters.any(axis=0)]
    problem = shared(p, costs, bounds[group.points[kept]], group.room[kept], most, letters, group.constraints)
    solved = solve(problem, tolerance_bits * LN2)
    return solved.end, solved.lower, solved.upper


def _constant(p: Array, costs: Array, bounds: Array) -> Array:
    """(points, letters): a letter, or two of them, drawn without looking at X, that keep both bounds as well as any."""
    means = np.einsum("x,kxy->ky", p, costs)
    room = bounds[:, :, None] - means
    output = np.zeros((len(bounds), means.shape[1]))
    output[np.arange(len(bounds)), room.min(axis=1).argmax(axis=1)] = 1.0
    return output


def classifier_surface(source: Source, distortion: Array, error: Array, *, tolerance_bits: float = TOLERANCE_BITS) -> Surface:
    """R(D, C) of the classifier definition on a grid. distortion: the bounds on E[Δ]. error: the bounds on P(S != c0(X̂)).

    Raises:
        TheoryError: the source has no classifier, or the axes are not rising lists of finite numbers.
    """
    first, second, points = grid_points(distortion, error)
    found = classifier_points(source, points, tolerance_bits=tolerance_bits)
    return surface_of(source.name, "classifier", first, second, found)


def classifier_points(source: Source, points: Array, *, tolerance_bits: float = TOLERANCE_BITS) -> Points:
    """The same at pairs of bounds of any order, (points, 2), finite. Raises TheoryError: they are not, or as above."""
    if not 0 < tolerance_bits < 1:
        raise TheoryError(f"tolerance {tolerance_bits} bit; a number between 0 and 1 is needed")
    used = source.without_unused()
    return two_constraint_rate(used.p, np.stack([used.distortion, used.error]), points, tolerance_bits)


def classifier_rate(source: Source, distortion: float, error: float) -> float:
    """R(D, C) of the classifier definition at one point, in bits; ``math.inf`` where no channel keeps both bounds.

    Raises:
        TheoryError: as ``classifier_surface``.
    """
    first, second = number(distortion, "distortion"), number(error, "error")
    return float(classifier_surface(source, np.array([first]), np.array([second])).rate[0, 0])


def surface_of(name: str, definition: str, first: Array, second: Array, found: Points) -> Surface:
    """Points in the order of a grid, as a surface."""
    shape = (len(first), len(second))
    prices = found.prices.reshape(*shape, 2)
    kind = "entropy" if definition == "entropy" else "classifier"
    return Surface(
        name, kind, first, second, found.rate.reshape(shape), found.lower.reshape(shape), prices[..., 0], prices[..., 1]
    )
