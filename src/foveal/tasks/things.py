"""Which things a picture shows: several classes, or none, may be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import LabelError
from foveal.tasks.base import Metric, Scoring
from foveal.tasks.results import Boxes, ClassScores, TrueBoxes
from foveal.tasks.shares import checked_weights

SEEN: Final = 0.5
"""A thing counts as a network's truth from this score on."""
_DIGITS: Final = 5


def things_in(boxes: Boxes, classes: int) -> ClassScores:
    """What a detector says of that: of each class its surest box."""
    scores = np.zeros(classes, np.float32)
    np.maximum.at(scores, boxes.classes, boxes.scores)
    return ClassScores(scores)


@final
@dataclass(frozen=True, eq=False)
class ThingsTally:
    """scores: float64 ``(classes,)`` in 0..1. seen: bool ``(classes,)``, whether the picture is labelled with the class."""

    scores: NDArray[np.float64]
    seen: NDArray[np.bool_]


@final
class Things(Scoring[ClassScores, TrueBoxes, ThingsTally]):
    """mAP: over the classes that some picture shows, the mean precision at the ranks of pictures that show it, the likeliest first.

    Labels are those of detection, of which only the classes count, so a set of boxes serves; crowds count as objects.
    """

    name = "things"
    metrics = (Metric("map", "mAP"),)
    nothing = "no thing to see"

    def truth_of(self, result: ClassScores) -> TrueBoxes:
        seen = np.flatnonzero(result.scores >= SEEN).astype(np.int64)
        return TrueBoxes(np.zeros((len(seen), 4), np.float32), seen, np.zeros(len(seen), bool))

    def tally(self, result: ClassScores, truth: TrueBoxes) -> ThingsTally:
        classes = len(result.scores)
        if truth.classes.size and not 0 <= truth.classes.min() <= truth.classes.max() < classes:
            raise LabelError(
                f"class {truth.classes.max()} is labelled, the network knows 0..{classes - 1}; adapt the labels to it"
            )
        seen = np.zeros(classes, bool)
        seen[truth.classes] = True
        return ThingsTally(np.nan_to_num(result.scores.astype(np.float64)).round(_DIGITS), seen)

    def scores(self, tallies: Sequence[ThingsTally], weights: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        draws = checked_weights(weights, len(tallies))
        scores, seen = np.stack([tally.scores for tally in tallies]), np.stack([tally.seen for tally in tallies])
        total, counted = np.zeros(len(draws)), np.zeros(len(draws))
        for index in np.flatnonzero(seen.any(0)):
            order = np.argsort(-scores[:, index], kind="stable")
            ranked = draws[:, order]
            hits = ranked * seen[order, index]
            precision = np.divide(hits.cumsum(1), ranked.cumsum(1), out=np.zeros_like(ranked), where=ranked.cumsum(1) > 0)
            objects = hits.sum(1)
            total += np.divide((hits * precision).sum(1), objects, out=np.zeros(len(draws)), where=objects > 0)
            counted += objects > 0
        mean = np.divide(100 * total, counted, out=np.full(len(draws), np.nan), where=counted > 0)[:, None]
        return mean[0] if weights is None else mean

    def dump(self, tally: ThingsTally) -> Any:
        return [tally.scores.tolist(), np.flatnonzero(tally.seen).tolist()]

    def load(self, values: Any) -> ThingsTally:
        try:
            scores, indices = cast("list[Any]", values)
            seen = np.zeros(len(scores), bool)
            seen[np.array(indices, np.int64)] = True
            return ThingsTally(np.array(scores, np.float64), seen)
        except (IndexError, TypeError, ValueError) as error:
            raise LabelError(f"{values!r:.60} is no tally of things: {error}") from error
