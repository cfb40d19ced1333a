"""Powers of two and scale tables in integers: against exact fractions, at the edges, and as a quantiser of scales."""

from __future__ import annotations

import math
import zlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.entropy.fixed_point import (
    LOG2_MAX,
    OCTAVE,
    VALUE_MAX,
    exp2_factors,
    exp2_table,
    frozen_tables,
    logistic_cumulative,
    round_half_up,
    scale_by_exp2,
    scale_index,
)
from foveal.entropy.grid import CDF_BITS, MAX_SYMBOL
from foveal.entropy.tables import TABLE_TOTAL

COUNT, FIRST = 48, -9 * OCTAVE // 2


def test_the_table_holds_the_floors_of_powers_of_two() -> None:
    table = exp2_table()
    assert table.shape == (256,)
    for j, value in enumerate(table.tolist()):
        assert value**256 <= 2 ** (15 * 256 + j) < (value + 1) ** 256
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 1


def _exactly(v: int, log2_256: int) -> int:
    """As docs/format.md says it, in Python's integers, which do not end."""
    v, log2_256 = max(-VALUE_MAX, min(v, VALUE_MAX)), max(-LOG2_MAX, min(log2_256, LOG2_MAX))
    scaled = v * int(exp2_table()[log2_256 % 256]) * Fraction(2) ** (log2_256 // 256 - 15)
    return max(-VALUE_MAX, min(math.floor(scaled + Fraction(1, 2)), VALUE_MAX))


@given(
    st.lists(
        st.tuples(st.integers(-(1 << 41), 1 << 41) | st.integers(-300, 300), st.integers(-LOG2_MAX - 300, LOG2_MAX + 300)),
        min_size=1,
        max_size=40,
    )
)
def test_scaling_is_exact_with_halves_up_and_saturates(pairs: list[tuple[int, int]]) -> None:
    v, log2 = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    assert scale_by_exp2(v, log2).tolist() == [_exactly(*pair) for pair in pairs]


def test_scaling_broadcasts_and_rounds_halves_up() -> None:
    v = np.array([[1, 3, -1, -3]], np.int64)
    log2 = np.array([[-OCTAVE], [0], [OCTAVE]], np.int64)
    assert scale_by_exp2(v, log2).tolist() == [[1, 2, 0, -1], [1, 3, -1, -3], [2, 6, -2, -6]]


def test_there_and_back_is_near() -> None:
    v = np.arange(-5000, 5000, dtype=np.int64) << 20
    for log2 in (-777, -1, 1, 500):
        back = scale_by_exp2(scale_by_exp2(v, np.array(log2)), np.array(-log2))
        assert np.abs(back - v).max() <= 7e-5 * np.abs(v).max()


def test_indices_are_of_the_nearest_scale_and_stay_inside() -> None:
    log2 = np.arange(FIRST - 500, FIRST + COUNT * 64 + 500)
    index = scale_index(log2, COUNT, 4, FIRST)
    assert index.min() == 0
    assert index.max() == COUNT - 1
    inside = (log2 >= FIRST) & (log2 <= FIRST + 64 * (COUNT - 1))
    assert np.abs(FIRST + 64 * index - log2)[inside].max() == 32
    assert (np.diff(index) >= 0).all()


def test_cumulatives_are_the_logistic_functions() -> None:
    cumulative = logistic_cumulative(COUNT, 4, FIRST)
    assert cumulative.shape == (COUNT, 2 * MAX_SYMBOL + 2)
    edges = np.arange(-MAX_SYMBOL, MAX_SYMBOL + 2) - 0.5
    scale = 2.0 ** (FIRST / OCTAVE + np.arange(COUNT) / 4)
    expected = 0.5 + 0.5 * np.tanh(edges / scale[:, None] / 2)
    assert np.abs(cumulative / 2**CDF_BITS - expected).max() <= 0.51 / 2**CDF_BITS
    assert (np.diff(cumulative, axis=1) >= 0).all()
    assert (cumulative + cumulative[:, ::-1] == 1 << CDF_BITS).all()


def test_cumulatives_are_the_same_integers_everywhere() -> None:
    assert zlib.crc32(logistic_cumulative(COUNT, 4, FIRST).astype("<i8").tobytes()) == 3343271406


def test_tables_code_near_the_entropy_of_their_scale() -> None:
    tables = frozen_tables(logistic_cumulative(COUNT, 4, FIRST).astype(np.int32))
    assert len(tables) == COUNT
    assert all(table.frequencies.sum() == TABLE_TOTAL and table.frequencies.min() >= 1 for table in tables)
    assert all(abs(table.low + (table.low + table.escape - 1)) <= 1 for table in tables)
    widths = [table.escape for table in tables]
    assert widths == sorted(widths)
    middle = tables[26]  # scale 4
    symbols = np.arange(middle.low, middle.low + middle.escape)
    scale = 4.0
    p = 0.5 * (np.tanh((symbols + 0.5) / scale / 2) - np.tanh((symbols - 0.5) / scale / 2))
    cost = -(p * np.log2(middle.frequencies[:-1] / TABLE_TOTAL)).sum()
    assert cost / -(p * np.log2(p)).sum() == pytest.approx(1, abs=0.002)


def test_factors_as_doubles_round_like_integers() -> None:
    random = np.random.default_rng(5)
    v = np.concatenate([random.integers(-(1 << 36), 1 << 36, 4000), random.integers(-500, 500, 4000)])
    log2 = random.integers(-14 * OCTAVE, 14 * OCTAVE + 1, v.shape)
    exact = scale_by_exp2(v, log2)
    held = np.abs(exact) < (1 << 40) - 1  # where the integers are not clipped
    assert held.sum() > 6000
    assert (round_half_up(v * exp2_factors(log2))[held] == exact[held]).all()
    assert (round_half_up(np.array([-1.5, -0.5, 0.5, 1.5])) == [-1, 0, 1, 2]).all()


def test_a_factor_beyond_its_octaves_is_refused() -> None:
    with pytest.raises(AssertionError, match="14 octaves"):
        exp2_factors(np.array([14 * OCTAVE + 1]))
