"""Detection scores against pycocotools' own, on whole sets."""

from __future__ import annotations

import contextlib
import io
import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from foveal.errors import LabelError
from foveal.tasks.coco_matching import spread
from foveal.tasks.detect import Detect
from foveal.tasks.results import Boxes, TrueBoxes

Pair = tuple[Boxes, TrueBoxes]


def _random_pair(rng: np.random.Generator, *, classes: int = 4, most: int = 8, crowds: bool = True, coarse: bool = False) -> Pair:
    """Objects, and detections near some of them and elsewhere."""
    count = int(rng.integers(0, most))
    start = rng.uniform(0, 80, (count, 2))
    corners = np.hstack([start, start + rng.uniform(5, 40, (count, 2))]).astype(np.float32)
    labels = rng.integers(0, classes, count)
    crowd = rng.random(count) < (0.25 if crowds else 0)
    truth = TrueBoxes(corners, labels, crowd)
    copies = rng.integers(0, count, rng.integers(0, 2 * count)) if count else np.zeros(0, np.int64)
    near = corners[copies] + rng.normal(0, 3, (len(copies), 4)).astype(np.float32)
    other = rng.uniform(0, 60, (int(rng.integers(0, 6)), 2)).astype(np.float32)
    found = np.vstack([near, np.hstack([other, other + 20])]).astype(np.float32)
    named = np.concatenate([labels[copies], rng.integers(0, classes, len(other))])
    scores = rng.random(len(found)).astype(np.float32)
    if coarse:
        scores = np.round(scores * 4).astype(np.float32) / 4
    order = np.argsort(-scores, kind="stable")
    return Boxes(found[order], named[order].astype(np.int64), scores[order]), truth


def _official(pairs: list[Pair], classes: int = 4) -> np.ndarray:
    """pycocotools from its own files to its own summary."""
    images = [{"id": number + 1} for number in range(len(pairs))]
    truths, found = [], []
    for number, (result, truth) in enumerate(pairs):
        for corners, index, crowd in zip(truth.corners.astype(float), truth.classes, truth.crowd, strict=True):
            x0, y0, x1, y1 = corners.tolist()
            box = [x0, y0, x1 - x0, y1 - y0]
            truths.append({"id": len(truths) + 1, "image_id": number + 1, "category_id": int(index) + 1, "bbox": box,
                           "area": box[2] * box[3], "iscrowd": int(crowd)})  # fmt: skip
        for corners, index, score in zip(result.corners.astype(float), result.classes, result.scores, strict=True):
            x0, y0, x1, y1 = corners.tolist()
            found.append({"image_id": number + 1, "category_id": int(index) + 1, "bbox": [x0, y0, x1 - x0, y1 - y0],
                          "score": float(score)})  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {
            "info": {}, "images": images, "annotations": truths, "categories": [{"id": index + 1} for index in range(classes)],
        }  # fmt: skip
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return 100 * np.array(evaluation.stats[:3])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("coarse", [False, True])
def test_scores_equal_pycocotools_over_the_set(seed: int, coarse: bool) -> None:
    """Also with many equal scores, where the order of pictures decides."""
    rng = np.random.default_rng(seed)
    pairs = [_random_pair(rng, coarse=coarse) for _ in range(25)]
    scoring = Detect()
    tallies = [scoring.tally(*pair) for pair in pairs]
    wanted = _official(pairs)
    assert 5 < wanted[0] < 95
    np.testing.assert_allclose(scoring.scores(tallies), wanted, atol=1e-6)
    np.testing.assert_allclose(scoring.coco_scores(tallies), wanted, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_draw_equals_pycocotools_with_pictures_repeated(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    pairs = [_random_pair(rng) for _ in range(12)]
    scoring = Detect()
    tallies = [scoring.tally(*pair) for pair in pairs]
    weights = rng.multinomial(12, np.full(12, 1 / 12), size=4).astype(np.int64)
    scores = scoring.scores(tallies, weights)
    assert scores.shape == (4, 3)
    for row, draw in zip(scores, weights, strict=True):
        repeated = [pair for pair, times in zip(pairs, draw, strict=True) for _ in range(times)]
        np.testing.assert_allclose(row, _official(repeated), atol=1e-6)


def test_only_the_surest_hundred_of_a_class_count() -> None:
    corners = np.tile(np.array([[0, 0, 10, 10]], np.float32), (150, 1))
    corners[:120] += 500
    boxes = Boxes(corners, np.zeros(150, np.int64), np.linspace(1, 0.1, 150).astype(np.float32))
    truth = TrueBoxes(np.array([[0, 0, 10, 10]], np.float32), np.zeros(1, np.int64), np.zeros(1, bool))
    tally = Detect().tally(boxes, truth)
    assert len(tally.classes[0].scores) == 100
    np.testing.assert_array_equal(Detect().scores([tally]), [0, 0, 0])


def test_matching_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    scoring = Detect()
    tallies = [scoring.tally(*_random_pair(np.random.default_rng(1)))]
    scoring.scores(tallies)
    scoring.coco_scores(tallies)
    assert capsys.readouterr().out == ""


def test_perfect_and_nothing() -> None:
    scoring = Detect()
    truth = TrueBoxes(np.array([[0, 0, 10, 10], [20, 20, 50, 60]], np.float32), np.array([3, 70]), np.zeros(2, bool))
    right = Boxes(truth.corners, truth.classes, np.array([0.9, 0.8], np.float32))
    none = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))
    empty = TrueBoxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))
    np.testing.assert_allclose(scoring.scores([scoring.tally(right, truth)]), [100, 100, 100])
    np.testing.assert_array_equal(scoring.scores([scoring.tally(none, truth)]), [0, 0, 0])
    assert np.isnan(scoring.scores([scoring.tally(right, empty)])).all()
    assert np.isnan(scoring.scores([])).all()
    np.testing.assert_array_equal(
        np.isnan(scoring.scores([scoring.tally(right, truth), scoring.tally(right, empty)], np.array([[2, 0], [0, 2]]))[:, 0]),
        [False, True],
    )


def test_sure_detections_become_the_truth() -> None:
    corners = np.tile(np.array([[0, 0, 9, 9]], np.float32), (3, 1))
    truth = Detect().truth_of(Boxes(corners, np.array([1, 2, 3]), np.array([0.9, 0.3, 0.29], np.float32)))
    assert truth.classes.tolist() == [1, 2]
    assert not truth.crowd.any()


@given(st.integers(0, 2**32 - 1))
def test_tallies_come_back_from_json(seed: int) -> None:
    scoring = Detect()
    tally = scoring.tally(*_random_pair(np.random.default_rng(seed)))
    text = json.dumps(scoring.dump(tally))
    again = scoring.load(json.loads(text))
    assert json.dumps(scoring.dump(again)) == text
    for one, other in zip(tally.classes, again.classes, strict=True):
        assert (one.index, one.positives) == (other.index, other.positives)
        for field in ("scores", "hits", "ignored"):
            assert getattr(one, field).dtype == getattr(other, field).dtype
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


@pytest.mark.parametrize(
    "values",
    [
        None,
        3,
        [1],
        [[1, 2, [0.5], [1024]]],
        [[0, 1, [0.5, 0.4], [1]]],
        [[-1, 0, [], []]],
        [[0, 1, ["a"], [1]]],
        [[0, 1, [0.5], [-1]]],
    ],
)
def test_wrong_tallies_are_refused(values: object) -> None:
    with pytest.raises(LabelError, match="no tally of detect"):
        Detect().load(values)


def test_arrays_that_do_not_fit_are_refused() -> None:
    good, truth = _random_pair(np.random.default_rng(5))
    with pytest.raises(LabelError, match="detections of shapes"):
        Detect().tally(Boxes(good.corners[:, :3], good.classes, good.scores), truth)
    with pytest.raises(LabelError, match="classes are 0 or more"):
        Detect().tally(good, TrueBoxes(np.zeros((1, 4), np.float32), np.array([-1]), np.zeros(1, bool)))
    with pytest.raises(LabelError, match="finite"):
        Detect().tally(Boxes(good.corners * np.float32("nan"), good.classes, good.scores), truth)
    with pytest.raises(LabelError, match="weights of shape"):
        Detect().scores([Detect().tally(good, truth)], np.ones((2, 3), np.int64))


def test_bits() -> None:
    flags = spread(np.array([0b1000000001, 0], np.uint16))
    assert flags[:, 0].tolist() == [True, *[False] * 8, True]
    assert not flags[:, 1].any()


def test_a_thousand_draws_of_128_pictures_are_quick() -> None:
    rng = np.random.default_rng(0)
    scoring = Detect()
    pairs = [_random_pair(rng, classes=80, most=14) for _ in range(128)]
    tallies = [scoring.tally(*pair) for pair in pairs]
    weights = rng.multinomial(128, np.full(128, 1 / 128), size=1000)
    start = time.process_time()
    scores = scoring.scores(tallies, weights)
    assert time.process_time() - start < 10
    assert scores.shape == (1000, 3)
    assert scores[:, 0].std() > 0
