"""Bootstrap over pictures: how far scores, and differences between two codecs, could lie apart by the choice of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from foveal.errors import LabelError
from foveal.tasks.base import Metric, Scoring

Y = TypeVar("Y")

DRAWS: Final = 1000
SEED: Final = 20240
CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Estimate:
    """A score, or a difference of two, in points of percent.

    low, high: the middle 95 % of the draws. above: the share of draws above 0. NaN where nothing was labelled.
    """

    metric: Metric
    value: float
    low: float
    high: float
    above: float


@dataclass(frozen=True)
class Bootstrap:
    """Estimates in the order of ``Scoring.metrics``, and how many pictures and draws they stand on."""

    estimates: tuple[Estimate, ...]
    pictures: int
    draws: int


def draw_weights(pictures: int, draws: int = DRAWS, seed: int = SEED) -> NDArray[np.int64]:
    """How often each picture counts in each draw with replacement: ``(draws, pictures)``, each row sums to ``pictures``.

    The same arguments give the same draws, so that what is compared is compared on the same pictures.

    Raises:
        LabelError: no picture, or no draw.
    """
    if pictures < 1 or draws < 1:
        raise LabelError(f"{draws} draws of {pictures} pictures; at least one of each is needed")
    return np.random.default_rng(seed).multinomial(pictures, np.full(pictures, 1 / pictures), size=draws).astype(np.int64)


def interval(scoring: Scoring[Any, Any, Y], tallies: Sequence[Y], draws: int = DRAWS, seed: int = SEED) -> Bootstrap:
    """Scores with their intervals. Raises LabelError: no tally."""
    weights = draw_weights(len(tallies), draws, seed)
    return _bootstrap(scoring.metrics, scoring.scores(tallies), scoring.scores(tallies, weights), len(tallies))


def paired_bootstrap(
    scoring: Scoring[Any, Any, Y], tallies_a: Sequence[Y], tallies_b: Sequence[Y], draws: int = DRAWS, seed: int = SEED
) -> Bootstrap:
    """Scores of ``a`` less those of ``b``, on the same pictures in every draw. The tallies of both are in one order of pictures.

    Raises:
        LabelError: no tally, or not as many of one as of the other.
    """
    if len(tallies_a) != len(tallies_b):
        raise LabelError(f"{len(tallies_a)} and {len(tallies_b)} tallies; a paired comparison takes both of every picture")
    weights = draw_weights(len(tallies_a), draws, seed)
    difference = scoring.scores(tallies_a) - scoring.scores(tallies_b)
    drawn = scoring.scores(tallies_a, weights) - scoring.scores(tallies_b, weights)
    return _bootstrap(scoring.metrics, difference, drawn, len(tallies_a))


def percentile_interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """The bounds of the middle 95 % of the draws ``(draws,)``; draws that are NaN are left out, NaN if all are."""
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _bootstrap(metrics: Sequence[Metric], values: NDArray[np.float64], drawn: NDArray[np.float64], pictures: int) -> Bootstrap:
    estimates: list[Estimate] = []
    for number, metric in enumerate(metrics):
        column = drawn[:, number]
        known = column[~np.isnan(column)]
        above = float((known > 0).mean()) if known.size else float("nan")
        estimates.append(Estimate(metric, float(values[number]), *percentile_interval(column), above))
    return Bootstrap(tuple(estimates), pictures, len(drawn))
