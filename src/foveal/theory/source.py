"""A discrete source with labels, what its symbols may be reproduced as, and a fixed classifier of reproductions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from foveal.errors import TheoryError
from foveal.theory.arrays import Array, numbers
from foveal.theory.source_file import read_described

SUM_TOLERANCE: Final = 1e-9


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
        p = numbers(self.p, "probabilities", 1)
        labels, distortion = numbers(self.labels, "labels", 2), numbers(self.distortion, "distortion", 2)
        for what, rows in (("labels", labels), ("distortion", distortion)):
            if len(rows) != len(p):
                raise TheoryError(f"{what}: {len(rows)} rows for {len(p)} symbols; one row for each symbol is needed")
        _set(self, "p", _distributions(p[None], "probabilities")[0])
        _set(self, "labels", _distributions(labels, "labels"))
        _set(self, "distortion", distortion)
        if self.classifier is not None:
            classifier = numbers(self.classifier, "classifier", 2)
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
            TheoryError: not to be read, no JSON, a key that is unknown, missing, doubled or not used, or numbers that make no source.
        """
        path = Path(path)
        try:
            found = read_described(path)
            return Source(found.p, found.labels, found.distortion, found.classifier, found.name)
        except TheoryError as error:
            raise TheoryError(f"{path}: {error}") from error


def entropies_bits(rows: Array) -> Array:
    """The entropy of each row in bits, with 0 log 0 = 0."""
    safe = np.where(rows > 0, rows, 1.0)
    return np.maximum(-(rows * np.log2(safe)).sum(axis=-1), 0.0)


def entropy_bits(p: Array) -> float:
    """The entropy of one distribution in bits."""
    return float(entropies_bits(p[None])[0])


def _set(source: Source, field: str, value: Array) -> None:
    value = np.ascontiguousarray(value)
    value.setflags(write=False)
    object.__setattr__(source, field, value)


def _distributions(rows: Array, what: str) -> Array:
    sums = rows.sum(axis=1)
    worst = int(np.argmax(np.abs(sums - 1.0)))
    if abs(sums[worst] - 1.0) > SUM_TOLERANCE:
        raise TheoryError(f"{what}: row {worst} sums to {sums[worst]:.12g}; probabilities must sum to 1 within {SUM_TOLERANCE:g}")
    return rows / sums[:, None]
