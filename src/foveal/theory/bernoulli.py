"""Closed forms for a binary source with Hamming distortion, under both definitions (docs/theory.md has the derivations).

X = 1 with probability p, and the label S differs from X with probability flips[X]. Rates are in bits; ``math.inf`` means that no code
reaches the point, whatever its rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from foveal.theory.arrays import flip_pair, number, probability

_STEPS: Final = 200
_ROUNDING: Final = 1e-13
"""Points that miss a border by less are on it."""


def binary_entropy(p: float) -> float:
    """h(p) in bits."""
    return 0.0 if p <= 0 or p >= 1 else -(p * math.log2(p) + (1 - p) * math.log2(1 - p))


def inverse_entropy(bits: float) -> float:
    """The p of 0..1/2 with h(p) = bits. bits: 0..1, beyond it the nearest end."""
    if bits >= 1:
        return 0.5
    return 0.0 if bits <= 0 else _root(lambda p: binary_entropy(p) - bits, 0.0, 0.5)


def convolve(a: float, b: float) -> float:
    """The flip a * b = a(1 - b) + b(1 - a): the probability that one of two independent flips happens, and not both."""
    return a * (1 - b) + b * (1 - a)


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def _bound(value: float, what: str) -> float:
    """Errors, of either kind, and entropies lie in 0..1: beyond that a bound says no more than -1 or 2 do, and those are finite."""
    return min(max(number(value, what), -1.0), 2.0)


def bernoulli_entropy_rate(p: float, flip: float, distortion: float, equivocation: float) -> float:
    """R(D, C) of the entropy definition: E[Δ] <= D and H(S|U) <= C bits, symmetric labels S = X ⊕ Bernoulli(flip).

    U is what the decoder receives, of any alphabet, from which it makes X̂.

    R = h(p) - h(min(D, d_C)) with h(d_C * flip) = C; 0 where that min is at least min(p, 1-p); inf for D < 0 or C < h(flip).
    A flip of 1/2 makes labels that say nothing: then C < 1 is out of reach and C does not matter otherwise.

    Raises:
        TheoryError: p or flip outside 0..1, or no number.

    Reference: arXiv 2405.04144; the converse is Mrs Gerber's lemma (Wyner and Ziv 1973).
    """
    p, distortion, equivocation = probability(p, "p"), _bound(distortion, "distortion"), _bound(equivocation, "equivocation")
    flip = min(probability(flip, "flip"), 1 - flip)
    if distortion < -_ROUNDING or equivocation < binary_entropy(flip) - _ROUNDING:
        return math.inf
    free = equivocation >= 1 or flip == 0.5
    allowed = 0.5 if free else max((inverse_entropy(equivocation) - flip) / (1 - 2 * flip), 0.0)
    return _plain_rate(p, min(distortion, allowed))


def _plain_rate(p: float, distortion: float) -> float:
    return max(binary_entropy(p) - binary_entropy(min(max(distortion, 0.0), p, 1 - p)), 0.0)


def bernoulli_classifier_rate(p: float, flips: tuple[float, float], distortion: float, error: float) -> float:
    """R(D, C) of the classifier definition: E[Δ] <= D and P(S != X̂) <= C, for c0(x̂) = x̂ and any flips in 0..1.

    With a = P(X = 0, X̂ = 1) and b = P(X = 1, X̂ = 0): E[Δ] = a + b, and P(S != X̂) = P(S != X) + (1 - 2 flips[0]) a + (1 - 2 flips[1]) b,
    so (a, b) lies in a polygon, and R is the least mutual information there. Where both flips are q it is
    h(p) - h(min(D, (C - q) / (1 - 2q))); otherwise the least is on a line, found by bisection of a derivative that is known in closed form.
    inf if the polygon is empty.

    Raises:
        TheoryError: p or a flip outside 0..1, or no number.

    Reference: the symmetric case arXiv 2405.03500 with SYSTEMS.md 3; asymmetric labels are ours.
    """
    p, distortion, error = probability(p, "p"), _bound(distortion, "distortion"), _bound(error, "error")
    flips = flip_pair(flips)
    zero, one = (1 - 2 * flip for flip in flips)
    base = (1 - p) * flips[0] + p * flips[1]
    first, second = (1.0, 1.0, distortion), (zero, one, error - base)
    if not _feasible(p, (first, second)):
        return math.inf
    if _feasible_rate_zero(p, (first, second)):
        return 0.0
    candidates = [_on_line(p, line, other) for line, other in ((first, second), (second, first))]
    corner = _corner(p, first, second)
    return min((rate for rate in (*candidates, corner) if rate is not None), default=math.inf)


_Line = tuple[float, float, float]
"""u a + v b <= w."""


def _range_on(p: float, line: _Line) -> tuple[float, float] | None:
    """The interval of t for which (t, b(t)), or (a, t) if v = 0, is on the line and in the box 0..1-p x 0..p."""
    u, v, w = line
    if v == 0:
        return (0.0, p) if u and -_ROUNDING <= w / u <= 1 - p + _ROUNDING else None
    low, high = 0.0, 1 - p
    if u == 0:
        return (low, high) if -_ROUNDING <= w / v <= p + _ROUNDING else None
    ends = sorted((w / u, (w - v * p) / u))
    low, high = max(low, ends[0]), min(high, ends[1])
    return (low, high) if low <= high + _ROUNDING else None


def _point_on(p: float, line: _Line, t: float) -> tuple[float, float]:
    u, v, w = line
    a, b = (w / u, t) if v == 0 else (t, (w - u * t) / v)
    return min(max(a, 0.0), 1 - p), min(max(b, 0.0), p)


def _holds(line: _Line, point: tuple[float, float]) -> bool:
    return line[0] * point[0] + line[1] * point[1] <= line[2] + _ROUNDING


def _cut(p: float, line: _Line, other: _Line) -> tuple[float, float] | None:
    """The part of the line's interval where the other constraint holds; it is linear in t."""
    found = _range_on(p, line)
    if found is None:
        return None
    low, high = found
    value = [other[0] * a + other[1] * b - other[2] for a, b in (_point_on(p, line, low), _point_on(p, line, high))]
    if min(value) > _ROUNDING:
        return None
    if max(value) <= _ROUNDING:
        return low, high
    cross = min(max(low + (high - low) * value[0] / (value[0] - value[1]), low), high)
    return (cross, high) if value[0] > value[1] else (low, cross)


def _information(p: float, point: tuple[float, float]) -> float:
    """I(X; X̂) in bits of the channel with P(0, 1) = a and P(1, 0) = b."""
    a, b = point
    sent = 1 - p - a + b
    conditional = (1 - p) * binary_entropy(a / (1 - p)) if p < 1 else 0.0
    conditional += p * binary_entropy(b / p) if p > 0 else 0.0
    return max(binary_entropy(sent) - conditional, 0.0)


def _slope(p: float, point: tuple[float, float]) -> tuple[float, float]:
    """The derivatives of I by a and by b in bits, with -inf and inf at the ends."""
    a, b = point
    zero, one = 1 - p - a + b, p + a - b

    def log_ratio(top: float, bottom: float) -> float:
        return -math.inf if top <= 0 else math.inf if bottom <= 0 else math.log2(top / bottom)

    return log_ratio(a * zero, (1 - p - a) * one), log_ratio(b * one, (p - b) * zero)


def _on_line(p: float, line: _Line, other: _Line) -> float | None:
    """The least I on the part of a tight constraint where the other one holds: I is convex there, so its derivative has one root."""
    found = _cut(p, line, other)
    if found is None:
        return None
    low, high = found
    u, v, _ = line
    direction = (0.0, 1.0) if v == 0 else (1.0, -u / v)

    def rising(t: float) -> float:
        slopes = _slope(p, _point_on(p, line, t))
        return sum(d * s for d, s in zip(direction, slopes, strict=True) if d)

    if high - low < _ROUNDING:
        return _information(p, _point_on(p, line, (low + high) / 2))
    t = _root(rising, low, high)
    return _information(p, _point_on(p, line, t))


def _corner(p: float, first: _Line, second: _Line) -> float | None:
    """Where neither line meets the box but a corner of it satisfies both, the box's own corner (0, 0) is left: R = h(p)."""
    return binary_entropy(p) if _holds(first, (0.0, 0.0)) and _holds(second, (0.0, 0.0)) else None


def _corners(p: float) -> tuple[tuple[float, float], ...]:
    return (0.0, 0.0), (1 - p, 0.0), (0.0, p), (1 - p, p)


def _feasible(p: float, lines: tuple[_Line, _Line]) -> bool:
    first, second = lines
    if any(_holds(first, point) and _holds(second, point) for point in _corners(p)):
        return True
    return _cut(p, first, second) is not None or _cut(p, second, first) is not None


def _feasible_rate_zero(p: float, lines: tuple[_Line, _Line]) -> bool:
    """A constant answer of 1 with probability r is a = (1-p) r, b = p (1-r): linear in r."""
    low, high = 0.0, 1.0
    for u, v, w in lines:
        slope, start = u * (1 - p) - v * p, v * p
        if abs(slope) < 1e-300:
            if start > w + _ROUNDING:
                return False
        elif slope > 0:
            high = min(high, (w - start) / slope)
        else:
            low = max(low, (w - start) / slope)
    return low <= high + _ROUNDING
