"""Which pairs of expected distortions any channel reaches at all, and which a channel of rate 0 reaches, both exactly.

A channel chooses for each symbol a mixture of letters, so what it reaches is a weighted sum of convex hulls, and the lower left border of
that is the borders of the symbols' hulls, their edges sorted by slope. On the border itself every optimal channel uses only letters that lie
on the touched edge; with the others taken away the touched constraint holds by itself, and the rest is an ordinary problem again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from foveal.theory.arrays import Array

_ROUNDING: Final = 1e-12
"""Relative to the largest distortion: points that miss a border by less are on it."""


@dataclass(frozen=True, eq=False)
class Frontier:
    """A falling convex chain from the least first distortion to the least second one.

    first, second: (vertices,), its corners, the first rising and the second falling. tolerance: (2,), what counts as on it.
    """

    first: Array
    second: Array
    tolerance: Array

    def second_least(self, first: Array) -> Array:
        """The least second distortion where the first is at most ``first``; inf below the least first one."""
        least = np.interp(first, self.first, self.second)
        return np.where(first < self.first[0] - self.tolerance[0], np.inf, least)

    def first_least(self, second: Array) -> Array:
        """The least first distortion where the second is at most ``second``; inf below the least second one."""
        least = np.interp(second, self.second[::-1], self.first[::-1])
        return np.where(second < self.second[-1] - self.tolerance[1], np.inf, least)

    def reaches(self, targets: Array) -> NDArray[np.bool_]:
        """(points,): whether a channel satisfies both bounds. targets: (points, 2)."""
        return targets[:, 1] >= self.second_least(targets[:, 0]) - self.tolerance[1]


def frontier(p: Array, costs: Array) -> Frontier:
    """The border of what channels reach. p: (symbols,). costs: (2, symbols, letters), finite."""
    scale = np.maximum(np.abs(costs).max(axis=(1, 2)), 1e-300)
    tolerance = _ROUNDING * scale
    here = _first_corner(costs, tolerance)
    rows = np.arange(len(p))
    starts = costs[:, rows, here] @ p
    edges: list[Array] = []
    while True:  # one step along all hulls at once
        ahead = costs - costs[:, rows, here][:, :, None]
        onward = (ahead[0] > tolerance[0]) & (ahead[1] < -tolerance[1])
        walking = onward.any(axis=1)
        if not walking.any():
            break
        steep = np.divide(ahead[1], ahead[0], where=onward, out=np.full_like(ahead[0], np.inf))
        least = steep.min(axis=1, keepdims=True)
        # of letters on one edge the farthest
        best = np.where(steep <= least + _ROUNDING * (1 + np.abs(least)), ahead[0], -np.inf).argmax(axis=1)
        move = np.where(walking, p, 0.0) * ahead[:, rows, best]
        edges.append(move[:, walking & (p > 0)])
        here = np.where(walking, best, here)
    moves = np.concatenate(edges, axis=1) if edges else np.zeros((2, 0))
    moves = moves[:, np.argsort(moves[1] / moves[0], kind="stable")] if moves.size else moves
    corners = starts[:, None] + np.concatenate([np.zeros((2, 1)), np.cumsum(moves, axis=1)], axis=1)
    return Frontier(corners[0], corners[1], tolerance)


def rate_zero(p: Array, costs: Array) -> Frontier:
    """The border of what one letter, or letters drawn by themselves, reach: the hull of the letters' mean distortions."""
    return frontier(np.ones(1), np.einsum("x,kxy->ky", p, costs)[:, None, :])


Constraint = Literal["most", "equal", "none"]
"""An expected distortion is at most its bound, is equal to it, or is what it is already."""


@dataclass(frozen=True, eq=False)
class Touching:
    """Points that touch the border in the same place.

    points: their numbers. letters: (symbols, letters), those that may be used. constraints: what is left of each of the two.
    room: (points, 2, 2), how far below and above its bound the expected distortion can be made.
    """

    points: NDArray[np.int64]
    letters: NDArray[np.bool_]
    constraints: tuple[Constraint, Constraint]
    room: Array


def touching(border: Frontier, p: Array, costs: Array, targets: Array) -> Iterator[Touching]:
    """The reachable targets, sorted by what they touch: nothing, for most. targets: (points, 2)."""
    here = np.flatnonzero(border.reaches(targets))
    first, second = targets[here, 0], targets[here, 1]
    left = first <= border.first[0] + border.tolerance[0]
    bottom = second <= border.second[-1] + border.tolerance[1]
    edge = _edges(border, first, second, left, bottom)
    keys = np.stack([left, bottom, edge[0], edge[1]], axis=1).astype(np.int64)
    kinds, which = np.unique(keys, axis=0, return_inverse=True)
    for number, (on_left, on_bottom, from_edge, to_edge) in enumerate(kinds):
        points = here[which.ravel() == number]
        letters = np.ones(costs.shape[1:], dtype=bool)
        directions = [(1.0, 0.0)] * int(on_left) + [(0.0, 1.0)] * int(on_bottom)
        directions += [_direction(border, i) for i in range(from_edge, to_edge)]
        for direction in directions:
            letters &= _on_edge(costs, direction)
        yield Touching(points, letters, _left_over(directions), _room(border, targets[points], directions, from_edge))


def _first_corner(costs: Array, tolerance: Array) -> NDArray[np.intp]:
    least = costs[0].min(axis=1, keepdims=True)
    return np.where(costs[0] <= least + tolerance[0], costs[1], np.inf).argmin(axis=1)


def _edges(
    border: Frontier, first: Array, second: Array, left: NDArray[np.bool_], bottom: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """(2, points): the half-open range of edges that a point touches, one inside an edge, two at a corner, none elsewhere."""
    count = len(border.first) - 1
    if count == 0:
        return np.zeros((2, len(first)), dtype=np.int64)
    on_chain = second <= np.interp(first, border.first, border.second) + border.tolerance[1]
    on_chain &= first <= border.first[-1] + border.tolerance[0]
    start = cast("NDArray[np.int64]", np.searchsorted(border.first[1:], first - border.tolerance[0], side="left"))
    stop = cast("NDArray[np.int64]", np.searchsorted(border.first[:-1], first + border.tolerance[0], side="right"))
    begin = np.asarray(np.minimum(start, count - 1), dtype=np.int64)
    end = np.asarray(np.maximum(np.maximum(stop, 1), begin + 1), dtype=np.int64)
    return np.where(on_chain, np.stack([begin, end]), 0)


def _direction(border: Frontier, edge: int) -> tuple[float, float]:
    """The weights whose sum is least, and equal, along an edge."""
    fall, run = border.second[edge] - border.second[edge + 1], border.first[edge + 1] - border.first[edge]
    return float(fall), float(run)


def _on_edge(costs: Array, direction: tuple[float, float]) -> NDArray[np.bool_]:
    total = direction[0] * costs[0] + direction[1] * costs[1]
    return total <= total.min(axis=1, keepdims=True) + 100 * _ROUNDING * max(float(np.abs(total).max()), 1e-300)


def _left_over(directions: list[tuple[float, float]]) -> tuple[Constraint, Constraint]:
    """Inside an edge the sum of both is fixed, so one equality says all; at a corner nothing is left to say."""
    if not directions:
        return "most", "most"
    if len(directions) > 1:
        return "none", "none"
    if directions[0][1] == 0.0:
        return "none", "most"
    return ("most", "none") if directions[0][0] == 0.0 else ("equal", "none")


def _room(border: Frontier, targets: Array, directions: list[tuple[float, float]], edge: int) -> Array:
    """Away from the border, halfway between a point and the border to its left; on it, along what it touches."""
    first, second = targets[:, 0], targets[:, 1]
    room = np.zeros((len(targets), 2, 2))
    if not directions:
        middle = (border.first_least(second) + first) / 2
        room[:, 0, 0], room[:, 1, 0] = first - middle, second - np.interp(middle, border.first, border.second)
    elif len(directions) == 1 and directions[0][1] == 0.0:
        room[:, 1, 0] = second - border.second[0]
    elif len(directions) == 1 and directions[0][0] == 0.0:
        room[:, 0, 0] = first - border.first[-1]
    elif len(directions) == 1:
        room[:, 0, 0], room[:, 0, 1] = first - border.first[edge], border.first[edge + 1] - first
    return np.maximum(room, 0.0)
