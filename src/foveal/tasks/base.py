"""A task: how a source is prepared, what a network says of it, and how that is scored.

``Task`` binds a network to a ``Scoring``. What it reads is its own affair: a ``PixelTask`` (``foveal.tasks.pixel``) reads a picture.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from foveal.tasks.results import Result, Truth
from foveal.tasks.vocabulary import Vocabulary

R = TypeVar("R", bound=Result)
T = TypeVar("T", bound=Truth)
Y = TypeVar("Y")
S = TypeVar("S")
P = TypeVar("P")


@dataclass(frozen=True)
class Metric:
    """A score in percent, higher is better. name: as in files (``top1``); title: as in reports (``top-1``)."""

    name: str
    title: str


class Scoring(ABC, Generic[R, T, Y]):
    """How results of one kind are scored.

    A picture's result and truth make a tally ``Y``, a few numbers that can be stored; scores are made of the tallies of many
    pictures. So the pictures can be drawn again (a bootstrap) without running a network again.

    name: ``classify``, ``detect``, ``segment`` or ``pose``. metrics: the first is the one that curves are drawn of.
    nothing: why there is no score, where scores are NaN.
    """

    name: str
    metrics: tuple[Metric, ...]
    nothing: str

    @abstractmethod
    def truth_of(self, result: R) -> T:
        """A network's result taken as the truth: what agreement is measured against."""

    @abstractmethod
    def tally(self, result: R, truth: T) -> Y:
        """What one picture adds to the scores.

        Raises:
            LabelError: result and truth do not belong to one picture or one vocabulary (sizes, number of classes or joints).
        """

    @abstractmethod
    def scores(self, tallies: Sequence[Y], weights: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Scores in percent, ``(metrics,)``; with ``weights`` ``(draws, pictures)``, how often each picture counts in a draw,
        ``(draws, metrics)``. NaN where nothing was labelled.
        """

    @abstractmethod
    def dump(self, tally: Y) -> Any:
        """The tally as JSON values, short."""

    @abstractmethod
    def load(self, values: Any) -> Y:
        """The tally that ``dump`` gave. Raises LabelError: the values are not of that form."""


class Task(ABC, Generic[S, P]):
    """A network that answers one question about a source.

    label: what reports call the network. scoring: how its results are scored. classes: what its class indices, or joints, mean.
    """

    label: str
    scoring: Scoring[Any, Any, Any]
    classes: Vocabulary

    @abstractmethod
    def prepare(self, source: S) -> P:
        """What the network takes, with what leads its answer back to the source. Raises FovealError: a source that it cannot read."""

    @abstractmethod
    def predict(self, prepared: P) -> Result:
        """Runs the network. Raises NetworkError: the network fails, or its outputs are not those that its record declares."""

    def analyze(self, source: S) -> Result:
        """``predict`` of ``prepare``."""
        return self.predict(self.prepare(source))
