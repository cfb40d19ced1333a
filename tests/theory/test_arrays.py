"""What is no bound, no probability and no pair is refused by name, wherever it is given."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from foveal.errors import TheoryError
from foveal.theory.bernoulli import bernoulli_classifier_rate, bernoulli_entropy_rate
from foveal.theory.entropy_form import entropy_points, entropy_rate
from foveal.theory.fixed_alphabet import counter_example, fixed_alphabet_rate
from foveal.theory.gaussian import gaussian_entropy_rate
from foveal.theory.gaussian_classifier import gaussian_classifier_points
from foveal.theory.solver import classifier_points, classifier_rate, two_constraint_rate
from foveal.theory.sources import bernoulli, gaussian_lattice

COIN = bernoulli()
POINTS: dict[str, Callable[[Any], Any]] = {
    "classifier": lambda points: classifier_points(COIN, points),
    "entropy": lambda points: entropy_points(COIN, points),
    "gaussian": lambda points: gaussian_classifier_points(1.0, 0.9, points),
    "solver": lambda points: two_constraint_rate(COIN.p, np.stack([COIN.distortion, COIN.error]), points),
}
RATES: dict[str, Callable[[Any, Any], float]] = {
    "classifier": lambda d, c: classifier_rate(COIN, d, c),
    "entropy": lambda d, c: entropy_rate(COIN, d, c),
    "two letters": lambda d, c: fixed_alphabet_rate(counter_example(), d, c).upper,
    "coin, classifier": lambda d, c: bernoulli_classifier_rate(0.5, (0.1, 0.1), d, c),
    "coin, entropy": lambda d, c: bernoulli_entropy_rate(0.5, 0.1, d, c),
    "gaussian, entropy": lambda d, c: gaussian_entropy_rate(1.0, 0.9, d, c),
}


@pytest.mark.parametrize("call", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize(
    ("points", "says"),
    [
        (np.array([[0.3, 0.3], [math.nan, 0.3]]), r"nan at \(1, 0\)"),
        (np.array([[0.3, math.nan]]), r"nan at \(0, 1\)"),
        (np.array([[0.3, math.inf]]), r"inf at \(0, 1\)"),
        (np.array([0.3, 0.3]), "shape"),
        (np.array([[0.3, 0.3, 0.3]]), "rows of 3 numbers; two are needed"),
        (np.array([["a", "b"]]), "type"),
        ([[0.3, "a"]], r"points\[0\]\[1\] = 'a'"),
        (0.3, "points = 0.3"),
    ],
)
def test_what_is_no_pair_of_bounds_is_refused(call: Callable[[Any], Any], points: Any, says: str) -> None:
    with pytest.raises(TheoryError, match=says):
        call(points)


@pytest.mark.parametrize("call", RATES.values(), ids=RATES)
@pytest.mark.parametrize("wrong", ["a", math.nan, None, True, 10**400])
def test_what_is_no_number_is_refused(call: Callable[[Any, Any], float], wrong: Any) -> None:
    for bounds in ((wrong, 0.3), (0.3, wrong)):
        with pytest.raises(TheoryError, match=r"= .*; a number is needed"):
            call(*bounds)


@pytest.mark.parametrize(
    "call",
    [
        lambda: bernoulli(0.5, (0.1, 0.2, 0.3)),  # pyright: ignore[reportArgumentType]
        lambda: bernoulli(0.5, 0.1),  # pyright: ignore[reportArgumentType]
        lambda: bernoulli(0.5, ("a", "b")),  # pyright: ignore[reportArgumentType]
        lambda: bernoulli("x"),  # pyright: ignore[reportArgumentType]
        lambda: bernoulli_classifier_rate(0.5, (0.1,), 0.1, 0.3),  # pyright: ignore[reportArgumentType]
        lambda: gaussian_lattice(10**6),
        lambda: gaussian_lattice(sigma=1e200),
        lambda: gaussian_lattice(reach=math.inf),
    ],
)
def test_what_makes_no_source_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(TheoryError):
        call()


@pytest.mark.parametrize("sigma", [1e200, 1e-200, math.inf, 0.0, -1.0])
def test_a_deviation_that_cannot_be_squared_is_refused_by_its_name(sigma: float) -> None:
    for call in (
        lambda: gaussian_entropy_rate(sigma, 0.9, 0.1, 1.0),
        lambda: gaussian_classifier_points(sigma, 0.9, np.ones((1, 2))),
    ):
        with pytest.raises(TheoryError, match=r"sigma = .*1e-30\.\.1e\+30"):
            call()


@pytest.mark.parametrize("sigma", [1e-30, 1e30])
def test_the_unit_of_a_gaussian_changes_nothing(sigma: float) -> None:
    point = np.array([[0.3, 0.25]])
    scaled = gaussian_classifier_points(sigma, 0.9, point * [sigma**2, 1.0])
    assert scaled.rate == pytest.approx(gaussian_classifier_points(1.0, 0.9, point).rate, abs=1e-9)


def test_no_bound_is_one_without_end_in_closed_forms() -> None:
    assert bernoulli_classifier_rate(0.5, (0.1, 0.1), math.inf, math.inf) == 0.0
    assert bernoulli_classifier_rate(0.5, (0.1, 0.1), 0.2, math.inf) == bernoulli_entropy_rate(0.5, 0.1, 0.2, math.inf)
    assert bernoulli_classifier_rate(0.5, (0.1, 0.1), math.inf, 0.3) == bernoulli_classifier_rate(0.5, (0.1, 0.1), 1.0, 0.3)
    for call in (RATES["coin, classifier"], RATES["coin, entropy"], RATES["gaussian, entropy"]):
        assert call(-math.inf, 0.5) == call(0.5, -math.inf) == math.inf


@pytest.mark.filterwarnings("error")
def test_bounds_that_say_nothing_do_not_overflow() -> None:
    for call in POINTS.values():
        assert call(np.array([[1e100, 1e100], [-1e100, 0.3]])).rate.tolist() == [0.0, math.inf]
    wide, usual = (gaussian_classifier_points(1e-30, 0.9, np.array([[d, 0.2]])) for d in (1e100, 1e-58))
    assert wide.lower[0] == pytest.approx(usual.lower[0], abs=1e-6)
