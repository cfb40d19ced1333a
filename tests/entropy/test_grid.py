"""The integer grid gives the tables of the density that it was sampled from, at any step."""

from __future__ import annotations

import numpy as np
import pytest

from foveal.entropy.grid import CDF_BITS, POSITION_BITS, GridPrior, unit_knots
from foveal.entropy.tables import TABLE_TOTAL

SCALE = 1 / 16


def _logistic(y: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-y / SCALE))


@pytest.fixture(scope="module")
def prior() -> GridPrior:
    cdf = np.round(_logistic(unit_knots()) * (1 << CDF_BITS)).astype(np.int64)[None]
    cdf[:, 0], cdf[:, -1] = 0, 1 << CDF_BITS
    return GridPrior(np.round(unit_knots() * (1 << POSITION_BITS)).astype(np.int64), cdf)


@pytest.mark.parametrize("step", [0.003, 0.02, 0.1, 0.5, 1.9])
def test_tables_cost_next_to_nothing_over_the_density(prior: GridPrior, step: float) -> None:
    (table,) = prior.tables(np.array([round(step * (1 << POSITION_BITS))]))
    symbols = np.arange(table.low, table.low + table.escape)
    p = _logistic((symbols + 0.5) * step) - _logistic((symbols - 0.5) * step)
    entropy = -(p * np.log2(p)).sum()
    cost = -(p * np.log2(table.frequencies[:-1] / TABLE_TOTAL)).sum()
    assert cost - entropy < 0.003 * entropy + 1e-4


def test_the_cumulative_reaches_its_ends_and_never_falls(prior: GridPrior) -> None:
    positions = np.linspace(-2, 2, 4001)[None] * (1 << POSITION_BITS)
    cumulative = prior.cumulative(positions.astype(np.int64))
    assert cumulative[0, 0] == 0
    assert cumulative[0, -1] == 1 << CDF_BITS
    assert (np.diff(cumulative) >= 0).all()
