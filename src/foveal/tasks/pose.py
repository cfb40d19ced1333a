"""Scores of pose: the share of joints that lie near where they are labelled (PCK)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import LabelError
from foveal.tasks.base import Metric, Scoring
from foveal.tasks.results import Joints
from foveal.tasks.shares import pooled_percent
from foveal.tasks.vocabulary import Vocabulary, vocabulary

BODY: Final = tuple(
    f"{side} {part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
)
"""The joints that count: the twelve that LSP and COCO both label."""

DIAGONALS: Final = (("left shoulder", "right hip"), ("right shoulder", "left hip"))
NEAR: Final = (0.5, 0.2)
SURE: Final = 0.3
"""A joint of a network counts as its truth from this score on. MoveNet's joints of the scores 0.3 to 0.4 are more often right
than wrong on LSP (57 % within half a torso), those of 0.2 to 0.3 are not (47 %)."""


@final
@dataclass(frozen=True)
class JointTally:
    """joints: how many count. hits: how many of them are as near as each of ``NEAR`` asks."""

    joints: int
    hits: tuple[int, ...]


@final
class Pose(Scoring[Joints, Joints, JointTally]):
    """PCK@0.5 and PCK@0.2: joints within half, or a fifth, of the torso's length from their label, among the visible joints of ``BODY``.

    The torso's length is that of the longer diagonal, left shoulder to right hip or right shoulder to left hip, whose two joints
    are visible. A picture without one counts nowhere: its scale is unknown. All joints of all pictures are pooled.

    Raises:
        LabelError: ``classes`` has none of the diagonals.
    """

    name = "pose"
    metrics = (Metric("pck50", "PCK@0.5"), Metric("pck20", "PCK@0.2"))
    nothing = "no person whose torso is visible"

    def __init__(self, classes: Vocabulary) -> None:
        self._count = len(classes)
        self._body = [index for name in BODY if (index := classes.index(name)) is not None]
        self._diagonals = [
            (a, b)
            for one, other in DIAGONALS
            if (a := classes.index(one)) is not None and (b := classes.index(other)) is not None
        ]
        if not self._diagonals:
            raise LabelError(
                f"joints of {classes.name} hold no torso; pose is scored with shoulders and hips, named as 'left shoulder'"
            )

    def truth_of(self, result: Joints) -> Joints:
        return Joints(result.points, np.where(result.scores >= SURE, result.scores, np.float32(0)))

    def tally(self, result: Joints, truth: Joints) -> JointTally:
        for joints in (result, truth):
            if joints.points.shape != (self._count, 2) or joints.scores.shape != (self._count,):
                raise LabelError(
                    f"joints of shape {joints.points.shape} and scores of {joints.scores.shape}; ({self._count}, 2) and ({self._count},) are wanted: adapt labels to the network"
                )
        visible = (truth.scores > 0) & np.isfinite(truth.points).all(axis=1)
        lengths = [_distance(truth.points[a], truth.points[b]) for a, b in self._diagonals if visible[a] and visible[b]]
        torso = max(lengths, default=0.0)
        if torso <= 0:
            return JointTally(0, (0,) * len(NEAR))
        counted = [index for index in self._body if visible[index]]
        away = np.array([_distance(result.points[index], truth.points[index]) for index in counted])
        return JointTally(len(counted), tuple(int(np.count_nonzero(away <= near * torso)) for near in NEAR))

    def scores(self, tallies: Sequence[JointTally], weights: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        hits = np.array([tally.hits for tally in tallies], np.float64).reshape(len(tallies), len(NEAR))
        return pooled_percent(hits, np.array([tally.joints for tally in tallies], np.float64), weights)

    def dump(self, tally: JointTally) -> Any:
        return [tally.joints, *tally.hits]

    def load(self, values: Any) -> JointTally:
        numbers = cast("list[Any]", values) if isinstance(values, list) else []
        if len(numbers) != 1 + len(NEAR) or any(type(n) is not int or not 0 <= n <= numbers[0] for n in numbers):
            raise LabelError(
                f"{values!r:.60} is no tally of pose; it is a number of joints and how many of them are near, {NEAR}"
            )
        return JointTally(numbers[0], tuple(numbers[1:]))


COCO_POSE: Final = "coco-joints-17"


def coco_pose() -> Pose:
    """The scoring of a network that names its joints as COCO does."""
    return Pose(vocabulary(COCO_POSE))


def _distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.hypot(*(one.astype(np.float64) - other)))
