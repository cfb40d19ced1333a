from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal.errors import TheoryError
from foveal.theory.bernoulli import (
    bernoulli_classifier_rate,
    bernoulli_entropy_rate,
    binary_entropy,
    convolve,
    inverse_entropy,
)
from foveal.theory.entropy_form import entropy_surface
from foveal.theory.solver import classifier_surface
from foveal.theory.sources import bernoulli

PROBABILITY = st.floats(0, 1)
SOURCES = [
    (0.5, (0.1, 0.1)),
    (0.3, (0.1, 0.3)),
    (0.2, (0.05, 0.6)),
    (0.4, (0.5, 0.1)),
    (0.7, (0.5, 0.5)),
    (0.3, (0.9, 0.9)),
    (0.0, (0.1, 0.2)),
]


@given(st.floats(0, 0.5))
def test_inverse_entropy_inverts(p: float) -> None:
    assert binary_entropy(inverse_entropy(binary_entropy(p))) == pytest.approx(binary_entropy(p), abs=1e-12)


def test_known_values() -> None:
    assert bernoulli_classifier_rate(0.5, (0.1, 0.1), 0.11, 1.0) == pytest.approx(1 - binary_entropy(0.11), abs=1e-12)
    assert bernoulli_classifier_rate(0.5, (0.1, 0.1), 1.0, 0.1 + 0.8 * 0.11) == pytest.approx(1 - binary_entropy(0.11), abs=1e-9)
    assert bernoulli_entropy_rate(0.5, 0.1, 1.0, binary_entropy(convolve(0.2, 0.1))) == pytest.approx(
        1 - binary_entropy(0.2), abs=1e-9
    )
    assert bernoulli_entropy_rate(0.3, 0.0, 1.0, 0.4) == pytest.approx(binary_entropy(0.3) - 0.4, abs=1e-9)


def test_domains() -> None:
    assert bernoulli_classifier_rate(0.5, (0.1, 0.1), 0.5, 0.099) == math.inf
    assert bernoulli_classifier_rate(0.5, (0.1, 0.1), -0.01, 0.5) == math.inf
    assert bernoulli_classifier_rate(0.5, (0.1, 0.1), 0.0, 0.1) == 1.0
    assert bernoulli_classifier_rate(0.5, (0.1, 0.1), 0.5, 0.5) == 0.0
    assert bernoulli_entropy_rate(0.5, 0.1, 0.5, binary_entropy(0.1) - 1e-6) == math.inf
    assert bernoulli_entropy_rate(0.5, 0.1, -0.1, 1.0) == math.inf
    assert bernoulli_entropy_rate(0.5, 0.5, 0.1, 0.999) == math.inf
    assert bernoulli_entropy_rate(0.5, 0.5, 0.5, 1.0) == 0.0
    assert bernoulli_entropy_rate(0.0, 0.2, 0.0, binary_entropy(0.2)) == 0.0
    for call in (bernoulli_classifier_rate, lambda p, f, d, c: bernoulli_entropy_rate(p, f[0], d, c)):
        for wrong in (
            (1.5, (0.1, 0.1), 0.1, 0.5),
            (0.5, (-0.1, 0.1), 0.1, 0.5),
            (0.5, (0.1, 0.1), math.nan, 0.5),
            (math.nan, (0.1, 0.1), 0.1, 0.5),
        ):
            with pytest.raises(TheoryError):
                call(*wrong)


def _best_of_all_channels(p: float, flips: tuple[float, float], steps: int = 401) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(distortion, error, bits) of channels on a grid; written from the definition, not from the code under test."""
    w = np.linspace(0, 1, steps)
    one, other = np.meshgrid(w, w, indexing="ij")  # P(1|0), P(0|1)
    joint = np.stack([(1 - p) * (1 - one), (1 - p) * one, p * other, p * (1 - other)])
    sent = joint[1] + joint[3]
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [
            j * np.log2(j / (px * py))
            for j, px, py in zip(joint, (1 - p, 1 - p, p, p), (1 - sent, sent, 1 - sent, sent), strict=True)
        ]
    bits = np.nansum(terms, axis=0)
    error = joint[0] * flips[0] + joint[1] * (1 - flips[0]) + joint[2] * (1 - flips[1]) + joint[3] * flips[1]
    return joint[1] + joint[2], error, bits


@pytest.mark.parametrize(("p", "flips"), SOURCES[:4])
def test_no_channel_of_a_fine_grid_beats_the_formula_and_the_best_comes_near(p: float, flips: tuple[float, float]) -> None:
    distortion, error, bits = _best_of_all_channels(p, flips)
    for d in (0.03, 0.1, 0.2, 0.5):
        for c in np.linspace(error.min() + 0.01, error.max(), 7):
            formula = bernoulli_classifier_rate(p, flips, d, c)
            kept = bits[(distortion <= d) & (error <= c)]
            if math.isinf(formula):
                assert not kept.size
            else:
                assert formula - 1e-9 <= kept.min() <= formula + 0.02


@pytest.mark.parametrize(("p", "flips"), SOURCES)
def test_the_solver_agrees_with_the_classifier_formula(p: float, flips: tuple[float, float]) -> None:
    axis = np.unique(np.r_[np.linspace(0, 1, 16), np.linspace(0, 0.6, 25)])
    solved = classifier_surface(bernoulli(p, flips), axis, axis)
    formula = np.array([[bernoulli_classifier_rate(p, flips, d, c) for c in axis] for d in axis])
    here = solved.feasible
    assert (here == np.isfinite(formula)).all()
    assert np.abs(solved.rate[here] - formula[here]).max() < 1e-5
    assert (solved.lower[here] <= formula[here] + 1e-9).all()
    assert solved.gap <= 1.001e-6


@pytest.mark.parametrize(("p", "flip"), [(0.5, 0.1), (0.3, 0.1), (0.3, 0.0), (0.2, 0.3), (0.6, 0.9)])
def test_the_solver_agrees_with_the_entropy_formula(p: float, flip: float) -> None:
    distortion, equivocation = np.linspace(0, 0.55, 9), np.linspace(binary_entropy(flip) - 0.05, 1.0, 9)
    solved = entropy_surface(bernoulli(p, (flip, flip)), distortion, equivocation)
    formula = np.array([[bernoulli_entropy_rate(p, flip, d, c) for c in equivocation] for d in distortion])
    here = solved.feasible
    assert (here == np.isfinite(formula)).all()
    assert np.abs(solved.rate[here] - formula[here]).max() < 2e-5
    assert (solved.lower[here] <= formula[here] + 1e-9).all()
    assert solved.gap <= 1.001e-5


@settings(max_examples=200, deadline=None)
@given(PROBABILITY, st.tuples(PROBABILITY, PROBABILITY), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.3), st.floats(0, 0.3))
def test_the_formula_is_monotone_and_convex(
    p: float, flips: tuple[float, float], d: float, c: float, more_d: float, more_c: float
) -> None:
    near, middle, far = (bernoulli_classifier_rate(p, flips, d + t * more_d, c + t * more_c) for t in (0, 0.5, 1))
    assert near >= middle - 1e-9
    assert middle >= far - 1e-9
    assert math.isinf(near) or middle <= (near + far) / 2 + 1e-9
    assert math.isinf(near) or near <= binary_entropy(p) + 1e-9
