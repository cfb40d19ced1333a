"""Label files, read within bounds, and the errors of broken ones."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

from foveal.errors import LabelError
from foveal.limits import Limits


def read_text(path: Path, limits: Limits) -> str:
    """Raises LabelError: no such file, or it is no UTF-8. LimitError: it is larger than allowed."""
    try:
        limits.check_payload(path.stat().st_size)
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LabelError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LabelError(f"{path} is no text in UTF-8: {error}") from error


def read_json(path: Path, limits: Limits) -> Any:
    """Raises LabelError: as ``read_text``, or it is no JSON."""
    try:
        return json.loads(read_text(path, limits))
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path} is no JSON: {error}") from error


def list_files(folder: Path, suffix: str) -> tuple[Path, ...]:
    """The files of that ending in a folder and those below, sorted. Raises LabelError: no such folder, or none in it."""
    if not folder.is_dir():
        raise LabelError(f"no folder {folder}")
    found = tuple(sorted(path for path in folder.rglob(f"*{suffix}") if path.is_file()))
    if not found:
        raise LabelError(f"no file ending in {suffix} in {folder}")
    return found


def numbers(values: Any, count: int | None, where: str) -> list[float]:
    """Finite numbers, ``count`` of them if it is given. Raises LabelError: anything else; ``where`` begins the message."""
    items = cast("list[Any]", values) if isinstance(values, list) else None
    if items is None or (count is not None and len(items) != count):
        raise LabelError(f"{where}: {values!r:.80}; {'a list of' if count is None else count} numbers are wanted")
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int | float) or not math.isfinite(item):
            raise LabelError(f"{where}: {item!r:.40} is no finite number")
    return [float(item) for item in items]


def member(values: Any, key: str, kind: type[Any], where: str) -> Any:
    """``values[key]``, checked. Raises LabelError: it is missing, or of another kind."""
    found = cast("dict[str, Any]", values).get(key) if isinstance(values, dict) else None
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise LabelError(f"{where}: {key!r} is {found!r:.60}; a {kind.__name__} is wanted")
    return found
