"""Which detections of a picture find which labelled objects, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import LabelError, MissingDependencyError
from foveal.tasks.results import Boxes, TrueBoxes

if TYPE_CHECKING:
    from pycocotools.cocoeval import COCOeval

THRESHOLDS: Final = 10
"""Overlaps (IoU) of 0.50, 0.55, ... 0.95."""
MOST_DETECTIONS: Final = 100
"""Of each class and picture, the surest, as COCO counts."""
_ALL: Final = [0.0, 1e10]


@final
@dataclass(frozen=True, eq=False)
class ClassMatches:
    """One class in one picture.

    positives: labelled objects that must be found. scores: float32 ``(n,)``, the surest first. hits, ignored: uint16 ``(n,)``,
    bit t says of overlap 0.5 + 0.05 t that the detection finds an object, or counts neither way (it lies in a crowd).
    """

    index: int
    positives: int
    scores: NDArray[np.float32]
    hits: NDArray[np.uint16]
    ignored: NDArray[np.uint16]


def match(result: Boxes, truth: TrueBoxes) -> tuple[ClassMatches, ...]:
    """The matches of each class that is labelled or detected, by index.

    Raises:
        LabelError: arrays that do not fit together. MissingDependencyError: no pycocotools.
    """
    _check(result.corners, result.classes, result.scores, "detections")
    _check(truth.corners, truth.classes, truth.crowd, "labels")
    evaluation = _evaluation()
    return tuple(_match_class(evaluation, int(index), result, truth) for index in np.union1d(result.classes, truth.classes))


def coco_scores(pictures: Sequence[Sequence[ClassMatches]]) -> tuple[float, float, float]:
    """AP, AP50 and AP75 in percent, accumulated by pycocotools itself; NaN where nothing was labelled."""
    evaluation = _evaluation()
    indices = sorted({matches.index for picture in pictures for matches in picture})
    evaluation.params.imgIds = list(range(len(pictures)))
    evaluation.params.catIds = indices
    by_class = [{matches.index: matches for matches in picture} for picture in pictures]
    evaluation.evalImgs = [_as_coco(found.get(index)) for index in indices for found in by_class]
    evaluation._paramsEval = evaluation.params
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    precision: NDArray[np.float64] = evaluation.eval["precision"][:, :, :, 0, 0]

    def mean(part: NDArray[np.float64]) -> float:
        counted = part[part > -1]
        return 100 * float(counted.mean()) if counted.size else float("nan")

    return mean(precision), mean(precision[0]), mean(precision[5])


def _evaluation() -> COCOeval:
    """The library's own, set to boxes of any size."""
    try:
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MissingDependencyError("detections are scored by pycocotools: pip install pycocotools") from error
    evaluation = COCOeval(iouType="bbox")
    evaluation.params.maxDets = [MOST_DETECTIONS]
    evaluation.params.areaRng = [_ALL]
    evaluation.params.areaRngLbl = ["all"]
    return evaluation


def _match_class(evaluation: COCOeval, index: int, result: Boxes, truth: TrueBoxes) -> ClassMatches:
    """Its own entry points for one picture, which print nothing, unlike ``evaluate``."""
    found, labelled = np.flatnonzero(result.classes == index), np.flatnonzero(truth.classes == index)
    evaluation._gts = {
        (1, index): [
            {"id": number + 1, "iscrowd": crowd, "ignore": crowd, **_box(truth.corners[at])}
            for number, at in enumerate(labelled)
            for crowd in (int(truth.crowd[at]),)
        ]
    }
    evaluation._dts = {
        (1, index): [
            {"id": number + 1, "score": float(result.scores[at]), **_box(result.corners[at])} for number, at in enumerate(found)
        ]
    }
    evaluation.ious = {(1, index): evaluation.computeIoU(1, index)}
    answer = evaluation.evaluateImg(1, index, _ALL, MOST_DETECTIONS)
    assert answer is not None
    ignored = np.asarray(answer["dtIgnore"], bool)
    return ClassMatches(
        index,
        int(np.count_nonzero(np.asarray(answer["gtIgnore"]) == 0)),
        np.array(answer["dtScores"], np.float32),
        _bits((np.asarray(answer["dtMatches"]) > 0) & ~ignored),
        _bits(ignored),
    )


def _as_coco(matches: ClassMatches | None) -> dict[str, Any] | None:
    """The form that ``accumulate`` reads."""
    if matches is None:
        return None
    return {
        "dtScores": matches.scores.astype(np.float64).tolist(),
        "dtMatches": spread(matches.hits).astype(np.float64),
        "dtIgnore": spread(matches.ignored),
        "gtIgnore": np.zeros(matches.positives),
    }


def spread(bits: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Bit t of each number: bool ``(thresholds, n)``."""
    return (bits[None, :] >> np.arange(THRESHOLDS, dtype=np.uint16)[:, None] & 1).astype(bool)


def _bits(flags: NDArray[np.bool_]) -> NDArray[np.uint16]:
    return (flags.astype(np.uint16) << np.arange(THRESHOLDS, dtype=np.uint16)[:, None]).sum(axis=0, dtype=np.uint16)


def _box(corners: NDArray[np.float32]) -> dict[str, Any]:
    x0, y0, x1, y1 = corners.astype(np.float64).tolist()
    return {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0)}


def _check(corners: NDArray[Any], classes: NDArray[Any], third: NDArray[Any], what: str) -> None:
    if corners.shape != (len(classes), 4) or third.shape != classes.shape or classes.ndim != 1:
        raise LabelError(f"{what} of shapes {corners.shape}, {classes.shape}, {third.shape}; (n, 4), (n,), (n,) are wanted")
    if not np.isfinite(corners).all():
        raise LabelError(f"{what} with a corner that is no finite number")
    if classes.size and classes.min() < 0:
        raise LabelError(f"{what} of class {classes.min()}; classes are 0 or more: adapt labels to the network")
