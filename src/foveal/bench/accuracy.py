"""From readings to rate-accuracy curves, and what may be said of the difference between two codecs.

A curve is the mean over pictures of bpp, and the score over the same pictures, at each quality. All curves of a network are over
the same pictures. Intervals are those of a paired bootstrap: pictures are drawn again, the same for all codecs, and everything
is computed again from each draw: 2.5 % of the draws lie below ``low``, and 2.5 % above ``high``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from foveal.bench.readers import UNCOMPRESSED
from foveal.bench.readings import Reading
from foveal.errors import CurveError
from foveal.metrics.bd import BdQuality, BdRate, Curve, bd_quality, bd_rate
from foveal.tasks.base import Metric, Scoring
from foveal.tasks.bootstrap import draw_weights

Truths = Literal["labels", "agreement"]
SHARES: Final = (0.99, 0.95, 0.9)
"""The parts of the uncompressed score for which the rate that keeps them is told."""
_LEAST_DRAWS: Final = 0.9
_LEAST_PICTURES: Final = 10
"""Draws of fewer pictures say nothing of others."""
_EDGES: Final = (2.5, 97.5)


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; low and high are None where too few draws gave one, or there are too few pictures.

    share: of the draws that gave one. at_most: the figure is only a bound, since no cheaper point was measured.
    """

    value: float
    low: float | None
    high: float | None
    share: float
    notes: tuple[str, ...] = ()
    at_most: bool = False


@dataclass(frozen=True)
class ScorePoint:
    """One quality of one codec: scores in percent, one for each metric; the interval is the first metric's, NaN if there is none."""

    quality: float
    bpp: float
    scores: tuple[float, ...]
    low: float
    high: float


@dataclass(frozen=True)
class ScoreCurve:
    """One codec's points. needed: the bpp that keeps each of ``SHARES`` of the uncompressed score, None if no point does."""

    label: str
    points: tuple[ScorePoint, ...]
    needed: tuple[Estimate | None, ...]


@dataclass(frozen=True)
class Delta:
    """A codec against the anchor: percent of rate at equal score, points of score at equal rate; None with why in refusal."""

    label: str
    rate: Estimate | None
    score: Estimate | None
    refusal: str | None


@dataclass(frozen=True)
class Accuracy:
    """All codecs as one network sees them. truths: what it is held against. ceiling: scores of the uncompressed pictures.

    pictures: how many all curves are over; left_out: those of which some reading is not there or failed. draws: of the bootstrap;
    0 for too few pictures. nothing: why there are no scores, and then no curves; None if there are.
    """

    task: str
    network: str
    truths: Truths
    metrics: tuple[Metric, ...]
    pictures: int
    left_out: tuple[str, ...]
    draws: int
    ceiling: tuple[float, ...]
    anchor: str
    curves: tuple[ScoreCurve, ...]
    deltas: tuple[Delta, ...]
    nothing: str | None = None


@dataclass(frozen=True)
class _Drawn:
    """A codec's rates and scores, ``(draws + 1, points)`` of each; the first row is that of the pictures themselves."""

    label: str
    qualities: tuple[float, ...]
    bpp: NDArray[np.float64]
    scores: NDArray[np.float64]
    others: NDArray[np.float64]


def accuracies(
    readings: Sequence[Reading], anchor: str, scoring: Callable[[str], Scoring[Any, Any, Any]], draws: int, seed: int = 1
) -> tuple[Accuracy, ...]:
    """For each network of the readings its accuracy by labels, where there are some, and by agreement.

    anchor: a label of the readings; without readings of it there are no deltas.
    """
    found: list[Accuracy] = []
    for task, network in dict.fromkeys((one.task, one.network) for one in readings):
        of_network = [one for one in readings if (one.task, one.network) == (task, network)]
        labelled = [one for one in of_network if one.truth_id is not None]
        if labelled:
            found.append(_accuracy(labelled, lambda one: one.labelled, "labels", scoring(task), anchor, draws, seed))
        found.append(_accuracy(of_network, lambda one: one.agreement, "agreement", scoring(task), anchor, draws, seed))
    return tuple(found)


def _accuracy(
    readings: Sequence[Reading],
    tally: Callable[[Reading], Any],
    truths: Truths,
    scoring: Scoring[Any, Any, Any],
    anchor: str,
    draws: int,
    seed: int,
) -> Accuracy:
    """readings: of one network, of the pictures that are to be scored; some may have failed."""
    cells = {(one.label, one.quality, one.picture): one for one in readings if one.error is None and tally(one) is not None}
    settings = sorted({(label, quality) for label, quality, _ in cells}, key=lambda pair: (pair[0], pair[1] or 0))
    every = sorted({one.picture for one in readings})
    names = [name for name in every if cells and all((*setting, name) in cells for setting in settings)]
    left_out = tuple(name for name in every if name not in set(names))
    labels = tuple(dict.fromkeys(one.label for one in readings if one.label != UNCOMPRESSED))
    blank = Accuracy(readings[0].task, readings[0].network, truths, scoring.metrics, len(names), left_out, 0, (), anchor, (), ())
    if not names:
        return _without_scores(blank, labels, "no picture has a reading of every codec and quality")
    enough = len(names) >= _LEAST_PICTURES
    weights = np.vstack([np.ones((1, len(names)), np.int64), *([draw_weights(len(names), draws, seed)] if enough else [])])

    def scores_of(label: str, quality: float | None) -> NDArray[np.float64]:
        tallies = [scoring.load(tally(cells[label, quality, name])) for name in names]
        return scoring.scores(tallies, weights)

    ceilings = scores_of(UNCOMPRESSED, None) if (UNCOMPRESSED, None) in settings else np.full((len(weights), 1), np.nan)
    drawn: list[_Drawn] = []
    for label in labels:
        qualities = tuple(quality for name, quality in settings if name == label and quality is not None)
        if not qualities:
            continue
        rates = np.array([[cells[label, quality, name].bpp or 0.0 for name in names] for quality in qualities])
        scores = np.stack([scores_of(label, quality) for quality in qualities], 1)
        drawn.append(_Drawn(label, qualities, weights @ rates.T / len(names), scores[:, :, 0], scores[0]))
    if np.isnan(ceilings[0, 0]) and all(np.isnan(one.scores[0]).all() for one in drawn):
        return _without_scores(blank, labels, scoring.nothing)
    base = next((one for one in drawn if one.label == anchor), None)
    return replace(
        blank,
        draws=len(weights) - 1,
        ceiling=tuple(float(value) for value in ceilings[0]),
        curves=tuple(_curve(one, ceilings[:, 0]) for one in drawn),
        deltas=tuple(_delta(base, one) for one in drawn if one is not base) if base else (),
    )


def _without_scores(blank: Accuracy, labels: Sequence[str], nothing: str) -> Accuracy:
    deltas = tuple(Delta(label, None, None, nothing) for label in labels if label != blank.anchor and blank.anchor in labels)
    return replace(blank, deltas=deltas, nothing=nothing)


def _curve(drawn: _Drawn, ceilings: NDArray[np.float64]) -> ScoreCurve:
    points = tuple(
        ScorePoint(quality, float(drawn.bpp[0, i]), tuple(map(float, drawn.others[i])), *_interval(drawn.scores[1:, i]))
        for i, quality in enumerate(drawn.qualities)
    )
    needed = tuple(_needed(drawn, share * ceilings) for share in SHARES)
    return ScoreCurve(drawn.label, points, needed)


def _needed(drawn: _Drawn, wanted: NDArray[np.float64]) -> Estimate | None:
    if wanted[0] == 0:
        return None  # every file keeps a score of nothing
    found = _estimate([_rate_for(drawn.bpp[d], drawn.scores[d], float(wanted[d])) for d in range(len(drawn.bpp))])
    if found is not None and not (drawn.scores[0] < wanted[0]).any():
        return replace(found, low=None, high=None, at_most=True)
    return found


def _rate_for(bpp: NDArray[np.float64], scores: NDArray[np.float64], wanted: float) -> float | None:
    """The least rate from which on the curve, straight between its points over log rate, stays at ``wanted`` or above.

    The first point's rate where all points do.
    """
    if not scores[-1] >= wanted:
        return None
    below = np.flatnonzero(scores < wanted)
    if not len(below):
        return float(bpp[0])
    i = int(below[-1])
    part = (wanted - scores[i]) / (scores[i + 1] - scores[i])
    return float(bpp[i] * (bpp[i + 1] / bpp[i]) ** part)


def _delta(anchor: _Drawn, test: _Drawn) -> Delta:
    if np.ptp(anchor.scores[0]) == np.ptp(test.scores[0]) == 0:
        why = "score 0" if anchor.scores[0, 0] == test.scores[0, 0] == 0 else "have one score; lower the rates"
        return Delta(test.label, None, None, f"all points of {anchor.label} and of {test.label} {why}")
    rate, no_rate = _difference(lambda d: _bd(bd_rate(_at(anchor, d), _at(test, d), fit="isotonic")), len(anchor.bpp))
    score, no_score = _difference(lambda d: _bd(bd_quality(_at(anchor, d), _at(test, d), fit="isotonic")), len(anchor.bpp))
    refusals = dict.fromkeys(why for why in (no_rate, no_score) if why is not None)
    return Delta(test.label, rate, score, "; ".join(refusals) or None)


def _bd(result: BdRate | BdQuality) -> tuple[float, tuple[str, ...]]:
    return (result.value_percent if isinstance(result, BdRate) else result.value), result.basis.notes


def _difference(figure: Callable[[int], tuple[float, tuple[str, ...]]], draws: int) -> tuple[Estimate | None, str | None]:
    """A figure of all draws, the first that of the pictures themselves; or why there is none."""
    try:
        first, notes = figure(0)
    except CurveError as error:
        return None, str(error)
    return _estimate([first, *(_or_none(lambda d: figure(d)[0], d) for d in range(1, draws))], notes), None


def _at(drawn: _Drawn, d: int) -> Curve:
    return Curve(drawn.label, tuple(map(float, drawn.bpp[d])), tuple(map(float, drawn.scores[d])), "%")


def _or_none(figure: Callable[[int], float], d: int) -> float | None:
    try:
        return figure(d)
    except CurveError:
        return None


def _estimate(values: Sequence[float | None], notes: tuple[str, ...] = ()) -> Estimate | None:
    """Of the value of the pictures themselves, and then those of the draws. None if the first is."""
    if values[0] is None:
        return None
    good = [value for value in values[1:] if value is not None and math.isfinite(value)]
    share = len(good) / max(1, len(values) - 1)
    if share < _LEAST_DRAWS:
        return Estimate(values[0], None, None, share, notes)
    return Estimate(values[0], *_interval(np.array(good)), share, notes)


def _interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    """The bounds of the middle 95 % of the draws ``(draws,)``; NaN where there are none, or more than a tenth have no figure."""
    known = drawn[~np.isnan(drawn)]
    if known.size < max(1.0, _LEAST_DRAWS * drawn.size):
        return math.nan, math.nan
    low, high = np.percentile(known, _EDGES)
    return float(low), float(high)
