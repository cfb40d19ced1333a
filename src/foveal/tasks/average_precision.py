"""Average precision of one class as COCO has it, for many draws of the pictures at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from foveal.tasks.coco_matching import THRESHOLDS, ClassMatches, spread

_RECALLS: Final = np.linspace(0.0, 1.0, 101)
_EPS: Final = float(np.spacing(1))
_BLOCK: Final = 1 << 21
"""Numbers that are held at once: draws times detections."""


@dataclass(frozen=True, eq=False)
class _Ranking:
    """A class's detections in all pictures, the surest first: the picture of each, and by overlap whether it hits and counts."""

    pictures: NDArray[np.int64]
    hits: NDArray[np.bool_]
    counts: NDArray[np.bool_]


def average_precisions(matches: Sequence[tuple[int, ClassMatches]], draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """In 0..1, ``(draws, thresholds)``; NaN where a draw holds no object of the class. matches: with the picture of each.

    A picture that is drawn twice counts as two pictures. Precision is the best at this or a higher recall, and the mean is
    taken over 101 recalls. Precision can peak only at hits, and a recall is first reached at one, so that hits alone are looked at.
    """
    positives = np.zeros(draws.shape[1])
    for picture, found in matches:
        positives[picture] += found.positives
    objects = draws @ positives
    ranking = _rank(matches)
    result = np.zeros((len(draws), THRESHOLDS))
    step = max(1, _BLOCK // max(1, len(ranking.pictures)))
    for start in range(0, len(draws), step):
        block = slice(start, start + step)
        result[block] = _block(ranking, draws[block], np.maximum(objects[block], 1))
    result[objects == 0] = np.nan
    return result


def _rank(matches: Sequence[tuple[int, ClassMatches]]) -> _Ranking:
    """Of equal scores the earlier picture's comes first, as in pycocotools."""
    pictures = np.concatenate([np.full(len(found.scores), picture, np.int64) for picture, found in matches])
    order = np.argsort(-np.concatenate([found.scores for _, found in matches]), kind="stable")
    hits = spread(np.concatenate([found.hits for _, found in matches])[order])
    ignored = spread(np.concatenate([found.ignored for _, found in matches])[order])
    return _Ranking(pictures[order], hits & ~ignored, ~ignored)


def _block(ranking: _Ranking, draws: NDArray[np.float64], objects: NDArray[np.float64]) -> NDArray[np.float64]:
    result = np.zeros((len(draws), THRESHOLDS))
    weights = draws[:, ranking.pictures]
    everything = np.cumsum(weights, axis=1)
    for threshold in range(THRESHOLDS):
        at, counts = np.flatnonzero(ranking.hits[threshold]), ranking.counts[threshold]
        if not at.size:
            continue
        counted = everything if counts.all() else np.cumsum(weights * counts, axis=1)
        found = np.cumsum(weights[:, at], axis=1)
        precision = found / (counted[:, at] + _EPS)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        reached = np.searchsorted(_RECALLS, found / objects[:, None], side="right")
        result[:, threshold] = (np.diff(reached, axis=1, prepend=0) * best).sum(axis=1) / len(_RECALLS)
    return result
