"""Scores of detection: COCO's mean average precision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import LabelError
from foveal.tasks.average_precision import average_precisions
from foveal.tasks.base import Metric, Scoring
from foveal.tasks.coco_matching import THRESHOLDS, ClassMatches, coco_scores, match
from foveal.tasks.results import Boxes, TrueBoxes
from foveal.tasks.shares import checked_weights

SURE: Final = 0.3
"""A detection of a network counts as its truth from this score on."""


@final
@dataclass(frozen=True)
class DetectTally:
    """The matches of each class that is labelled or detected in the picture, by index."""

    classes: tuple[ClassMatches, ...]


@final
class Detect(Scoring[Boxes, TrueBoxes, DetectTally]):
    """AP (mean over overlaps of 0.50 to 0.95), AP50 and AP75: boxes of any size, 100 detections of each class and picture at most.

    Detections are matched by pycocotools. Classes of which the set (or a draw) holds no object are left out.
    """

    name = "detect"
    metrics = (Metric("ap", "AP"), Metric("ap50", "AP50"), Metric("ap75", "AP75"))
    nothing = "no object to find"

    def truth_of(self, result: Boxes) -> TrueBoxes:
        sure = result.scores >= SURE
        return TrueBoxes(result.corners[sure], result.classes[sure], np.zeros(int(sure.sum()), bool))

    def tally(self, result: Boxes, truth: TrueBoxes) -> DetectTally:
        return DetectTally(match(result, truth))

    def scores(self, tallies: Sequence[DetectTally], weights: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        draws = checked_weights(weights, len(tallies))
        classes: dict[int, list[tuple[int, ClassMatches]]] = defaultdict(list)
        for picture, tally in enumerate(tallies):
            for matches in tally.classes:
                classes[matches.index].append((picture, matches))
        total, counted = np.zeros((len(draws), THRESHOLDS)), np.zeros((len(draws), 1))
        for found in classes.values():
            if any(matches.positives for _, matches in found):
                precisions = average_precisions(found, draws)
                total += np.nan_to_num(precisions)
                counted += ~np.isnan(precisions[:, :1])
        mean = np.divide(100 * total, counted, out=np.full(total.shape, np.nan), where=counted > 0)
        scores = np.stack([mean.mean(axis=1), mean[:, 0], mean[:, 5]], axis=1)
        return scores[0] if weights is None else scores

    def coco_scores(self, tallies: Sequence[DetectTally]) -> NDArray[np.float64]:
        """The scores of the set as pycocotools itself accumulates them; equal to ``scores`` but for rounding."""
        return np.array(coco_scores([tally.classes for tally in tallies]))

    def dump(self, tally: DetectTally) -> Any:
        return [_dump(matches) for matches in tally.classes]

    def load(self, values: Any) -> DetectTally:
        try:
            return DetectTally(tuple(_load(row) for row in cast("list[Any]", values)))
        except (TypeError, ValueError, OverflowError) as error:
            raise LabelError(f"{values!r:.60} is no tally of detect: {error}") from error


def _dump(matches: ClassMatches) -> list[Any]:
    """Scores in the fewest digits that give the float32 back; ``ignored`` only where something is."""
    scores = [float(str(score)) for score in matches.scores]
    row = [matches.index, matches.positives, scores, matches.hits.tolist()]
    return [*row, matches.ignored.tolist()] if matches.ignored.any() else row


def _load(values: Any) -> ClassMatches:
    row = cast("list[Any]", values) if isinstance(values, list) else []
    if len(row) not in (4, 5):
        raise ValueError("a row is a class, its objects, scores, hits and what is ignored")
    index, positives, *lists = row
    if type(index) is not int or type(positives) is not int or index < 0 or positives < 0:
        raise ValueError(f"class {index!r} with {positives!r} objects; both are 0 or more")
    scores = np.array(lists[0], np.float32)
    masks = [np.array(part, np.int64) for part in lists[1:]]
    if scores.ndim != 1 or any(m.shape != scores.shape or (m < 0).any() or (m >> THRESHOLDS).any() for m in masks):
        raise ValueError(f"lists of one length, hits of 0..{(1 << THRESHOLDS) - 1}")
    hits, ignored = (masks[0], masks[1]) if len(masks) == 2 else (masks[0], np.zeros_like(masks[0]))
    return ClassMatches(index, positives, scores, hits.astype(np.uint16), ignored.astype(np.uint16))
