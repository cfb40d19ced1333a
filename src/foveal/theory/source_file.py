"""A source as a JSON file describes it (docs/theory.md, "A source in JSON"): each key checked by name, nothing passed over."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from foveal.errors import TheoryError
from foveal.scalars import whole
from foveal.theory.arrays import LARGEST, Array, check_cells, numbers, one_hot, shown

MOST_BYTES: Final = 64 * 2**20
_KEYS: Final = ("probabilities", "labels", "distortion", "values", "reproductions", "classifier", "name")
_FARTHEST: Final = LARGEST**0.5 / 2
"""Of ``values`` from 0: the square of a distance is then no more than what a distortion may be."""


@dataclass(frozen=True, eq=False)
class Described:
    """What a file says. Shapes as in ``Source``, which checks that they fit."""

    p: Array
    labels: Array
    distortion: Array
    classifier: Array | None
    name: str


def read_described(path: Path) -> Described:
    """Raises TheoryError: not to be read, no JSON, an unknown, missing, doubled or unused key, or a value of a wrong kind."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise TheoryError(f"{path.stat().st_size} bytes; a source file may have {MOST_BYTES}")
        table = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_object)
    except OSError as error:
        raise TheoryError(f"cannot read it: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise TheoryError(f"no JSON: {error}") from error
    return _of_table(table, path.stem)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of the file. Raises TheoryError: a key is there twice."""
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise TheoryError(f"key {next(name for name in table if names.count(name) > 1)!r} is there twice")
    return table


def _of_table(table: Any, stem: str) -> Described:
    if not isinstance(table, dict):
        raise TheoryError(f"a {type(table).__name__}; an object with the keys {', '.join(_KEYS)} is needed")
    values = cast("dict[str, Any]", table)
    if unknown := sorted(set(values) - set(_KEYS)):
        raise TheoryError(f"unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    for key in ("probabilities", "labels", "distortion"):
        if key not in values:
            raise TheoryError(f"{key!r} is missing")
    p = numbers(values["probabilities"], "probabilities", 1)
    distortion = _distortion(values, len(p))
    given = values.get("classifier")
    answers = None if given is None else _classes_or_rows(given, "classifier")
    found = _classes_or_rows(values["labels"], "labels")
    width = found.shape[1] if isinstance(found, np.ndarray) else max(found) + 1
    if isinstance(answers, list) and max(answers) >= width:
        place = next(i for i, answer in enumerate(answers) if answer >= width)
        raise TheoryError(
            f"classifier[{place}] = {shown(answers[place])}; the classes of labels are 0..{width - 1} (a class that no symbol has needs labels as rows)"
        )
    if isinstance(answers, np.ndarray) and isinstance(found, list):
        width = max(width, answers.shape[1])  # rows say how many classes there are
    classifier = None if answers is None else _filled(answers, width, "classifier")
    return Described(p, _filled(found, width, "labels"), distortion, classifier, _name(values, stem))


def _name(values: dict[str, Any], stem: str) -> str:
    if "name" not in values:
        return stem if stem.isprintable() else "source"
    name = values["name"]
    if not isinstance(name, str) or not name.isprintable():
        raise TheoryError(f"name = {shown(name)}; a line of text in quotes is needed")
    return name


def _distortion(values: dict[str, Any], symbols: int) -> Array:
    kind = values["distortion"]
    if kind == "squared":
        points, letters = (
            numbers(values[key], key, 1, least=-_FARTHEST, most=_FARTHEST) if key in values else None
            for key in ("values", "reproductions")
        )
        if points is None:
            raise TheoryError("\"squared\" needs 'values', the number that each symbol stands for")
        if len(points) != symbols:
            raise TheoryError(f"values: {len(points)} for {symbols} symbols; one for each symbol is needed")
        letters = points if letters is None else letters
        check_cells(symbols, len(letters), "distortion")
        return (points[:, None] - letters) ** 2
    for key in ("values", "reproductions"):
        if key in values:
            raise TheoryError(f'{key!r} is given, and only the distortion "squared" uses it')
    if kind == "hamming":
        check_cells(symbols, symbols, "distortion")
        return 1.0 - np.eye(symbols)
    if isinstance(kind, str):
        raise TheoryError(f"distortion {shown(kind)}; 'hamming', 'squared' or rows of numbers are needed")
    return numbers(kind, "distortion", 2)


def _classes_or_rows(given: Any, what: str) -> list[int] | Array:
    """The class of each entry, or rows of probabilities."""
    entries = cast("list[Any]", given) if isinstance(given, list) else []
    if not entries:
        raise TheoryError(f"{what} = {shown(cast('object', given))}; a list of classes, or of rows of probabilities, is needed")
    if isinstance(entries[0], list):
        return numbers(entries, what, 2)
    classes = [whole(entry) for entry in entries]
    for place, found in enumerate(classes):
        if found is None or found < 0:
            raise TheoryError(
                f"{what}[{place}] = {shown(entries[place])}; a class, which is a whole number from 0 on, is needed, or rows in all places"
            )
    return cast("list[int]", classes)


def _filled(found: list[int] | Array, width: int, what: str) -> Array:
    """Rows of probabilities. Raises TheoryError: so many classes that the rows would hold more than ``MOST_CELLS`` numbers."""
    if isinstance(found, list):
        check_cells(len(found), width, f"{what}, whose largest class is {shown(width - 1)}")
        return one_hot(np.array(found, dtype=np.int64), width)
    return found
