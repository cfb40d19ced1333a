"""Joints of one person a picture: ``{"joints": [names], "columns": ["x", "y", "visible"], "images": {file: [[x, y, 1], ...]}}``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from foveal.errors import LabelError
from foveal.limits import Limits
from foveal.tasks.labels.labelled_set import LabelledSet
from foveal.tasks.labels.matching import labelled_set
from foveal.tasks.labels.names import from_names
from foveal.tasks.labels.spelling import LabelSpelling
from foveal.tasks.labels.text_files import member, numbers, read_json
from foveal.tasks.results import Joints

COLUMNS: Final = ["x", "y", "visible"]


def read_joints(spelled: LabelSpelling, pictures: Sequence[Path], leave_out: bool, limits: Limits) -> LabelledSet:
    """Positions in pixels of the picture; ``visible`` 0 is a hidden joint.

    Raises:
        LabelError: a key is missing, a picture has not a position for each joint, or a number is none.
    """
    values, where = read_json(spelled.path, limits), str(spelled.path)
    names = tuple(str(name) for name in cast("list[Any]", member(values, "joints", list, where)))
    columns = member(values, "columns", list, where) if "columns" in values else COLUMNS
    if columns != COLUMNS:
        raise LabelError(f"{where}: columns {columns!r}; {COLUMNS} are read")
    classes = from_names(spelled.label, names)
    labels: dict[str, Joints] = {}
    for file, rows in cast("dict[str, Any]", member(values, "images", dict, where)).items():
        if not isinstance(rows, list) or len(cast("list[Any]", rows)) != len(names):
            raise LabelError(f"{where}: {file!r} has not a position for each of the {len(names)} joints")
        table = np.array([numbers(row, 3, f"{where}: {file!r}") for row in cast("list[Any]", rows)], np.float32)
        labels[file] = Joints(table[:, :2].copy(), (table[:, 2] > 0).astype(np.float32))
    return labelled_set(spelled.label, "pose", classes, labels, pictures, leave_out=leave_out)
