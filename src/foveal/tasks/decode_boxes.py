"""Outputs of detectors: a Python class for each form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import NetworkError
from foveal.tasks.decode_scores import softmax
from foveal.tasks.forms import Form, Wanted
from foveal.tasks.input import Geometry
from foveal.tasks.results import Boxes
from foveal.tasks.suppression import Choice, choose_boxes


def _grid(width: int, height: int) -> NDArray[np.float32]:
    """The columns and rows of cells, row by row: ``(height * width, 2)`` x, y."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def _corners(centres: NDArray[np.float32], sizes: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1).astype(np.float32, copy=False)


def _by_class(corners: NDArray[np.float32], scores: NDArray[np.float32], choice: Choice, geometry: Geometry) -> Boxes:
    """The objects among boxes ``(n, 4)`` with scores ``(n, classes)``: each class of a box that is likely enough is a candidate."""
    rows, classes = np.nonzero(scores >= choice.threshold)
    return choose_boxes(corners[rows], classes.astype(np.int64), scores[rows, classes], choice, geometry)


def _check_strides(strides: tuple[int, ...]) -> None:
    if not strides or min(strides) < 1:
        raise NetworkError(f"[output] strides = {list(strides)}; at least one number of pixels is needed, each above 0")


@final
@dataclass(frozen=True)
class OffsetBoxes(Form):
    """YOLOX: ``1 x cells x (5 + classes)``, the cells of each stride row by row.

    A cell holds x, y (offset from the cell, in strides), log of width and height (in strides), objectness, class scores.
    """

    strides: tuple[int, ...] = (8, 16, 32)
    threshold: float = 0.01
    iou: float = 0.5
    most: int = 100

    def __post_init__(self) -> None:
        _check_strides(self.strides)
        _ = self._choice

    @property
    def _choice(self) -> Choice:
        return Choice(self.threshold, self.iou, self.most)

    def _cells(self, geometry: Geometry) -> list[tuple[int, int, int]]:
        return [(geometry.input_width // stride, geometry.input_height // stride, stride) for stride in self.strides]

    def wanted(self, geometry: Geometry, classes: int) -> tuple[Wanted, ...]:
        return (Wanted(0, (sum(columns * rows for columns, rows, _ in self._cells(geometry)), 5 + classes)),)

    def decode(self, outputs: Sequence[NDArray[Any]], geometry: Geometry, classes: int) -> Boxes:
        cells = outputs[0].astype(np.float32)
        grid = np.concatenate([_grid(columns, rows) for columns, rows, _ in self._cells(geometry)])
        stride = np.concatenate([np.full((c * r, 1), s, np.float32) for c, r, s in self._cells(geometry)])
        with np.errstate(over="ignore"):  # a box that becomes infinite is left out
            corners = _corners((cells[:, :2] + grid) * stride, np.exp(cells[:, 2:4]) * stride)
        return _by_class(corners, cells[:, 5:] * cells[:, 4:5], self._choice, geometry)


@final
@dataclass(frozen=True)
class AnchorBoxes(Form):
    """Yolo-FastestV2: for each stride an output ``1 x rows x columns x (4 anchors + anchors + classes)``.

    A cell holds x, y, width and height of each anchor (0..1: xy = (2o - 0.5 + cell) * stride, wh = (2o)^2 * anchor), the
    objectness of each, and class scores that they share. anchors: width and height of each in pixels of the input, stride by stride.
    """

    strides: tuple[int, ...]
    anchors: tuple[float, ...]
    threshold: float = 0.01
    iou: float = 0.5
    most: int = 100

    def __post_init__(self) -> None:
        _check_strides(self.strides)
        if not self.anchors or len(self.anchors) % (2 * len(self.strides)):
            raise NetworkError(
                f"[output] {len(self.anchors)} numbers in anchors for {len(self.strides)} strides; "
                "each stride needs equally many pairs of width and height"
            )
        _ = self._choice

    @property
    def _choice(self) -> Choice:
        return Choice(self.threshold, self.iou, self.most)

    @property
    def _sizes(self) -> NDArray[np.float32]:
        """``(strides, anchors, 2)``."""
        return np.array(self.anchors, np.float32).reshape(len(self.strides), -1, 2)

    def wanted(self, geometry: Geometry, classes: int) -> tuple[Wanted, ...]:
        depth = 5 * self._sizes.shape[1] + classes
        return tuple(
            Wanted(number, (geometry.input_height // stride, geometry.input_width // stride, depth))
            for number, stride in enumerate(self.strides)
        )

    def decode(self, outputs: Sequence[NDArray[Any]], geometry: Geometry, classes: int) -> Boxes:
        found = [self._scale(*scale) for scale in zip(outputs, self.strides, self._sizes, strict=True)]
        corners, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return _by_class(corners, scores, self._choice, geometry)

    def _scale(
        self, output: NDArray[Any], stride: int, anchors: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Corners ``(n, 4)`` and scores ``(n, classes)``."""
        rows, columns, _ = output.shape
        cells, count = output.reshape(rows * columns, -1).astype(np.float32), len(anchors)
        place = cells[:, : 4 * count].reshape(-1, count, 4)
        centres = (2 * place[:, :, :2] - 0.5 + _grid(columns, rows)[:, None]) * stride
        sizes = (2 * place[:, :, 2:]) ** 2 * anchors
        scores = cells[:, 4 * count : 5 * count, None] * cells[:, None, 5 * count :]
        return _corners(centres.reshape(-1, 2), sizes.reshape(-1, 2)), scores.reshape(rows * columns * count, -1)


@final
@dataclass(frozen=True)
class TransposedBoxes(Form):
    """YOLOv8 and its kin: ``1 x (4 + classes) x cells``: x, y of the centre, width, height in pixels of the input, class scores."""

    threshold: float = 0.01
    iou: float = 0.5
    most: int = 100

    def __post_init__(self) -> None:
        _ = self._choice

    @property
    def _choice(self) -> Choice:
        return Choice(self.threshold, self.iou, self.most)

    def wanted(self, geometry: Geometry, classes: int) -> tuple[Wanted, ...]:
        return (Wanted(0, (4 + classes, None)),)

    def decode(self, outputs: Sequence[NDArray[Any]], geometry: Geometry, classes: int) -> Boxes:
        cells = outputs[0].astype(np.float32).T
        return _by_class(_corners(cells[:, :2], cells[:, 2:4]), cells[:, 4:], self._choice, geometry)


@final
@dataclass(frozen=True)
class PlainBoxes(Form):
    """Boxes and their scores in outputs of their own, as SSD, torchvision and DETR export them.

    boxes, labels, scores: the numbers of these outputs. boxes is ``1 x n x 4``. labels and scores are ``1 x n``; or labels is -1, and
    scores is ``1 x n x classes``. coordinates: ``xyxy``, ``yxyx`` or ``cxcywh`` (centre and size), in pixels of the input, or with
    ``normalised`` in 0..1. first_label: the label of the first class; other labels are left out. For scores with a class axis:
    activation, ``none``, ``softmax`` or ``sigmoid``; background, the number of the class that is nothing, -1 if there is none; and
    one_class: a box is of its likeliest class alone, not of each that passes the threshold.
    """

    boxes: int = 0
    labels: int = 1
    scores: int = 2
    coordinates: str = "xyxy"
    normalised: bool = False
    first_label: int = 0
    activation: str = "none"
    background: int = -1
    one_class: bool = False
    threshold: float = 0.01
    iou: float = 0.5
    most: int = 100

    def __post_init__(self) -> None:
        for name, allowed in (("coordinates", ("xyxy", "yxyx", "cxcywh")), ("activation", ("none", "softmax", "sigmoid"))):
            if getattr(self, name) not in allowed:
                raise NetworkError(f"[output] {name} = {getattr(self, name)!r}; one of {', '.join(allowed)} is allowed")
        if min(self.boxes, self.scores) < 0:
            raise NetworkError(f"[output] boxes = {self.boxes}, scores = {self.scores}; outputs are counted from 0")
        _ = self._choice

    @property
    def _choice(self) -> Choice:
        return Choice(self.threshold, self.iou, self.most)

    def wanted(self, geometry: Geometry, classes: int) -> tuple[Wanted, ...]:
        boxes = Wanted(self.boxes, (None, 4))
        if self.labels < 0:
            return boxes, Wanted(self.scores, (None, classes + (self.background >= 0)))
        return boxes, Wanted(self.scores, (None,)), Wanted(self.labels, (None,))

    def decode(self, outputs: Sequence[NDArray[Any]], geometry: Geometry, classes: int) -> Boxes:
        corners = self._placed(outputs[0].astype(np.float32), geometry)
        if len({len(output) for output in outputs}) != 1:
            raise NetworkError(
                f"the network gives {' and '.join(str(len(o)) for o in outputs)} boxes and scores; they must be as many"
            )
        if self.labels < 0:
            return _by_class(corners, self._likely(outputs[1].astype(np.float32)), self._choice, geometry)
        best, scores = np.rint(outputs[2]).astype(np.int64) - self.first_label, outputs[1].astype(np.float32)
        known = (best >= 0) & (best < classes)
        return choose_boxes(corners[known], best[known], scores[known], self._choice, geometry)

    def _placed(self, boxes: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float32]:
        if self.coordinates == "cxcywh":
            boxes = _corners(boxes[:, :2], boxes[:, 2:])
        elif self.coordinates == "yxyx":
            boxes = boxes[:, [1, 0, 3, 2]]
        sides = (geometry.input_width, geometry.input_height)
        return boxes * np.array(sides * 2, np.float32) if self.normalised else boxes

    def _likely(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.activation == "softmax":
            scores = softmax(scores)
        elif self.activation == "sigmoid":
            scores = np.float32(1) / (np.float32(1) + np.exp(-np.clip(scores, -80, 80)))
        if self.background >= 0:
            scores = np.delete(scores, min(self.background, scores.shape[1] - 1), axis=1)
        return np.where(scores == scores.max(axis=1, keepdims=True), scores, -1) if self.one_class else scores
