"""The table of scorings, and labels made those of a network before they are scored."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import LabelError
from foveal.tasks.base import Scoring
from foveal.tasks.classify import Classify
from foveal.tasks.detect import Detect
from foveal.tasks.pose import Pose, coco_pose
from foveal.tasks.results import VOID, ClassLabel, ClassMap, Joints, TrueBoxes, Truth
from foveal.tasks.segment import Segment
from foveal.tasks.vocabulary import Vocabulary, conversion

SCORINGS: Final = ("classify", "detect", "segment", "pose")


def scoring(name: str, classes: Vocabulary | None = None) -> Scoring[Any, Any, Any]:
    """The scoring of a task. classes: the network's, which pose looks its joints up in; those of COCO if they are not given.

    Raises:
        LabelError: no such task, or a vocabulary of joints without a torso.
    """
    match name:
        case "classify":
            return Classify()
        case "detect":
            return Detect()
        case "segment":
            return Segment()
        case "pose":
            return coco_pose() if classes is None else Pose(classes)
        case _:
            raise LabelError(f"no task {name!r}; there are {', '.join(SCORINGS)}")


def adapt(truth: Truth, source: Vocabulary, target: Vocabulary) -> Truth:
    """The same label in the classes of a network, by name.

    Boxes of classes that the network does not have are dropped; such pixels become its background, else ``VOID``; joints are
    put in its order, those that the label lacks hidden.

    Raises:
        LabelError: no name is shared, an index is outside ``source``, or the class of a picture is not among the network's.
    """
    if isinstance(truth, Joints):
        return _adapt_joints(truth, source, target)
    table = _table(source, target)
    if isinstance(truth, ClassLabel):
        return _adapt_class(truth, source, target, table)
    _check_range(truth.classes, source, lowest=VOID if isinstance(truth, ClassMap) else 0)
    if isinstance(truth, ClassMap):
        return ClassMap(np.append(table, VOID).astype(np.int16)[truth.classes])  # VOID is -1: the last entry
    classes = table[truth.classes]
    kept = (classes != VOID) & (classes != (VOID if target.background is None else target.background))
    return TrueBoxes(truth.corners[kept], classes[kept], truth.crowd[kept])


def foreign_classes(source: Vocabulary, target: Vocabulary) -> frozenset[int]:
    """The classes of labels that are none of a network's: pictures of them cannot be scored.

    Raises:
        LabelError: no name is shared.
    """
    table = _table(source, target)
    return frozenset(index for index in range(len(source)) if _is_foreign(index, table, source, target))


def _table(source: Vocabulary, target: Vocabulary) -> NDArray[np.int64]:
    return np.arange(len(source)) if source.names == target.names else conversion(source, target)


def _is_foreign(index: int, table: NDArray[np.int64], source: Vocabulary, target: Vocabulary) -> bool:
    return table[index] in (VOID, target.background) and source.background != index


def _adapt_class(truth: ClassLabel, source: Vocabulary, target: Vocabulary, table: NDArray[np.int64]) -> ClassLabel:
    _check_range(np.array([truth.index]), source, lowest=0)
    if _is_foreign(truth.index, table, source, target):
        raise LabelError(
            f"the class {source.names[truth.index]!r} of the label is none of the network's ({target.name}); leave such pictures out"
        )
    return ClassLabel(int(table[truth.index]))


def _adapt_joints(truth: Joints, source: Vocabulary, target: Vocabulary) -> Joints:
    if truth.points.shape != (len(source), 2) or truth.scores.shape != (len(source),):
        raise LabelError(f"joints of shape {truth.points.shape}; {source.name} has {len(source)}")
    if source.names == target.names:
        return truth
    table = conversion(source, target)
    known = table != VOID
    points, scores = np.zeros((len(target), 2), np.float32), np.zeros(len(target), np.float32)
    points[table[known]], scores[table[known]] = truth.points[known], truth.scores[known]
    return Joints(points, scores)


def _check_range(classes: NDArray[Any], source: Vocabulary, lowest: int) -> None:
    if classes.size and not (lowest <= classes.min() and classes.max() < len(source)):
        wrong = classes.min() if classes.min() < lowest else classes.max()
        raise LabelError(f"class {wrong} in a label; {source.name} has 0..{len(source) - 1}")
