"""Overlays: that what is found is drawn where it is, and that every size can be drawn on."""

from __future__ import annotations

import numpy as np
import pytest

from foveal.picture import Picture
from foveal.tasks.overlay import color_of, draw
from foveal.tasks.results import VOID, Boxes, ClassMap, ClassScores, Joints, Result
from foveal.tasks.vocabulary import Vocabulary, vocabulary

NAMES = Vocabulary("things", ("background", "cat", "dog"), background=0)
BODY = vocabulary("coco-joints-17")


def _results(height: int, width: int) -> list[tuple[Result, Vocabulary]]:
    points = np.random.default_rng(5).uniform(0, 1, (17, 2)) * (width, height)
    return [
        (ClassScores(np.array([0.1, 0.2, 0.7], np.float32)), NAMES),
        (Boxes(np.array([[0, 0, width, height]], np.float32), np.array([1]), np.array([0.9], np.float32)), NAMES),
        (ClassMap(np.full((height, width), VOID, np.int16)), NAMES),
        (Joints(points.astype(np.float32), np.ones(17, np.float32)), BODY),
    ]


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (30, 20), (600, 800)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_can_be_drawn_on(size: tuple[int, int], channels: int) -> None:
    picture = Picture(np.full((*size, channels), 90, np.uint8))
    for result, classes in _results(*size):
        drawn = draw(picture, result, classes)
        assert max(drawn.width, drawn.height) >= 480
        assert drawn.height >= size[0]
        assert drawn.width >= size[1]
        assert len(np.unique(drawn.samples @ np.array([65536, 256, 1]))) > 3  # something is written


def test_boxes_lie_on_their_objects() -> None:
    picture = Picture(np.full((600, 800, 3), 255, np.uint8))
    corners = np.array([[100, 200, 300, 400], [500, 100, 700, 500]], np.float32)
    boxes = Boxes(corners, np.array([1, 2]), np.array([0.9, 0.2], np.float32))
    drawn = draw(picture, boxes, NAMES).samples
    assert drawn.shape == (600, 800, 3)
    assert tuple(drawn[400, 200]) == color_of(1)
    assert tuple(drawn[300, 300]) == color_of(1)
    assert (drawn[150:550, 450:750] == 255).all()  # the second is not sure enough
    both = draw(picture, boxes, NAMES, top=2).samples
    assert tuple(both[500, 600]) == color_of(2)
    one = draw(picture, boxes, NAMES, top=1).samples
    np.testing.assert_array_equal(one, drawn)


def test_maps_tint_their_pixels() -> None:
    classes = np.zeros((600, 800), np.int16)
    classes[:, 400:] = 2
    drawn = draw(Picture(np.full((600, 800, 3), 200, np.uint8)), ClassMap(classes), NAMES).samples
    assert drawn.shape[0] > 600  # the legend
    np.testing.assert_allclose(drawn[300, 100], [100] * 3, atol=1)
    np.testing.assert_allclose(drawn[300, 700], (200 + np.array(color_of(2))) / 2, atol=1)


def test_joints_and_limbs() -> None:
    points, scores = np.zeros((17, 2), np.float32), np.zeros(17, np.float32)
    shoulder, elbow, wrist = (BODY.names.index(f"left {name}") for name in ("shoulder", "elbow", "wrist"))
    points[[shoulder, elbow, wrist]] = [[100, 100], [300, 100], [300, 400]]
    scores[[shoulder, elbow, wrist]] = [0.9, 0.8, 0.1]
    drawn = draw(Picture(np.full((600, 800, 3), 255, np.uint8)), Joints(points, scores), BODY).samples
    assert tuple(drawn[100, 200]) == (255, 160, 0)  # the upper arm
    assert tuple(drawn[250, 300]) == (255, 255, 255)  # the wrist was not seen


def test_neighbouring_classes_differ_in_colour() -> None:
    colors = np.array([color_of(index) for index in range(30)], int)
    assert np.abs(colors[1:] - colors[:-1]).sum(axis=1).min() > 100
    assert len({tuple(color) for color in colors.tolist()}) == 30
