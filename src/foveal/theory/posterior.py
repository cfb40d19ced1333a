"""The greatest constraint of the entropy definition's dual, over all posteriors a decoder may hold: found, and bounded from above.

For one letter x̂ it is F(u) = Σ_x w(x) Π_s u(s)^(β η(s|x)), u in the simplex of the classes, η the labels, β >= 0 the price of the entropy.
Labels without noise give a closed form. For β <= 1 F is concave, and a tangent bounds it. Otherwise cells of the simplex are bounded by the
convex function that tangents of ln u make of F, which is greatest at a cell's corner, and are halved until nothing can exceed what was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from foveal.theory.arrays import Array

_MOST_TERMS: Final = 4_000_000
_MOST_CELLS: Final = 200_000
_MOST_CLASSES: Final = 4
"""With noise and more classes the simplex has too many dimensions to be cut up."""
_CLIMBS: Final = 40
_SPREAD: Final = 65
_NEARLY_ONE: Final = 1e-9


@dataclass(frozen=True, eq=False)
class Greatest:
    """log_value: (points, letters), ln F at u. u: (points, letters, classes). log_bound: (points,), no letter's ln F exceeds it anywhere."""

    log_value: Array
    u: Array
    log_bound: Array


def provable(labels: Array) -> bool:
    """Whether the bound of ``greatest`` comes as near as is asked for every β, and not for β <= 1 alone."""
    return labels.shape[1] <= _MOST_CLASSES or bool(((labels == 0) | (labels == 1)).all())


def loss_bits(labels: Array, u: Array) -> tuple[Array, NDArray[np.bool_]]:
    """-Σ_s η(s|x) log2 u(s) for every symbol and every u, and where it is finite; 0 elsewhere. labels: (symbols, classes). u: (..., classes)."""
    zero = u <= 0
    cost = np.einsum("xs,...s->...x", labels, -np.log2(np.where(zero, 1.0, u)))
    finite = np.einsum("xs,...s->...x", labels, zero * 1.0) == 0
    return np.where(finite, cost, 0.0), finite


def candidates(labels: Array, p: Array) -> Array:
    """(posteriors, classes): where a search begins. For two classes a fine grid of what any mixture of symbols can give."""
    if labels.shape[1] == 2:
        low, high = labels[:, 1].min(), labels[:, 1].max()
        ends = np.clip([low, high], 1e-7, 1 - 1e-7)
        logits = np.log(ends / (1 - ends))
        logit = cast("Array", np.linspace(logits[0], logits[1], _SPREAD))
        one = np.concatenate([[low, high], 1 / (1 + np.exp(-logit))])
        return np.stack([1 - one, one], axis=1)
    rows = np.unique(labels, axis=0)[: 4 * _SPREAD]
    mixtures = np.random.default_rng(0).dirichlet(np.full(len(rows), 0.3), 2 * _SPREAD) @ rows
    return np.concatenate([rows, (p @ labels)[None], mixtures])


def greatest(log_w: Array, labels: Array, beta: Array, pool: Array, *, tolerance: float | None) -> Greatest:
    """See the module. log_w: (points, letters, symbols), with -inf for 0. beta: (points,). tolerance: of the bound, in nats; None: no bound."""
    if ((labels == 0) | (labels == 1)).all():
        return _without_noise(log_w, labels, beta)
    value, u = _climb(log_w, labels, beta, _best_of(log_w, labels, beta, pool))
    if tolerance is None:
        return Greatest(value, u, np.full(len(beta), np.inf))
    return _bounded(log_w, labels, beta, value, u, tolerance)


def _without_noise(log_w: Array, labels: Array, beta: Array) -> Greatest:
    """F = Σ_s W(s) u(s)^β: the norm of W with exponent 1/(1-β) where β < 1, else the largest W, at a corner."""
    classes = labels.argmax(axis=1)
    sums = np.stack([_log_sum(log_w[:, :, classes == s]) for s in range(labels.shape[1])], axis=-1)
    top = sums.max(axis=2, keepdims=True)
    used = np.isfinite(top)  # a letter that no symbol may use has no W
    sums, top = np.where(used, sums, 0.0), np.where(used, top, 0.0)
    rest = np.maximum(1 - beta, _NEARLY_ONE)[:, None, None]
    share = np.exp((sums - top) / rest)
    u = share / share.sum(axis=2, keepdims=True)
    concave = (beta < 1 - _NEARLY_ONE)[:, None]
    norm = np.where(used, top + rest * np.log(share.sum(axis=2, keepdims=True)), -np.inf)[:, :, 0]
    corner = np.eye(labels.shape[1])[sums.argmax(axis=2)]
    value = np.where(concave, norm, np.where(used, top, -np.inf)[:, :, 0])
    return Greatest(value, np.where(concave[:, :, None], u, corner), norm.max(axis=1))


def _log_sum(terms: Array) -> Array:
    if terms.shape[-1] == 0:
        return np.full(terms.shape[:-1], -np.inf)
    top = terms.max(axis=-1)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return safe + np.log(np.exp(terms - safe[..., None]).sum(axis=-1))


def _peaks(labels: Array) -> Array:
    """(symbols,): Σ η ln η, the greatest ln of a symbol's term for β = 1."""
    safe = np.where(labels > 0, labels, 1.0)
    return (labels * np.log(safe)).sum(axis=1)


def _best_of(log_w: Array, labels: Array, beta: Array, pool: Array) -> Array:
    cost, finite = loss_bits(labels, pool)  # (pool, symbols)
    peak = _peaks(labels)
    relative = np.where(finite, -cost * np.log(2.0) - peak, -np.inf).T
    with np.errstate(invalid="ignore"):
        terms = np.exp(np.where(np.isfinite(relative), beta[:, None, None] * relative, -np.inf))
    height = log_w + beta[:, None, None] * peak
    top = np.maximum(height.max(axis=2, keepdims=True), -700.0)
    total = np.matmul(np.exp(height - top), terms)
    return pool[total.argmax(axis=2)]


def _terms(log_w: Array, labels: Array, beta: Array, u: Array) -> Array:
    """(points, letters, symbols): the logarithms of the terms of F."""
    cost, finite = loss_bits(labels, u)
    return np.where(finite, log_w - beta[:, None, None] * cost * np.log(2.0), -np.inf)


def _climb(log_w: Array, labels: Array, beta: Array, u: Array) -> tuple[Array, Array]:
    """Posterior after posterior: each step raises F, as that of expectation maximisation does."""
    value = _log_sum(_terms(log_w, labels, beta, u))
    for _ in range(_CLIMBS):
        terms = _terms(log_w, labels, beta, u)
        top = np.maximum(terms.max(axis=2, keepdims=True), -1e300)
        share = np.exp(terms - top)
        after = np.matmul(share, labels) / np.maximum(share.sum(axis=2, keepdims=True), 1e-300)
        after = np.where(share.sum(axis=2, keepdims=True) > 0, after, u)
        reached = _log_sum(_terms(log_w, labels, beta, after))
        better = reached > value
        u, value = np.where(better[:, :, None], after, u), np.where(better, reached, value)
        if not (reached > value - 1e-13).any() or not better.any():
            break
    return value, u


def _bounded(log_w: Array, labels: Array, beta: Array, value: Array, u: Array, tolerance: float) -> Greatest:
    found = value.max(axis=1)
    share = np.exp(_terms(log_w, labels, beta, u) - np.maximum(value, -1e300)[:, :, None])
    # ln F(v) <= ln F(u) + ln(1 + β (max_s posterior(s) / u(s) - 1)): the tangent of a concave F, greatest at a corner
    posterior = np.matmul(share, labels)
    ratio = np.divide(posterior, u, out=np.where(posterior > 0, np.inf, 0.0), where=u > 0).max(axis=2)
    tangent = (value + np.log1p(np.maximum(beta[:, None] * (ratio - 1), 0.0))).max(axis=1)
    bound = np.where(beta <= 1, tangent, np.inf)
    rest = np.flatnonzero(bound > found + tolerance)
    if len(rest):
        limit, best, where, best_u = _halving(log_w[rest], labels, beta[rest], found[rest], tolerance)
        bound[rest] = np.minimum(bound[rest], limit)
        higher = best > found[rest]  # the search found more than the climb did
        value, u = value.copy(), u.copy()
        value[rest[higher], where[higher]], u[rest[higher], where[higher]] = best[higher], best_u[higher]
    return Greatest(value, u, np.maximum(bound, value.max(axis=1)))


def _halving(
    log_w: Array, labels: Array, beta: Array, found: Array, tolerance: float
) -> tuple[Array, Array, NDArray[np.int64], Array]:
    """(points,) each: an upper bound on ln F over all letters, the greatest ln F seen, its letter and its u.

    Cells cover the simplex, or for two classes what mixtures of labels cover of it, as F falls outside. When too many were looked at
    the bounds of those that are left are taken as they are.
    """
    classes = labels.shape[1]
    points, letters = log_w.shape[:2]
    flat = log_w.reshape(points * letters, -1)
    owner = np.flatnonzero(np.isfinite(flat).any(axis=1))
    root = np.eye(classes)
    if classes == 2:
        root = np.array([[1 - v, v] for v in (labels[:, 1].min(), labels[:, 1].max())])
    cells = np.broadcast_to(root, (len(owner), classes, classes)).copy()
    best, limit = found.copy(), np.full(points, -np.inf)
    where, best_u = np.zeros(points, dtype=np.int64), np.zeros((points, classes))
    budget = _MOST_CELLS + 64 * len(owner) if provable(labels) else 0
    while len(owner):
        point = owner // letters
        high, low = _cell_bounds(flat, labels, beta, owner, point, cells)
        for cell in _first_best(point, low, best):
            best[point[cell]], where[point[cell]], best_u[point[cell]] = (
                low[cell],
                owner[cell] % letters,
                cells[cell].mean(axis=0),
            )
        undecided = high > best[point] + tolerance
        np.maximum.at(limit, point[~undecided], high[~undecided])
        budget -= len(owner)
        owner, cells, high = owner[undecided], cells[undecided], high[undecided]
        if budget < 0:
            np.maximum.at(limit, owner // letters, high)
            break
        owner, cells = _halves(owner, cells)
    return np.maximum(limit, best), best, where, best_u


def _first_best(point: NDArray[np.int64], low: Array, best: Array) -> list[int]:
    """The cells whose centres are the best of their point, if better than what it had."""
    order = np.lexsort((-low, point))
    first = order[np.unique(point[order], return_index=True)[1]]
    return [int(cell) for cell in first if low[cell] > best[point[cell]]]


def _halves(owner: NDArray[np.int64], cells: Array) -> tuple[NDArray[np.int64], Array]:
    """Each cell cut in the middle of its longest edge, lengths by the logarithm where a corner is near 0."""
    classes = cells.shape[1]
    pairs = np.array([(i, j) for i in range(classes) for j in range(i)])
    angle = np.arcsin(np.sqrt(np.clip(cells, 0, 1)))
    length = np.square(angle[:, pairs[:, 0]] - angle[:, pairs[:, 1]]).sum(axis=2)
    longest = pairs[length.argmax(axis=1)]
    rows = np.arange(len(cells))
    middle = (cells[rows, longest[:, 0]] + cells[rows, longest[:, 1]]) / 2
    first, second = cells.copy(), cells.copy()
    first[rows, longest[:, 0]], second[rows, longest[:, 1]] = middle, middle
    return np.concatenate([owner, owner]), np.concatenate([first, second])


def _cell_bounds(
    flat: Array, labels: Array, beta: Array, owner: NDArray[np.int64], point: NDArray[np.int64], cells: Array
) -> tuple[Array, Array]:
    """Of each cell no less than the greatest ln F, and ln F at its centre, in parts that fit in memory."""
    size = max(1, _MOST_TERMS // (labels.size * labels.shape[1]))
    parts = [slice(begin, begin + size) for begin in range(0, len(owner), size)]
    bounds = [_part_bounds(flat[owner[part]], labels, beta[point[part]], cells[part]) for part in parts]
    return np.concatenate([b[0] for b in bounds]), np.concatenate([b[1] for b in bounds])


def _part_bounds(log_w: Array, labels: Array, beta: Array, cells: Array) -> tuple[Array, Array]:
    centre = np.maximum(cells.mean(axis=1), 1e-300)
    here = log_w + beta[:, None] * (np.log(centre) @ labels.T)
    tilt = beta[:, None, None] * np.matmul((cells - centre[:, None]) / centre[:, None], labels.T)  # (cells, corners, symbols)
    peak = log_w + beta[:, None] * _peaks(labels)
    at_corner = here[:, None] + tilt
    together = _log_sum(at_corner).max(axis=1)
    apart = _log_sum(np.minimum(at_corner.max(axis=1), peak))
    return np.minimum(together, apart), _log_sum(here)
