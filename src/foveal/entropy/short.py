"""Files of a few symbols, as short as bytes allow: an exact interval in Python's integers, without the state of a coder.

The coder of long files (``coder``) ends with a state, which costs about three bytes; where the whole file is of one to
twenty bytes that is much. Here the symbols narrow the interval 0..1 exactly, and the file is the shortest string of
bytes whose value, ``(file + 1/2) / 256^length``, lies in what is left: the middle of all that may follow these bytes, so
that no bytes at all, which are 1/2, are a likely file too. Of n symbols the interval is a fraction of ``2^(16 n)``,
so time grows with the square of n: this is for tens of symbols.

The method is arithmetic coding as in Rissanen and Langdon, "Arithmetic coding", IBM J. Res. Dev. 23 (1979), without
rounding. That the length of the file is known, and says something too, is ours: it saves bytes where bytes end early.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import final

from foveal.entropy.tables import TABLE_BITS, Table


@dataclass(frozen=True)
class Bounds:
    """Where the entries of a table begin, out of ``2^16``, and where the last one ends: ``n + 1`` rising Python integers."""

    starts: tuple[int, ...]

    @staticmethod
    def of(table: Table) -> Bounds:
        """The bounds of a table's entries, its escape the last."""
        return Bounds((0, *accumulate(int(count) for count in table.frequencies)))


def shortest_file(coded: Iterable[tuple[int, Bounds]]) -> bytes:
    """The shortest file of entries, each an index with the bounds of its table; none longer than the information, rounded up to bytes."""
    low, width, bits = 0, 1, 0
    for entry, bounds in coded:
        start = bounds.starts[entry]
        low = (low << TABLE_BITS) + start * width
        width *= bounds.starts[entry + 1] - start
        bits += TABLE_BITS
    for length in range(bits // 8 + 1):
        rest = bits - 8 * length
        value = -(-(2 * low - (1 << rest)) >> rest + 1)
        if (2 * value + 1) << rest < 2 * (low + width):
            return value.to_bytes(length, "big")
    raise AssertionError("a cell of all bytes lies inside")


@final
class ShortReader:
    """Reads the entries of such a file in their order. Any bytes give entries: whoever reads has to code them again and compare."""

    def __init__(self, data: bytes) -> None:
        self._rest, self._width = 2 * int.from_bytes(data, "big") + 1, 2 << 8 * len(data)

    def take(self, bounds: Bounds) -> int:
        """The index of the next entry."""
        self._rest <<= TABLE_BITS
        entry = bisect_right(bounds.starts, self._rest // self._width) - 1
        start = bounds.starts[entry]
        self._rest -= start * self._width
        self._width *= bounds.starts[entry + 1] - start
        return entry
