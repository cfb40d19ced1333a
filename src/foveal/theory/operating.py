"""A codec's operating points, and how far above the limit they are."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from foveal.errors import TheoryError
from foveal.theory.arrays import LARGEST
from foveal.theory.subject import Subject

_COLUMNS: Final = ("rate", "distortion", "classification")
_MOST_BYTES: Final = 16 * 2**20
_MOST_POINTS: Final = 10_000


@dataclass(frozen=True)
class OperatingPoint:
    """What a codec did. rate: bits a symbol. distortion, classification: in the units of the surface."""

    rate: float
    distortion: float
    classification: float


@dataclass(frozen=True)
class Standing:
    """Where a point stands. limit, lower: bits, the bounds on R(D, C) there; inf if no code reaches it. above_bits: rate - limit, in bits.

    A negative ``above_bits`` that the bounds do not explain means that the units or the definition are other than the surface's.
    """

    rate: float
    distortion: float
    classification: float
    limit: float
    lower: float
    above_bits: float


def read_points(path: str | Path) -> tuple[OperatingPoint, ...]:
    """The rows of a CSV file with the columns rate, distortion and classification; others are passed over.

    Raises:
        TheoryError: not to be read, a column is missing, a value is no finite number, or a rate below 0.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise TheoryError(f"{path}: {path.stat().st_size} bytes; a file of points may have {_MOST_BYTES}")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TheoryError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise TheoryError(f"{path} is no text in UTF-8") from error
    table = csv.DictReader(io.StringIO(text))
    names = [name.strip() for name in table.fieldnames or ()]
    if missing := [name for name in _COLUMNS if name not in names]:
        raise TheoryError(f"{path}: no column {missing[0]!r}; a first line with {','.join(_COLUMNS)} is needed")
    table.fieldnames = names
    points = tuple(OperatingPoint(*(_number(row.get(name), name, path, table.line_num) for name in _COLUMNS)) for row in table)
    if not 0 < len(points) <= _MOST_POINTS:
        raise TheoryError(f"{path}: {len(points)} points; 1 to {_MOST_POINTS} are needed")
    return points


def _number(text: str | None, name: str, path: Path, line: int) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    least = 0.0 if name == "rate" else -LARGEST
    if not least <= value <= LARGEST:
        raise TheoryError(f"{path}, line {line}: {name} = {text!r}; a number of {least:g}..{LARGEST:g} is needed")
    return value


def standings(subject: Subject, points: tuple[OperatingPoint, ...]) -> tuple[Standing, ...]:
    """Where each point stands over the subject's function."""
    found = subject.solve(np.array([[point.distortion, point.classification] for point in points]))
    return tuple(
        Standing(p.rate, p.distortion, p.classification, float(limit), float(lower), p.rate - float(limit))
        for p, limit, lower in zip(points, found.rate, found.lower, strict=True)
    )
