from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from foveal.errors import TheoryError
from foveal.theory.bernoulli import binary_entropy
from foveal.theory.gaussian import gaussian_entropy_rate, gaussian_label_entropy, gaussian_least_entropy
from foveal.theory.gaussian_classifier import gaussian_classifier_points, gaussian_classifier_surface, gaussian_least_error
from foveal.theory.normal import normal_cdf, normal_pdf, panels
from foveal.theory.properties import convex, monotone


def test_the_entropy_formula_and_its_domain() -> None:
    h = gaussian_label_entropy()
    assert h == pytest.approx(2.0471, abs=1e-4)
    assert gaussian_entropy_rate(2.0, 0.9, 1.0, h) == pytest.approx(1.0)
    assert gaussian_entropy_rate(1.0, 1.0, 9.0, h - 0.7) == pytest.approx(0.7)  # S = X: a bit of X is a bit of S
    assert gaussian_entropy_rate(1.0, 0.5, 9.0, h) == 0.0
    assert gaussian_entropy_rate(1.0, 0.8, 9.0, gaussian_least_entropy(0.8) - 1e-9) == math.inf
    assert gaussian_entropy_rate(1.0, 0.8, 9.0, gaussian_least_entropy(0.8) + 1e-9) > 10
    assert gaussian_entropy_rate(1.0, 0.0, 9.0, h - 1e-9) == math.inf
    assert gaussian_entropy_rate(1.0, 0.8, 0.0, h) == math.inf
    assert gaussian_least_entropy(1.0) == -math.inf
    for wrong in ((0.0, 0.5, 1.0, h), (1.0, 1.5, 1.0, h), (1.0, 0.5, math.nan, h), (1.0, 0.5, 1.0, math.nan)):
        with pytest.raises(TheoryError):
            gaussian_entropy_rate(*wrong)


def test_the_normal_distribution() -> None:
    assert normal_cdf(np.array([0.0, 1.0, -8.0])) == pytest.approx([0.5, 0.8413447460685429, 6.22096057427174e-16], rel=1e-12)
    x, w = panels(np.linspace(-9, 9, 10), 8)
    assert (w * normal_pdf(x) * x**2).sum() == pytest.approx(1.0, abs=1e-9)


def test_the_least_error_is_that_of_the_best_answer() -> None:
    for rho in (0.0, 0.3, 0.9, 1.0):
        assert gaussian_least_error(rho) == pytest.approx(math.acos(rho) / math.pi, abs=1e-12)
    assert gaussian_least_error(0.6, 0.5) < 0.3
    assert gaussian_least_error(1.0, 0.5) == 0.0


def test_without_the_classifier_it_is_the_gaussian_rate_distortion_function() -> None:
    d = np.array([0.1, 0.3, 0.9])
    found = gaussian_classifier_surface(2.0, 0.7, 4 * d, np.array([0.5]))
    known = -0.5 * np.log2(d)
    assert (found.lower[:, 0] <= known + 1e-9).all()
    assert (found.rate[:, 0] >= known - 1e-9).all()
    assert found.gap < 2e-5


def test_without_the_distortion_a_sign_is_a_fair_coin() -> None:
    """rho = 1 and D >= sigma²: the class alone counts, and it is Bernoulli(1/2): R = 1 - h(C)."""
    c = np.array([0.01, 0.1, 0.3])
    found = gaussian_classifier_surface(1.0, 1.0, np.array([1.0]), c)
    known = np.array([1 - binary_entropy(float(e)) for e in c])
    assert found.rate[0] == pytest.approx(known, abs=2e-5)
    assert found.lower[0] == pytest.approx(known, abs=2e-5)


@pytest.mark.parametrize(("rho", "threshold"), [(0.9, 0.0), (1.0, 0.5)])
def test_bounds_are_ordered_and_near_and_the_surface_has_its_properties(rho: float, threshold: float) -> None:
    least = gaussian_least_error(rho, threshold)
    error = np.linspace(least, 0.5, 5)
    surface = gaussian_classifier_surface(1.0, rho, np.linspace(0.1, 1.1, 5), error, threshold=threshold)
    assert surface.feasible.all()
    assert (surface.lower <= surface.rate).all()
    assert surface.gap < 2e-3
    assert np.median(surface.rate - surface.lower) < 1e-5
    assert monotone(surface).holds
    assert convex(surface).holds


def test_closer_letters_bring_the_bounds_together() -> None:
    point = np.array([[0.5, 0.2]])
    coarse, fine = (gaussian_classifier_points(1.0, 0.9, point, refinements=n) for n in (1, 3))
    assert coarse.rate[0] - coarse.lower[0] > 1e-4
    assert fine.rate[0] - fine.lower[0] < 5e-5
    assert coarse.lower[0] <= fine.rate[0]
    assert fine.lower[0] <= coarse.rate[0]


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_no_quantiser_is_below_the_lower_bound(levels: int) -> None:
    """A quantiser with even cells, its rate, distortion and errors by quadrature: a code that is none of the solver's."""
    rho = 0.9
    edges = np.concatenate([[-8.0], np.linspace(-1.2, 1.2, levels - 1) if levels > 2 else [0.0], [8.0]])
    rate = distortion = error = 0.0
    for low, high in pairwise(edges):
        x, w = panels(np.linspace(low, high, 20), 8)
        p = w * normal_pdf(x)
        y = float(p @ x / p.sum())
        one = normal_cdf(rho * x / math.sqrt(1 - rho * rho))
        rate -= p.sum() * math.log2(p.sum())
        distortion += float(p @ (x - y) ** 2)
        error += float(p @ (1 - one if y >= 0 else one))
    found = gaussian_classifier_points(1.0, rho, np.array([[distortion, error]]))
    assert found.lower[0] <= rate
    assert rate - found.lower[0] < 0.5


def test_what_is_out_of_reach_and_what_is_refused() -> None:
    surface = gaussian_classifier_surface(1.0, 0.9, np.array([0.0, 0.3]), np.array([0.1, 0.2]))
    assert np.isinf(surface.rate).tolist() == [[True, True], [True, False]]
    for call in (
        lambda: gaussian_classifier_surface(0.0, 0.9, np.array([0.3]), np.array([0.2])),
        lambda: gaussian_classifier_surface(1.0, 1.1, np.array([0.3]), np.array([0.2])),
        lambda: gaussian_classifier_surface(1.0, 0.9, np.array([0.3]), np.array([0.2]), threshold=4.0),
        lambda: gaussian_classifier_surface(1.0, 0.9, np.array([1e-6]), np.array([0.2])),
        lambda: gaussian_classifier_surface(1.0, 0.9, np.array([0.3]), np.array([0.2]), refinements=0),
    ):
        with pytest.raises(TheoryError):
            call()
