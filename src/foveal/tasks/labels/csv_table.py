"""Tables of pictures and classes in CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from foveal.errors import LabelError
from foveal.limits import Limits
from foveal.tasks.labels.labelled_set import LabelledSet
from foveal.tasks.labels.matching import labelled_set
from foveal.tasks.labels.names import ClassNames, class_names, from_names, names_beside
from foveal.tasks.labels.spelling import LabelSpelling
from foveal.tasks.labels.text_files import read_text
from foveal.tasks.results import ClassLabel

COLUMNS: Final = ("index", "wordnet_id", "class", "name")
"""The first of these that the table has says the class."""


def read_csv(spelled: LabelSpelling, pictures: Sequence[Path], leave_out: bool, limits: Limits) -> LabelledSet:
    """A head with ``file`` and one of ``COLUMNS``. Names come from ``names=`` or a file beside; a table of names needs none.

    Raises:
        LabelError: a column is missing, a file is named twice, a class is empty, unknown or outside the names.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(spelled.path, limits))))
    except csv.Error as error:
        raise LabelError(f"{spelled.path} is no CSV: {error}") from error
    head = list(rows[0]) if rows else []
    column = next((name for name in COLUMNS if name in head), None)
    if "file" not in head or column is None:
        raise LabelError(
            f"{spelled.path} has the columns {head}; 'file' and one of {', '.join(COLUMNS)} are wanted, with a row below"
        )
    values: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        file, value = row["file"], (row[column] or "").strip()
        if not file or not value:
            raise LabelError(f"{spelled.path}, row {number}: an empty {'file' if not file else 'class'}")
        if file in values:
            raise LabelError(f"{spelled.path}, row {number}: {file!r} is labelled a second time; keep one")
        values[file] = value
    names = _names(spelled, column, values, limits)
    labels = {file: ClassLabel(_index(names, column, value, spelled)) for file, value in values.items()}
    return labelled_set(spelled.label, "classify", names.vocabulary, labels, pictures, leave_out=leave_out)


def _names(spelled: LabelSpelling, column: str, values: dict[str, str], limits: Limits) -> ClassNames:
    found = class_names(spelled.names, limits) if spelled.names else names_beside(spelled.path.absolute().parent, limits)
    if found is None and column == "index":
        raise LabelError(
            f"{spelled.path} gives indices and no names; put a classes.txt beside it (a name a line), or say @names=FILE"
        )
    names = tuple(sorted(set(values.values())))
    return found or ClassNames(from_names(spelled.label, names), names)


def _index(names: ClassNames, column: str, value: str, spelled: LabelSpelling) -> int:
    if column == "index":
        if not value.isdecimal() or int(value) >= len(names.names):
            raise LabelError(f"{spelled.path}: class {value}; 0..{len(names.names) - 1} are named by {names.vocabulary.name}")
        return int(value)
    if column == "wordnet_id" and names.wordnet_ids:
        if value not in names.wordnet_ids:
            raise LabelError(f"{spelled.path}: no WordNet id {value!r} in {names.vocabulary.name}")
        return names.wordnet_ids.index(value)
    if names.names.count(value) > 1:
        raise LabelError(f"{spelled.path}: {value!r} is the name of two classes; give their index or wordnet_id")
    index = names.names.index(value) if value in names.names else names.vocabulary.index(value)
    if index is None:
        raise LabelError(f"{spelled.path}: no class {value!r} among the {len(names.names)} of {names.vocabulary.name}")
    return index
