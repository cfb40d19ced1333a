"""Numbers that callers give: those of Python, numpy and others alike, but neither True nor False."""

from __future__ import annotations

import operator
from numbers import Real


def whole(value: object) -> int | None:
    """A whole number as int; None for anything else, ``2.0`` and True too."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def real(value: object) -> float | None:
    """A real number as float; None for anything else, True too."""
    return None if isinstance(value, bool) or not isinstance(value, Real) else float(value)
