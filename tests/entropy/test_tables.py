"""Integer tables: exact sums, no zero, near the probabilities they came from."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from foveal.entropy.tables import TABLE_TOTAL, tables_from_cumulative


@given(st.lists(st.lists(st.integers(0, 1 << 20), min_size=8, max_size=8), min_size=1, max_size=4))
def test_every_table_sums_to_the_total_and_has_no_zero(rows: list[list[int]]) -> None:
    mass = np.array(rows, np.int64)
    scaled = mass * ((1 << 24) - 1) // np.maximum(mass.sum(1, keepdims=True), 1)
    cumulative = np.concatenate([np.zeros((len(rows), 1), np.int64), np.cumsum(scaled, 1)], 1)
    for table in tables_from_cumulative(cumulative, low=-4, bits=24):
        assert table.frequencies.sum() == TABLE_TOTAL
        assert table.frequencies.min() >= 1
        assert table.low >= -4
        assert table.low + table.escape <= 4


def test_a_table_holds_only_symbols_that_are_likely_enough() -> None:
    mass = np.array([[1, 0, 1 << 10, (1 << 24) - (1 << 11), 1 << 10, 0, 2]])
    (table,) = tables_from_cumulative(np.concatenate([[[0]], np.cumsum(mass, 1)], 1), low=-3, bits=24)
    assert (table.low, table.escape) == (-1, 3)


def test_an_empty_distribution_leaves_zero_and_the_escape() -> None:
    (table,) = tables_from_cumulative(np.zeros((1, 6), np.int64), low=-2, bits=24)
    assert (table.low, len(table.frequencies)) == (0, 2)


def test_frequencies_follow_the_probabilities() -> None:
    p = np.array([0.05, 0.2, 0.5, 0.2, 0.05])
    cumulative = np.round(np.concatenate([[0], np.cumsum(p)]) * (1 << 24)).astype(np.int64)[None]
    (table,) = tables_from_cumulative(cumulative, low=-2, bits=24)
    assert np.abs(table.frequencies[:-1] / TABLE_TOTAL - p).max() < 2e-4
