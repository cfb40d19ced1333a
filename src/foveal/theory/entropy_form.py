"""R(D, C) of the entropy definition: min I(X; U) with E[Δ(X, x̂(U))] <= D and H(S|U) <= C bits, U being what the decoder receives.

H(S|U) is the least of E[-log2 u_U(S)] over decoders' posteriors u, one for each value of U. With letters (x̂, u) it is therefore the
two-distortion problem with the second distortion -Σ_s η(s|x) log2 u(s), linear in the channel, and R is convex. Letters are infinitely many:
finitely many give an upper bound, the best letters are added again and again (column generation), and the dual over all of them gives a
lower bound (``posterior``). Reference: definition of arXiv 2405.04144; the reduction and the bounds are ours (docs/theory.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from foveal.errors import TheoryError
from foveal.theory.arrays import Array, bound_pairs, number
from foveal.theory.frontier import Constraint
from foveal.theory.interior import solve
from foveal.theory.posterior import candidates, greatest, loss_bits, provable
from foveal.theory.saddle import Problem, Solved, Start, moments, shared
from foveal.theory.solver import LN2, Points, surface_of, two_constraint_rate
from foveal.theory.source import Source
from foveal.theory.surface import Surface, grid_points

TOLERANCE_BITS: Final = 1e-5
_ROUNDS: Final = 30
_ROUNDING: Final = 1e-12
_CELLS: Final = 16_000_000
_MORE: Final = 16
_SAME: Final = 1e-3
"""Posteriors of one x̂ that differ by less are one letter to begin with; the next rounds part them if they need be."""


def entropy_surface(source: Source, distortion: Array, equivocation: Array, *, tolerance_bits: float = TOLERANCE_BITS) -> Surface:
    """R(D, C) of the entropy definition on a grid. distortion: the bounds on E[Δ]. equivocation: the bounds on H(S|U) in bits.

    The gap is certified, at every point. ``tolerance_bits`` is reached for labels without noise, and with noise for two classes but at
    single points of large sources; with noise and more classes the search for a bound may end early, and ``lower`` be far below
    (docs/theory.md has figures). The source's classifier is not looked at.

    Raises:
        TheoryError: the axes are not rising lists of finite numbers.
    """
    first, second, points = grid_points(distortion, equivocation)
    found = entropy_points(source, points, tolerance_bits=tolerance_bits)
    return surface_of(source.name, "entropy", first, second, found)


def entropy_rate(source: Source, distortion: float, equivocation: float) -> float:
    """R(D, C) of the entropy definition at one point, in bits; ``math.inf`` where no channel keeps both bounds.

    Raises:
        TheoryError: a bound is no finite number.
    """
    first, second = number(distortion, "distortion"), number(equivocation, "equivocation")
    return float(entropy_surface(source, np.array([first]), np.array([second])).rate[0, 0])


def entropy_points(source: Source, points: Array, *, tolerance_bits: float = TOLERANCE_BITS) -> Points:
    """The same at pairs of bounds of any order, (points, 2), finite. Raises TheoryError: they are not, or as above."""
    points = bound_pairs(points)
    if not 0 < tolerance_bits < 1:
        raise TheoryError(f"tolerance {tolerance_bits} bit; a number between 0 and 1 is needed")
    source = _without_empty_classes(source.without_unused())
    p, distortion = source.p, source.distortion
    least = np.array([p @ distortion.min(axis=1), source.noise_entropy])
    zero = np.array([(p @ distortion).min(), source.label_entropy])
    slack = _ROUNDING * np.array([max(distortion.max(), 1e-300), 1.0])
    feasible = (points >= least - slack).all(axis=1)
    nothing = feasible & (points >= zero - slack).all(axis=1)
    tight = points <= least + slack
    rate, lower = np.full(len(points), np.inf), np.full(len(points), np.inf)
    prices = np.full((len(points), 2), np.inf)
    rate[nothing] = lower[nothing] = prices[nothing, 0] = prices[nothing, 1] = 0.0
    asked = feasible & ~nothing
    bounds = np.minimum(points, np.array([distortion.max() + 1.0, source.label_entropy + 1.0]))
    for on_left in (False, True):
        here = np.flatnonzero(asked & tight[:, 1] & (tight[:, 0] == on_left))
        if len(here):
            _put(rate, lower, prices, here, _told_all(source, bounds[here], least, on_left, tolerance_bits))
        here = np.flatnonzero(asked & ~tight[:, 1] & (tight[:, 0] == on_left))
        if len(here):
            _put(rate, lower, prices, here, _generated(source, bounds[here], least, on_left, tolerance_bits))
    return Points(rate, lower, prices, np.zeros((len(points), 1)))


def _without_empty_classes(source: Source) -> Source:
    """Classes that no symbol has take part in nothing; whoever numbers them far apart would pay for each number between."""
    there = source.labels.any(axis=0)
    return source if there.all() else Source(source.p, source.labels[:, there], source.distortion, name=source.name)


def _put(rate: Array, lower: Array, prices: Array, here: NDArray[np.int64], found: tuple[Array, Array, Array]) -> None:
    upper, below, cost = found
    rate[here], prices[here] = upper, cost
    lower[here] = np.minimum(below, upper)


def _nearest(source: Source, on_left: bool) -> NDArray[np.bool_]:
    """(symbols, reproductions): what may be used; where D is the least one, only the nearest reproductions."""
    distortion = source.distortion
    near = distortion <= distortion.min(axis=1, keepdims=True) + _ROUNDING * max(float(distortion.max()), 1e-300)
    return near if on_left else np.ones_like(near)


def _told_all(source: Source, bounds: Array, least: Array, on_left: bool, tolerance_bits: float) -> tuple[Array, Array, Array]:
    """C = H(S|X): a letter's posterior must be each of its symbols' own, so letters (x̂, a distinct row of labels) are all there are."""
    rows, kind = np.unique(np.round(source.labels, 12), axis=0, return_inverse=True)
    own = kind.ravel()[:, None] == np.arange(len(rows))
    letters = (_nearest(source, on_left)[:, :, None] & own[:, None, :]).reshape(len(source.p), -1)
    costs = np.repeat(source.distortion, len(rows), axis=1)
    usable = letters.any(axis=0)
    room = np.zeros((len(bounds), 2, 2))
    room[:, 0, 0] = np.maximum(bounds[:, 0] - least[0], 0.0)
    kinds: tuple[Constraint, Constraint] = ("none" if on_left else "most", "none")
    both = np.stack([costs, np.zeros_like(costs)])[:, :, usable]
    problem = shared(source.p, both, bounds, room, source.entropy * LN2, letters[:, usable], kinds)
    solved = solve(problem, tolerance_bits * LN2)
    prices = np.stack(
        [np.full(len(bounds), np.inf) if on_left else solved.end.s[:, 0] / LN2, np.full(len(bounds), np.inf)], axis=1
    )
    return solved.upper / LN2, solved.lower / LN2, prices


@dataclass(eq=False)
class _Letters:
    """Each point's own letters. number: (points, letters), of x̂. u: (points, letters, classes). fixed: how many, at the front, stay."""

    number: NDArray[np.int64]
    u: Array
    fixed: int

    def at(self, points: NDArray[np.int64]) -> _Letters:
        return _Letters(self.number[points], self.u[points], self.fixed)


def _generated(source: Source, bounds: Array, least: Array, on_left: bool, tolerance_bits: float) -> tuple[Array, Array, Array]:
    """Column generation, in parts that fit in memory."""
    letters = _first_letters(source, len(bounds[:1]))
    size = max(1, _CELLS // (letters.number.shape[1] * len(source.p)))
    parts = [
        _Generation(source, bounds[i : i + size], least, on_left, tolerance_bits * LN2 / 1.5).run()
        for i in range(0, len(bounds), size)
    ]
    upper, lower, prices = (np.concatenate([part[k] for part in parts]) for k in range(3))
    # without the second bound: a lower bound that no posterior enters
    costs = np.stack([source.distortion, np.zeros_like(source.distortion)])
    distinct, where = np.unique(bounds[:, 0], return_inverse=True)
    plain = two_constraint_rate(source.p, costs, np.stack([distinct, np.ones_like(distinct)], axis=1))
    return upper, np.maximum(lower, plain.lower[where.ravel()]), prices


def _first_letters(source: Source, count: int) -> _Letters:
    """Those that reach every feasible pair of bounds, with which all stays feasible; then each x̂ with posteriors of wide and narrow aim."""
    p, distortion, labels = source.p, source.distortion, source.labels
    every = np.arange(distortion.shape[1], dtype=np.int64)
    number: list[NDArray[np.int64]] = [distortion.argmin(axis=1).astype(np.int64)]
    u = [labels]
    scale = max(float(p @ distortion.mean(axis=1)), 1e-300)
    for sharpness in (0.0, 3.0, 15.0):
        weight = p[:, None] * np.exp(-sharpness * (distortion - distortion.min(axis=0)) / scale)
        number.append(every)
        u.append((weight / weight.sum(axis=0)).T @ labels)
    numbers, posteriors = np.concatenate(number).astype(np.int64), np.concatenate(u)
    # room for what is generated, in use from the start: any letter may help
    spare = max(16, distortion.shape[1] // 2)
    pool = candidates(labels, p)
    numbers = np.concatenate([numbers, np.resize(every, spare)])
    posteriors = np.concatenate([posteriors, pool[np.linspace(0, len(pool) - 1, spare).astype(np.int64)]])
    return _Letters(np.tile(numbers, (count, 1)), np.tile(posteriors, (count, 1, 1)), len(p))


class _Generation:
    """Points that are worked on together, from the first letters to bounds that meet."""

    def __init__(self, source: Source, bounds: Array, least: Array, on_left: bool, tolerance: float) -> None:
        self.source, self.bounds, self.on_left, self.tolerance = source, bounds, on_left, tolerance
        self.nearest = _nearest(source, on_left)
        self.room = np.zeros((len(bounds), 2, 2))
        self.room[:, :, 0] = np.maximum(bounds - least, 0.0)
        self.pool = candidates(source.labels, source.p)
        self.kinds: tuple[Constraint, Constraint] = ("none" if on_left else "most", "most")

    def run(self) -> tuple[Array, Array, Array]:
        """(upper, lower, prices), bits."""
        count = len(self.bounds)
        upper, lower, prices = np.full(count, np.inf), np.zeros(count), np.full((count, 2), np.inf)
        letters, start = _first_letters(self.source, count), None
        active, wanted = np.arange(count), np.full(count, 0.02)
        for turn in range(_ROUNDS):
            problem = self._problem(active, letters)
            solved = solve(problem, wanted[active], start)
            upper[active] = np.minimum(upper[active], solved.upper)
            log_w, value = self._duals(problem, solved.end, letters)
            beta = solved.end.s[:, 1] / LN2
            found = greatest(log_w, self.source.labels, beta, self.pool, tolerance=None)
            log_value, u = found.log_value, found.u
            hopeful = upper[active] - (value - np.maximum(log_value.max(axis=1), 0.0)) <= self.tolerance
            sure = np.flatnonzero(hopeful | (turn == _ROUNDS - 1))
            if len(sure):
                proven = greatest(log_w[sure], self.source.labels, beta[sure], self.pool, tolerance=self.tolerance / 4)
                lower[active[sure]] = np.maximum(lower[active[sure]], value[sure] - np.maximum(proven.log_bound, 0.0))
                log_value[sure], u[sure] = proven.log_value, proven.u
            prices[active] = solved.end.s / LN2
            # where no search can prove it, what it found is all there is to go by
            settled = (hopeful & (beta > 1)) if not provable(self.source.labels) else np.zeros(len(active), dtype=bool)
            going = np.flatnonzero(~settled & (upper[active] - lower[active] > 1.5 * self.tolerance))
            if not len(going):
                break
            wanted[active] = np.clip(0.1 * log_value.max(axis=1), self.tolerance / 4, wanted[active])
            letters, start = self._renewed(problem.at(going), letters.at(going), solved, going, log_value[going], u[going])
            active = active[going]
        if self.on_left:
            prices[:, 0] = np.inf
        return upper / LN2, lower / LN2, prices

    def _problem(self, active: NDArray[np.int64], letters: _Letters) -> Problem:
        source = self.source
        first = source.distortion.T[letters.number].transpose(0, 2, 1)
        second, finite = loss_bits(source.labels, letters.u)
        allowed = finite.transpose(0, 2, 1) & self.nearest.T[letters.number].transpose(0, 2, 1)
        costs = np.stack([first, second.transpose(0, 2, 1)], axis=1)
        return Problem(source.p, costs, allowed, self.bounds[active], self.kinds, self.room[active], source.entropy * LN2)

    def _duals(self, problem: Problem, end: Start, letters: _Letters) -> tuple[Array, Array]:
        """Logarithms of w(x) of each x̂, and the dual's value before its constraint is looked at."""
        s = np.where([kind == "most" for kind in self.kinds], end.s, 0.0)
        found = moments(problem.p, problem.costs, problem.letters, end.q, s)
        shift = -s[:, 0, None, None] * self.source.distortion.T + np.log(problem.p) - found.log_z[:, None, :]
        value = -(found.log_z @ problem.p) - (s * problem.bounds).sum(axis=1)
        return np.where(self.nearest.T, shift, -np.inf), value

    def _renewed(
        self, problem: Problem, letters: _Letters, solved: Solved, going: NDArray[np.int64], log_value: Array, u: Array
    ) -> tuple[_Letters, Start]:
        """Letters' posteriors as the channel makes them; the least used letters give way to those that break the dual most."""
        end = solved.end.at(going)
        found = moments(problem.p, problem.costs, problem.letters, end.q, end.s)
        joint = problem.p[:, None] * found.weights * end.q[:, None, :]
        mass = joint.sum(axis=1)
        posterior = np.matmul(joint.transpose(0, 2, 1), self.source.labels) / np.maximum(mass, 1e-300)[:, :, None]
        posterior /= np.maximum(posterior.sum(axis=2, keepdims=True), 1e-300)
        moved = mass > 1e-7
        moved[:, : letters.fixed] = False
        number, new_u = letters.number.copy(), np.where(moved[:, :, None], posterior, letters.u)
        q, z = _merged(number, new_u, np.maximum(end.q, 1e-7), letters.fixed), np.maximum(1 - found.use, 1e-5)
        free = number.shape[1] - letters.fixed
        count = min(log_value.shape[1], max(free // 2, 1))
        rows = np.arange(len(number))[:, None]
        worst = np.argsort(-log_value, axis=1)[:, :count]
        spare = letters.fixed + np.argsort(np.where(q[:, letters.fixed :] > 1e-5, 1.0, q[:, letters.fixed :]), axis=1)[:, :count]
        breaking = np.take_along_axis(log_value, worst, axis=1) > self.tolerance / 8
        best_u = np.take_along_axis(u, worst[:, :, None], axis=1)
        wanted = breaking & (q[rows, spare] <= 1e-5)
        number[rows, spare] = np.where(wanted, worst, number[rows, spare])
        new_u[rows, spare] = np.where(wanted[:, :, None], best_u, new_u[rows, spare])
        q[rows, spare] = np.where(wanted, 1e-4, q[rows, spare])
        z[rows, spare] = np.where(wanted, 1e-4, z[rows, spare])
        # where too few letters are free, some more are added
        left = breaking & ~wanted
        more = min(int(left.sum(axis=1).max()), _MORE)
        chosen = np.argsort(~left, axis=1, kind="stable")[:, :more]
        number = np.concatenate([number, worst[rows, chosen]], axis=1)
        new_u = np.concatenate([new_u, best_u[rows, chosen]], axis=1)
        q = np.concatenate([q, np.where(left[rows, chosen], 1e-4, 1e-7)], axis=1)
        z = np.concatenate([z, np.full(chosen.shape, 1e-4)], axis=1)
        s = np.maximum(end.s, 1e-7)
        start = Start(q, z, s, np.maximum(problem.bounds - found.mean, 1e-6))
        return replace(letters, number=number, u=new_u), start


def _merged(number: NDArray[np.int64], u: Array, q: Array, fixed: int) -> Array:
    """Use of the letters when of those that are nearly the same the first has it all; the others are then free."""
    same = number[:, :, None] == number[:, None, :]
    for s in range(u.shape[2]):
        same &= np.abs(u[:, :, None, s] - u[:, None, :, s]) < _SAME
    first = same.argmax(axis=2)  # a letter is like itself, so there is always one
    later = cast("NDArray[np.bool_]", first < np.arange(number.shape[1]))
    later[:, :fixed] = False
    points, letters = np.nonzero(later)
    merged = q.copy()
    np.add.at(merged, (points, first[points, letters]), q[points, letters])
    merged[points, letters] = 1e-7
    return merged
