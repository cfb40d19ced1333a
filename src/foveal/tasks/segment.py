"""Scores of segmentation: intersection over union of each class, and the share of pixels that are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import LabelError
from foveal.tasks.base import Metric, Scoring
from foveal.tasks.results import VOID, ClassMap
from foveal.tasks.shares import checked_weights, percent


@final
@dataclass(frozen=True, eq=False)
class ConfusionTally:
    """How many pixels are labelled ``truth`` and read as ``predicted``: int64 ``(pairs,)`` each, pairs that occur alone."""

    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    pixels: NDArray[np.int64]


@final
class Segment(Scoring[ClassMap, ClassMap, ConfusionTally]):
    """mIoU and pixel accuracy, of the pixels of all pictures together. Pixels labelled ``VOID`` count nowhere.

    mIoU is the mean over the classes that the truth of the set (or of the draw) holds, as in Pascal VOC and CamVid, where the
    truth holds all classes. A class that is read and nowhere labelled has no mean of its own: it would be 0 whether one pixel
    or all were lost to it, so that one stray pixel could cost points. Its pixels count against the classes that they are labelled as.
    """

    name = "segment"
    metrics = (Metric("miou", "mIoU"), Metric("pixel_accuracy", "pixel accuracy"))
    nothing = "no pixel of a known class"

    def truth_of(self, result: ClassMap) -> ClassMap:
        return result

    def tally(self, result: ClassMap, truth: ClassMap) -> ConfusionTally:
        if result.classes.shape != truth.classes.shape or truth.classes.ndim != 2:
            sizes = " and ".join("x".join(map(str, a.classes.shape[::-1])) for a in (result, truth))
            raise LabelError(
                f"class maps of {sizes} pixels; the network's and the label's must be of one picture and of its size"
            )
        labelled = truth.classes != VOID
        rows = truth.classes[labelled].astype(np.int64) - VOID
        columns = result.classes[labelled].astype(np.int64) - VOID
        if rows.size and min(int(rows.min()), int(columns.min())) < 0:
            raise LabelError(f"a class below {VOID} in a class map; classes are 0 or more, {VOID} is void")
        width = int(columns.max(initial=0)) + 1
        pixels = np.bincount(rows * width + columns)
        pairs = np.flatnonzero(pixels)
        return ConfusionTally(pairs // width + VOID, pairs % width + VOID, pixels[pairs].astype(np.int64))

    def scores(self, tallies: Sequence[ConfusionTally], weights: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        draws = checked_weights(weights, len(tallies))
        classes = 1 + max((int(tally.truth.max(initial=-1)) for tally in tallies), default=-1)
        right, labelled, read = (draws @ counts for counts in _class_counts(tallies, classes))
        shares = percent(right, np.where(labelled > 0, labelled + read - right, 0))
        means = percent(np.nansum(shares, axis=1) / 100, (labelled > 0).sum(axis=1))
        scores = np.stack([means, percent(right.sum(axis=1), labelled.sum(axis=1))], axis=1)
        return scores[0] if weights is None else scores

    def dump(self, tally: ConfusionTally) -> Any:
        return [tally.truth.tolist(), tally.predicted.tolist(), tally.pixels.tolist()]

    def load(self, values: Any) -> ConfusionTally:
        try:
            if not isinstance(values, list) or len(cast("list[Any]", values)) != 3:
                raise ValueError("three lists are wanted")
            arrays = [np.array(cast("list[Any]", part) or [], np.int64) for part in cast("list[Any]", values)]
            if any(
                a.ndim != 1 or a.shape != arrays[0].shape or (a < low).any() for a, low in zip(arrays, (0, VOID, 1), strict=True)
            ):
                raise ValueError("lists of one length, of classes and of pixels")
        except (TypeError, ValueError, OverflowError) as error:
            raise LabelError(f"{values!r:.60} is no tally of segment: {error}") from error
        return ConfusionTally(*arrays)


def _class_counts(tallies: Sequence[ConfusionTally], classes: int) -> tuple[NDArray[np.float64], ...]:
    """Of each picture and labelled class the pixels that are right, labelled, and read as it: ``(pictures, classes)``."""
    right, labelled, read = (np.zeros((len(tallies), classes)) for _ in range(3))
    for number, tally in enumerate(tallies):
        same = tally.truth == tally.predicted
        np.add.at(right[number], tally.truth[same], tally.pixels[same])
        np.add.at(labelled[number], tally.truth, tally.pixels)
        known = (tally.predicted >= 0) & (tally.predicted < classes)
        np.add.at(read[number], tally.predicted[known], tally.pixels[known])
    return right, labelled, read
