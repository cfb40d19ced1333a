"""Scores of classification, segmentation and pose; the table; labels made a network's."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from foveal.errors import LabelError
from foveal.tasks.classify import Classify
from foveal.tasks.pose import Pose
from foveal.tasks.results import VOID, ClassLabel, ClassMap, ClassScores, Joints, TrueBoxes
from foveal.tasks.scorings import SCORINGS, adapt, scoring
from foveal.tasks.segment import Segment
from foveal.tasks.vocabulary import Vocabulary, vocabulary

COCO_JOINTS = vocabulary("coco-joints-17")
LSP_JOINTS = vocabulary("lsp-joints-14")


def test_the_table() -> None:
    for name in SCORINGS:
        assert scoring(name).name == name
        assert scoring(name).metrics
    with pytest.raises(LabelError, match="classify, detect, segment, pose"):
        scoring("depth")
    with pytest.raises(LabelError, match="no torso"):
        scoring("pose", vocabulary("coco-80"))


# classify


def _ranks(scores: list[float], index: int) -> int:
    return Classify().tally(ClassScores(np.array(scores, np.float32)), ClassLabel(index)).rank


def test_ranks_agree_with_argmax_where_scores_are_equal() -> None:
    assert _ranks([0.1, 0.7, 0.2], 1) == 0
    assert _ranks([0.5, 0.5, 0.0], 0) == 0
    assert _ranks([0.5, 0.5, 0.0], 1) == 1
    assert _ranks([0.5, float("nan"), 0.0], 1) == 2
    assert Classify().truth_of(ClassScores(np.array([0.2, np.nan, 0.4, 0.4], np.float32))) == ClassLabel(2)


@given(arrays.arrays(np.float32, st.integers(1, 30), elements=st.integers(0, 5)), st.data())
def test_ranks_are_places_in_a_stable_sort(scores: np.ndarray, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(scores) - 1))
    place = np.flatnonzero(np.argsort(-scores, kind="stable") == index)[0]
    tally = Classify().tally(ClassScores(scores), ClassLabel(index))
    assert tally.rank == place
    assert Classify().load(json.loads(json.dumps(Classify().dump(tally)))) == tally


def test_classify_scores() -> None:
    rule = Classify()
    tallies = [rule.load(rank) for rank in (0, 1, 4, 5)]
    np.testing.assert_allclose(rule.scores(tallies), [25, 75])
    np.testing.assert_allclose(rule.scores(tallies, np.array([[4, 0, 0, 0], [0, 0, 1, 3]])), [[100, 100], [0, 25]])
    assert np.isnan(rule.scores([])).all()
    with pytest.raises(LabelError, match=r"class 3 .* 0\.\.2"):
        _ranks([0, 0, 1], 3)
    for wrong in (-1, "0", None, True, 1.5):
        with pytest.raises(LabelError, match="no tally of classify"):
            rule.load(wrong)


# segment


def _direct_miou(results: list[np.ndarray], truths: list[np.ndarray]) -> float:
    result, truth = np.concatenate([a.ravel() for a in results]), np.concatenate([a.ravel() for a in truths])
    result, truth = result[truth != VOID], truth[truth != VOID]
    shares = [((result == c) & (truth == c)).sum() / ((result == c) | (truth == c)).sum() for c in np.unique(truth)]
    return 100 * float(np.mean(shares))


@given(st.integers(10, 2**31), st.integers(0, 2))
def test_segment_scores_are_those_of_all_pixels_together(seed: int, twice: int) -> None:
    rng = np.random.default_rng(seed)
    results = [rng.integers(-1, 6, (5, 7)).astype(np.int16) for _ in range(3)]
    truths = [rng.integers(-1, int(rng.integers(1, 6)), (5, 7)).astype(np.int16) for _ in range(3)]
    rule = Segment()
    tallies = [rule.tally(ClassMap(r), ClassMap(t)) for r, t in zip(results, truths, strict=True)]
    known = np.concatenate([(r == t)[t != VOID] for r, t in zip(results, truths, strict=True)])
    np.testing.assert_allclose(rule.scores(tallies), [_direct_miou(results, truths), 100 * known.mean()])
    weights = np.ones((1, 3), np.int64)
    weights[0, twice] += 1
    np.testing.assert_allclose(
        rule.scores(tallies, weights)[0, 0], _direct_miou([*results, results[twice]], [*truths, truths[twice]])
    )
    again = [rule.load(json.loads(json.dumps(rule.dump(tally)))) for tally in tallies]
    assert [rule.dump(tally) for tally in again] == [rule.dump(tally) for tally in tallies]
    np.testing.assert_array_equal(rule.scores(again), rule.scores(tallies))


def test_segment_without_labels_is_nan() -> None:
    rule = Segment()
    void = ClassMap(np.full((3, 4), VOID, np.int16))
    assert np.isnan(rule.scores([rule.tally(ClassMap(np.zeros((3, 4), np.int16)), void)])).all()
    assert np.isnan(rule.scores([])).all()
    np.testing.assert_array_equal(rule.scores([rule.tally(void, ClassMap(np.zeros((3, 4), np.int16)))]), [0, 0])


def test_segment_refuses_what_does_not_belong_together() -> None:
    rule = Segment()
    with pytest.raises(LabelError, match="4x3 and 3x4"):
        rule.tally(ClassMap(np.zeros((3, 4), np.int16)), ClassMap(np.zeros((4, 3), np.int16)))
    with pytest.raises(LabelError, match="below -1"):
        rule.tally(ClassMap(np.full((2, 2), -2, np.int16)), ClassMap(np.zeros((2, 2), np.int16)))
    for wrong in (None, [], [[0], [0]], [[0], [0], [0]], [[0, 1], [0], [5]], [["a"], [0], [1]], [[-1], [0], [1]], {"a": 1}):
        with pytest.raises(LabelError, match="no tally of segment"):
            rule.load(wrong)


def test_a_thousand_draws_of_233_maps_are_quick() -> None:
    rng = np.random.default_rng(0)
    rule = Segment()
    tallies = [
        rule.tally(
            ClassMap(rng.integers(0, 11, (30, 40)).astype(np.int16)), ClassMap(rng.integers(-1, 11, (30, 40)).astype(np.int16))
        )
        for _ in range(233)
    ]
    weights = rng.multinomial(233, np.full(233, 1 / 233), size=1000)
    start = time.process_time()
    assert rule.scores(tallies, weights).shape == (1000, 2)
    assert time.process_time() - start < 2


# pose


def _person(**moved: tuple[float, float]) -> Joints:
    """A person of 17 joints with a torso of 100 pixels (left shoulder to right hip), some joints moved."""
    points = np.zeros((17, 2), np.float32)
    places = {"left shoulder": (60, 0), "right hip": (0, 80), "right shoulder": (10, 0), "left hip": (50, 80)}
    for name, place in places.items():
        points[COCO_JOINTS.index(name)] = place
    for name, (x, y) in moved.items():
        points[COCO_JOINTS.index(name.replace("_", " "))] += (x, y)
    return Joints(points, np.ones(17, np.float32))


def test_pose_counts_joints_within_a_share_of_the_torso() -> None:
    rule = Pose(COCO_JOINTS)
    truth = _person()
    tally = rule.tally(_person(left_knee=(50, 0), right_knee=(0, 51), left_wrist=(20, 0), nose=(900, 0)), truth)
    assert (tally.joints, tally.hits) == (12, (11, 10))
    np.testing.assert_allclose(rule.scores([tally]), [1100 / 12, 1000 / 12])
    np.testing.assert_allclose(rule.scores([tally, rule.load([4, 0, 0])], np.array([[1, 3]])), [[1100 / 24, 1000 / 24]])


def test_hidden_joints_count_neither_as_joints_nor_as_torso() -> None:
    rule = Pose(COCO_JOINTS)
    truth = _person()
    truth.scores[COCO_JOINTS.index("left ankle")] = 0
    assert rule.tally(_person(left_ankle=(999, 0)), truth).hits == (11, 11)
    truth.scores[COCO_JOINTS.index("left shoulder")] = 0  # the other diagonal is 89.4 pixels
    assert rule.tally(_person(left_knee=(46, 0), right_knee=(44, 0)), truth).hits == (9, 8)
    truth.scores[COCO_JOINTS.index("right shoulder")] = 0
    tally = rule.tally(_person(), truth)
    assert (tally.joints, tally.hits) == (0, (0, 0))
    assert np.isnan(rule.scores([tally])).all()


def test_pose_of_an_unsure_network_is_no_crash() -> None:
    rule = Pose(COCO_JOINTS)
    unsure = Joints(np.full((17, 2), np.nan, np.float32), np.full(17, 0.1, np.float32))
    assert np.isnan(rule.scores([rule.tally(unsure, rule.truth_of(unsure))])).all()
    assert rule.tally(unsure, _person()).hits == (0, 0)
    sure = rule.truth_of(Joints(_person().points, np.linspace(0, 1, 17).astype(np.float32)))
    assert (sure.scores > 0).sum() == 12
    with pytest.raises(LabelError, match="wanted"):
        rule.tally(unsure, Joints(np.zeros((14, 2), np.float32), np.ones(14, np.float32)))
    for wrong in (None, [1, 2], [1, 2, 0], [3, -1, 0], [2.0, 1, 1], "12"):
        with pytest.raises(LabelError, match="no tally of pose"):
            rule.load(wrong)


@given(st.lists(st.integers(0, 12), min_size=3, max_size=3).map(lambda values: [max(values), *sorted(values)[:2]]))
def test_pose_tallies_come_back(values: list[int]) -> None:
    rule = Pose(COCO_JOINTS)
    assert rule.dump(rule.load(json.loads(json.dumps(values)))) == values


# labels in the classes of a network


def test_joints_are_put_in_the_networks_order() -> None:
    points = np.arange(28, dtype=np.float32).reshape(14, 2)
    adapted = adapt(Joints(points, np.ones(14, np.float32)), LSP_JOINTS, COCO_JOINTS)
    assert isinstance(adapted, Joints)
    assert adapted.scores.sum() == 12
    assert adapted.scores[COCO_JOINTS.index("nose")] == 0
    for name in ("left ankle", "right shoulder"):
        np.testing.assert_array_equal(adapted.points[COCO_JOINTS.index(name)], points[LSP_JOINTS.index(name)])
    rule = Pose(COCO_JOINTS)
    assert rule.tally(adapted, adapted).joints == 12


def test_boxes_of_unknown_classes_are_dropped() -> None:
    coco, voc = vocabulary("coco-80"), vocabulary("voc-21")
    names = ["zebra", "person", "couch"]
    boxes = TrueBoxes(
        np.arange(12, dtype=np.float32).reshape(3, 4), np.array([coco.index(n) for n in names]), np.array([0, 1, 0], bool)
    )
    adapted = adapt(boxes, coco, voc)
    assert isinstance(adapted, TrueBoxes)
    assert [voc.names[index] for index in adapted.classes] == ["person", "sofa"]
    assert adapted.crowd.tolist() == [True, False]
    assert adapt(boxes, coco, coco).classes.tolist() == boxes.classes.tolist()


def test_pixels_of_unknown_classes_become_background_or_void() -> None:
    source = Vocabulary("mine", ("background", "car", "unicorn"), 0)
    pixels = ClassMap(np.array([[VOID, 0], [1, 2]], np.int16))
    voc, camvid = vocabulary("voc-21"), vocabulary("camvid-11")
    assert adapt(pixels, source, voc).classes.tolist() == [[VOID, 0], [voc.index("car"), 0]]
    assert adapt(pixels, source, camvid).classes.tolist() == [[VOID, VOID], [camvid.index("car"), VOID]]


def test_labels_that_no_network_class_matches_are_refused() -> None:
    imagenet = vocabulary("imagenet-1000")
    source = Vocabulary("mine", ("goldfish", "unicorn"))
    assert adapt(ClassLabel(0), source, imagenet) == ClassLabel(1)
    with pytest.raises(LabelError, match="'unicorn'"):
        adapt(ClassLabel(1), source, imagenet)
    with pytest.raises(LabelError, match=r"class 2 in a label; mine has 0\.\.1"):
        adapt(ClassLabel(2), source, imagenet)
    with pytest.raises(LabelError, match="share no name"):
        adapt(ClassLabel(0), Vocabulary("mine", ("unicorn",)), imagenet)
    with pytest.raises(LabelError, match="class -2"):
        adapt(ClassMap(np.array([[-2]], np.int16)), source, imagenet)
    with pytest.raises(LabelError, match="has 14"):
        adapt(Joints(np.zeros((3, 2), np.float32), np.ones(3, np.float32)), LSP_JOINTS, COCO_JOINTS)
