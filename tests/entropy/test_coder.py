"""The entropy coder: what goes in comes out, counted and written agree, the stream never changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.entropy.coder import SYMBOL_LIMIT, BitCounter, SymbolReader, SymbolWriter
from foveal.entropy.tables import TABLE_TOTAL, Table, Tables
from foveal.errors import DamagedError, FovealError


def _table(low: int, *weights: float) -> Table:
    counts = 1 + np.floor(np.array(weights) / sum(weights) * (TABLE_TOTAL - len(weights) - 1)).astype(np.int64)
    return Table(low, np.append(counts, TABLE_TOTAL - counts.sum()))


TABLES: Tables = (_table(-1, 1, 8, 1), _table(0, 1), _table(-3, 1, 2, 3, 4, 3, 2, 1))
GOLDEN = "0000dc2230c9264e680a5b06f85360843302"
symbol = st.one_of(st.integers(-4, 4), st.integers(-1000, 1000), st.integers(1 - SYMBOL_LIMIT, SYMBOL_LIMIT - 1))


def _written(symbols: np.ndarray, index: np.ndarray | None) -> bytes:
    writer = SymbolWriter()
    writer.put(symbols, TABLES, index)
    return writer.finish()


@given(st.lists(st.tuples(symbol, st.integers(0, 2)), max_size=60))
def test_any_symbols_come_back_and_the_count_is_right(pairs: list[tuple[int, int]]) -> None:
    symbols = np.array([s for s, _ in pairs], np.int64)
    index = np.array([i for _, i in pairs], np.int64)
    payload = _written(symbols, index)
    reader = SymbolReader(payload)
    assert (reader.take(TABLES, symbols.shape, index) == symbols).all()
    reader.finish()
    counter = BitCounter()
    counter.put(symbols, TABLES, index)
    assert counter.bits / 8 - 4 <= len(payload) <= counter.bits / 8 + 4  # the first 24 bits or so may be free
    assert abs(counter.size_bytes - len(payload)) <= 5
    assert not payload.endswith(b"\0")


@given(st.lists(symbol, min_size=9, max_size=9))
def test_rows_are_the_same_as_an_index_of_rows(values: list[int]) -> None:
    symbols = np.array(values).reshape(3, 3)
    index = np.repeat(np.arange(3), 3).reshape(3, 3)
    assert _written(symbols, None) == _written(symbols, index)
    assert (SymbolReader(_written(symbols, None)).take(TABLES, (3, 3)) == symbols).all()


def test_several_groups_come_back_in_the_order_they_were_put() -> None:
    writer = SymbolWriter()
    writer.put(np.array([[1, 900, 0]]), TABLES[:1])
    writer.put(np.array([2, -2]), TABLES, np.array([2, 0]))
    reader = SymbolReader(writer.finish())
    assert reader.take(TABLES[:1], (1, 3)).tolist() == [[1, 900, 0]]
    assert reader.take(TABLES, (2,), np.array([2, 0])).tolist() == [2, -2]
    reader.finish()


def test_the_stream_is_frozen() -> None:
    """These bytes are the format: a change of constriction or of the grouping must not pass unseen."""
    symbols = np.array([0, 0, 1, -1, 5, 0, -3, 3, 70000, -70000, 0, 2])
    index = np.array([0, 1, 2, 0, 1, 2, 2, 2, 0, 1, 1, 2])
    assert _written(symbols, index).hex() == GOLDEN


def test_every_damaged_stream_gives_an_error_or_other_symbols_never_a_crash() -> None:
    symbols = np.arange(-100, 100)
    index = np.arange(200) % 3
    payload = _written(symbols, index)
    rng = np.random.default_rng(1)
    for _ in range(300):
        data = bytearray(payload)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        try:
            out = SymbolReader(bytes(data)).take(TABLES, (200,), index)
        except FovealError:
            continue
        assert out.shape == (200,)


def test_zero_bytes_at_the_end_may_be_there_up_to_a_whole_word() -> None:
    sizes = set[int]()
    for count in range(1, 60):
        payload = _written(np.arange(count) % 7 - 3, np.arange(count) % 3)
        sizes.add(len(payload) % 4)
        reader = SymbolReader(payload + bytes(-len(payload) % 4))
        assert (reader.take(TABLES, (count,), np.arange(count) % 3) == np.arange(count) % 7 - 3).all()
        reader.finish()
    assert sizes == {0, 1, 2, 3}


def test_words_that_are_left_over_are_refused() -> None:
    reader = SymbolReader(_written(np.zeros(4000, np.int64), np.full(4000, 2)))
    reader.take(TABLES, (2000,), np.full(2000, 2))
    with pytest.raises(DamagedError, match="more than its symbols"):
        reader.finish()
