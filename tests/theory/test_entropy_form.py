from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theory_reference import conditional_entropy_bits, information_bits

from foveal.theory.entropy_form import entropy_points, entropy_rate, entropy_surface
from foveal.theory.gaussian import gaussian_entropy_rate, gaussian_label_entropy
from foveal.theory.normal import normal_pdf
from foveal.theory.posterior import candidates, greatest, loss_bits
from foveal.theory.solver import classifier_rate
from foveal.theory.source import Source, entropies_bits
from foveal.theory.sources import bernoulli, gaussian_lattice, random_source

SEED = st.integers(0, 10_000)


def _axes(source: Source, count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    least, most = float(source.p @ source.distortion.min(axis=1)), float((source.p @ source.distortion).min())
    axes = np.linspace(least, most, count), np.linspace(source.noise_entropy, source.label_entropy, count)
    return np.unique(axes[0]), np.unique(axes[1])


@settings(max_examples=20, deadline=None)
@given(SEED, st.integers(1, 5), st.integers(1, 4), st.integers(2, 3), st.booleans())
def test_bounds_meet_and_no_random_code_is_below_them(seed: int, symbols: int, letters: int, classes: int, noisy: bool) -> None:
    source = random_source(seed, symbols, letters, classes, noisy=noisy)
    assert entropy_surface(source, *_axes(source)).gap <= 1.01e-5
    rng = np.random.default_rng(seed)
    for sharpness in (0.1, 0.5, 2.0):  # U of twice as many values, each with the reproduction that suits it
        joint = source.p[:, None] * rng.dirichlet(np.full(2 * symbols + 1, sharpness), symbols)
        distortion = float((joint.T @ source.distortion).min(axis=1).sum())
        equivocation = conditional_entropy_bits(joint.T @ source.labels)
        found = entropy_points(source, np.array([[distortion, equivocation]]))
        assert found.lower[0] <= information_bits(joint) + 1e-7


def test_without_noise_or_distortion_every_bit_tells_of_the_label() -> None:
    """S = X and no bound on D: I(X; U) = H(S) - H(S|U)."""
    source = Source(np.array([0.2, 0.3, 0.5]), np.eye(3), 1 - np.eye(3))
    for c in (0.0, 0.3, 1.0, source.label_entropy):
        assert entropy_rate(source, 1.0, c) == pytest.approx(source.label_entropy - c, abs=1e-5)


def test_edges_of_the_domain() -> None:
    source = gaussian_lattice(7, rho=0.8)
    all_told = source.noise_entropy
    assert entropy_rate(source, 0.0, 1.0) == pytest.approx(source.entropy, abs=1e-5)
    assert entropy_rate(source, 0.0, all_told) == pytest.approx(source.entropy, abs=1e-5)
    assert entropy_rate(source, 100.0, all_told) == pytest.approx(source.entropy, abs=1e-5)  # all labels differ: X must be told
    assert entropy_rate(source, 100.0, all_told - 1e-9) == math.inf
    assert entropy_rate(source, -1e-9, 1.0) == math.inf
    assert entropy_rate(source, 100.0, source.label_entropy) == 0.0
    two = random_source(4, 6, noisy=False)  # at H(S|X) = 0 only the class must be told
    assert entropy_rate(two, 1.0, 0.0) == pytest.approx(two.label_entropy, abs=1e-5)


def test_a_fixed_classifier_asks_for_less_than_its_entropy_says() -> None:
    """Fano's way round: who knows S up to H(S|U) = h(C) need not err less, but an error of C leaves at most h(C) for two classes."""
    source = bernoulli(0.4, (0.1, 0.1))
    for c in (0.15, 0.2, 0.3):
        entropy = float(entropies_bits(np.array([[c, 1 - c]]))[0])
        assert entropy_rate(source, 1.0, entropy) <= classifier_rate(source, 1.0, c) + 1e-5


@pytest.mark.parametrize("equivocation", [0.6, 0.3, 0.1])
def test_the_solver_agrees_with_the_gaussian_formula(equivocation: float) -> None:
    """S and X on lattices fine enough that sums over them are integrals; many noisy classes, so the upper bound is what is compared."""
    rho, bin_width = 0.8, 0.5
    x, s = np.linspace(-4.6, 4.6, 24), np.arange(-6, 6.01, bin_width)
    p = normal_pdf(x) / normal_pdf(x).sum()
    labels = normal_pdf((s - rho * x[:, None]) / math.sqrt(1 - rho * rho))
    source = Source(p, labels / labels.sum(axis=1, keepdims=True), (x[:, None] - np.linspace(-3.6, 3.6, 19)) ** 2)
    c = gaussian_label_entropy() - equivocation
    found = entropy_surface(source, np.array([0.3, 0.6, 1.5]), np.array([c - math.log2(bin_width)]))
    formula = [gaussian_entropy_rate(1.0, rho, d, c) for d in (0.3, 0.6, 1.5)]
    assert found.rate[:, 0] == pytest.approx(np.array(formula), abs=1e-4)
    assert (found.lower[:, 0] <= np.array(formula) + 1e-4).all()


def test_the_loss_of_a_posterior_that_excludes_a_class() -> None:
    labels = np.array([[1.0, 0.0], [0.5, 0.5]])
    cost, finite = loss_bits(labels, np.array([[1.0, 0.0], [0.5, 0.5]]))
    assert finite.tolist() == [[True, False], [True, True]]
    assert cost[finite].tolist() == [0.0, 1.0, 1.0]


@settings(max_examples=40, deadline=None)
@given(SEED, st.integers(2, 4), st.floats(0.01, 12.0), st.booleans())
def test_no_posterior_exceeds_the_bound_and_the_bound_is_reached(seed: int, classes: int, beta: float, noisy: bool) -> None:
    source = random_source(seed, 5, 2, classes, noisy=noisy)
    rng = np.random.default_rng(seed)
    log_w = np.log(rng.random((1, 2, 5)) / 5)
    prices = np.array([beta])
    found = greatest(log_w, source.labels, prices, candidates(source.labels, source.p), tolerance=1e-6)
    assert found.log_bound[0] - found.log_value.max() <= 1.01e-6
    tried = np.concatenate([rng.dirichlet(np.full(classes, a), 300) for a in (0.05, 0.3, 1.0)] + [source.labels, np.eye(classes)])
    cost, finite = loss_bits(source.labels, tried)
    terms = np.where(finite, np.exp(log_w[0][:, None, :] - beta * math.log(2) * cost), 0.0)
    assert np.log(terms.sum(axis=2).max()) <= found.log_bound[0] + 1e-12
    assert found.u.sum(axis=2) == pytest.approx(1.0)


@settings(max_examples=25, deadline=None)
@given(SEED, st.integers(2, 3), st.floats(1.5, 12.0))
def test_a_search_that_begins_in_a_wrong_place_finds_the_greatest_all_the_same(seed: int, classes: int, beta: float) -> None:
    """For β > 1 there are many local maxima; climbing from one posterior alone ends in its own, and the halving must find the others."""
    source = random_source(seed, 5, 2, classes)
    log_w = np.log(np.random.default_rng(seed).random((1, 2, 5)) / 5)
    everywhere = greatest(log_w, source.labels, np.array([beta]), candidates(source.labels, source.p), tolerance=1e-6)
    for row in source.labels:
        found = greatest(log_w, source.labels, np.array([beta]), row[None], tolerance=1e-6)
        assert found.log_bound[0] >= everywhere.log_value.max() - 1e-12
        assert found.log_value.max() >= everywhere.log_value.max() - 2e-6
