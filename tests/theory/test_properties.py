from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theory_reference import conditional_entropy_bits, information_bits

from foveal.errors import TheoryError
from foveal.theory.entropy_form import entropy_rate, entropy_surface
from foveal.theory.fixed_alphabet import counter_example, fixed_alphabet_rate, information, least_information
from foveal.theory.properties import convex, monotone
from foveal.theory.solver import classifier_surface
from foveal.theory.sources import random_source
from foveal.theory.surface import Surface

SEED = st.integers(0, 10_000)


@settings(max_examples=25, deadline=None)
@given(SEED, st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_the_classifier_definition_is_monotone_and_convex(seed: int, symbols: int, letters: int, noisy: bool) -> None:
    source = random_source(seed, symbols, letters, noisy=noisy)
    surface = classifier_surface(source, np.linspace(0, 0.7, 8), np.linspace(0, 0.8, 7))
    assert monotone(surface).holds
    assert convex(surface).holds
    assert max(monotone(surface).doubt, convex(surface).doubt) <= surface.gap + 1e-9


@settings(max_examples=10, deadline=None)
@given(SEED, st.integers(2, 4), st.booleans())
def test_the_entropy_definition_is_monotone_and_convex(seed: int, symbols: int, noisy: bool) -> None:
    source = random_source(seed, symbols, noisy=noisy)
    surface = entropy_surface(source, np.linspace(0, 0.5, 5), np.linspace(0, 1.0, 7))
    assert monotone(surface).holds
    assert convex(surface).holds


def _surface(rate: list[list[float]]) -> Surface:
    values = np.array(rate)
    axes = np.arange(values.shape[0], dtype=float), np.arange(values.shape[1], dtype=float)
    return Surface("made up", "classifier", *axes, values, values, np.zeros_like(values), np.zeros_like(values))


def test_a_rise_is_found_on_either_axis_and_beyond_the_border() -> None:
    assert monotone(_surface([[3, 2], [2, 1]])).holds
    found = monotone(_surface([[3, 2], [2, 2.25]]))
    assert (found.holds, found.amount, found.places) == (False, 0.25, ((0.0, 1.0), (1.0, 1.0)))
    assert monotone(_surface([[3, 3.5], [2, 1]])).places == ((0.0, 0.0), (0.0, 1.0))
    assert monotone(_surface([[3, math.inf], [2, 1]])).amount == math.inf
    assert monotone(_surface([[math.inf, math.inf], [2, 1]])).holds


def test_a_bulge_is_found_along_the_axes_and_across() -> None:
    assert convex(_surface([[4, 2, 1], [2, 1, 0.5], [1, 0.5, 0.25]])).holds
    assert convex(_surface([[4, 3.5, 1]])).amount == 1.0
    assert convex(_surface([[4], [3.5], [1]])).places == ((0.0, 0.0), (2.0, 0.0), (1.0, 0.0))
    across = convex(_surface([[9, 9, 0], [9, 2, 9], [0, 9, 9]]))  # fine on both axes and one diagonal
    assert (across.amount, across.places[-1]) == (9.0, (0.0, 1.0)) or across.amount >= 2.0
    saddle = convex(_surface([[2, 1, 0], [1, 1, 1], [0, 1, 2]]))
    assert (saddle.amount, set(saddle.places)) == (1.0, {(0.0, 2.0), (2.0, 0.0), (1.0, 1.0)})
    assert convex(_surface([[4, math.inf, 1]])).amount == math.inf
    assert convex(_surface([[math.inf, 2, 1]])).holds


def test_only_what_the_certificates_prove_counts() -> None:
    surface = _surface([[3, 2], [2, 2.1]])
    doubtful = replace(surface, lower=surface.rate - 0.2)
    assert monotone(doubtful).holds
    assert monotone(doubtful).doubt == pytest.approx(0.1)


def test_an_uneven_axis_is_refused() -> None:
    surface = replace(_surface([[3, 2, 1]]), classification=np.array([0.0, 1.0, 3.0]))
    with pytest.raises(TheoryError, match="even axis"):
        convex(surface)


def test_without_time_sharing_the_entropy_definition_is_not_convex() -> None:
    """The counter-example of docs/theory.md, by certified bounds: no channel to two letters stays below the chord in the middle."""
    source = counter_example()
    left, middle, right = (fixed_alphabet_rate(source, 0.0, c) for c in (0.742, 0.754, 0.766))
    assert middle.lower > (left.upper + right.upper) / 2 + 0.08
    for bracket, c in ((left, 0.742), (right, 0.766)):  # the ends by a channel, from its definition
        joint = source.p[:, None] * np.array([[1 - w, w] for w in bracket.channel])
        assert information_bits(joint) == pytest.approx(bracket.upper, abs=1e-9)
        assert conditional_entropy_bits(joint.T @ source.labels) <= c + 1e-9
    # with letters that carry posteriors, which is time sharing and more, it is convex, and lower
    shared = [entropy_rate(source, 0.0, c) for c in (0.742, 0.754, 0.766)]
    assert shared[1] <= (shared[0] + shared[2]) / 2 + 1e-5
    assert shared[1] < middle.lower - 0.2


@given(SEED, st.floats(0.01, 0.24))
def test_no_channel_of_a_cell_is_below_its_bound(seed: int, half: float) -> None:
    rng = np.random.default_rng(seed)
    p, centres = rng.dirichlet(np.ones(3)), rng.uniform(0.25, 0.75, (5, 3))
    inside = centres[:, None] + half * rng.uniform(-1, 1, (5, 20, 3))
    assert (information(p, inside.reshape(-1, 3)).reshape(5, 20) >= least_information(p, centres, half)[:, None] - 1e-12).all()
    assert (least_information(p, centres, 1e-9) >= information(p, centres) - 1e-7).all()


def test_the_branch_and_bound_brackets_a_fine_grid_of_channels() -> None:
    source = random_source(8, 3, 2)
    w = np.linspace(0, 1, 41)
    channels = np.stack(np.meshgrid(w, w, w, indexing="ij"), axis=-1).reshape(-1, 3)
    rates = information(source.p, channels)
    joint = [np.einsum("wx,xs->ws", share * source.p, source.labels) for share in (channels, 1 - channels)]
    left = sum(
        (-j * np.log2(np.where(j > 0, j, 1))).sum(axis=1)
        + (j.sum(axis=1) * np.log2(np.where(j.sum(axis=1) > 0, j.sum(axis=1), 1)))
        for j in joint
    )
    cost = channels @ (source.p * source.distortion[:, 1]) + (1 - channels) @ (source.p * source.distortion[:, 0])
    low, high = float(left.min()), float(left.max())
    for share in (0.3, 0.6, 0.9):
        c, d = low + share * (high - low), float(np.median(cost))
        kept = rates[(left <= c) & (cost <= d)]
        found = fixed_alphabet_rate(source, d, c)
        assert found.upper - found.lower <= 2e-3
        assert found.lower <= kept.min() <= found.upper + 0.03
    assert fixed_alphabet_rate(source, 1.0, low - 0.05).lower == math.inf
    with pytest.raises(TheoryError, match="two letters"):
        fixed_alphabet_rate(random_source(0, 3, 3), 1.0, 1.0)
    with pytest.raises(TheoryError, match="distortion = nan"):
        fixed_alphabet_rate(source, math.nan, 1.0)
