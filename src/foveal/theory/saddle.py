"""An iterate of the saddle problem of ``interior``: its channel's moments, and what it proves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foveal.theory.arrays import Array
from foveal.theory.frontier import Constraint


@dataclass(frozen=True, eq=False)
class Start:
    """Where to begin. q: (points, letters). z: the slacks of the letters. s: (points, 2), multipliers. u: their slacks."""

    q: Array
    z: Array
    s: Array
    u: Array

    def at(self, points: NDArray[np.int64] | slice) -> Start:
        """The same of some points."""
        return Start(self.q[points], self.z[points], self.s[points], self.u[points])


@dataclass(frozen=True, eq=False)
class Problem:
    """What is the same for all points, or each point's own.

    p: (symbols,), above 0. costs: (1 or points, 2, symbols, letters). letters: (1 or points, symbols, letters), what may be used.
    bounds: (points, 2). room: (points, 2, 2), as ``Touching`` has it. most: an upper bound on any mutual information, in nats.
    """

    p: Array
    costs: Array
    letters: NDArray[np.bool_]
    bounds: Array
    constraints: tuple[Constraint, Constraint]
    room: Array
    most: float

    def at(self, points: NDArray[np.int64] | slice) -> Problem:
        """The same of some points."""
        costs = self.costs if len(self.costs) == 1 else self.costs[points]
        letters = self.letters if len(self.letters) == 1 else self.letters[points]
        return replace(self, costs=costs, letters=letters, bounds=self.bounds[points], room=self.room[points])


@dataclass(frozen=True, eq=False)
class Solved:
    """lower, upper: (points,), nats. end: the last iterate, with its multipliers in nats per unit of cost."""

    lower: Array
    upper: Array
    end: Start


@dataclass(eq=False)
class Moments:
    """Of the channel of an iterate: weights K/Z, ln Z, the letters' use c, mean costs, their covariance, and the cross derivatives."""

    weights: Array
    log_z: Array
    use: Array
    mean: Array
    covariance: Array
    cross: Array


def moments(p: Array, costs: Array, letters: NDArray[np.bool_], q: Array, s: Array) -> Moments:
    """Of the channel q K / Z. Shapes as in ``Problem`` and ``Start``."""
    weights = -(s[:, 0, None, None] * costs[:, 0]) - s[:, 1, None, None] * costs[:, 1]
    if not letters.all():
        weights = np.where(letters, weights, -np.inf)
    shift = weights.max(axis=2)
    np.exp(np.subtract(weights, shift[:, :, None], out=weights), out=weights)
    z = np.matmul(weights, q[:, :, None])[:, :, 0]
    weights /= z[:, :, None]
    channel = weights * q[:, None, :]
    products = (costs[:, 0], costs[:, 1], costs[:, 0] ** 2, costs[:, 0] * costs[:, 1], costs[:, 1] ** 2)
    if len(costs) == 1:
        each = np.matmul(channel.transpose(1, 0, 2), np.stack([f[0] for f in products], axis=-1)).transpose(1, 0, 2)
    else:
        each = np.stack([np.einsum("gxy,gxy->gx", channel, f) for f in products], axis=-1)
    mean, squares = each[:, :, :2], np.einsum("x,gxk->gk", p, each)
    covariance = squares[:, [2, 3, 3, 4]].reshape(-1, 2, 2) - np.einsum("x,gxk,gxl->gkl", p, mean, mean)
    weighted = p[:, None] * costs  # (1 or points, 2, symbols, letters)
    cross = [
        (
            np.einsum("gxy,xy->gy", weights, weighted[0, k])
            if len(costs) == 1
            else np.einsum("gxy,gxy->gy", weights, weighted[:, k])
        )
        - np.matmul((p * mean[:, :, k])[:, None, :], weights)[:, 0]
        for k in (0, 1)
    ]
    return Moments(weights, shift + np.log(z), np.matmul(p, weights), squares[:, :2], covariance, np.stack(cross, axis=-1))


def bounds_of(
    problem: Problem, now: Start, m: Moments, present: NDArray[np.bool_], slack: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """The certificate of an iterate: nats that the answer is at least, and at most.

    Least: the dual. Most: the iterate's channel, mixed with one that keeps the bounds with room, as much as it needs to keep them.
    """
    value = -(m.log_z @ problem.p)
    s = np.where(present, now.s, 0.0)
    lower = value - (s * problem.bounds).sum(axis=1) - np.log(m.use.max(axis=1))
    use = np.where(m.use > 0, m.use, 1.0)
    information = value - (s * m.mean).sum(axis=1) - (now.q * m.use * np.log(use)).sum(axis=1)
    over = m.mean - problem.bounds
    mixed = np.zeros(len(over))
    for k in np.flatnonzero(present):
        mixed = np.maximum(mixed, _share(over[:, k], problem.room[:, k, 0]))
        if not slack[k]:
            mixed = np.maximum(mixed, _share(-over[:, k], problem.room[:, k, 1]))
    upper = (1 - mixed) * np.maximum(information, 0.0) + mixed * problem.most
    return np.maximum(lower, 0.0), np.minimum(upper, problem.most)


def _share(over: Array, room: Array) -> Array:
    """How much of a channel with ``room`` below a bound brings one that is ``over`` it down to it; 1 if there is no room."""
    over = np.maximum(over, 0.0)
    return np.where(over > 0, over / np.maximum(over + room, 1e-300), 0.0)


def shared(
    p: Array,
    costs: Array,
    bounds: Array,
    room: Array,
    most: float,
    letters: NDArray[np.bool_] | None = None,
    constraints: Sequence[Constraint] = ("most", "most"),
) -> Problem:
    """A problem whose letters are the same for all points. costs: (2, symbols, letters)."""
    allowed = np.ones(costs.shape[1:], dtype=bool) if letters is None else letters
    return Problem(p, costs[None], allowed[None], bounds, (constraints[0], constraints[1]), room, most)
