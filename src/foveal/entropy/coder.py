"""One interface to put symbols; one sink counts their bits, the other writes them. One reader.

The coder is the asymmetric numeral system of the library constriction, which takes symbols last in,
first out. So the writer keeps what it is given and codes it backwards at the end, and the reader
gets everything in the order in which it was put. docs/format.md, section 6, is the specification.
"""

from __future__ import annotations

import functools
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
        order = _Order(tables, symbols.shape, index)
        entries = symbols.reshape(-1)[order.places].astype(np.int64) - order.low
        outside, escapes = np.flatnonzero((entries < 0) | (entries >= order.escape)), ()
        if outside.size:
            far, escape = entries[outside], order.escape[outside]
            distance = np.where(far < 0, -2 * far - 1, 2 * (far - escape))
            assert distance.max() < 2 * SYMBOL_LIMIT, "a symbol does not fit"
            entries[outside] = escape
            escapes = _escape_parts(distance[np.argsort(order.places[outside])])
        entries = entries.astype(np.int32)
        for table, own in order.parts():
            self._put(_Group(entries[own], table))
        for part in escapes:
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
        order = _Order(tables, shape, index)
        entries = np.empty(len(order.places), np.int32)
        for table, part in order.parts():
            entries[part] = self._coder.decode(_model(table), part.stop - part.start)
        symbols = np.empty_like(entries)
        symbols[order.places] = entries + order.low
        escaped = np.flatnonzero(entries == order.escape)
        if escaped.size:
            self._take_escapes(symbols, order, escaped)
        return symbols.reshape(shape)

    def _take_escapes(self, symbols: Symbols, order: _Order, escaped: npt.NDArray[np.intp]) -> None:
        escaped = escaped[np.argsort(order.places[escaped])]
        distance, low = self._distances(len(escaped)), order.low[escaped].astype(np.int64)
        outside = np.where(distance % 2, low - 1 - distance // 2, low + order.escape[escaped] + distance // 2)
        if (np.abs(outside) >= SYMBOL_LIMIT).any():
            raise DamagedError(f"a symbol of {int(np.abs(outside).max())}; below {SYMBOL_LIMIT} is allowed")
        symbols[order.places[escaped]] = outside

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


@final
class _Order:
    """Symbols in coding order: table after table, those of one table as they stand.

    places: of symbols, in an array read in C order. low, escape: of each symbol's table.
    """

    def __init__(self, tables: Tables, shape: tuple[int, ...], index: npt.NDArray[np.integer] | None) -> None:
        if index is None:
            self._tables, counts = tables[: shape[0]], np.full(shape[0], math.prod(shape[1:]))
            self.places = np.arange(math.prod(shape))
        else:
            self._tables, counts = tables, np.bincount(index.reshape(-1), minlength=len(tables))
            self.places = np.argsort(index, axis=None, kind="stable")
        self.low, self.escape = (bound.repeat(counts) for bound in _bounds(self._tables))
        self._ends = np.cumsum(counts).tolist()

    def parts(self) -> Iterator[tuple[Table, slice]]:
        """The tables that occur, rising, each with its part of ``places``."""
        begin = 0
        for table, end in zip(self._tables, self._ends, strict=True):
            if end > begin:
                yield table, slice(begin, end)
            begin = end


@functools.lru_cache(maxsize=64)
def _bounds(tables: Tables) -> tuple[Symbols, Symbols]:
    """The first symbol and the escape of each table."""
    return np.array([table.low for table in tables], np.int32), np.array([table.escape for table in tables], np.int32)


def _escape_parts(distance: npt.NDArray[np.int64]) -> tuple[_Group, _Group]:
    """The byte counts and the bytes of escaped symbols."""
    sizes = 1 + (distance[:, None] >= 1 << np.array([8, 16, 24])).sum(1)
    planes = distance[:, None] >> np.arange(0, 32, 8) & 255
    data = planes[np.arange(4) < sizes[:, None]]
    return _Group((sizes - 1).astype(np.int32), _COUNT_BITS), _Group(data.astype(np.int32), _BYTE_BITS)


@functools.lru_cache(maxsize=1024)
def _model(table: Table | int) -> constriction.stream.model.Model:
    import constriction

    if isinstance(table, int):
        return constriction.stream.model.Uniform(1 << table)
    # Counts out of 2^16 are exact in float64; docs/format.md, section 6, says what constriction makes of them. With
    # perfect=True it would search for other counts, and float32 gives another stream.
    return constriction.stream.model.Categorical(table.frequencies / TABLE_TOTAL, perfect=False)
