"""R(D, C) over a grid, with bounds from both sides, and as a table."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from foveal.errors import TheoryError
from foveal.theory.arrays import LARGEST, Array, numbers

Definition = Literal["classifier", "entropy"]
"""classifier: C bounds the error of a fixed classifier (arXiv 2405.03500). entropy: C bounds H(S|U) in bits,
U being what the decoder receives, of any alphabet, from which it makes X̂ (arXiv 2405.04144, where this U is called X̂)."""
MOST_POINTS: Final = 10**6
COLUMNS: Final = (
    "distortion",
    "classification",
    "rate_bits",
    "lower_bits",
    "price_distortion",
    "price_classification",
    "feasible",
)


@dataclass(frozen=True, eq=False)
class Surface:
    """R(D, C) of one source under one definition, on a grid.

    distortion: (a,), the bounds D, rising. classification: (b,), the bounds C, rising: error probabilities, or bits.
    rate: (a, b), bits, what a channel reaches; inf where no channel keeps both bounds. lower: (a, b), bits, what none stays below.
    The function lies between the two. price_distortion, price_classification: (a, b), -∂R/∂D and -∂R/∂C in bits per unit, the solver's
    multipliers; 0 where a bound does not matter, inf on the border of what can be reached and beyond it, NaN for a closed form that does not tell.
    """

    name: str
    definition: Definition
    distortion: Array
    classification: Array
    rate: Array
    lower: Array
    price_distortion: Array
    price_classification: Array

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """(a, b): whether some channel keeps both bounds."""
        return np.isfinite(self.rate)

    @property
    def gap(self) -> float:
        """The largest distance of the two bounds, in bits; 0 if no point is feasible."""
        return float(np.max(self.rate[self.feasible] - self.lower[self.feasible], initial=0.0))

    def csv(self) -> str:
        """One row for each point of the grid, C running first; an infeasible point has the rates ``inf``."""
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow(COLUMNS)
        for i, d in enumerate(self.distortion):
            for j, c in enumerate(self.classification):
                values = (self.rate, self.lower, self.price_distortion, self.price_classification)
                table.writerow([f"{v:.10g}" for v in (d, c, *(a[i, j] for a in values))] + [int(self.feasible[i, j])])
        return out.getvalue()


def grid_axis(values: Array, what: str) -> Array:
    """The values as a rising axis of numbers. Raises TheoryError: as ``numbers``, or not rising."""
    axis = numbers(values, what, 1, least=-LARGEST)
    if (np.diff(axis) <= 0).any():
        raise TheoryError(f"{what}: the values must rise")
    return axis


def grid_points(distortion: Array, classification: Array) -> tuple[Array, Array, Array]:
    """Both axes and all their pairs, (points, 2), the second running first. Raises TheoryError: as ``grid_axis``, or too many."""
    first, second = grid_axis(distortion, "distortion"), grid_axis(classification, "classification")
    if len(first) * len(second) > MOST_POINTS:
        raise TheoryError(f"a grid of {len(first)}x{len(second)}; at most {MOST_POINTS} points are taken")
    return first, second, np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
