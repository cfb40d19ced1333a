"""One interface to put symbols; one sink counts their bits, the other writes them. One reader.

The coder is the asymmetric numeral system of the library constriction, which takes symbols last in,
first out. So the writer keeps what it is given and codes it backwards at the end, and the reader
gets everything in the order in which it was put. docs/format.md, section 6, is the specification.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import numpy.typing as npt

from foveal.entropy.tables import TABLE_BITS, TABLE_TOTAL, Table, Tables
from foveal.errors import DamagedError

if TYPE_CHECKING:  # training imports this module on machines that have no constriction
    import constriction

Symbols = npt.NDArray[np.int32]
Places = slice | npt.NDArray[np.intp]
SYMBOL_LIMIT = (1 << 31) - (1 << 28)
_COUNT_BITS, _BYTE_BITS = 2, 8


@dataclass(frozen=True)
class _Group:
    """Symbols of one table as entry numbers, or raw numbers below ``size``."""

    entries: Symbols
    table: Table | int


class SymbolSink(ABC):
    """Takes symbols in coding order."""

    @final
    def put(self, symbols: npt.NDArray[np.integer], tables: Tables, index: npt.NDArray[np.integer] | None = None) -> None:
        """Codes one group of symbols, read in C order.

        ``index``, of the same shape, names each symbol's table; without it, ``symbols`` has one row for each table.
        A symbol of ``SYMBOL_LIMIT`` or more fails an assertion: no quantiser gives one.
        """
        flat = symbols.reshape(-1)
        escapes: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]] = []
        for number, places in _by_table(index, symbols.shape):
            table = tables[number]
            entries = flat[places].astype(np.int64) - table.low
            outside = (entries < 0) | (entries >= table.escape)
            if outside.any():
                far = entries[outside]
                distance = np.where(far < 0, -2 * far - 1, 2 * (far - table.escape))
                assert distance.max() < 2 * SYMBOL_LIMIT, "a symbol does not fit"
                escapes.append((_select(places, outside), distance))
                entries[outside] = table.escape
            self._put(_Group(entries.astype(np.int32), table))
        if escapes:
            order = np.argsort(np.concatenate([places for places, _ in escapes]))
            distance = np.concatenate([distance for _, distance in escapes])[order]
            for part in _escape_parts(distance):
                self._put(part)

    @abstractmethod
    def _put(self, group: _Group) -> None: ...


@final
class BitCounter(SymbolSink):
    """Counts the bits that the symbols would take, without writing them."""

    def __init__(self) -> None:
        self.bits = 0.0

    @property
    def size_bytes(self) -> int:
        """About the bytes that ``SymbolWriter`` would give, within a word: the bits, and half a byte for the end of the state."""
        return int(np.ceil(self.bits / 8 + 0.5))

    def _put(self, group: _Group) -> None:
        if isinstance(group.table, int):
            self.bits += len(group.entries) * group.table
        else:
            counts = np.bincount(group.entries, minlength=len(group.table.frequencies))
            self.bits += float(counts @ (TABLE_BITS - np.log2(group.table.frequencies)))


@final
class SymbolWriter(SymbolSink):
    """Writes the symbols; ``finish`` gives the payload."""

    def __init__(self) -> None:
        self._groups: list[_Group] = []

    def finish(self) -> bytes:
        """The payload: little-endian 32-bit words, less the zero bytes at the end."""
        import constriction

        coder = constriction.stream.stack.AnsCoder()
        for group in reversed(self._groups):
            coder.encode_reverse(group.entries, _model(group.table))
        return coder.get_compressed().astype("<u4").tobytes().rstrip(b"\0")

    def _put(self, group: _Group) -> None:
        self._groups.append(group)


@final
class SymbolReader:
    """Reads symbols in the order in which they were put.

    Raises:
        DamagedError: the payload is no stream of the coder.
    """

    def __init__(self, payload: bytes) -> None:
        import constriction

        whole = payload + bytes(-len(payload) % 4)
        try:
            self._coder = constriction.stream.stack.AnsCoder(np.frombuffer(whole, "<u4").astype(np.uint32))
        except ValueError as error:
            raise DamagedError("the payload is no stream of the entropy coder") from error

    def take(self, tables: Tables, shape: tuple[int, ...], index: npt.NDArray[np.integer] | None = None) -> Symbols:
        """Decodes one group of this shape; ``index`` as in ``SymbolSink.put``.

        Raises:
            DamagedError: a symbol of ``SYMBOL_LIMIT`` or more.
        """
        symbols = np.empty(math.prod(shape), np.int32)
        escapes: list[tuple[npt.NDArray[np.intp], Table]] = []
        for number, places in _by_table(index, shape):
            table = tables[number]
            entries = self._coder.decode(_model(table), _count(places))
            symbols[places] = entries + np.int32(table.low)
            if (escaped := entries == table.escape).any():
                escapes.append((_select(places, escaped), table))
        if escapes:
            self._take_escapes(symbols, escapes)
        return symbols.reshape(shape)

    def _take_escapes(self, symbols: Symbols, escapes: list[tuple[npt.NDArray[np.intp], Table]]) -> None:
        places = np.concatenate([where for where, _ in escapes])
        below = np.concatenate([np.full(len(where), table.low - 1, np.int64) for where, table in escapes])
        above = np.concatenate([np.full(len(where), table.low + table.escape, np.int64) for where, table in escapes])
        order = np.argsort(places)
        distance = self._distances(len(order))
        outside = np.where(distance % 2, below[order] - distance // 2, above[order] + distance // 2)
        if (np.abs(outside) >= SYMBOL_LIMIT).any():
            raise DamagedError(f"a symbol of {int(np.abs(outside).max())}; below {SYMBOL_LIMIT} is allowed")
        symbols[places[order]] = outside

    def finish(self) -> None:
        """Checks that everything was read.

        Raises:
            DamagedError: words are left over.
        """
        if not self._coder.is_empty():
            raise DamagedError("the payload holds more than its symbols")

    def _distances(self, count: int) -> npt.NDArray[np.int64]:
        sizes = self._coder.decode(_model(_COUNT_BITS), count).astype(np.int64) + 1
        data = self._coder.decode(_model(_BYTE_BITS), int(sizes.sum())).astype(np.int64)
        owner = np.repeat(np.arange(count), sizes)
        place = np.arange(len(data)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        distance = np.zeros(count, np.int64)
        np.add.at(distance, owner, data << (8 * place))
        return distance


def _by_table(index: npt.NDArray[np.integer] | None, shape: tuple[int, ...]) -> Iterator[tuple[int, Places]]:
    """The table numbers that occur, rising, each with the places of its symbols in order."""
    if index is None:
        row = math.prod(shape[1:])
        yield from ((number, slice(number * row, (number + 1) * row)) for number in range(shape[0]))
    elif index.size:
        order = np.argsort(index, axis=None, kind="stable")
        numbers, starts = np.unique(index.reshape(-1)[order], return_index=True)
        yield from zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)


def _select(places: Places, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    return np.flatnonzero(mask) + places.start if isinstance(places, slice) else places[mask]


def _count(places: Places) -> int:
    return places.stop - places.start if isinstance(places, slice) else len(places)


def _escape_parts(distance: npt.NDArray[np.int64]) -> tuple[_Group, _Group]:
    """The byte counts and the bytes of escaped symbols."""
    sizes = 1 + (distance[:, None] >= 1 << np.array([8, 16, 24])).sum(1)
    planes = distance[:, None] >> np.arange(0, 32, 8) & 255
    data = planes[np.arange(4) < sizes[:, None]]
    return _Group((sizes - 1).astype(np.int32), _COUNT_BITS), _Group(data.astype(np.int32), _BYTE_BITS)


def _model(table: Table | int) -> constriction.stream.model.Model:
    import constriction

    if isinstance(table, int):
        return constriction.stream.model.Uniform(1 << table)
    # Counts out of 2^16 are exact in float64; docs/format.md, section 6, says what constriction makes of them. With
    # perfect=True it would search for other counts, and float32 gives another stream.
    return constriction.stream.model.Categorical(table.frequencies / TABLE_TOTAL, perfect=False)
