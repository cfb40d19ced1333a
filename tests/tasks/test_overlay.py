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
    assert drawn.shape[0] > 600  # the list
    assert drawn.shape[1] == 800
    assert tuple(drawn[400, 200]) == color_of(1)
    assert tuple(drawn[300, 300]) == color_of(1)
    assert (drawn[150:550, 450:750] == 255).all()  # the second is not sure enough
    both = draw(picture, boxes, NAMES, top=2).samples
    assert tuple(both[500, 600]) == color_of(2)
    one = draw(picture, boxes, NAMES, top=1).samples
    np.testing.assert_array_equal(one, drawn)


WHITE = Picture(np.full((600, 800, 3), 255, np.uint8))


def _boxes(corners: list[list[float]], first: int = 0) -> Boxes:
    """A box of each class from the first on, of the score 0.5."""
    return Boxes(np.array(corners, np.float32), first + np.arange(len(corners)), np.full(len(corners), 0.5, np.float32))


def _tag(names: Vocabulary, index: int) -> np.ndarray:
    """How the tag of a class looks where nothing is near, without its outermost pixels."""
    drawn = draw(WHITE, _boxes([[300, 300, 301, 301]], index), names).samples
    rows = np.flatnonzero((drawn[:290, 300:302] == color_of(index)).all(axis=(1, 2)))
    columns = np.flatnonzero((drawn[rows[0]] == color_of(index)).all(axis=1))
    return drawn[rows[0] + 1 : rows[-1], columns[0] + 1 : columns[-1]]


def _holds(samples: np.ndarray, part: np.ndarray) -> bool:
    rows, columns = part.shape[:2]
    inner = samples[: samples.shape[0] - rows + 1, : samples.shape[1] - columns + 1]
    last = samples[rows - 1 :, columns - 1 :]
    places = np.argwhere((inner == part[0, 0]).all(axis=2) & (last == part[-1, -1]).all(axis=2))
    return any((samples[y : y + rows, x : x + columns] == part).all() for y, x in places.tolist())


def test_no_name_is_hidden() -> None:
    """Six boxes that begin at nearly one place, each inside the one before: no tag lies below another or below a line."""
    names = Vocabulary("things", tuple(f"thing {number}" for number in range(6)))
    corners = [[100.0 + n, 100.0 + n, 700.0 - 90 * n, 500.0 - 60 * n] for n in range(6)]
    drawn = draw(WHITE, _boxes(corners), names).samples[:600]
    assert [_holds(drawn, _tag(names, index)) for index in range(6)] == [True] * 6


@pytest.mark.parametrize("y", [16.4, 17.0, 17.5, 18.2, 19.9, 0.4])
def test_names_at_the_border_are_whole(y: float) -> None:
    names = Vocabulary("things", ("person",))
    drawn = draw(WHITE, _boxes([[200.4, y, 400, 560]]), names).samples[:600]
    assert _holds(drawn, _tag(names, 0))


@pytest.mark.parametrize(("size", "beside"), [((40, 2000), False), ((2000, 40), True), ((480, 300), True), ((480, 640), False)])
@pytest.mark.parametrize("classes", [2, 40])
def test_the_list_is_below_or_beside_a_narrow_picture(size: tuple[int, int], beside: bool, classes: int) -> None:
    height, width = size
    picture = Picture(np.full((height, width, 3), 120, np.uint8))
    names = Vocabulary("things", tuple(f"thing {number}" for number in range(classes)))
    whole = np.array([[0, 0, width, height]] * classes, np.float32)
    boxes = Boxes(whole, np.arange(classes), np.linspace(0.9, 0.4, classes).astype(np.float32))
    drawn = draw(picture, boxes, names)
    if beside:
        assert drawn.height == height
        assert width < drawn.width < width + 600
        assert (drawn.samples[:, width:][: height // 4] > 200).any()  # at its top
    else:
        assert drawn.width == width
        assert height < drawn.height < height + 400
    listed = drawn.samples[:, width:] if beside else drawn.samples[height:]
    seen = [number for number in range(classes) if (listed == color_of(number)).all(axis=2).sum() > 20]
    assert seen == list(range(min(classes, 12)))


def test_tags_leave_a_low_picture_to_be_seen() -> None:
    picture = Picture(np.full((40, 2000, 3), 255, np.uint8))
    boxes = Boxes(np.array([[300, 4, 900, 36]], np.float32), np.array([1]), np.array([0.9], np.float32))
    drawn = draw(picture, boxes, NAMES).samples[:40]
    assert (drawn[8:32, 310:890] == 255).all()


def test_maps_tint_their_pixels() -> None:
    classes = np.zeros((600, 800), np.int16)
    classes[:, 400:] = 2
    drawn = draw(Picture(np.full((600, 800, 3), 200, np.uint8)), ClassMap(classes), NAMES).samples
    assert drawn.shape[0] > 600  # the legend
    assert (drawn[:600, :400] == 200).all()  # the background stays as it is
    np.testing.assert_allclose(drawn[300, 700], (200 + np.array(color_of(2))) / 2, atol=1)
    classes[:, :] = VOID
    none = draw(Picture(np.full((600, 800, 3), 200, np.uint8)), ClassMap(classes), NAMES).samples
    np.testing.assert_allclose(none[:600], 100, atol=1)


def test_without_a_background_every_class_is_tinted() -> None:
    names = Vocabulary("things", ("sky", "tree"))
    drawn = draw(Picture(np.full((600, 800, 3), 200, np.uint8)), ClassMap(np.zeros((600, 800), np.int16)), names).samples
    np.testing.assert_allclose(drawn[300, 100], (200 + np.array(color_of(0))) / 2, atol=1)


def test_the_list_has_no_patch_for_the_background() -> None:
    """A black one beside a class that is not tinted would say what is not so."""
    drawn = draw(Picture(np.full((600, 800, 3), 200, np.uint8)), ClassMap(np.zeros((600, 800), np.int16)), NAMES).samples
    assert not (drawn[600:] == 0).all(axis=2).any()
    assert (drawn[600:] > 200).any()


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
