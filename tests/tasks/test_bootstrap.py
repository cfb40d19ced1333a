"""Intervals by drawing pictures again."""

from __future__ import annotations

import numpy as np
import pytest

from foveal.errors import LabelError
from foveal.tasks.bootstrap import draw_weights, interval, paired_bootstrap
from foveal.tasks.classify import Classify, ClassTally
from foveal.tasks.pose import JointTally
from foveal.tasks.scorings import scoring


def _tallies(right: np.ndarray) -> list[ClassTally]:
    return [ClassTally(0 if value else 9) for value in right]


def test_draws_are_of_the_right_size_and_come_back() -> None:
    weights = draw_weights(7, 50, seed=3)
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()
    np.testing.assert_array_equal(weights, draw_weights(7, 50, seed=3))
    assert (weights != draw_weights(7, 50, seed=4)).any()
    for pictures, draws in ((0, 10), (10, 0)):
        with pytest.raises(LabelError, match="at least one"):
            draw_weights(pictures, draws)


def test_intervals_hold_the_true_score_about_19_times_in_20() -> None:
    rng = np.random.default_rng(8)
    held = 0
    for trial in range(200):
        estimate = interval(Classify(), _tallies(rng.random(150) < 0.7), draws=200, seed=trial).estimates[0]
        held += estimate.low <= 70 <= estimate.high
    assert 0.92 <= held / 200 <= 0.98


def test_paired_intervals_hold_the_true_difference_and_are_narrower() -> None:
    """The second codec loses a tenth of what the first gets right: 70 and 63 percent, on the same pictures."""
    rng = np.random.default_rng(9)
    held, widths, apart = 0, 0.0, 0.0
    for trial in range(200):
        first = rng.random(150) < 0.7
        second = first & (rng.random(150) < 0.9)
        estimate = paired_bootstrap(Classify(), _tallies(first), _tallies(second), draws=200, seed=trial).estimates[0]
        held += estimate.low <= 7 <= estimate.high
        widths += estimate.high - estimate.low
        other = paired_bootstrap(Classify(), _tallies(first), _tallies(rng.permutation(second)), draws=200, seed=trial).estimates[
            0
        ]
        apart += other.high - other.low
    assert 0.92 <= held / 200 <= 0.98
    assert widths < 0.7 * apart


def test_identical_codecs_differ_by_nothing() -> None:
    tallies = _tallies(np.random.default_rng(0).random(40) < 0.5)
    result = paired_bootstrap(Classify(), tallies, tallies)
    assert (result.pictures, result.draws) == (40, 1000)
    for estimate in result.estimates:
        assert (estimate.value, estimate.low, estimate.high, estimate.above) == (0, 0, 0, 0)


def test_a_clear_difference_is_above_zero_in_every_draw() -> None:
    good, bad = _tallies(np.ones(30)), _tallies(np.arange(30) % 2)
    estimate = paired_bootstrap(Classify(), good, bad).estimates[0]
    assert estimate.metric.name == "top1"
    assert estimate.value == 50
    assert 0 < estimate.low < 50 < estimate.high
    assert estimate.above == 1
    assert paired_bootstrap(Classify(), bad, good).estimates[0].above == 0


def test_nothing_labelled_is_nan_and_mismatch_is_refused() -> None:
    result = interval(scoring("pose"), [JointTally(0, (0, 0))] * 3, draws=20)
    assert all(np.isnan([e.value, e.low, e.high, e.above]).all() for e in result.estimates)
    with pytest.raises(LabelError, match="2 and 1 tallies"):
        paired_bootstrap(Classify(), _tallies(np.ones(2)), _tallies(np.ones(1)))
    with pytest.raises(LabelError, match="0 pictures"):
        interval(Classify(), [])
