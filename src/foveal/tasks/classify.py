"""Scores of classification: how often the labelled class is the likeliest, or among the five likeliest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import LabelError
from foveal.tasks.base import Metric, Scoring
from foveal.tasks.results import ClassLabel, ClassScores
from foveal.tasks.shares import pooled_percent


@final
@dataclass(frozen=True)
class ClassTally:
    """rank: how many classes the network held likelier than the labelled one; 0 is right."""

    rank: int


@final
class Classify(Scoring[ClassScores, ClassLabel, ClassTally]):
    """top-1 and top-5. Of equally likely classes the one of the lower index comes first, as in an argmax."""

    name = "classify"
    metrics = (Metric("top1", "top-1"), Metric("top5", "top-5"))
    nothing = "no labelled class"

    def truth_of(self, result: ClassScores) -> ClassLabel:
        return ClassLabel(int(np.argmax(_numbers(result))))

    def tally(self, result: ClassScores, truth: ClassLabel) -> ClassTally:
        scores = _numbers(result)
        if not 0 <= truth.index < len(scores):
            raise LabelError(f"class {truth.index} is labelled, the network knows 0..{len(scores) - 1}; adapt the labels to it")
        own = scores[truth.index]
        return ClassTally(int(np.count_nonzero(scores > own) + np.count_nonzero(scores[: truth.index] == own)))

    def scores(self, tallies: Sequence[ClassTally], weights: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        ranks = np.array([tally.rank for tally in tallies], np.int64).reshape(-1, 1)
        hits = (ranks < np.array([1, 5])).astype(np.float64)
        return pooled_percent(hits, np.ones(len(tallies)), weights)

    def dump(self, tally: ClassTally) -> Any:
        return tally.rank

    def load(self, values: Any) -> ClassTally:
        if type(values) is not int or values < 0:
            raise LabelError(f"{values!r:.60} is no tally of classify; it is a rank, 0 or more")
        return ClassTally(values)


def _numbers(result: ClassScores) -> NDArray[np.float32]:
    """The scores; what is not a number is least likely."""
    if result.scores.ndim != 1 or not len(result.scores):
        raise LabelError(f"class scores of shape {result.scores.shape}; (classes,) is wanted")
    return np.where(np.isnan(result.scores), np.float32(-np.inf), result.scores)
