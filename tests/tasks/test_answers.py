"""A result in numbers and in words."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np

from foveal.tasks.answers import finding_lines, findings
from foveal.tasks.results import Boxes, ClassScores, Joints
from foveal.tasks.vocabulary import Vocabulary

NAMES = Vocabulary("things", ("cat", "dog"))


def test_positions_have_two_decimals_in_numbers_and_none_in_words() -> None:
    boxes = Boxes(np.array([[1.2345, 2.5, 13.999, 4]], np.float32), np.array([1]), np.array([0.5], np.float32))
    found = findings(boxes, NAMES, None)
    assert json.loads(json.dumps(asdict(found[0])))["box"] == [1.23, 2.5, 14.0, 4.0]
    assert finding_lines(found, every=True)[0].endswith(" 1,2 to 14,4")
    joints = Joints(np.array([[1.2345, 2.5], [7.126, 8]], np.float32), np.array([0.9, 0.8], np.float32))
    places = findings(joints, NAMES, None)
    assert [(one["x"], one["y"]) for one in map(asdict, places)] == [(1.23, 2.5), (7.13, 8.0)]
    assert finding_lines(places, every=True)[0].endswith(" 1,2")


def test_words_leave_out_classes_that_are_hardly_there() -> None:
    found = findings(ClassScores(np.array([0.004, 0.3], np.float32)), NAMES, None)
    assert [one.name for one in found] == ["dog", "cat"]  # type: ignore[union-attr]
    assert finding_lines(found, every=False) == ["  30.00%  dog", "(1 of a lower score)"]
    assert len(finding_lines(found, every=True)) == 2
