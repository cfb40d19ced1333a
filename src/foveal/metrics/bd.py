"""Bjøntegaard deltas between two rate-distortion curves, by the bjontegaard library behind guards.

The library gives a number, or NaN, for curves that nobody can compare. Here such curves are refused by name, and a result
says which interpolation it used, over which part of the curves, and whether points had to be left out.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from foveal.errors import CurveError, MissingDependencyError

Interpolation = Literal["pchip", "akima"]
Fit = Literal["pareto", "isotonic"]
"""How a curve that does not rise is made to. pareto: points that are no better than a cheaper one are left out. isotonic: the
rising curve of least squares (pool adjacent violators); points that it pools become one, at their mean log rate and mean quality; of points of one quality the cheapest stays.
"""
LEAST_POINTS: Final = 4
LEAST_ISOTONIC_POINTS: Final = 2
"""Scores of a task soon reach their ceiling, where all points pool into one."""
RECOMMENDED_POINTS: Final = 5
GOOD_OVERLAP: Final = 0.5
"""Below this share a result carries a note."""


@dataclass(frozen=True)
class Curve:
    """Points of one codec, in any order: bits per pixel (or any rate above 0), and a quality that rises with it.

    unit: of the quality: dB, or % for the score of a task. MS-SSIM goes in as dB (``foveal.metrics.ssim.ssim_db``), as the
    field compares it.
    """

    label: str
    bpp: tuple[float, ...]
    quality: tuple[float, ...]
    unit: str = "dB"

    def __post_init__(self) -> None:
        if len(self.bpp) != len(self.quality):
            raise CurveError(f"{self.label}: {len(self.bpp)} rates and {len(self.quality)} qualities; one of each a point")


@dataclass(frozen=True)
class Basis:
    """What a Bjøntegaard delta stands on.

    method: the interpolation. fit: how a curve was made to rise, None if both rose by themselves.
    low, high: the part that was integrated, in the quality's unit for a BD-rate, in log10(bpp) for a BD-quality.
    overlap: that part as a share of the narrower curve's range, 0..1. notes: what a reader should know, in words.
    """

    method: Interpolation
    fit: Fit | None
    low: float
    high: float
    overlap: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BdRate:
    """Mean change of rate at equal quality against the anchor, in percent; negative = fewer bits."""

    value_percent: float
    basis: Basis


@dataclass(frozen=True)
class BdQuality:
    """Mean change of quality at equal rate against the anchor, in the curves' unit; positive = better.

    It is the BD-PSNR of curves in dB, and the BD-accuracy, in points, of curves in percent.
    """

    value: float
    unit: str
    basis: Basis


def bd_rate(anchor: Curve, test: Curve, *, method: Interpolation = "pchip", fit: Fit | None = None) -> BdRate:
    """BD-rate of ``test`` against ``anchor``: log10 of the rate interpolated over quality.

    A curve that does not rise is refused, or made to rise by ``fit``, and the result says so.

    Raises:
        CurveError: fewer than 4 different points (2 after an isotonic fit), values that are not finite, a rate not above 0,
            a curve that does not rise (without ``fit``), or qualities that do not overlap. MissingDependencyError: no
            bjontegaard.
    """
    (anchor_points, test_points), used, notes = _prepare(anchor, test, fit)
    (r1, q1), (r2, q2) = _columns(anchor_points), _columns(test_points)
    basis = _basis(method, used, notes, q1, q2, f"the qualities of {anchor.label} and {test.label}", anchor.unit)
    _check_library()
    from bjontegaard import bd_rate as measure  # slow: it imports SciPy and matplotlib

    value = float(measure(r1, q1, r2, q2, method, require_matching_points=False, min_overlap=0))
    return BdRate(_finite(value, anchor, test), basis)


def bd_quality(anchor: Curve, test: Curve, *, method: Interpolation = "pchip", fit: Fit | None = None) -> BdQuality:
    """BD-quality (BD-PSNR, BD-accuracy) of ``test`` against ``anchor``: quality interpolated over log10 of the rate.

    Raises as ``bd_rate``; it is the rates that must overlap.
    """
    (anchor_points, test_points), used, notes = _prepare(anchor, test, fit)
    (r1, q1), (r2, q2) = _columns(anchor_points), _columns(test_points)
    logs = [math.log10(rate) for rate in r1], [math.log10(rate) for rate in r2]
    basis = _basis(method, used, notes, *logs, f"the rates of {anchor.label} and {test.label}", "log10(bpp)")
    _check_library()
    from bjontegaard import bd_psnr as measure  # slow: it imports SciPy and matplotlib

    value = float(measure(r1, q1, r2, q2, method, require_matching_points=False, min_overlap=0))
    return BdQuality(_finite(value, anchor, test), anchor.unit, basis)


_Points = list[tuple[float, float]]


def _prepare(anchor: Curve, test: Curve, fit: Fit | None) -> tuple[tuple[_Points, _Points], Fit | None, list[str]]:
    if anchor.unit != test.unit:
        raise CurveError(f"{anchor.label} is in {anchor.unit} and {test.label} in {test.unit}; one unit is needed")
    ready: list[_Points] = []
    notes: list[str] = []
    used: Fit | None = None
    for curve in (anchor, test):
        points = _sorted_points(curve)
        rising = _isotonic(points) if fit == "isotonic" else _pareto_front(points)
        least = LEAST_ISOTONIC_POINTS if fit == "isotonic" else LEAST_POINTS
        if len(rising) < len(points):
            if fit is None:
                raise CurveError(f"{curve.label} does not rise: {_first_fall(points, curve.unit)}; allow a fit, fit='pareto'")
            used = fit
            told = "no better than a cheaper one left out" if fit == "pareto" else "pooled with their neighbours"
            notes.append(f"{curve.label}: {len(points) - len(rising)} of {len(points)} points {told}")
        if len(rising) < least:
            raise CurveError(
                f"{curve.label} has {len(rising)} usable points; {least} are needed, {RECOMMENDED_POINTS} recommended"
            )
        if len(rising) < RECOMMENDED_POINTS:
            notes.append(f"{curve.label}: {len(rising)} points, {RECOMMENDED_POINTS} are recommended")
        ready.append(rising)
    return (ready[0], ready[1]), used, notes


def _sorted_points(curve: Curve) -> _Points:
    for rate, quality in zip(curve.bpp, curve.quality, strict=True):
        if not (math.isfinite(rate) and math.isfinite(quality)) or rate <= 0:
            raise CurveError(
                f"{curve.label} holds the point ({rate} bpp, {quality} {curve.unit}); finite values and a rate above 0 are needed"
            )
    return sorted(set(zip(curve.bpp, curve.quality, strict=True)))


def _pareto_front(points: _Points) -> _Points:
    front: _Points = []
    for rate, quality in points:
        if front and rate == front[-1][0] and quality > front[-1][1]:
            front[-1] = (rate, quality)
        elif not front or quality > front[-1][1]:
            front.append((rate, quality))
    return front


def _isotonic(points: _Points) -> _Points:
    """The blocks of pool-adjacent-violators: (geometric mean of the rates, mean quality), strictly rising in both."""
    blocks: list[tuple[float, float, int]] = []  # sums of log rate and of quality, count
    for rate, quality in points:
        if blocks and quality == blocks[-1][1] / blocks[-1][2]:
            continue  # a plateau is as good at its cheapest point
        block = math.log(rate), quality, 1
        while blocks and (
            blocks[-1][1] / blocks[-1][2] >= block[1] / block[2] or blocks[-1][0] / blocks[-1][2] >= block[0] / block[2]
        ):
            last = blocks.pop()
            block = last[0] + block[0], last[1] + block[1], last[2] + block[2]
        blocks.append(block)
    return [(math.exp(log / count), total / count) for log, total, count in blocks]


def _first_fall(points: _Points, unit: str) -> str:
    for (r1, q1), (r2, q2) in pairwise(points):
        if r1 == r2 or q2 <= q1:
            return f"{q1:.4g} {unit} at {r1:.4g} bpp, then {q2:.4g} {unit} at {r2:.4g} bpp"
    raise AssertionError("only called for a curve that falls")


def _columns(points: _Points) -> tuple[list[float], list[float]]:
    return [rate for rate, _ in points], [quality for _, quality in points]


def _basis(
    method: Interpolation, fit: Fit | None, notes: list[str], base1: list[float], base2: list[float], what: str, unit: str
) -> Basis:
    low, high = max(base1[0], base2[0]), min(base1[-1], base2[-1])
    if low >= high:
        spans = f"{base1[0]:.4g}..{base1[-1]:.4g} and {base2[0]:.4g}..{base2[-1]:.4g} {unit}"
        raise CurveError(f"{what} do not overlap: {spans}; measure more settings")
    overlap = (high - low) / min(base1[-1] - base1[0], base2[-1] - base2[0])
    if overlap < GOOD_OVERLAP:
        notes = [*notes, f"{what} share only {overlap:.0%} of the narrower range"]
    return Basis(method, fit, low, high, overlap, tuple(notes))


def _finite(value: float, anchor: Curve, test: Curve) -> float:
    if not math.isfinite(value):
        raise CurveError(f"the delta between {anchor.label} and {test.label} is {value}; their points cannot be interpolated")
    return value


def _check_library() -> None:
    if importlib.util.find_spec("bjontegaard") is None:
        raise MissingDependencyError("Bjøntegaard deltas need bjontegaard; pip install bjontegaard")
