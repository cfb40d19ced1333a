from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theory_reference import blahut_arimoto, information_bits

from foveal.errors import TheoryError
from foveal.theory.frontier import frontier, rate_zero
from foveal.theory.solver import classifier_points, classifier_rate, classifier_surface, two_constraint_rate
from foveal.theory.source import Source
from foveal.theory.sources import gaussian_lattice, random_source

SEED = st.integers(0, 10_000)


def _ranges(source: Source) -> tuple[np.ndarray, np.ndarray]:
    costs = np.stack([source.distortion, source.error])
    border, free = frontier(source.p, costs), rate_zero(source.p, costs)
    return np.linspace(border.first[0], free.first[-1], 8), np.linspace(border.second[-1], free.second[0], 8)


@pytest.mark.parametrize("s", [(2.0, 0.0), (3.0, 4.0), (0.0, 5.0), (20.0, 1.0)])
def test_blahut_and_arimoto_agree(s: tuple[float, float]) -> None:
    source = random_source(5, 9, 7)
    costs = np.stack([source.distortion, source.error])
    first, second, bits = blahut_arimoto(source.p, costs, s)
    found = classifier_points(source, np.array([[first, second]]))
    assert found.rate[0] == pytest.approx(bits, abs=3e-6)
    assert found.lower[0] <= bits + 1e-9
    if min(s) > 0:
        assert found.prices[0] == pytest.approx(np.array(s) / math.log(2), rel=0.02)


def test_the_channel_of_the_solution_has_its_rate_and_keeps_its_bounds() -> None:
    """The certificate's upper side, made again from the output law and the prices, without the solver's arithmetic."""
    source = random_source(11, 10)
    costs = np.stack([source.distortion, source.error])
    first, second = _ranges(source)
    points = np.array([[first[3], second[5]], [first[5], second[4]], [first[2], second[7]]])
    found = two_constraint_rate(source.p, costs, points, 1e-9)
    for bounds, rate, prices, q in zip(points, found.rate, found.prices, found.output, strict=True):
        kernel = q * np.exp(-math.log(2) * np.einsum("k,kxy->xy", prices, costs))
        joint = source.p[:, None] * kernel / kernel.sum(axis=1, keepdims=True)
        assert information_bits(joint) == pytest.approx(rate, abs=1e-6)
        assert ((costs * joint).sum(axis=(1, 2)) <= bounds + 1e-6).all()


@settings(max_examples=25, deadline=None)
@given(SEED, st.integers(1, 6), st.integers(1, 6), st.integers(2, 3), st.booleans())
def test_bounds_meet_and_no_random_channel_is_below_them(
    seed: int, symbols: int, letters: int, classes: int, noisy: bool
) -> None:
    source = random_source(seed, symbols, letters, classes, noisy=noisy)
    surface = classifier_surface(source, *(np.unique(axis) for axis in _ranges(source)))
    assert surface.gap <= 1e-5
    assert (surface.rate[surface.feasible] <= source.entropy + 1e-9).all()
    rng = np.random.default_rng(seed)
    for sharpness in (0.1, 0.3, 1.0, 3.0):
        joint = source.p[:, None] * rng.dirichlet(np.full(letters, sharpness), symbols)
        first, second = float((joint * source.distortion).sum()), float((joint * source.error).sum())
        found = classifier_points(source, np.array([[first, second]]))
        assert found.lower[0] <= information_bits(joint) + 1e-7


@settings(max_examples=25, deadline=None)
@given(SEED, st.integers(1, 6), st.integers(1, 6))
def test_feasible_is_what_channels_reach(seed: int, symbols: int, letters: int) -> None:
    source = random_source(seed, symbols, letters)
    costs = np.stack([source.distortion, source.error])
    border = frontier(source.p, costs)
    # each direction's least weighted sum is reached by a channel, and is the border's own
    for weight in np.linspace(0, 1, 11):
        mixed = weight * costs[0] + (1 - weight) * costs[1]
        assert source.p @ mixed.min(axis=1) == pytest.approx(
            (weight * border.first + (1 - weight) * border.second).min(), abs=1e-12
        )
    for first, second in zip(border.first, border.second, strict=True):
        assert classifier_rate(source, first, second) < math.inf
        assert classifier_rate(source, first, second - 1e-6) == math.inf or second - 1e-6 > border.second[-1]
        assert classifier_rate(source, first - 1e-6, second) == math.inf or first - 1e-6 > border.first[0]


def test_edges_of_the_domain() -> None:
    source = gaussian_lattice(9, rho=0.8)
    least = float(source.p @ source.error.min(axis=1))
    assert classifier_rate(source, 0.0, 1.0) == pytest.approx(source.entropy, abs=1e-6)
    assert classifier_rate(source, 0.0, least) == pytest.approx(source.entropy, abs=1e-6)
    assert classifier_rate(source, -1e-9, 1.0) == math.inf
    assert classifier_rate(source, 100.0, least - 1e-9) == math.inf
    assert 0 < classifier_rate(source, 100.0, least) < 1
    assert classifier_rate(source, 1e-7, 1.0) < source.entropy
    assert classifier_rate(source, 1e6, 1.0) == 0.0


def test_just_inside_the_border_the_bounds_still_meet() -> None:
    source = random_source(1, 12)
    costs = np.stack([source.distortion, source.error])
    border = frontier(source.p, costs)
    middle = [(border.first[i] + border.first[i + 1]) / 2 for i in range(len(border.first) - 1)]
    points = np.array([[d, float(border.second_least(np.array([d]))[0]) + e] for d in middle for e in (0.0, 1e-9, 1e-6, 1e-3)])
    found = two_constraint_rate(source.p, costs, points)
    assert np.isfinite(found.rate).all()
    assert (found.rate - found.lower < 1e-4).all()
    assert (np.diff(found.rate.reshape(-1, 4)) <= 1e-4).all()
    assert (
        found.rate.reshape(-1, 4)[:, 0] - found.rate.reshape(-1, 4)[:, 1] < 1e-3
    ).all()  # the border is where the inside leads


def test_wrong_axes_are_refused() -> None:
    source = random_source(0, 3)
    for axis in ([0.2, 0.1], [0.1, 0.1], [], [math.nan], [[0.1]], [0.1, math.inf]):
        with pytest.raises(TheoryError):
            classifier_surface(source, np.array(axis), np.array([0.5]))
    with pytest.raises(TheoryError, match="at most"):
        classifier_surface(source, np.arange(2000.0), np.arange(2000.0))
    with pytest.raises(TheoryError, match="tolerance"):
        classifier_surface(source, np.array([0.5]), np.array([0.5]), tolerance_bits=0)


@pytest.mark.slow
def test_a_surface_of_900_points_for_64_symbols_is_a_matter_of_seconds() -> None:
    """Loosely: docs/theory.md has the figures of an idle machine."""
    source = random_source(0, 64)
    first, second = (np.linspace(axis[0], axis[-1], 30) for axis in _ranges(source))
    start = time.process_time()
    surface = classifier_surface(source, first, second)
    assert time.process_time() - start < 60
    assert surface.gap <= 1e-5
