"""The networks that read what codecs give back, and what each of them is held against."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, TypeVar, final

import numpy as np

from foveal.bench.readings import Reading
from foveal.errors import FovealError
from foveal.picture import Picture
from foveal.tasks.base import Task
from foveal.tasks.pixel import PixelTask
from foveal.tasks.results import Result, Truth

T = TypeVar("T")

UNCOMPRESSED = "uncompressed"
"""The label of readings of the pictures themselves."""
ON_THE_ORIGINAL = "on the picture itself: "
"""How the error of a reading begins whose network failed before anything was coded."""


@dataclass(frozen=True)
class Reader:
    """A network, and the labels that it is scored with.

    truths: by the picture's name in the bench, in the network's own classes; a picture that is not among them is scored by
    agreement alone. network_id: changes when the network or its record does. spec: how the network was spelled (``onnx:FILE``),
    None for one that has no spelling.
    """

    task: Task[Picture, Any]
    network_id: str
    truths: Mapping[str, Truth]
    spec: str | None = None

    @property
    def kind(self) -> str:
        """``classify``, ``detect``, ``segment`` or ``pose``."""
        return self.task.scoring.name


@dataclass(frozen=True)
class _Known(Generic[T]):
    """What a network says of the picture itself, or its label; or why there is none."""

    value: T | None
    error: str | None = None


@final
class PictureReaders:
    """Networks on one picture and what became of it. Each reads the picture itself, and its label is read, once, when first asked.

    picture: None if it could not be read, and then ``error`` says why.
    """

    def __init__(self, name: str, picture: Picture | None, error: str | None = None) -> None:
        self._name, self._picture, self._error = name, picture, error
        self._originals: dict[str, _Known[Result]] = {}
        self._truths: dict[str, _Known[Truth]] = {}

    def truth_id(self, reader: Reader) -> str | None:
        """A short hash of the picture's label, so that a reading is done again when the label changes."""
        known = self._truth(reader)
        return known.error if known.value is None else _hash(known.value)

    def read(self, reader: Reader, blank: Reading, answer: Callable[[], Result]) -> Reading:
        """The reading of a coded picture, of which ``answer`` gives what is found; a failure is in its ``error``, with no tally."""
        original = self._original(reader)
        if original.value is None:
            return replace(blank, error=f"{ON_THE_ORIGINAL}{original.error}")
        try:
            return self._scored(reader, blank, answer(), original.value)
        except Exception as error:
            return replace(blank, error=says(error))

    def ceiling(self, reader: Reader, blank: Reading) -> Reading:
        """The reading of the picture itself: the score that no codec is expected to pass."""
        original = self._original(reader)
        if original.value is None:
            return replace(blank, error=original.error)
        try:
            return self._scored(reader, blank, original.value, original.value)
        except Exception as error:
            return replace(blank, error=says(error))

    def _original(self, reader: Reader) -> _Known[Result]:
        key = reader.task.label
        if key not in self._originals:
            try:
                found = _Known[Result](None, self._error) if self._picture is None else _Known(reader.task.analyze(self._picture))
            except Exception as error:
                found = _Known[Result](None, says(error))
            self._originals[key] = found
        return self._originals[key]

    def _truth(self, reader: Reader) -> _Known[Truth]:
        key = reader.task.label
        if key not in self._truths:
            try:
                self._truths[key] = _Known(reader.truths.get(self._name))
            except Exception as error:
                self._truths[key] = _Known[Truth](None, says(error))
        return self._truths[key]

    def _scored(self, reader: Reader, blank: Reading, result: Result, original: Result) -> Reading:
        scoring, truth = reader.task.scoring, self._truth(reader)
        agreement = scoring.dump(scoring.tally(result, scoring.truth_of(original)))
        labelled = None if truth.value is None else scoring.dump(scoring.tally(result, truth.value))
        return replace(blank, agreement=agreement, labelled=labelled, error=truth.error and f"the label: {truth.error}")


def network_id(task: PixelTask) -> str:
    """A short hash of a network and its record: another one where either changes."""
    return hashlib.sha256(f"{task.identity} {task.record}".encode()).hexdigest()[:12]


def _hash(truth: Truth) -> str:
    """A short hash of a label."""
    digest = hashlib.sha256(type(truth).__name__.encode())
    for field in fields(truth):
        digest.update(np.asarray(getattr(truth, field.name)).tobytes())
    return digest.hexdigest()[:12]


def says(error: Exception) -> str:
    """What a row holds of an error: foveal's own words, or a foreign error's with its type."""
    text = str(error) or "no message"
    return text if isinstance(error, FovealError) else f"{type(error).__name__}: {text}"
