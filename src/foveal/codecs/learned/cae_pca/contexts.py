"""What the decoded neighbours of a symbol say of it: the one walk that encoder and decoder share (docs/format.md, section 12).

::

        maps in bands, the largest variance first;      · . · .     0 . 2 .
        a band in four phases, each with the four       . . . .     3 1 3 1
        neighbours of its own map that are decoded      · . · .     0 . 2 .

The contexts stand where the paper has the coder of JPEG 2000, which looks at neighbours as well; tables without them take 18 to 29 % more bits
(held-out photographs). Sizes and means are linear in what is known, by integers fitted to photographs. Ours.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, final

import numpy as np
import numpy.typing as npt

from foveal.codecs.learned.symbols import PARAMETER_MAX
from foveal.entropy.coder import SymbolReader, Symbols, SymbolSink
from foveal.entropy.fixed_point import Integers
from foveal.entropy.tables import Tables

PHASES: Final = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Row and column of each phase in squares of 2x2 places."""
KINDS: Final = (0, 1, 2, 2)
"""Phases of a kind share their weights: the first, which has no neighbours; the second, whose neighbours are diagonal; the others."""
SIZES, MEANS = 5, 2
"""How many weights a size has: of 1, the neighbours, the maps before at the place and about it, the slopes; and a mean: of either pair of neighbours."""
WEIGHT_BITS = 16
SYMBOL_CLIP = 4095
MAPS_BEFORE = 10
_DIAGONAL: Final = ((-1, -1), (1, 1), (-1, 1), (1, -1))
_BESIDE: Final = ((0, -1), (0, 1), (-1, 0), (1, 0))


@dataclass(frozen=True)
class Known:
    """What stands around the symbols of one band and phase: ``sizes`` int64 ``(SIZES, maps, places)``, ``means`` ``(MEANS, maps, places)``."""

    sizes: Integers
    means: Integers


@final
class Seen:
    """The symbols decoded so far, ``(maps, rows, columns)``, as contexts see them: clipped, with a border of zeros."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        maps, self._rows, self._columns = shape
        self._padded = np.zeros((maps, self._rows + 2, self._columns + 2), np.int32)

    @classmethod
    def whole(cls, symbols: Symbols) -> Seen:
        """All symbols ``(maps, rows, columns)`` of a picture."""
        seen = cls((symbols.shape[0], symbols.shape[1], symbols.shape[2]))
        for phase in range(len(PHASES)):
            seen.put(0, phase, phase_of(symbols, phase))
        return seen

    def put(self, first: int, phase: int, symbols: Symbols) -> None:
        """Adds the symbols ``(maps, rows, columns)`` of a phase of the band that starts at a map."""
        self._at(first, len(symbols), phase)[...] = np.clip(symbols, -SYMBOL_CLIP, SYMBOL_CLIP)

    def around(self, first: int, last: int, phase: int) -> Known:
        """What is known of the symbols of maps ``first`` to ``last - 1`` at the places of a phase."""
        own = self._at(first, last - first, phase)
        shape = (last - first, own[0].size)
        sizes, means = np.zeros((SIZES, *shape), np.int64), np.zeros((MEANS, *shape), np.int64)
        sizes[0] = 1
        if KINDS[phase]:
            beside = _DIAGONAL if KINDS[phase] == 1 else _BESIDE
            a, b, c, d = (self._at(first, last - first, phase, move).reshape(shape) for move in beside)
            sizes[1] = np.abs(a) + np.abs(b) + np.abs(c) + np.abs(d)
            sizes[4] = np.abs(a - b) + np.abs(c - d)
            means[0], means[1] = a + b, c + d
        before = min(first, max(1, first - MAPS_BEFORE))
        if before < first:
            sizes[2] = np.abs(self._at(before, first - before, phase)).sum(0).reshape(-1)
            sizes[3] = sum(np.abs(self._at(before, first - before, phase, move)).sum(0).reshape(-1) for move in _BESIDE)
        return Known(sizes, means)

    def _at(self, first: int, maps: int, phase: int, move: tuple[int, int] = (0, 0)) -> npt.NDArray[np.int32]:
        """A view of the symbols of a phase, or of those beside them."""
        top, left = (1 + place + by for place, by in zip(PHASES[phase], move, strict=True))
        return self._padded[
            first : first + maps,
            top : top + self._rows - PHASES[phase][0] : 2,
            left : left + self._columns - PHASES[phase][1] : 2,
        ]


@dataclass(frozen=True)
class Contexts:
    """From what is known to a table.

    bounds: where bands of maps begin, and their end. size ``(nodes, kinds, maps, SIZES)`` and mean ``(nodes, kinds, maps, MEANS)``: weights in
    ``2**-WEIGHT_BITS`` at equidistant nodes of quality. limits: the least size of each table but the first, in the same units. All int64.
    """

    bounds: tuple[int, ...]
    size: Integers
    mean: Integers
    limits: Integers
    tables: Tables


class Exchange(ABC):
    """The far end of the walk: gives symbols, by knowing or by reading them."""

    @abstractmethod
    def take(self, maps: slice, phase: int, means: Integers, index: npt.NDArray[np.intp]) -> Symbols:
        """The symbols ``(maps, places)`` of a band and phase, given the mean and the number of the table of each."""


@final
class SymbolEncoder(Exchange):
    """Puts symbols ``(maps, rows, columns)`` into a sink, less their means."""

    def __init__(self, symbols: Symbols, tables: Tables, sink: SymbolSink) -> None:
        self._symbols, self._tables, self._sink = symbols, tables, sink

    def take(self, maps: slice, phase: int, means: Integers, index: npt.NDArray[np.intp]) -> Symbols:
        own = phase_of(self._symbols[maps], phase).reshape(means.shape)
        self._sink.put(own - means, self._tables, index)
        return own


@final
class SymbolDecoder(Exchange):
    """Reads symbols."""

    def __init__(self, tables: Tables, reader: SymbolReader) -> None:
        self._tables, self._reader = tables, reader

    def take(self, maps: slice, phase: int, means: Integers, index: npt.NDArray[np.intp]) -> Symbols:
        return (self._reader.take(self._tables, index.shape, index) + means).astype(np.int32)


def walk(contexts: Contexts, parameter: int, shape: tuple[int, int, int], exchange: Exchange) -> Symbols:
    """Codes or decodes all symbols ``(maps, rows, columns)`` of a picture at a quality parameter; returns them."""
    size, mean = (_between(nodes, parameter) for nodes in (contexts.size, contexts.mean))
    seen, symbols = Seen(shape), np.empty(shape, np.int32)
    for first, last in pairwise(contexts.bounds):
        for phase in range(len(PHASES)):
            known, own = seen.around(first, last, phase), phase_of(symbols[first:last], phase)
            means = expected(mean[KINDS[phase], first:last], known.means)
            sizes = np.einsum("mk,kmp->mp", size[KINDS[phase], first:last], known.sizes)
            index = table_of(contexts.limits, sizes)
            own[...] = exchange.take(slice(first, last), phase, means, index).reshape(own.shape)
            seen.put(first, phase, own)
    return symbols


def phase_of(symbols: Symbols, phase: int) -> Symbols:
    """A view of the symbols ``(maps, rows, columns)`` at the places of a phase."""
    row, column = PHASES[phase]
    return symbols[:, row::2, column::2]


def expected(weights: Integers, known: Integers) -> Integers:
    """Means ``(maps, places)``, halves rounded up, for weights ``(maps, MEANS)``."""
    return np.einsum("mk,kmp->mp", weights, known) + (1 << WEIGHT_BITS >> 1) >> WEIGHT_BITS


def table_of(limits: Integers, sizes: Integers) -> npt.NDArray[np.intp]:
    """The number of the table of each size: how many limits it reaches."""
    index: npt.NDArray[np.intp] = np.searchsorted(limits, sizes, side="right")
    return index


def _between(nodes: Integers, parameter: int) -> Integers:
    """Interpolates over the first axis, rounding down."""
    position = (len(nodes) - 1) * parameter
    node = min(position // PARAMETER_MAX, len(nodes) - 2)
    rest = position - PARAMETER_MAX * node
    return (nodes[node] * (PARAMETER_MAX - rest) + nodes[node + 1] * rest) // PARAMETER_MAX
