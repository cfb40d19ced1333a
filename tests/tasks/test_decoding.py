"""Outputs of every form, made of known answers and read back."""

from __future__ import annotations

import numpy as np
import pytest

from foveal.errors import NetworkError
from foveal.tasks.decode_boxes import AnchorBoxes, OffsetBoxes, PlainBoxes, TransposedBoxes
from foveal.tasks.decode_joints import Heatmaps, Keypoints
from foveal.tasks.decode_maps import ClassIndices, ClassLogits
from foveal.tasks.decode_scores import Scores
from foveal.tasks.input import Geometry, InputRecord, place_of
from foveal.tasks.results import VOID, Boxes, ClassMap, ClassScores, Joints
from foveal.tasks.suppression import Choice, choose_boxes, overlaps

LETTERBOX = InputRecord(width=64, height=64, fit="letterbox", place="centre")
GEOMETRY = place_of(200, 100, LETTERBOX)[0]  # 64x32 in the middle of 64x64: x * 0.32, y * 0.32 + 16
BOX = np.array([50.0, 25.0, 150.0, 75.0])  # of the picture
IN_INPUT = np.array([16.0, 24.0, 48.0, 40.0])


def _only(boxes: object, index: int, score: float) -> None:
    assert isinstance(boxes, Boxes)
    np.testing.assert_allclose(boxes.corners, [BOX], atol=1e-3)
    assert boxes.classes.tolist() == [index]
    np.testing.assert_allclose(boxes.scores, [score], atol=1e-5)


def test_scores() -> None:
    form = Scores(logits=True, background=0)
    result = form.read([np.array([[9.0, 0.0, np.log(3)]], np.float32)], GEOMETRY, 2, "net")
    assert isinstance(result, ClassScores)
    np.testing.assert_allclose(result.scores, [0.25, 0.75], atol=1e-6)
    plain = Scores().read([np.array([0.25, 0.5], np.float32)], GEOMETRY, 2, "net")
    assert isinstance(plain, ClassScores)
    assert plain.scores.tolist() == [0.25, 0.5]
    with pytest.raises(NetworkError, match=r"net: output 0 is 1x3, .*wants 1x2"):
        Scores().read([np.zeros((1, 3), np.float32)], GEOMETRY, 2, "net")
    with pytest.raises(NetworkError, match=r"output 0 is 2x3.*wants 1x3"):
        Scores().read([np.zeros((2, 3), np.float32)], GEOMETRY, 3, "net")
    with pytest.raises(NetworkError, match=r"reads output 0, the network has 0: none"):
        Scores().read([], GEOMETRY, 3, "net")


def test_yolox() -> None:
    cells = np.zeros((1, 64 + 16, 5 + 3), np.float32)
    cells[0, :, 4] = 1
    at = 64 + 2 * 4 + 1  # stride 16, row 2, column 1; the box's middle is at 32, 32
    cells[0, at, :4] = [32 / 16 - 1, 32 / 16 - 2, np.log(32 / 16), np.log(16 / 16)]
    cells[0, at, 4:] = [0.5, 0.0, 0.8, 0.001]
    _only(OffsetBoxes(strides=(8, 16)).read([cells], GEOMETRY, 3, "net"), 1, 0.4)
    cells[0, at, 2] = 1000  # infinite: left out, without a warning
    assert len(_boxes(OffsetBoxes(strides=(8, 16)).read([cells], GEOMETRY, 3, "net")).scores) == 0
    with pytest.raises(NetworkError, match=r"1x80x8.*wants 1x84x8"):
        OffsetBoxes().read([cells], GEOMETRY, 3, "net")


def test_yolo_fastest() -> None:
    form = AnchorBoxes(strides=(16, 32), anchors=(8, 8, 32, 32, 64, 64, 128, 128))
    outputs = [np.zeros((1, 4, 4, 4 * 2 + 2 + 3), np.float32), np.zeros((1, 2, 2, 4 * 2 + 2 + 3), np.float32)]
    cell = outputs[0][0, 2, 1]  # row 2, column 1; the second anchor, 32x32
    cell[4:8] = [(32 / 16 - 1 + 0.5) / 2, (32 / 16 - 2 + 0.5) / 2, np.sqrt(32 / 32) / 2, np.sqrt(16 / 32) / 2]
    cell[8:] = [0.0, 0.5, 0.0, 0.0, 0.8]
    _only(form.read(outputs, GEOMETRY, 3, "net"), 2, 0.4)
    with pytest.raises(NetworkError, match="reads output 1"):
        form.read(outputs[:1], GEOMETRY, 3, "net")


def test_yolo_v8() -> None:
    output = np.zeros((1, 4 + 2, 7), np.float32)
    output[0, :, 3] = [32, 32, 32, 16, 0.1, 0.9]
    boxes = _boxes(TransposedBoxes(iou=0.5).read([output], GEOMETRY, 2, "net"))
    assert boxes.classes.tolist() == [1, 0]  # each class that is likely enough
    np.testing.assert_allclose(boxes.corners, [BOX, BOX], atol=1e-3)


def test_plain_boxes() -> None:
    y_first = (IN_INPUT[[1, 0, 3, 2]] / 64).astype(np.float32)
    ssd = PlainBoxes(coordinates="yxyx", normalised=True, first_label=1)
    labels, scores = np.array([[2.0, 0.0, 9.0]], np.float32), np.array([[0.7, 0.6, 0.5]], np.float32)
    _only(ssd.read([np.stack([y_first] * 3)[None], labels, scores], GEOMETRY, 3, "net"), 1, 0.7)  # labels 0 and 9 are no classes
    torchvision = PlainBoxes(boxes=1, labels=2, scores=0)
    outputs = [np.array([0.7], np.float32), IN_INPUT[None].astype(np.float32), np.array([1], np.int64)]
    _only(torchvision.read(outputs, GEOMETRY, 3, "net"), 1, 0.7)
    middle = np.array([[[0.5, 0.5, 0.5, 0.25]]], np.float32)
    detr = PlainBoxes(
        labels=-1, scores=1, coordinates="cxcywh", normalised=True, activation="softmax", background=2, one_class=True, iou=1.0
    )
    _only(detr.read([middle, np.log(np.array([[[0.2, 0.5, 0.3]]], np.float32))], GEOMETRY, 2, "net"), 1, 0.5)
    sigmoid = PlainBoxes(labels=-1, scores=1, coordinates="cxcywh", normalised=True, activation="sigmoid")
    _only(sigmoid.read([middle, np.array([[[-9.0, 0.0]]], np.float32)], GEOMETRY, 2, "net"), 1, 0.5)
    none = torchvision.read([np.zeros(0, np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.int64)], GEOMETRY, 3, "net")
    assert _boxes(none).corners.shape == (0, 4)
    with pytest.raises(NetworkError, match="must be as many"):
        torchvision.read([np.zeros(2, np.float32), np.zeros((3, 4), np.float32), np.zeros(3, np.int64)], GEOMETRY, 3, "net")


def test_each_object_once() -> None:
    corners = np.array(
        [[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [30, 0, 40, 10], [0, 0, 10, 5], [-50, 0, -40, 9]], np.float32
    )
    classes, scores = np.array([0, 0, 1, 0, 0, 0]), np.array([0.8, 0.9, 0.7, 0.6, 0.005, 0.99], np.float32)
    geometry = Geometry(100, 100, 100, 100, 1.0, 1.0)
    boxes = choose_boxes(corners, classes, scores, Choice(0.01, 0.5, 100), geometry)
    np.testing.assert_allclose(boxes.scores, [0.9, 0.7, 0.6])  # by class; what lies outside the picture is none
    assert boxes.classes.tolist() == [0, 1, 0]
    assert len(choose_boxes(corners, classes, scores, Choice(0.01, 1.0, 100), geometry).scores) == 4
    assert len(choose_boxes(corners, classes, scores, Choice(0.01, 0.5, 2), geometry).scores) == 2
    np.testing.assert_allclose(overlaps(corners[0], corners[[0, 1, 3, 4]]), [1, 90 / 110, 0, 0.5], rtol=1e-6)
    assert overlaps(np.zeros(4, np.float32), np.zeros((1, 4), np.float32)).tolist() == [0]


def test_class_maps_come_back_to_the_pixels_of_the_picture() -> None:
    truth = np.zeros((100, 200), np.int16)
    truth[:, 100:], truth[75:] = 1, 2
    x, y = np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5)
    points = GEOMETRY.to_picture(np.stack([x, y], axis=-1))
    columns, rows = (np.clip(np.floor(points[..., k]), 0, side - 1).astype(int) for k, side in ((0, 200), (1, 100)))
    seen = truth[rows, columns]
    result = ClassIndices().read([seen[None].astype(np.int64)], GEOMETRY, 3, "net")
    assert isinstance(result, ClassMap)
    assert result.classes.dtype == np.int16
    assert (result.classes != truth).mean() < 0.03
    logits = np.eye(3, dtype=np.float32)[seen]
    for form, output in ((ClassLogits("nhwc"), logits[None]), (ClassLogits(), logits.transpose(2, 0, 1)[None])):
        smooth = form.read([output], GEOMETRY, 3, "net")
        assert isinstance(smooth, ClassMap)
        assert (smooth.classes != truth).mean() < 0.03
    with pytest.raises(NetworkError, match="0 to 2; its record has 0 to 1"):
        ClassIndices().read([seen], GEOMETRY, 2, "net")
    void = ClassIndices(void=2).read([seen], GEOMETRY, 2, "net")
    assert isinstance(void, ClassMap)
    assert set(np.unique(void.classes)) == {VOID, 0, 1}


def test_strips_of_a_tall_picture_join(monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = place_of(50, 300, InputRecord(width=32, height=32))[0]
    logits = np.random.default_rng(2).normal(size=(1, 4, 8, 8)).astype(np.float32)
    whole = ClassLogits().read([logits], geometry, 4, "net")
    monkeypatch.setattr("foveal.tasks.decode_maps._STRIP_PIXELS", 50 * 37)
    strips = ClassLogits().read([logits], geometry, 4, "net")
    assert isinstance(whole, ClassMap)
    assert isinstance(strips, ClassMap)
    assert (whole.classes != strips.classes).mean() < 0.001
    assert len(np.unique(whole.classes)) == 4


def test_joints() -> None:
    points = GEOMETRY.to_input(np.array([[20.0, 30.0], [180.0, 90.0]]))
    rows = np.concatenate([points[:, ::-1] / 64, [[0.9], [0.1]]], axis=1).astype(np.float32)
    result = Keypoints().read([rows[None, None]], GEOMETRY, 2, "net")
    assert isinstance(result, Joints)
    np.testing.assert_allclose(result.points, [[20, 30], [180, 90]], atol=1e-3)
    np.testing.assert_allclose(result.scores, [0.9, 0.1], atol=1e-6)
    in_pixels = np.concatenate([points, [[0.9], [0.1]]], axis=1).astype(np.float32)
    again = Keypoints(order="xy", normalised=False).read([in_pixels], GEOMETRY, 2, "net")
    assert isinstance(again, Joints)
    np.testing.assert_allclose(again.points, result.points, atol=1e-3)
    maps = np.zeros((1, 2, 16, 16), np.float32)
    maps[0, 0, 6, 1], maps[0, 0, 6, 2] = 1.0, 0.5  # cell 1.75, 6.5 of 4 pixels
    maps[0, 1, 15, 15] = 0.25
    heat = Heatmaps().read([maps], GEOMETRY, 2, "net")
    assert isinstance(heat, Joints)
    np.testing.assert_allclose(heat.points[0], GEOMETRY.to_picture(np.array([1.75 * 4, 6.5 * 4])), atol=1e-3)
    np.testing.assert_allclose(heat.scores, [1, 0.25])


def _boxes(result: object) -> Boxes:
    assert isinstance(result, Boxes)
    return result
