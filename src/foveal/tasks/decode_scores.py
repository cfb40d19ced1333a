"""Outputs of classifiers: one score for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from foveal.tasks.forms import Form, Wanted
from foveal.tasks.input import Geometry
from foveal.tasks.results import ClassScores


@final
@dataclass(frozen=True)
class Scores(Form):
    """``1 x classes``. logits: a softmax makes probabilities of them. background: the number of a class that is left out, -1 if there is none."""

    logits: bool = False
    background: int = -1

    def wanted(self, geometry: Geometry, classes: int) -> tuple[Wanted, ...]:
        return (Wanted(0, (classes + (self.background >= 0),)),)

    def decode(self, outputs: Sequence[NDArray[Any]], geometry: Geometry, classes: int) -> ClassScores:
        scores = outputs[0].astype(np.float32)
        if self.background >= 0:
            scores = np.delete(scores, min(self.background, classes))
        return ClassScores(softmax(scores) if self.logits else scores)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=-1, keepdims=True)
