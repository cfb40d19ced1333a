"""What a surface is drawn of: a source under one definition, however its function is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from foveal.errors import TheoryError
from foveal.theory.arrays import Array
from foveal.theory.bernoulli import bernoulli_classifier_rate, bernoulli_entropy_rate
from foveal.theory.entropy_form import entropy_points
from foveal.theory.frontier import frontier, rate_zero
from foveal.theory.gaussian import (
    check_gaussian,
    gaussian_entropy_rate,
    gaussian_label_entropy,
    gaussian_least_entropy,
    gaussian_name,
)
from foveal.theory.gaussian_classifier import gaussian_classifier_points, gaussian_least_error
from foveal.theory.normal import normal_cdf
from foveal.theory.solver import Points, classifier_points, surface_of
from foveal.theory.source import Source
from foveal.theory.sources import bernoulli
from foveal.theory.surface import Definition, Surface, grid_points

_MARGIN: Final = 0.08
"""How far below what can be reached an axis begins, as a share of its length, so that a plot shows where that is."""
_LEAST_VARIANCE: Final = 0.05
_AXES: Final = {"classifier": "error of the fixed classifier (probability)", "entropy": "label entropy left, H(S|U) (bits)"}
_GAUSSIAN_AXIS: Final = "label entropy left, h(S|U) (bits, label of standard deviation 1)"

Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Subject:
    """A source under a definition. solve: R at pairs of bounds, (points, 2). closed: R at one pair by a formula, None if there is none.

    distortion, classification: the ranges worth drawing, from what can be reached at all to what costs nothing. formula_only: ``solve`` is the closed form.
    axis: what C is, None for what it is in general.
    """

    name: str
    definition: Definition
    solve: Callable[[Array], Points]
    closed: Callable[[float, float], float] | None
    distortion: Range
    classification: Range
    formula_only: bool = False
    axis: str | None = None

    @property
    def axis_name(self) -> str:
        """What the second axis is, with its unit."""
        return f"C: {_AXES[self.definition] if self.axis is None else self.axis}"

    def surface(self, points: int, distortion: Range | None = None, classification: Range | None = None) -> Surface:
        """R on an even grid of points x points over the ranges. Raises TheoryError: less than two points, or a range that does not rise."""
        if points < 2:
            raise TheoryError(f"{points} points on an axis; at least 2 are needed")
        axes = [_axis(r, points) for r in (distortion or self.distortion, classification or self.classification)]
        first, second, pairs = grid_points(axes[0], axes[1])
        return surface_of(self.name, self.definition, first, second, self.solve(pairs))

    def closed_surface(self, like: Surface) -> Surface | None:
        """The closed form on the same grid, or None. Its prices are NaN."""
        if self.closed is None:
            return None
        rate = np.array([[self.closed(float(d), float(c)) for c in like.classification] for d in like.distortion])
        unknown = np.full_like(rate, np.nan)
        return replace(like, rate=rate, lower=rate, price_distortion=unknown, price_classification=unknown)


def largest_difference(one: Surface, other: Surface) -> float:
    """The largest distance of the rates of two surfaces on one grid, in bits; inf if one is feasible where the other is not."""
    if (one.feasible != other.feasible).any():
        return float("inf")
    here = one.feasible
    return float(np.abs(one.rate[here] - other.rate[here]).max(initial=0.0))


def source_subject(source: Source, definition: Definition) -> Subject:
    """Any discrete source. Raises TheoryError: the classifier definition, and the source has no classifier."""
    used = source.without_unused()
    if definition == "classifier":
        costs = np.stack([used.distortion, used.error])
        border, free = frontier(used.p, costs), rate_zero(used.p, costs)
        ranges = (float(border.first[0]), float(free.first[-1])), (float(border.second[-1]), float(free.second[0]))
        return Subject(source.name, definition, lambda x: classifier_points(used, x), None, _wider(ranges[0]), _wider(ranges[1]))
    least, most = float(used.p @ used.distortion.min(axis=1)), float((used.p @ used.distortion).min())
    label = (used.noise_entropy, used.label_entropy)
    return Subject(source.name, definition, lambda x: entropy_points(used, x), None, _wider((least, most)), _wider(label))


def bernoulli_subject(p: float, flips: tuple[float, float], definition: Definition) -> Subject:
    """A binary source with Hamming distortion. It has a closed form, but for the entropy definition with unlike flips.

    Raises:
        TheoryError: a probability outside 0..1.
    """
    subject = source_subject(bernoulli(p, flips), definition)
    if definition == "classifier":
        return replace(subject, closed=partial(bernoulli_classifier_rate, p, flips))
    return replace(subject, closed=partial(bernoulli_entropy_rate, p, flips[0])) if flips[0] == flips[1] else subject


def gaussian_subject(sigma: float, rho: float, definition: Definition, *, threshold: float = 0.0) -> Subject:
    """A Gaussian source: under the entropy definition its label is Gaussian too, of standard deviation 1, and R is a closed form; else S = [T >= threshold].

    Raises:
        TheoryError: sigma not in 1e-30..1e30, rho outside 0..1, a threshold beyond 3, or one under the entropy definition.
    """
    check_gaussian(sigma, rho, threshold)
    if threshold and definition == "entropy":
        raise TheoryError(f"threshold {threshold:g}; under the entropy definition a Gaussian's label is no class and has none")
    ranges = (_LEAST_VARIANCE * sigma**2, sigma**2)
    name = gaussian_name(sigma, rho, threshold)
    if definition == "classifier":
        constant = float(normal_cdf(np.array([-abs(threshold)]))[0])
        error = _wider((gaussian_least_error(rho, threshold), constant))
        return Subject(
            name, definition, lambda x: gaussian_classifier_points(sigma, rho, x, threshold=threshold), None, ranges, error
        )

    def formula(d: float, c: float) -> float:
        return gaussian_entropy_rate(sigma, rho, d, c)

    def solve(x: Array) -> Points:
        rate = np.array([formula(float(d), float(c)) for d, c in x])
        return Points(rate, rate, np.full((len(x), 2), np.nan), np.zeros((len(x), 1)))

    most = gaussian_label_entropy()
    least = max(gaussian_least_entropy(rho), most - 3.0)
    return Subject(name, definition, solve, formula, ranges, _wider((least, most)), formula_only=True, axis=_GAUSSIAN_AXIS)


def _wider(reached: Range) -> Range:
    low, high = reached
    if not high > low:
        return (low - 0.1 * max(abs(low), 1.0), high + 0.1 * max(abs(high), 1.0)) if low else (0.0, 1.0)
    return (low - _MARGIN * (high - low) if low else 0.0, high)


def _axis(limits: Range, points: int) -> Array:
    low, high = limits
    if not -np.inf < low < high < np.inf:
        raise TheoryError(f"range {low:g}..{high:g}; two finite numbers that rise are needed")
    return np.asarray(np.linspace(low, high, points), dtype=np.float64)
