"""Frozen dataclasses made of what a person wrote, in a recipe or a record: nothing unknown, nothing of another type."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from foveal.errors import RecipeError

_T = TypeVar("_T")


def read_toml(path: Path, advice: str) -> dict[str, Any]:
    """The values of a recipe; ``advice``: what to say where it cannot be read.

    Raises:
        RecipeError: the file is missing, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise RecipeError(f"cannot read the recipe {path}: {error.strerror}; {advice}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error


def build(kind: type[_T], values: dict[str, Any], where: str) -> _T:
    """Makes a frozen dataclass of a table of values, converting integers to floats and nothing else.

    Raises:
        RecipeError: a key is unknown or missing, or a value has another type than the field.
    """
    known = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(known)):
        raise RecipeError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(known)}")
    for name, value in values.items():
        allowed = {"int": int, "float": (int, float), "str": str, "bool": bool}.get(str(known[name].type))
        if allowed and (not isinstance(value, allowed) or (isinstance(value, bool) and known[name].type != "bool")):
            raise RecipeError(f"{where}: {name} = {value!r} is not of type {known[name].type}")
    try:
        return kind(**values)
    except TypeError as error:
        raise RecipeError(f"{where}: {error}") from error
