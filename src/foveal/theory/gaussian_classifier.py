"""A Gaussian source and a fixed threshold classifier: bounds on R(D, C) from both sides, for the continuous source itself.

X is normal; S = [T >= t], T a standard normal with correlation rho to X / sigma; c0(x̂) = [x̂ >= t sigma]; squared distortion. There is no closed form.
Above: a channel from the real line to finitely many letters, q(y) exp(-s·d(x, y)) / Z(x), whose mutual information and distortions are integrals
over x. Below: the dual, with a function of all real x, and the greatest constraint over all real x̂ found between the points of a grid by a bound
on the fourth derivative. Integrals are Gauss-Legendre sums whose integrands are analytic in each panel; docs/theory.md says how exact they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from foveal.errors import TheoryError
from foveal.theory.arrays import Array, bound_pairs
from foveal.theory.gaussian import check_gaussian, gaussian_name
from foveal.theory.normal import normal_cdf, normal_pdf, panels
from foveal.theory.saddle import Start, bounds_of, moments, shared
from foveal.theory.solver import LN2, TOLERANCE_BITS, Points, surface_of, two_constraint_rate
from foveal.theory.surface import Surface, grid_points

_REACH: Final = 6.0
"""Standard deviations within which x is treated exactly; beyond, with a probability of 2e-9, a channel does not look closer at x."""
_ORDER: Final = 8
_NODE: Final = 0.45
_LETTER: Final = 0.8
"""Distances of nodes and of letters, in square roots of the least D."""
_REFINEMENTS: Final = (1, 4, 16)
_GOOD_BITS: Final = 1e-5
"""Letters come closer by these factors, for the points whose bounds are farther apart than this."""
_WIDEST: Final = 2.0
"""Of a panel, in standard deviations."""
_UNDECIDED: Final = (-6.5, -4.5, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.5, 6.5)
"""Ends of panels around where the label is undecided, in widths of that place."""
_STEP: Final = 0.06
"""Distance of the points x̂ at which the dual constraint is evaluated, in 1/sqrt(s)."""
_TAIL: Final = 12.0
"""By how many nats the dual function is lower beyond the reach, so that what lies there cannot break a constraint."""
_FINEST: Final = 1e-4
_LARGE_PRICE: Final = 1e9
_STEEPEST: Final = 100.0
_CELLS: Final = 4_000_000
_SNAP: Final = 1e-9
_ANYTHING: Final = (16.0, 1.0)
"""Bounds in units of the variance and of 1 that say nothing: a letter at the threshold, 3 at most, has a distortion of 10 at most."""


@dataclass(frozen=True, eq=False)
class _Line:
    """The real line as nodes, the two tails last. x, p: (nodes,). variance: of x within a tail. one: P(S = 1 | x). weight: of dx, 0 for tails."""

    x: Array
    p: Array
    variance: Array
    one: Array
    weight: Array


def gaussian_least_error(rho: float, threshold: float = 0.0) -> float:
    """The error of the best answer that sees X itself; arccos(rho)/π for a threshold of 0. No C below it can be reached."""
    check_gaussian(1.0, rho, threshold)
    line = _line(rho, threshold, 0.02)
    return float(np.maximum(line.p, 0) @ np.minimum(line.one, 1 - line.one))


def gaussian_classifier_surface(
    sigma: float, rho: float, distortion: Array, error: Array, *, threshold: float = 0.0, refinements: int = 2
) -> Surface:
    """R(D, C) of the classifier definition on a grid: ``rate`` is an upper and ``lower`` a lower bound for the continuous source.

    Nodes and letters lie closer the smaller the least D is, so the cost grows with σ²/D. threshold: in standard deviations.
    refinements: 1 to 3, how often the letters of points whose bounds are 1e-5 bit apart or more are laid closer, by 4 each time.

    Raises:
        TheoryError: sigma not above 0, rho outside 0..1, a threshold beyond 3, other refinements, axes that do not rise, or a D between 0
            and 1e-4 σ².
    """
    first, second, points = grid_points(distortion, error)
    found = gaussian_classifier_points(sigma, rho, points, threshold=threshold, refinements=refinements)
    return surface_of(gaussian_name(sigma, rho, threshold), "classifier", first, second, found)


def gaussian_classifier_points(
    sigma: float, rho: float, points: Array, *, threshold: float = 0.0, refinements: int = 2
) -> Points:
    """The same at pairs of bounds of any order, (points, 2), finite. Raises TheoryError: they are not, or as above."""
    check_gaussian(sigma, rho, threshold)
    if refinements not in (1, 2, 3):
        raise TheoryError(f"refinements {refinements}; 1, 2 or 3 are there")
    points = np.minimum(bound_pairs(points) / np.array([sigma**2, 1.0]), _ANYTHING)
    above = points[:, 0] > 0
    finest = float(points[above, 0].min(initial=1.0))
    if finest < _FINEST:
        raise TheoryError(f"distortion {finest * sigma**2:g}; 0, or {_FINEST:g} sigma² and more, can be resolved")
    rate, lower = np.full(len(points), np.inf), np.full(len(points), np.inf)
    prices = np.full((len(points), 2), np.inf)
    asked = np.flatnonzero(above)
    for refinement in _REFINEMENTS[:refinements]:  # letters closer together for the points that need it
        if len(asked):
            high, low, cost = _bounds(points[asked], rho, threshold, finest, refinement)
            rate[asked], prices[asked] = np.minimum(rate[asked], high), cost
            lower[asked] = low if refinement == _REFINEMENTS[0] else np.maximum(lower[asked], low)
            asked = asked[rate[asked] > lower[asked] + _GOOD_BITS]
    prices[:, 0] /= sigma**2
    return Points(rate, lower, prices, np.zeros((len(points), 1)))


def _bounds(points: Array, rho: float, threshold: float, finest: float, refinement: int) -> tuple[Array, Array, Array]:
    """Upper and lower bounds in bits, and prices in bits for a standard deviation of 1."""
    scale = math.sqrt(min(finest, 1.0))
    coarse, fine = (_line(rho, threshold, factor * _NODE * scale) for factor in (1.0, 0.5))
    y, answers = _letters(threshold, _LETTER * scale / refinement)
    floor = float(coarse.p @ np.minimum(coarse.one, 1 - coarse.one))  # the border's place, to the last digits of these nodes
    points = np.stack([points[:, 0], np.where(np.abs(points[:, 1] - floor) < _SNAP, floor, points[:, 1])], axis=1)
    found = two_constraint_rate(coarse.p, _costs(coarse, y, answers), points, TOLERANCE_BITS)
    lower = found.rate.copy()
    rate = found.rate.copy()
    asked = np.flatnonzero(np.isfinite(found.rate) & (found.rate > 0))
    if len(asked):
        # a price that the border makes infinite may be any; a finite one gives a valid bound
        s = np.where(np.isfinite(found.prices[asked]), found.prices[asked] * LN2, np.inf)
        s = np.minimum(s, np.array([_STEEPEST / finest, _LARGE_PRICE]))
        q = found.output[asked]
        size = max(1, _CELLS // (len(fine.p) * len(y)))
        for begin in range(0, len(asked), size):
            part = slice(begin, begin + size)
            rate[asked[part]] = np.maximum(
                found.rate[asked[part]], _above(fine, y, answers, points[asked[part]], q[part], s[part])
            )
        lower[asked] = _below(fine, y, answers, points[asked], q, s, threshold)
    return rate, np.minimum(lower, rate), found.prices


def _line(rho: float, threshold: float, spacing: float) -> _Line:
    width = min(_ORDER * spacing, _WIDEST)
    # a panel ends where the classifier's answer changes and where the best answer to x does, and is short where the label is undecided
    breaks = {-_REACH, threshold, _REACH}
    if rho > 0:
        undecided = math.sqrt(1 - rho * rho) / rho
        steps = _UNDECIDED if width > 1.2 * undecided else (0.0,)
        breaks |= {threshold / rho + undecided * step for step in steps}
    inside = sorted(value for value in breaks if abs(value) <= _REACH)
    counts = [max(1, math.ceil((end - start) / width)) for start, end in pairwise(inside)]
    pieces = [np.linspace(start, end, n + 1)[:-1] for (start, end), n in zip(pairwise(inside), counts, strict=True)]
    edges = np.concatenate([*pieces, [_REACH]])
    x, weight = panels(edges, _ORDER)
    one = _label_one(x, rho, threshold)
    tail, tail_weight = panels(np.linspace(_REACH, _REACH + 6, 13), _ORDER)
    mass = tail_weight * normal_pdf(tail)
    total = mass.sum()
    mean = float(mass @ tail / total)
    spread = float(mass @ (tail - mean) ** 2 / total)
    ends = [min(max(float(mass @ _label_one(side * tail, rho, threshold) / total), 0.0), 1.0) for side in (-1.0, 1.0)]
    p = np.concatenate([weight * normal_pdf(x), [total, total]])
    zeros = np.zeros(len(x))
    return _Line(
        np.concatenate([x, [-mean, mean]]),
        p / p.sum(),
        np.concatenate([zeros, [spread, spread]]),
        np.concatenate([one, ends]),
        np.concatenate([weight, [0.0, 0.0]]),
    )


def _label_one(x: Array, rho: float, threshold: float) -> Array:
    if rho >= 1:
        return np.asarray(x > threshold, dtype=np.float64)
    return normal_cdf((rho * x - threshold) / math.sqrt(1 - rho * rho))


def _letters(threshold: float, spacing: float) -> tuple[Array, Array]:
    """Letters and their classes. The threshold itself is there for both classes: R is an infimum, and letters may come as near as they like."""
    below = threshold - spacing * np.arange(1, math.ceil((threshold + _REACH) / spacing) + 1)
    above = threshold + spacing * np.arange(1, math.ceil((_REACH - threshold) / spacing) + 1)
    zero = np.array([] if threshold == 0 else [0.0])
    y = np.concatenate([below, [threshold, threshold], above, zero])
    answers = np.concatenate([np.zeros(len(below) + 1), np.ones(len(above) + 1), (zero >= threshold) * 1.0])
    return np.asarray(y, dtype=np.float64), np.asarray(answers, dtype=np.float64)


def _costs(line: _Line, y: Array, answers: Array) -> Array:
    squared = (line.x[:, None] - y) ** 2 + line.variance[:, None]
    return np.stack([squared, np.where(answers == 1, 1 - line.one[:, None], line.one[:, None])])


def _above(line: _Line, y: Array, answers: Array, points: Array, q: Array, s: Array) -> Array:
    """Bits of the explicit channel, on finer nodes than it was found on, mixed with one that answers x̂ = x to keep the bounds.

    Errors are counted from the least one, so that at the border itself, where their price is without end, nothing is left of them.
    """
    costs = _costs(line, y, answers)
    floor = np.minimum(line.one, 1 - line.one)
    costs[1] = np.maximum(costs[1] - floor[:, None], 0.0)
    bounds = points - np.array([0.0, float(line.p @ floor)])
    found = moments(line.p, costs[None], np.ones((1, *costs.shape[1:]), dtype=bool), q, s)
    start = Start(q, np.zeros_like(q), s, np.zeros_like(s))
    most = float(-np.log(line.p[line.weight > 0].min()))
    room = np.zeros((len(points), 2, 2))
    room[:, :, 0] = np.maximum(bounds - np.array([float(line.p @ line.variance), 0.0]), 0.0) / 2
    problem = shared(line.p, costs, bounds, room, most)
    border = s[:, 1] >= _LARGE_PRICE
    both, first = np.array([True, True]), np.array([True, False])
    upper = np.where(border, bounds_of(problem, start, found, first, both)[1], bounds_of(problem, start, found, both, both)[1])
    return upper / LN2


def _below(line: _Line, y: Array, answers: Array, points: Array, q: Array, s: Array, threshold: float) -> Array:
    """Bits that no channel of the continuous source stays below: E[ν(X)] - s·bounds - ln max over x̂ of E[exp(ν(X) - s·d(X, x̂))]."""
    inside = line.weight > 0
    x, weight, one = line.x[inside], line.weight[inside], line.one[inside]
    worse = np.stack(
        [np.maximum(2 * one - 1, 0.0), np.maximum(1 - 2 * one, 0.0)]
    )  # error above the least one, of answers 0 and 1
    floor = float(line.p @ np.minimum(line.one, 1 - line.one))
    density, tail = normal_pdf(x), float(line.p[-1])
    step = _STEP / math.sqrt(max(float(s[:, 0].max()), 0.25))
    result = np.empty(len(s))
    size = max(1, _CELLS // (max(len(y), math.ceil(2 * _REACH / step)) * len(x)))
    for begin in range(0, len(s), size):
        part = slice(begin, begin + size)
        s1, s2 = s[part, :1], s[part, 1:]
        shape = -s1[:, :, None] * (x[:, None] - y) ** 2 - s2[:, :, None] * worse[answers.astype(np.intp)].T
        top = shape.max(axis=2)
        nu = -top - np.log(np.matmul(np.exp(shape - top[:, :, None]), q[part, :, None])[:, :, 0])
        ends = np.minimum(nu[:, [0]], nu[:, [-1]]) - _TAIL
        mean = (nu * (weight * density)).sum(axis=1) + 2 * tail * ends[:, 0]
        greatest = np.zeros(len(s1))
        for answer, (start, end) in enumerate(((-_REACH, threshold), (threshold, _REACH))):
            mass = np.exp(nu - s2 * worse[answer]) * weight * density
            greatest = np.maximum(greatest, _greatest(x, weight, mass, s1[:, 0], start, end, step))
        greatest += 2 * tail * np.exp(ends[:, 0])
        bound = mean - s1[:, 0] * points[part, 0] - s2[:, 0] * (points[part, 1] - floor)
        result[part] = (bound - np.log(greatest)) / LN2
    return np.maximum(result, 0.0)


def _greatest(x: Array, weight: Array, mass: Array, s: Array, start: float, end: float, step: float) -> Array:
    """(points,): no less than G(x̂) = Σ mass exp(-s (x - x̂)²) for any x̂ of start..end, by cubic interpolation and its remainder.

    Beyond the reach G only falls. The remainder: |G''''| <= (max of mass/weight) s² ∫|H4(√s r)| exp(-s r²) dr, and the integral is
    at most √384 √(π/s), by Cauchy and Schwarz and the norm of the Hermite polynomial H4.
    """
    count = max(2, math.ceil((end - start) / step)) + 1
    grid = np.linspace(start, end, count)
    h = grid[1] - grid[0]
    away = x - grid[:, None]
    kernel = np.exp(-s[:, None, None] * away**2)
    value = np.matmul(kernel, mass[:, :, None])[:, :, 0]
    slope = h * 2 * s[:, None] * np.matmul(kernel * away, mass[:, :, None])[:, :, 0]
    remainder = h**4 / 384 * math.sqrt(384 * math.pi) * s**1.5 * (mass / weight).max(axis=1)
    return _cubic_maximum(value, slope).max(axis=1) + remainder


def _cubic_maximum(value: Array, slope: Array) -> Array:
    """The greatest value on each interval of the cubics with these values and (unit) slopes at its ends."""
    a, b, da, db = value[:, :-1], value[:, 1:], slope[:, :-1], slope[:, 1:]
    third, second = 2 * (a - b) + da + db, 3 * (b - a) - 2 * da - db
    best = np.maximum(a, b)
    with np.errstate(all="ignore"):
        root = np.sqrt(second**2 - 3 * third * da)
        for sign in (-1.0, 1.0):  # the stable form, good also where the cubic is nearly a parabola
            t = da / (-second + sign * root)
            at = a + t * (da + t * (second + t * third))
            best = np.where((t > 0) & (t < 1), np.maximum(best, at), best)
    return best
