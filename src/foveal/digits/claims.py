"""The thesis' claims, asked of measured points: numbers with intervals, and what contradicts them.

A draw of the bootstrap takes as many seeds as there are, with replacement and the same for all points, and as many test
digits, also the same for all. Three seeds are few: intervals say more of the digits than of the training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from foveal.digits.surface import lower_envelope
from foveal.errors import CurveError

Numbers = npt.NDArray[np.float64]

DRAWS: Final = 300
_SEED: Final = 20240
_LEVELS: Final = 6
_REACHED: Final = 0.9  # of the draws in which a curve has to reach a rate to be told of there


@final
@dataclass(frozen=True, eq=False)
class Grid:
    """What each codec gave on each digit.

    rate_bits, mse, frozen_percent, held_out_percent ``(distortion weights, classification weights, seeds, digits)`` float32;
    the weights rise.
    """

    distortion_weights: tuple[float, ...]
    classification_weights: tuple[float, ...]
    rate_bits: npt.NDArray[np.float32]
    mse: npt.NDArray[np.float32]
    frozen_percent: npt.NDArray[np.float32]
    held_out_percent: npt.NDArray[np.float32]
    ideal_bits: npt.NDArray[np.float32] | None = None
    """What tables say that symbols take, for the envelope without the rounding to bytes."""


@dataclass(frozen=True)
class Interval:
    """A value and the middle 95 % of the bootstrap's draws."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies above or below 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True)
class Step:
    """What changes from one weight of distortion to the next at one weight of classification: bits, MSE, points of percent."""

    classification_weight: float
    coarse: float
    fine: float
    rate_bits: Interval
    mse: Interval
    error: Interval


@dataclass(frozen=True)
class Exchange:
    """At one rate, what a weight of classification changes against none: MSE, and points of percent of both classifiers' errors.

    kept: how much of the fall of the frozen classifier's errors the held-out one has too, 1 for all of it; None where the frozen
    one's errors do not surely fall.
    """

    rate_bits: float
    classification_weight: float
    mse: Interval
    frozen: Interval
    held_out: Interval
    kept: Interval | None


@dataclass(frozen=True)
class Above:
    """How many bits points lie above the lower convex envelope of all of them, in order of the points."""

    bits: tuple[float, ...]
    mean: float
    median: float
    greatest: float
    on_it: float
    """The share of points within half a bit."""


@dataclass(frozen=True)
class Beaten:
    """A point (distortion weight, classification weight) that another beats in rate, distortion and error alike.

    share: of the draws in which it is so.
    """

    point: tuple[float, float]
    by: tuple[float, float]
    rate_bits: float
    mse: float
    error: float
    share: float


@dataclass(frozen=True)
class Claims:
    """What was found.

    rate_and_mse, rate_and_error: rank correlations over the means of all points. of_means: over means of seeds, against the
    envelope of these, of_ideal the same with ideal bits; of_runs: single runs against the envelope of all runs. beaten: pairs of means; beaten_runs: how many single
    runs some other run beats, of how many. rising_held_out: how far the held-out error lies above the frozen one's, by weight of
    classification, in points of percent, over all weights of distortion.
    """

    rate_and_mse: Interval
    rate_and_error: Interval
    steps: tuple[Step, ...]
    exchanges: tuple[Exchange, ...]
    of_means: Above
    of_runs: Above
    of_ideal: Above | None
    mean_gap: Interval
    beaten: tuple[Beaten, ...]
    beaten_runs: tuple[int, int]
    held_out_excess: tuple[tuple[float, Interval], ...]


def check_claims(grid: Grid, draws: int = DRAWS) -> Claims:
    """Raises CurveError: fewer than two weights of a kind, or points that no envelope can be laid under."""
    if len(grid.distortion_weights) < 2 or len(grid.classification_weights) < 2:
        raise CurveError(
            f"{len(grid.distortion_weights)} weights of distortion and {len(grid.classification_weights)} of classification; two of each are needed"
        )
    drawn = _drawn(grid, draws)
    single = np.stack([getattr(grid, name).mean(3, dtype=np.float64) for name in _PARTS])
    rate, mse, error = single[:3].reshape(3, -1)
    of_means = _above(*drawn[:3, 0].reshape(3, -1))
    gaps = np.array([of_means.mean, *(_mean_gap(one.reshape(3, -1)) for one in np.moveaxis(drawn[:3, 1:], 1, 0))])
    return Claims(
        rate_and_mse=_interval(_rank_correlation(drawn[0], drawn[1])),
        rate_and_error=_interval(_rank_correlation(drawn[0], drawn[2])),
        steps=tuple(_steps(grid, drawn)),
        exchanges=tuple(_exchanges(grid, drawn)),
        of_means=of_means,
        of_runs=_above(rate, mse, error),
        of_ideal=None if grid.ideal_bits is None else _above(_all_means(grid.ideal_bits), *drawn[1:3, 0].reshape(2, -1)),
        mean_gap=_interval(gaps),
        beaten=tuple(_beaten(grid, drawn)),
        beaten_runs=(int(_beats(rate, mse, error).any(0).sum()), len(rate)),
        held_out_excess=tuple(
            (weight, _interval((drawn[3] - drawn[2])[:, :, j].mean(1))) for j, weight in enumerate(grid.classification_weights)
        ),
    )


_PARTS: Final = ("rate_bits", "mse", "frozen_percent", "held_out_percent")


def _drawn(grid: Grid, draws: int) -> Numbers:
    """Means over seeds and digits, ``(4, 1 + draws, distortion weights, classification weights)``; the first is of all as measured."""
    d, c, seeds, digits = grid.rate_bits.shape
    chance = np.random.default_rng(_SEED)
    of_digits = chance.multinomial(digits, np.full(digits, 1 / digits), draws).astype(np.float32)
    of_digits = np.concatenate([np.ones((1, digits), np.float32), of_digits]) / np.float32(digits)
    of_seeds = np.concatenate([np.ones((1, seeds)), chance.multinomial(seeds, np.full(seeds, 1 / seeds), draws)]) / seeds
    means = [(of_digits @ getattr(grid, name).reshape(-1, digits).T).reshape(-1, d, c, seeds) for name in _PARTS]
    return np.stack([np.einsum("bdcs,bs->bdc", mean, of_seeds) for mean in means])


def _interval(values: Numbers) -> Interval:
    """The first is the value, the rest are draws; those that are not finite are left out."""
    known = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(known, [0.025, 0.975]) if known.size else (np.nan, np.nan)
    return Interval(float(values[0]), float(low), float(high))


def _rank_correlation(a: Numbers, b: Numbers) -> Numbers:
    """Spearman's, of arrays ``(draws, ...)`` over all but the first axis."""
    ranks = [x.reshape(len(x), -1).argsort(1).argsort(1).astype(np.float64) for x in (a, b)]
    centred = [rank - rank.mean(1, keepdims=True) for rank in ranks]
    return (centred[0] * centred[1]).sum(1) / np.sqrt(np.square(centred[0]).sum(1) * np.square(centred[1]).sum(1))


def _steps(grid: Grid, drawn: Numbers) -> list[Step]:
    change = np.diff(drawn[:3], axis=2)
    weights = grid.distortion_weights
    return [
        Step(c, weights[i], weights[i + 1], *(_interval(change[part, :, i, j]) for part in range(3)))
        for j, c in enumerate(grid.classification_weights)
        for i in range(len(weights) - 1)
    ]


def _exchanges(grid: Grid, drawn: Numbers) -> list[Exchange]:
    """At rates within the curve without a classifier, wherever another curve reaches them."""
    rates = drawn[0, 0, :, 0]
    if not 0 < rates.min() < rates.max():
        return []
    found: list[Exchange] = []
    levels: list[float] = np.geomspace(float(rates.min()), float(rates.max()), _LEVELS + 2)[1:-1].tolist()
    for rate in levels:
        at = np.array([[at_rate(one[:, :, j], rate) for j in range(one.shape[2])] for one in np.moveaxis(drawn, 1, 0)])
        for j, weight in enumerate(grid.classification_weights[1:], 1):
            change = at[:, j] - at[:, 0]
            if not np.isfinite(change[0]).all() or np.isfinite(change).all(1).mean() < _REACHED:
                continue
            mse, frozen, held_out = (_interval(change[:, part]) for part in range(3))
            fall = np.where(change[:, 1] == 0, np.nan, change[:, 1])
            kept = _interval(change[:, 2] / fall) if frozen.sign < 0 else None
            found.append(Exchange(rate, weight, mse, frozen, held_out, kept))
    return found


def at_rate(curve: Numbers, rate_bits: float) -> Numbers:
    """MSE and both errors ``(3,)`` at a rate on a curve ``(4, points)`` of rates, MSE and errors; NaN beyond its ends.

    Between two points in order of rate a mixture of both is taken. Points that another of the curve beats in rate, MSE and error
    of the frozen classifier are left out.
    """
    kept: Numbers = curve[:, ~_beats(*curve[:3]).any(0)]
    order = kept[0].argsort()
    rates: Numbers = kept[0, order]
    out = np.full(len(curve) - 1, np.nan)
    if rates[0] <= rate_bits <= rates[-1]:
        for part in range(len(out)):
            out[part] = np.interp(rate_bits, rates, kept[part + 1, order])
    return out


def _above(rate: Numbers, mse: Numbers, error: Numbers) -> Above:
    gaps = np.maximum(rate - lower_envelope(mse, error, rate).rate_bits(mse, error), 0)
    return Above(tuple(gaps.tolist()), float(gaps.mean()), float(np.median(gaps)), float(gaps.max()), float((gaps <= 0.5).mean()))


def _all_means(parts: npt.NDArray[np.float32]) -> Numbers:
    return parts.mean((2, 3), dtype=np.float64).reshape(-1)


def _mean_gap(points: Numbers) -> float:
    """NaN for a draw under which no envelope can be laid."""
    try:
        return _above(*points).mean
    except CurveError:
        return float("nan")


def _beats(rate: Numbers, mse: Numbers, error: Numbers) -> npt.NDArray[np.bool_]:
    """``(n, n)``: whether the row's point has less of all three than the column's; arrays ``(..., n)``."""
    return np.logical_and.reduce([x[..., :, None] < x[..., None, :] for x in (rate, mse, error)])


def _beaten(grid: Grid, drawn: Numbers) -> list[Beaten]:
    names = [(d, c) for d in grid.distortion_weights for c in grid.classification_weights]
    flat = drawn[:3].reshape(3, drawn.shape[1], -1)
    beats = _beats(*flat)
    share = beats[1:].mean(0)
    found = [
        Beaten(names[j], names[i], *(flat[:, 0, j] - flat[:, 0, i]).tolist(), share=float(share[i, j]))
        for i, j in np.argwhere(beats[0]).tolist()
    ]
    return sorted(found, key=lambda one: (-one.share, -one.rate_bits))
