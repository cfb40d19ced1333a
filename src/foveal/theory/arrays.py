"""Numbers that callers give, alone, in lists and in rows: every argument of ``theory`` is checked here, in words of our own."""

from __future__ import annotations

import math
import reprlib
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from foveal.errors import TheoryError
from foveal.scalars import real

Array = NDArray[np.float64]

MOST_CELLS: Final = 2**24
"""Symbols times reproductions, or times classes."""
LARGEST: Final = 1e100
"""Of what is no probability: products of such numbers are still finite."""
_SHAPES: Final = {1: "a list of numbers", 2: "rows of numbers, all of one length,"}


def shown(value: object) -> str:
    """``value`` as an error names it, however long it is."""
    return reprlib.repr(value)


def number(value: object, what: str, *, least: float = -math.inf, most: float = math.inf) -> float:
    """``value`` as a float. Raises TheoryError: no number, a NaN, or not in least..most."""
    found = _real(value)
    if found is None or not least <= found <= most:
        wanted = "a number" if math.inf in (-least, most) else f"a number of {least:g}..{most:g}"
        raise TheoryError(f"{what} = {shown(value)}; {wanted} is needed")
    return found


def probability(value: object, what: str, *, least: float = 0.0, most: float = 1.0) -> float:
    """``value`` if it is in least..most. Raises TheoryError: it is not, or is no number."""
    return number(value, what, least=least, most=most)


def check_cells(rows: int, columns: int, what: str) -> None:
    """Asked before memory is. Raises TheoryError: a table of more than ``MOST_CELLS`` numbers."""
    if rows * columns > MOST_CELLS:
        raise TheoryError(f"{what}: {rows} rows of {shown(columns)} numbers; at most {MOST_CELLS} numbers are taken")


def numbers(given: object, what: str, dimensions: int, *, least: float = 0.0, most: float = LARGEST) -> Array:
    """A list, or rows, of numbers of least..most. dimensions: 1 or 2.

    Raises:
        TheoryError: nothing, another shape, something that is no number, a NaN, or not in least..most.
    """
    values = _table(given, what, dimensions)
    if values.size == 0:
        raise TheoryError(f"{what}: empty; at least one number is needed")
    if values.size > MOST_CELLS:
        raise TheoryError(f"{what}: {values.size} numbers; at most {MOST_CELLS} are taken")
    wrong = ~((values >= least) & (values <= most))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise TheoryError(f"{what}: {values[place]} at {place}; numbers of {least:g}..{most:g} are needed")
    return values


def bound_pairs(points: object) -> Array:
    """(points, 2): a bound on D and one on C in each row. Raises TheoryError: as ``numbers``, or not two in a row."""
    pairs = numbers(points, "points", 2, least=-LARGEST)
    if pairs.shape[1] != 2:
        raise TheoryError(f"points: rows of {pairs.shape[1]} numbers; two are needed, a bound on D and one on C")
    return pairs


def flip_pair(flips: object) -> tuple[float, float]:
    """The probabilities that the label of a 0 and of a 1 is the other one. Raises TheoryError: not two of 0..1."""
    try:
        zero, one = cast("Any", flips)
    except (TypeError, ValueError) as error:
        raise TheoryError(f"flips = {shown(flips)}; two probabilities are needed, of a 0 and of a 1") from error
    return probability(zero, "flips[0]"), probability(one, "flips[1]")


def one_hot(classes: NDArray[np.int64], count: int) -> Array:
    """Rows with a single 1, as a deterministic label or answer has. classes: in 0..count-1.

    Raises:
        TheoryError: more than ``MOST_CELLS`` numbers.
    """
    check_cells(len(classes), count, "classes")
    rows = np.zeros((len(classes), count))
    rows[np.arange(len(classes)), classes] = 1.0
    return rows


def _table(given: object, what: str, dimensions: int) -> Array:
    """A copy of what is given as an array of floats."""
    if hasattr(given, "__array__"):
        array = np.asarray(given)
        if array.ndim != dimensions or array.dtype.kind not in "iuf":
            raise TheoryError(f"{what}: an array of shape {array.shape} and type {array.dtype}; {_SHAPES[dimensions]} is needed")
        return array.astype(np.float64)
    if not isinstance(given, list | tuple):
        raise TheoryError(f"{what} = {shown(given)}; {_SHAPES[dimensions]} is needed")
    entries = cast("list[Any]", given)
    if dimensions == 1:
        found = [_real(entry) for entry in entries]
        if None in found:
            place = found.index(None)
            raise TheoryError(f"{what}[{place}] = {shown(entries[place])}; a number is needed")
        return np.array(found, dtype=np.float64)
    rows = [_table(row, f"{what}[{i}]", 1) for i, row in enumerate(entries)]
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise TheoryError(f"{what}: rows of {min(lengths)} and of {max(lengths)} numbers; all must be of one length")
    return np.array(rows, dtype=np.float64).reshape(len(rows), -1)


def _real(value: object) -> float | None:
    try:
        return real(value)
    except OverflowError:  # a whole number beyond all floats
        return None
