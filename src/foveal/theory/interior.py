"""Least mutual information under two bounds on expected distortions, for many pairs of bounds at once, with certificates.

What Blahut and Arimoto iterate towards is solved by Newton steps here: with K(x, y) = exp(-s·d(x, y)) the function is the saddle value

    min over q >= 0, max over s >= 0 of   -Σ p(x) ln Σ q(y) K(x, y) - s·bound + Σ q(y) - 1,

convex in the output law q and concave in the two multipliers s. A primal-dual interior-point method follows its central path. Every iterate
is a channel q(y) K(x, y) / Z(x), so every iterate bounds the answer from both sides (docs/theory.md, "The certificate").

Reference: Blahut 1972; Csiszár 1974 for the dual; the method on the saddle, batched, is ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from foveal.theory.arrays import Array
from foveal.theory.saddle import Moments, Problem, Solved, Start, bounds_of, moments

_MOST_CELLS: Final = 1_000_000
"""Points x symbols x letters that are worked on at a time; more would leave the caches of a core."""
_ROUNDS: Final = 100


def solve(problem: Problem, tolerance: float | Array, start: Start | None = None) -> Solved:
    """Bounds in nats that are ``tolerance`` apart, one for all points or (points,), or as near as they got in 100 steps.

    A point that did not get there is tried again from the beginning with short, careful steps.
    """
    count, size = len(problem.bounds), problem.letters.shape[1] * problem.letters.shape[2]
    step = max(1, _MOST_CELLS // size)
    each = np.broadcast_to(np.asarray(tolerance, dtype=np.float64), (count,))
    parts: list[Solved] = []
    for begin in range(0, count, step):
        part = slice(begin, begin + step)
        inner = problem.at(part)
        inner = replace(inner, costs=np.where(inner.letters[:, None], inner.costs, 0.0))
        largest = inner.costs.max(axis=(0, 2, 3))
        scale = np.where(largest > 0, largest, 1.0)
        solved = _scaled(inner, scale, each[part], None if start is None else start.at(part))
        again = np.flatnonzero(~(solved.upper - solved.lower <= each[part]))
        if len(again):
            solved = _better(solved, again, _scaled(inner.at(again), scale, each[part][again], None, careful=True))
        parts.append(solved)
    ends = [part.end for part in parts]
    end = Start(*(np.concatenate([getattr(e, name) for e in ends]) for name in ("q", "z", "s", "u")))
    return Solved(np.concatenate([p.lower for p in parts]), np.concatenate([p.upper for p in parts]), end)


def _scaled(problem: Problem, scale: Array, tolerance: Array, start: Start | None, *, careful: bool = False) -> Solved:
    unit = replace(
        problem,
        costs=problem.costs / scale[:, None, None],
        bounds=problem.bounds / scale,
        room=problem.room / scale[:, None],
    )
    begin = None if start is None else replace(start, s=start.s * scale, u=start.u / scale)
    solved = _Path(unit, begin, careful).walk(tolerance)
    return replace(solved, end=replace(solved.end, s=solved.end.s / scale, u=solved.end.u * scale))


def _better(old: Solved, points: NDArray[np.int64], new: Solved) -> Solved:
    lower, upper = old.lower.copy(), old.upper.copy()
    gain = (new.upper - new.lower) <= (upper - lower)[points]
    lower[points], upper[points] = np.maximum(lower[points], new.lower), np.minimum(upper[points], new.upper)
    values: dict[str, Array] = {}
    for name in ("q", "z", "s", "u"):
        values[name] = getattr(old.end, name).copy()
        values[name][points[gain]] = getattr(new.end, name)[gain]
    return Solved(lower, upper, Start(**values))


class _Path:
    """The central path of the points of one problem, in units where the largest cost is 1."""

    def __init__(self, problem: Problem, start: Start | None, careful: bool) -> None:
        count, letters = len(problem.bounds), problem.letters.shape[2]
        self.problem = problem
        self.present = np.array([kind != "none" for kind in problem.constraints])
        self.slack = np.array([kind == "most" for kind in problem.constraints])
        self.fraction, self.least_centring = (0.7, 0.3) if careful else (0.95, 0.05)
        usable = problem.letters.any(axis=1)
        if start is None:
            q = np.where(usable, 1.0, 0.0) / usable.sum(axis=1, keepdims=True)
            q = np.broadcast_to(q, (count, letters)).copy()
            s = np.tile(np.where(self.slack, 2.0, 0.0), (count, 1))
            start = Start(q, np.ones((count, letters)), s, np.maximum(problem.bounds, 0.1))
        self.now = start

    def walk(self, tolerance: Array) -> Solved:
        """Until the bounds of all points meet, or for 100 steps. A point that overflows keeps what it had."""
        with np.errstate(all="ignore"):
            return self._walk(tolerance)

    def _walk(self, tolerance: Array) -> Solved:
        problem, now = self.problem, self.now
        count = len(problem.bounds)
        lower, upper = np.full(count, -np.inf), np.full(count, np.inf)
        last = Start(now.q.copy(), now.z.copy(), now.s.copy(), now.u.copy())
        active, step = np.arange(count), np.ones(count)
        for _ in range(_ROUNDS):
            found = moments(problem.p, problem.costs, problem.letters, now.q, now.s)
            low, high = bounds_of(problem, now, found, self.present, self.slack)
            sound = np.isfinite(now.s).all(axis=1) & np.isfinite(now.q).all(axis=1) & np.isfinite(found.use).all(axis=1)
            low, high = np.where(sound, low, -np.inf), np.where(sound, high, np.inf)
            lower[active], upper[active] = np.maximum(lower[active], low), np.minimum(upper[active], high)
            kept = active[sound]
            last.q[kept], last.z[kept], last.s[kept], last.u[kept] = now.q[sound], now.z[sound], now.s[sound], now.u[sound]
            going = sound & ~((upper - lower <= tolerance)[active])
            if not going.any():
                break
            if not going.all():
                active, step, rest = active[going], step[going], np.flatnonzero(going)
                problem, now = problem.at(rest), now.at(rest)
                names = ("weights", "log_z", "use", "mean", "covariance", "cross")
                found = Moments(*(getattr(found, name)[rest] for name in names))
            now, step = self._newton(problem, now, found, step)
        return Solved(lower, upper, last)

    def _newton(self, problem: Problem, now: Start, m: Moments, before: Array) -> tuple[Start, Array]:
        """One step towards a point nearer the end of the path, and how much of it was taken."""
        q, z, s, u = now.q, now.z, now.s, now.u
        letters = q.shape[1]
        slack, present = self.slack, self.present
        gap = ((q * z).sum(axis=1) + (s * u * slack).sum(axis=1)) / (letters + int(slack.sum()))
        centring = np.maximum(np.where(before > 0.9, 0.05, np.where(before > 0.5, 0.2, 0.5)), self.least_centring)
        aim = (centring * gap)[:, None]
        free = np.maximum(s, 1e-300)
        right_q = -(1 - m.use - z) + aim / q - z
        right_s = -(problem.bounds - m.mean - u * slack) + np.where(slack, aim / free - u, 0.0)
        cross = m.cross * present
        solved = _reduced(m.weights * np.sqrt(problem.p)[:, None], q / z, np.concatenate([right_q[:, :, None], cross], axis=2))
        direct, through = solved[:, :, 0], solved[:, :, 1:]
        inner = m.covariance * np.outer(present, present) + np.matmul(cross.transpose(0, 2, 1), through)
        diagonal = np.arange(2)
        inner[:, diagonal, diagonal] += np.where(present, np.where(slack, u / free, 1e-14), 1.0)
        towards = np.where(present, right_s + np.matmul(cross.transpose(0, 2, 1), direct[:, :, None])[:, :, 0], 0.0)
        ds = _solve_two(inner, towards)
        dq = direct - np.matmul(through, ds[:, :, None])[:, :, 0]
        dz = aim / q - z - z / q * dq
        du = np.where(slack, aim / free - u - u / free * ds, 0.0)
        longest = np.maximum.reduce(
            [_shrink(q, dq), _shrink(z, dz), _shrink(free, ds * slack), _shrink(u, du), np.full(len(q), 1e-9)]
        )
        taken = np.minimum(1.0, self.fraction / longest)
        taken = np.minimum(taken, (3 + np.abs(s).max(axis=1)) / np.maximum(np.abs(ds).max(axis=1), 1e-12))
        part = taken[:, None]
        return Start(q + part * dq, z + part * dz, s + part * ds, u + part * du), taken


def _shrink(values: Array, moves: Array) -> Array:
    return np.max(-moves / values, axis=1)


def _solve_two(matrix: Array, right: Array) -> Array:
    """2x2 systems, by Cramer's rule: a singular one gives no error but numbers that ``walk`` sees."""
    a, b, c, d = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1]
    with np.errstate(all="ignore"):
        return np.stack([d * right[:, 0] - b * right[:, 1], a * right[:, 1] - c * right[:, 0]], axis=1) / (a * d - b * c)[:, None]


def _reduced(w: Array, ratio: Array, right: Array) -> Array:
    """(diag(1/ratio) + wᵀw)⁻¹ right, by the smaller of the two Gram matrices."""
    root = np.sqrt(ratio)
    w = w * root[:, None, :]
    right = right * root[:, :, None]
    symbols, letters = w.shape[1:]
    across = w.transpose(0, 2, 1)
    with np.errstate(all="ignore"):
        if letters <= symbols:
            gram = np.matmul(across, w)
            gram[:, np.arange(letters), np.arange(letters)] += 1
            solved = cast("Array", np.linalg.solve(gram, right))
        else:
            gram = np.matmul(w, across)
            gram[:, np.arange(symbols), np.arange(symbols)] += 1
            inner = cast("Array", np.linalg.solve(gram, np.matmul(w, right)))
            solved = right - np.matmul(across, inner)
        return solved * root[:, :, None]
