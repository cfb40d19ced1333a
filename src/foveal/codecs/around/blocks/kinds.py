"""What each block is, coded: a map of small numbers, whose tables follow what was coded before.

A block's table is made of counts: of whether a kind is that on the left and above, and of how often it came so far beside two such. A file has some
dozens of blocks, so a symbol's table is known only when those before it are decoded, and each is a group of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from foveal.entropy.coder import SymbolReader, SymbolWriter
from foveal.entropy.tables import TABLE_TOTAL, Table
from foveal.errors import DamagedError

FULL, PLAIN, LEARNED = 0, 1, 2
"""At the full size; at half of it, doubled by interpolation; at half of it, doubled by networks."""
BLOCK: Final = 64
"""Pixels a side."""

Kinds = npt.NDArray[np.int32]

_LIKE_NEIGHBOUR, _CAME_BEFORE = 2, 4  # what each of the two weighs, where 1 is what every kind has


def write_kinds(kinds: Kinds, allowed: Sequence[int]) -> bytes:
    """The payload of ``(rows, columns)`` kinds, all of them among those allowed, which rise."""
    writer, model = SymbolWriter(), _Model(kinds.shape[1], allowed)
    for kind in kinds.reshape(-1).tolist():
        writer.put(np.array([[allowed.index(kind)]], np.int32), (model.table(),))
        model.add(kind)
    return writer.finish()


def read_kinds(payload: bytes, rows: int, columns: int, allowed: Sequence[int]) -> Kinds:
    """What ``write_kinds`` was given.

    Raises:
        DamagedError: the payload is no such map.
    """
    reader, model = SymbolReader(payload), _Model(columns, allowed)
    for _ in range(rows * columns):
        found = int(reader.take((model.table(),), (1, 1))[0, 0])
        if not 0 <= found < len(allowed):
            raise DamagedError(f"a block of kind {found} out of {len(allowed)}; the file is damaged")
        model.add(allowed[found])
    reader.finish()
    return np.array(model.seen, np.int32).reshape(rows, columns)


class _Model:
    """The kinds so far, row by row, and the table of the next one."""

    def __init__(self, columns: int, allowed: Sequence[int]) -> None:
        self.seen: list[int] = []
        self._columns, self._allowed = columns, allowed
        self._counts: Counter[tuple[int, int, int]] = Counter()

    def _beside(self) -> tuple[int, int]:
        """The kinds on the left and above, the lower one first; outside of the picture the same as the other one, or the first."""
        at = len(self.seen)
        left = self.seen[at - 1] if at % self._columns else None
        above = self.seen[at - self._columns] if at >= self._columns else left
        left = above if left is None else left
        if left is None or above is None:
            return self._allowed[0], self._allowed[0]
        return min(left, above), max(left, above)

    def table(self) -> Table:
        first, second = self._beside()
        weights = [
            1 + _LIKE_NEIGHBOUR * ((kind == first) + (kind == second)) + _CAME_BEFORE * self._counts[first, second, kind]
            for kind in self._allowed
        ]
        room = TABLE_TOTAL - len(weights) - 1  # each entry has 1 at least, the escape among them, which is never used
        frequencies = [1 + room * weight // sum(weights) for weight in weights]
        return Table(0, np.array([*frequencies, TABLE_TOTAL - sum(frequencies)], np.int64))

    def add(self, kind: int) -> None:
        self._counts[*self._beside(), kind] += 1
        self.seen.append(kind)
