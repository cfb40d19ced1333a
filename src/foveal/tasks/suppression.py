"""From thousands of candidate boxes to the objects: the sure ones, each once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import NetworkError
from foveal.tasks.input import Geometry
from foveal.tasks.results import Boxes

_CANDIDATES: Final = 3000


@dataclass(frozen=True)
class Choice:
    """Which boxes are kept. threshold: the least score; iou: two boxes of one class that overlap more are one object, 1 keeps all; most: how many."""

    threshold: float
    iou: float
    most: int

    def __post_init__(self) -> None:
        if not (0 <= self.threshold < 1 and 0 < self.iou <= 1 and 1 <= self.most <= 1000):
            raise NetworkError(
                f"[output] threshold = {self.threshold}, iou = {self.iou}, most = {self.most}; "
                "0 to below 1, above 0 to 1, and 1 to 1000 are allowed"
            )


def choose_boxes(
    corners: NDArray[np.float32],
    classes: NDArray[np.int64],
    scores: NDArray[np.float32],
    choice: Choice,
    geometry: Geometry,
) -> Boxes:
    """The objects, the surest first. corners: ``(n, 4)`` x0, y0, x1, y1 in pixels of the network's input."""
    likely = np.flatnonzero((scores >= choice.threshold) & np.isfinite(corners).all(axis=1))
    likely = likely[np.argsort(-scores[likely], kind="stable")][:_CANDIDATES]
    kept = likely[_unsuppressed(corners[likely], classes[likely], choice)]
    placed = geometry.to_picture(corners[kept].reshape(-1, 2, 2))
    placed = np.clip(placed, 0, (geometry.width, geometry.height)).reshape(-1, 4).astype(np.float32)
    inside = np.flatnonzero((placed[:, 2] > placed[:, 0]) & (placed[:, 3] > placed[:, 1]))[: choice.most]
    kept = kept[inside]
    return Boxes(placed[inside], classes[kept].astype(np.int64), np.minimum(scores[kept], 1).astype(np.float32))


def _unsuppressed(corners: NDArray[np.float32], classes: NDArray[np.int64], choice: Choice) -> NDArray[np.intp]:
    """Which of the boxes, sorted by score, are not the same object as a surer one; a few more than ``choice.most``."""
    order = np.arange(len(corners))
    if choice.iou >= 1:
        return order
    kept: list[int] = []
    while len(order) and len(kept) < 2 * choice.most:  # those outside the picture fall away later
        first, order = int(order[0]), order[1:]
        kept.append(first)
        same = (classes[order] == classes[first]) & (overlaps(corners[first], corners[order]) > choice.iou)
        order = order[~same]
    return np.array(kept, np.intp)


def overlaps(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of one box with others ``(n, 4)``; 0 for two empty ones."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(np.maximum(others[:, 2:] - others[:, :2], 0), axis=1)
    union = np.prod(np.maximum(box[2:] - box[:2], 0)) + areas - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
