"""A discrete source with labels, what its symbols may be reproduced as, and a fixed classifier of reproductions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from foveal.errors import TheoryError

Array = NDArray[np.float64]

SUM_TOLERANCE: Final = 1e-9
MOST_BYTES: Final = 64 * 2**20
MOST_CELLS: Final = 2**24
"""Symbols times reproductions, or times classes."""
_KEYS: Final = ("probabilities", "labels", "distortion", "values", "reproductions", "classifier", "name")


@dataclass(frozen=True, eq=False)
class Source:
    """X with label S, to be reproduced as X̂.

    p: (symbols,), P(x). labels: (symbols, classes), P(S = s | x). distortion: (symbols, reproductions), Δ(x, x̂) >= 0.
    classifier: (reproductions, classes), the probability that the fixed classifier answers s to x̂, rows with a single 1 if it is
    deterministic; None if there is none, and then only the entropy definition applies. name: for titles.
    Probabilities may miss a sum of 1 by 1e-9, and are then scaled to it.

    Raises:
        TheoryError: a NaN, something negative or infinite, a sum that is not 1, shapes that do not fit, or nothing at all.
    """

    p: Array
    labels: Array
    distortion: Array
    classifier: Array | None = None
    name: str = "source"

    def __post_init__(self) -> None:
        p = _numbers(self.p, "probabilities", 1)
        labels, distortion = _numbers(self.labels, "labels", 2), _numbers(self.distortion, "distortion", 2)
        for what, rows in (("labels", labels), ("distortion", distortion)):
            if len(rows) != len(p):
                raise TheoryError(f"{what}: {len(rows)} rows for {len(p)} symbols; one row for each symbol is needed")
        _set(self, "p", _distributions(p[None], "probabilities")[0])
        _set(self, "labels", _distributions(labels, "labels"))
        _set(self, "distortion", distortion)
        if self.classifier is not None:
            classifier = _numbers(self.classifier, "classifier", 2)
            wanted = (distortion.shape[1], labels.shape[1])
            if classifier.shape != wanted:
                raise TheoryError(f"classifier: shape {classifier.shape}; (reproductions, classes) = {wanted} is needed")
            _set(self, "classifier", _distributions(classifier, "classifier"))

    @property
    def error(self) -> Array:
        """(symbols, reproductions): P(the fixed classifier is wrong about x̂ | x), the second distortion of the classifier definition.

        Raises:
            TheoryError: the source has no classifier.
        """
        if self.classifier is None:
            raise TheoryError(f"{self.name} has no classifier; give one, or use the entropy definition")
        return np.clip(1.0 - self.labels @ self.classifier.T, 0.0, 1.0)

    @property
    def entropy(self) -> float:
        """H(X) in bits."""
        return entropy_bits(self.p)

    @property
    def label_entropy(self) -> float:
        """H(S) in bits: what remains unknown of the label if nothing is sent."""
        return entropy_bits(self.p @ self.labels)

    @property
    def noise_entropy(self) -> float:
        """H(S|X) in bits: what remains unknown of the label if all is sent."""
        return float(self.p @ entropies_bits(self.labels))

    def without_unused(self) -> Source:
        """The same source without symbols of probability 0; the functions do not depend on those."""
        used = self.p > 0
        if used.all():
            return self
        return Source(self.p[used], self.labels[used], self.distortion[used], self.classifier, self.name)

    @staticmethod
    def read(path: str | Path) -> Source:
        """The source that a JSON file describes (docs/theory.md, "A source in JSON").

        Raises:
            TheoryError: not to be read, no JSON, an unknown or missing key, or numbers that make no source.
        """
        path = Path(path)
        try:
            if path.stat().st_size > MOST_BYTES:
                raise TheoryError(f"{path}: {path.stat().st_size} bytes; a source file may have {MOST_BYTES}")
            table = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise TheoryError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise TheoryError(f"{path} is no JSON: {error}") from error
        try:
            return _of_table(table, path.stem)
        except TheoryError as error:
            raise TheoryError(f"{path}: {error}") from error


def entropies_bits(rows: Array) -> Array:
    """The entropy of each row in bits, with 0 log 0 = 0."""
    safe = np.where(rows > 0, rows, 1.0)
    return np.maximum(-(rows * np.log2(safe)).sum(axis=-1), 0.0)


def entropy_bits(p: Array) -> float:
    """The entropy of one distribution in bits."""
    return float(entropies_bits(p[None])[0])


def one_hot(classes: NDArray[np.int64], count: int) -> Array:
    """Rows with a single 1, as a deterministic label or answer has. classes: in 0..count-1."""
    return np.eye(count)[classes]


def _set(source: Source, field: str, value: Array) -> None:
    value = np.ascontiguousarray(value)
    value.setflags(write=False)
    object.__setattr__(source, field, value)


def _numbers(given: Any, what: str, dimensions: int) -> Array:
    try:
        values = np.array(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise TheoryError(f"{what}: {error}; numbers in rows of equal length are needed") from error
    if values.ndim != dimensions:
        raise TheoryError(f"{what}: {values.ndim} dimensions; {dimensions} are needed")
    if values.size == 0:
        raise TheoryError(f"{what}: empty; at least one number is needed")
    if values.size > MOST_CELLS:
        raise TheoryError(f"{what}: {values.size} numbers; at most {MOST_CELLS} are taken")
    wrong = ~np.isfinite(values) | (values < 0)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise TheoryError(f"{what}: {values[place]} at {place}; finite numbers of 0 or more are needed")
    return values


def _distributions(rows: Array, what: str) -> Array:
    sums = rows.sum(axis=1)
    worst = int(np.argmax(np.abs(sums - 1.0)))
    if abs(sums[worst] - 1.0) > SUM_TOLERANCE:
        raise TheoryError(f"{what}: row {worst} sums to {sums[worst]:.12g}; probabilities must sum to 1 within {SUM_TOLERANCE:g}")
    return rows / sums[:, None]


def _of_table(table: Any, stem: str) -> Source:
    if not isinstance(table, dict):
        raise TheoryError(f"a {type(table).__name__}; an object with the keys {', '.join(_KEYS)} is needed")
    values = cast("dict[str, Any]", table)
    if unknown := sorted(set(values) - set(_KEYS)):
        raise TheoryError(f"unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    for key in ("probabilities", "labels", "distortion"):
        if key not in values:
            raise TheoryError(f"{key!r} is missing")
    p = _numbers(values["probabilities"], "probabilities", 1)
    distortion = _distortion(values, len(p))
    given = values.get("classifier")
    classes = max(_width(values["labels"]), _width(given))
    labels = _rows(values["labels"], "labels", classes)
    classifier = None if given is None else _rows(given, "classifier", classes)
    return Source(p, labels, distortion, classifier, str(values.get("name", stem)))


def _distortion(values: dict[str, Any], symbols: int) -> Array:
    kind = values["distortion"]
    if kind == "hamming":
        return 1.0 - np.eye(symbols)
    if kind == "squared":
        points = _real(values, "values")
        if len(points) != symbols:
            raise TheoryError(f"values: {len(points)} for {symbols} symbols; one for each symbol is needed")
        letters = _real(values, "reproductions") if "reproductions" in values else points
        return (points[:, None] - letters[None, :]) ** 2
    if isinstance(kind, str):
        raise TheoryError(f"distortion {kind!r}; 'hamming', 'squared' or rows of numbers are needed")
    return _numbers(kind, "distortion", 2)


def _real(values: dict[str, Any], key: str) -> Array:
    try:
        points = np.array(values.get(key, []), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TheoryError(f"{key}: {error}; a list of numbers is needed") from error
    if points.ndim != 1 or not points.size or not np.isfinite(points).all():
        raise TheoryError(f"{key}: a list of finite numbers is needed for the squared distortion")
    return points


def _width(given: Any) -> int:
    """How many classes a list of classes, or of rows of probabilities, speaks of."""
    entries = cast("list[Any]", given) if isinstance(given, list) else []
    if entries and isinstance(entries[0], list):
        return len(cast("list[Any]", entries[0]))
    return max((entry + 1 for entry in entries if isinstance(entry, int) and 0 <= entry < 65536), default=1)


def _rows(given: Any, what: str, classes: int) -> Array:
    entries = cast("list[Any]", given) if isinstance(given, list) else []
    if entries and all(isinstance(entry, int) and not isinstance(entry, bool) for entry in entries):
        numbers = np.array(entries, dtype=np.int64)
        if numbers.min() < 0 or numbers.max() >= classes:
            raise TheoryError(
                f"{what}: class {numbers.max() if numbers.min() >= 0 else numbers.min()}; 0..{classes - 1} are there"
            )
        return one_hot(numbers, classes)
    return _numbers(given, what, 2)
