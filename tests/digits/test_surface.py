"""The envelope and the claims on surfaces whose answers are known."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.digits.claims import Claims, Grid, check_claims
from foveal.digits.contradictions import contradictions
from foveal.digits.surface import lower_envelope
from foveal.errors import CurveError, MissingDependencyError

scipy_optimize = pytest.importorskip("scipy.optimize", reason="scipy comes with the bench extra")
WEIGHTS = (0.01, 0.1, 1.0, 10.0)
OF_CLASSES = (0.0, 4.0, 16.0)


def by_linear_program(points: np.ndarray, distortion: float, error: float) -> float:
    """The least rate of a mixture of points ``(n, 3)`` with no more of the other two."""
    n = len(points)
    found = scipy_optimize.linprog(
        points[:, 2], A_ub=points[:, :2].T, b_ub=[distortion, error], A_eq=np.ones((1, n)), b_eq=[1], bounds=(0, 1)
    )
    return float(found.fun) if found.status == 0 else float("inf")


@given(st.integers(0, 10_000))
def test_the_envelope_is_what_the_best_mixture_reaches(seed: int) -> None:
    chance = np.random.default_rng(seed)
    points = chance.uniform(0, [4000, 90, 120], (20, 3))
    envelope = lower_envelope(*points.T)
    for distortion, error in chance.uniform(0, [5000, 110], (8, 2)):
        mixed = by_linear_program(points, distortion, error)
        assert envelope.rate_bits(distortion, error) == pytest.approx(mixed, rel=1e-6, abs=1e-5)
    assert (envelope.rate_bits(points[:, 0], points[:, 1]) <= points[:, 2] + 1e-5).all()


def test_points_of_a_convex_surface_lie_on_it_and_raised_ones_by_as_much_above() -> None:
    d, c = (x.ravel() for x in np.meshgrid(np.linspace(1, 10, 6), np.linspace(1, 10, 6)))
    rate = 100 / d + 20 / c
    rate[14] += 7
    gaps = rate - lower_envelope(d, c, rate).rate_bits(d, c)
    assert gaps[14] == pytest.approx(
        7 + 100 / d[14] + 20 / c[14] - lower_envelope(*np.delete([d, c, rate], 14, 1)).rate_bits(d[14], c[14])
    )
    assert gaps[14] > 6
    assert np.delete(gaps, 14).max() < 1e-9


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (([1, 2], [1, 2], [1, 2]), "2 points"),
        (([1, 2, np.nan], [1, 2, 3], [1, 2, 3]), "1 of them not finite"),
        (([1, 1, 1], [1, 2, 3], [1, 2, 3]), "one distortion"),
    ],
)
def test_points_without_an_envelope_are_refused(columns: Any, words: str) -> None:
    with pytest.raises(CurveError, match=words):
        lower_envelope(*columns)


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    with pytest.raises(MissingDependencyError, match=r"foveal\[bench\]"):
        lower_envelope([1, 2, 3], [1, 3, 2], [3, 2, 1])


def made(change: Any = None, *, kept: float = 1.0) -> Claims:
    """Claims on a surface that does what the theory says: at equal rate, weight of classification buys errors with distortion.

    change: alters the means ``(4, distortion weights, classification weights)`` in place. kept: of the held-out classifier's gain.
    """
    chance = np.random.default_rng(0)
    rate = np.array([8.0, 16, 32, 64])[:, None] * np.ones(3)
    mse = 8000 / rate * np.array([1.0, 1.2, 1.5])
    error = 200 / rate * np.array([1.0, 0.5, 0.25])
    held_out = 1 + error + (1 - kept) * (error[:, :1] - error)
    means = np.stack([rate, mse, error, held_out])
    if change is not None:
        change(means)
    seeds = 1 + 0.001 * chance.standard_normal((4, 4, 3, 3, 1))
    digits = means[..., None, None] * seeds * (1 + 0.02 * chance.standard_normal((4, 1, 1, 1, 400)))
    return check_claims(Grid(WEIGHTS, OF_CLASSES, *digits.astype(np.float32)), draws=60)


def test_a_surface_as_in_theory_bears_out_the_claims_and_contradicts_nothing() -> None:
    claims = made()
    assert claims.rate_and_mse.high < -0.8
    assert claims.rate_and_error.high < -0.5
    assert len(claims.steps) == 9
    assert all((s.rate_bits.sign, s.mse.sign, s.error.sign) == (1, -1, -1) for s in claims.steps)
    assert len(claims.exchanges) == 12
    assert all((e.mse.sign, e.frozen.sign, e.held_out.sign) == (1, -1, -1) for e in claims.exchanges)
    assert all(e.kept is not None and e.kept.low < 1 < e.kept.high for e in claims.exchanges)
    assert claims.beaten == ()
    assert claims.of_means.greatest < 0.5
    assert all(excess.value == pytest.approx(1, abs=0.2) for _, excess in claims.held_out_excess)
    assert [line for line in contradictions(claims) if "single runs" not in line] == []


def test_a_point_that_is_beaten_is_told() -> None:
    def worse(means: np.ndarray) -> None:
        means[:, 1, 0] = [40, 900, 40, 41]  # more than (1.0, 0) has of rate, distortion and errors

    claims = made(worse)
    assert {(one.point, one.by) for one in claims.beaten if one.share > 0.99} >= {((0.1, 0.0), (1.0, 0.0))}
    assert 3 <= claims.beaten_runs[0] < claims.beaten_runs[1] == 36  # seeds of one point may beat each other
    assert claims.of_means.greatest > 8
    words = "\n".join(contradictions(claims))
    assert "Not monotone" in words
    assert "(λd, λc) = (0.1, 0) by (0.1, 4), by 24.0 bits" in words
    assert "The rate falls where λd rises, in 1 of 9 steps: λc = 0, λd 0.1 to 1" in words


def test_a_rate_that_rises_with_distortion_and_errors_is_told() -> None:
    def turned(means: np.ndarray) -> None:
        means[1:] = means[1:, ::-1]

    claims = made(turned)
    assert claims.rate_and_mse.low > 0.5
    words = "\n".join(contradictions(claims))
    assert "MSE rises where λd rises, in 9 of 9 steps" in words
    assert "The frozen classifier errs more where λd rises, in 9 of 9 steps" in words


def test_crumbs_that_only_the_frozen_classifier_sees_are_told() -> None:
    claims = made(kept=0.3)
    assert all(e.kept is not None and e.kept.value == pytest.approx(0.3, abs=0.1) for e in claims.exchanges)
    assert "surely gains less than the frozen one in 12 of 12 places" in "\n".join(contradictions(claims))
    words = "\n".join(contradictions(made(kept=-0.5)))
    assert "errs more than without a classifier in the loss in 12" in words


def test_no_trade_is_told() -> None:
    def equal(means: np.ndarray) -> None:
        means[1:, :, 1:] = means[1:, :, :1]

    words = "\n".join(contradictions(made(equal)))
    for what in ("more distortion", "fewer errors of the frozen classifier"):
        found = re.search(rf"{what} with λc is not sure in (\d+) of 12", words)
        assert found is not None
        assert int(found[1]) >= 8  # of twelve intervals of 95 %, one or another may leave 0 out


def test_gaps_of_curves_that_are_not_convex_are_told() -> None:
    def bent(means: np.ndarray) -> None:
        means[0] += 12 * (np.arange(4) % 2)[:, None]

    claims = made(bent)
    assert claims.mean_gap.low > 0.5
    assert "not convex" in "\n".join(contradictions(claims))


def test_one_weight_of_a_kind_is_refused() -> None:
    few = np.ones((1, 3, 3, 10), np.float32)
    with pytest.raises(CurveError, match="two of each"):
        check_claims(Grid((1.0,), OF_CLASSES, few, few, few, few))
