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
LEAST_POINTS: Final = 4
RECOMMENDED_POINTS: Final = 5
GOOD_OVERLAP: Final = 0.5
"""Below this share a result carries a note."""


@dataclass(frozen=True)
class Curve:
    """Points of one codec, in any order: bits per pixel (or any rate above 0), and a quality that rises with it, in dB.

    MS-SSIM goes in as dB (``foveal.metrics.ssim.ssim_db``), as the field compares it.
    """

    label: str
    bpp: tuple[float, ...]
    quality_db: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.bpp) != len(self.quality_db):
            raise CurveError(f"{self.label}: {len(self.bpp)} rates and {len(self.quality_db)} qualities; one of each a point")


@dataclass(frozen=True)
class Basis:
    """What a Bjøntegaard delta stands on.

    method: the interpolation. fitted: whether points were left out to make a curve rise (its Pareto front).
    low, high: the part that was integrated, in dB for a BD-rate, in log10(bpp) for a BD-quality.
    overlap: that part as a share of the narrower curve's range, 0..1. notes: what a reader should know, in words.
    """

    method: Interpolation
    fitted: bool
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
    """Mean change of quality at equal rate against the anchor, in dB; positive = better."""

    value_db: float
    basis: Basis


def bd_rate(anchor: Curve, test: Curve, *, method: Interpolation = "pchip", monotone_fit: bool = False) -> BdRate:
    """BD-rate of ``test`` against ``anchor``: log10 of the rate interpolated over quality.

    With ``monotone_fit`` a curve that does not rise is replaced by its Pareto front: points that are no better than a
    cheaper one are left out, and the result says so.

    Raises:
        CurveError: fewer than 4 different points, values that are not finite, a rate not above 0, a curve that does not
            rise (without ``monotone_fit``), or qualities that do not overlap. MissingDependencyError: no bjontegaard.
    """
    (anchor_points, test_points), fitted, notes = _prepare(anchor, test, monotone_fit)
    (r1, q1), (r2, q2) = _columns(anchor_points), _columns(test_points)
    basis = _basis(method, fitted, notes, q1, q2, f"the qualities of {anchor.label} and {test.label}", "dB")
    _check_library()
    from bjontegaard import bd_rate as measure  # slow: it imports SciPy and matplotlib

    value = float(measure(r1, q1, r2, q2, method, require_matching_points=False, min_overlap=0))
    return BdRate(_finite(value, anchor, test), basis)


def bd_quality(anchor: Curve, test: Curve, *, method: Interpolation = "pchip", monotone_fit: bool = False) -> BdQuality:
    """BD-quality (BD-PSNR) of ``test`` against ``anchor`` in dB: quality interpolated over log10 of the rate.

    Raises as ``bd_rate``; it is the rates that must overlap.
    """
    (anchor_points, test_points), fitted, notes = _prepare(anchor, test, monotone_fit)
    (r1, q1), (r2, q2) = _columns(anchor_points), _columns(test_points)
    logs = [math.log10(rate) for rate in r1], [math.log10(rate) for rate in r2]
    basis = _basis(method, fitted, notes, *logs, f"the rates of {anchor.label} and {test.label}", "log10(bpp)")
    _check_library()
    from bjontegaard import bd_psnr as measure  # slow: it imports SciPy and matplotlib

    value = float(measure(r1, q1, r2, q2, method, require_matching_points=False, min_overlap=0))
    return BdQuality(_finite(value, anchor, test), basis)


_Points = list[tuple[float, float]]


def _prepare(anchor: Curve, test: Curve, monotone_fit: bool) -> tuple[tuple[_Points, _Points], bool, list[str]]:
    ready: list[_Points] = []
    notes: list[str] = []
    fitted = False
    for curve in (anchor, test):
        points = _sorted_points(curve)
        front = _pareto_front(points)
        if len(front) < len(points):
            if not monotone_fit:
                raise CurveError(f"{curve.label} does not rise: {_first_fall(points)}; allow a fit with monotone_fit=True")
            fitted = True
            notes.append(
                f"{curve.label}: {len(points) - len(front)} of {len(points)} points no better than a cheaper one left out"
            )
        if len(front) < LEAST_POINTS:
            raise CurveError(
                f"{curve.label} has {len(front)} usable points; {LEAST_POINTS} are needed, {RECOMMENDED_POINTS} recommended"
            )
        if len(front) < RECOMMENDED_POINTS:
            notes.append(f"{curve.label}: {len(front)} points, {RECOMMENDED_POINTS} are recommended")
        ready.append(front)
    return (ready[0], ready[1]), fitted, notes


def _sorted_points(curve: Curve) -> _Points:
    for rate, quality in zip(curve.bpp, curve.quality_db, strict=True):
        if not (math.isfinite(rate) and math.isfinite(quality)) or rate <= 0:
            raise CurveError(
                f"{curve.label} holds the point ({rate} bpp, {quality} dB); finite values and a rate above 0 are needed"
            )
    return sorted(set(zip(curve.bpp, curve.quality_db, strict=True)))


def _pareto_front(points: _Points) -> _Points:
    front: _Points = []
    for rate, quality in points:
        if front and rate == front[-1][0] and quality > front[-1][1]:
            front[-1] = (rate, quality)
        elif not front or quality > front[-1][1]:
            front.append((rate, quality))
    return front


def _first_fall(points: _Points) -> str:
    for (r1, q1), (r2, q2) in pairwise(points):
        if r1 == r2 or q2 <= q1:
            return f"{q1:.4g} dB at {r1:.4g} bpp, then {q2:.4g} dB at {r2:.4g} bpp"
    raise AssertionError("only called for a curve that falls")


def _columns(points: _Points) -> tuple[list[float], list[float]]:
    return [rate for rate, _ in points], [quality for _, quality in points]


def _basis(
    method: Interpolation, fitted: bool, notes: list[str], base1: list[float], base2: list[float], what: str, unit: str
) -> Basis:
    low, high = max(base1[0], base2[0]), min(base1[-1], base2[-1])
    if low >= high:
        spans = f"{base1[0]:.4g}..{base1[-1]:.4g} and {base2[0]:.4g}..{base2[-1]:.4g} {unit}"
        raise CurveError(f"{what} do not overlap: {spans}; measure more settings")
    overlap = (high - low) / min(base1[-1] - base1[0], base2[-1] - base2[0])
    if overlap < GOOD_OVERLAP:
        notes = [*notes, f"{what} share only {overlap:.0%} of the narrower range"]
    return Basis(method, fitted, low, high, overlap, tuple(notes))


def _finite(value: float, anchor: Curve, test: Curve) -> float:
    if not math.isfinite(value):
        raise CurveError(f"the delta between {anchor.label} and {test.label} is {value}; their points cannot be interpolated")
    return value


def _check_library() -> None:
    if importlib.util.find_spec("bjontegaard") is None:
        raise MissingDependencyError("Bjøntegaard deltas need bjontegaard; pip install bjontegaard")
