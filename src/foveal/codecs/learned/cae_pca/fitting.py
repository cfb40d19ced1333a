"""The integers of ``contexts``, fitted to the symbols of photographs when weights are exported.

For each node of quality, map and kind of phase: the mean by least squares, then the size of what is left by least squares of its
absolute value, each sample weighed by the size that was expected of it, without negative weights. Then the tables: counts of what symbols of
each expected size do. Ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from foveal.codecs.learned.cae_pca.contexts import (
    KINDS,
    MEANS,
    SIZES,
    WEIGHT_BITS,
    Contexts,
    Known,
    Seen,
    expected,
    phase_of,
    table_of,
)
from foveal.codecs.learned.symbols import PARAMETER_MAX
from foveal.entropy.coder import Symbols
from foveal.entropy.fixed_point import Integers, frozen_tables
from foveal.entropy.grid import CDF_BITS, MAX_SYMBOL

NODES = 11  # of quality: two an octave of the step
_TABLES, _FIRST_SIZE, _PER_OCTAVE = 76, -11.0, 4
"""Tables of sizes ``2^-11, 2^-10.75, ...`` in steps."""
_MODEL_COUNT = 50.0  # how many symbols the density counts for, beside those that were seen
_NEAR_NOTHING = 0.3  # maps with smaller symbols have means that round to nothing
_ROUNDS, _SMALL = 4, 0.02

Doubles = npt.NDArray[np.float64]


def fit_contexts(
    bounds: tuple[int, ...], symbols_at: Callable[[int], Sequence[Symbols]]
) -> tuple[Contexts, npt.NDArray[np.int32]]:
    """The contexts of maps in bands, and their tables as cumulative probabilities out of ``2**CDF_BITS``, as they ship.

    symbols_at: the symbols ``(maps, rows, columns)`` of some pictures at a quality parameter.
    """
    maps, kinds = bounds[-1], max(KINDS) + 1
    size, mean = np.zeros((NODES, kinds, maps, SIZES), np.int64), np.zeros((NODES, kinds, maps, MEANS), np.int64)
    limits = np.rint(2.0 ** (WEIGHT_BITS + _FIRST_SIZE + (np.arange(_TABLES - 1) + 0.5) / _PER_OCTAVE)).astype(np.int64)
    counts = np.zeros((_TABLES, 2 * MAX_SYMBOL + 1))
    for node in range(NODES):
        for first, kind, known, own in _samples(bounds, symbols_at(round(PARAMETER_MAX * node / (NODES - 1)))):
            for i, symbols in enumerate(own):
                place = node, kind, first + i
                mean[place] = _fit_mean(known.means[:, i], symbols)
                left = symbols - expected(mean[place][None], known.means[:, i : i + 1])[0]
                size[place] = _fit_size(known.sizes[:, i], np.abs(left))
                _count(counts, table_of(limits, size[place] @ known.sizes[:, i]), left)
    cdf = _cumulative(counts)
    return Contexts(bounds, size, mean, limits, frozen_tables(cdf)), cdf


def _samples(bounds: tuple[int, ...], pictures: Sequence[Symbols]) -> Iterator[tuple[int, int, Known, Integers]]:
    """For each band and kind its first map, what is known of all its symbols, and these, ``(maps, places)``."""
    seen = [Seen.whole(symbols) for symbols in pictures]
    for first, last in pairwise(bounds):
        for kind in sorted(set(KINDS)):
            phases = [phase for phase, own in enumerate(KINDS) if own == kind]
            known = [each.around(first, last, phase) for each in seen for phase in phases]
            own = [phase_of(s[first:last], phase).reshape(last - first, -1) for s in pictures for phase in phases]
            yield (
                first,
                kind,
                Known(np.concatenate([k.sizes for k in known], 2), np.concatenate([k.means for k in known], 2)),
                np.concatenate(own, 1).astype(np.int64),
            )


def _fit_mean(known: Integers, symbols: Integers) -> Integers:
    """Weights ``(MEANS,)``."""
    if np.abs(symbols).mean() < _NEAR_NOTHING:
        return np.zeros(MEANS, np.int64)
    x = known.astype(np.float64)
    weights = np.linalg.lstsq(x @ x.T, x @ symbols, rcond=1e-9)[0]
    return np.rint(np.ldexp(weights, WEIGHT_BITS)).astype(np.int64)


def _fit_size(known: Integers, sizes: Integers) -> Integers:
    """Weights ``(SIZES,)``, none negative, the first at least 1."""
    x, wanted = known.astype(np.float64), sizes.astype(np.float64)
    weights = np.zeros(SIZES)
    expected_size = np.full(len(wanted), wanted.mean())
    for _ in range(_ROUNDS):
        weighed = x / (expected_size + _SMALL) ** 2
        weights = _not_negative(weighed @ x.T, weighed @ wanted)
        expected_size = weights @ x
    integers = np.rint(np.ldexp(weights, WEIGHT_BITS)).astype(np.int64)
    integers[0] = max(1, integers[0])
    return integers


def _not_negative(gram: Doubles, wanted: Doubles) -> Doubles:
    """The solution of normal equations without what would be negative, dropped until nothing is."""
    kept = np.flatnonzero(np.diag(gram) > 0)
    while True:
        found = np.linalg.lstsq(gram[np.ix_(kept, kept)], wanted[kept], rcond=1e-9)[0]
        if (found >= 0).all():
            weights = np.zeros(len(wanted))
            weights[kept] = found
            return weights
        kept = kept[found >= 0]


def _count(counts: Doubles, index: npt.NDArray[np.intp], left: Integers) -> None:
    held = np.abs(left) <= MAX_SYMBOL
    place = index[held] * counts.shape[1] + left[held] + MAX_SYMBOL
    counts += np.bincount(place, minlength=counts.size).reshape(counts.shape)


def _cumulative(counts: Doubles) -> npt.NDArray[np.int32]:
    """``(tables, 2 * MAX_SYMBOL + 2)``: what lies below each symbol of ``-MAX_SYMBOL .. MAX_SYMBOL + 1``, out of ``2**CDF_BITS``.

    Where few symbols were counted, two-sided geometric densities of the table's size speak; either sign is as likely.
    """
    size = 2.0 ** (_FIRST_SIZE + np.arange(len(counts)) / _PER_OCTAVE)
    ratio = (np.sqrt(1 + size**2) - 1) / size
    k = np.abs(np.arange(-MAX_SYMBOL, MAX_SYMBOL + 1))
    density = ((1 - ratio) / (1 + ratio))[:, None] * ratio[:, None] ** k
    mixed = counts + counts[:, ::-1] + 2 * _MODEL_COUNT * density
    beyond = (1 - density.sum(1, keepdims=True)) / 2
    below = np.cumsum(mixed / mixed.sum(1, keepdims=True), axis=1) * (1 - 2 * beyond)
    return np.rint(np.concatenate([beyond, beyond + below], 1) * 2.0**CDF_BITS).astype(np.int32)
