"""Coding tables: integer frequencies out of 2^16, with an escape for whatever a table does not hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TABLE_BITS = 16
TABLE_TOTAL = 1 << TABLE_BITS


@dataclass(frozen=True, eq=False)
class Table:
    """One table: the symbols ``low, low + 1, ...`` in order, then the escape. Equal only to itself.

    ``frequencies`` int64, every one at least 1, summing to ``TABLE_TOTAL``.
    """

    low: int
    frequencies: npt.NDArray[np.int64]

    @property
    def escape(self) -> int:
        """The index of the escape, which is also the number of symbols that the table holds."""
        return len(self.frequencies) - 1


Tables = tuple[Table, ...]


def tables_from_cumulative(cumulative: npt.NDArray[np.int64], *, low: int, bits: int) -> Tables:
    """Makes one table for each row of cumulative probabilities, by integer arithmetic alone.

    ``cumulative`` ``(tables, n + 1)``: ``cumulative[:, i + 1] - cumulative[:, i]`` out of ``2**bits`` is
    the probability of symbol ``low + i``; rows do not fall. What lies outside goes to the escape, and
    so do outer symbols rarer than ``1 / TABLE_TOTAL``: a table as short as that wastes nothing on them.
    """
    mass = np.diff(cumulative, axis=1)
    held = mass >= (1 << bits) >> TABLE_BITS
    first = np.where(held.any(1), held.argmax(1), -low)
    last = np.where(held.any(1), mass.shape[1] - 1 - held[:, ::-1].argmax(1), -low)
    return tuple(
        Table(low + int(a), _frequencies(row[a : b + 2], bits)) for row, a, b in zip(cumulative, first, last, strict=True)
    )


def _frequencies(cumulative: npt.NDArray[np.int64], bits: int) -> npt.NDArray[np.int64]:
    """Shares out the total: one count for every entry, the rest in proportion, the sum exact."""
    entries = len(cumulative)
    inside = np.concatenate([cumulative - cumulative[0], [1 << bits]])
    return 1 + np.diff(inside * (TABLE_TOTAL - entries) >> bits)
