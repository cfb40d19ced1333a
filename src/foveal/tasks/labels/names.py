"""The names of classes that come with labels: ``classes.txt``, ``data.yaml``, JSON, or a vocabulary of foveal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from foveal.errors import LabelError
from foveal.limits import Limits
from foveal.tasks.labels.text_files import read_json, read_text
from foveal.tasks.vocabulary import Vocabulary, known_vocabularies, vocabulary

BESIDE: Final = ("classes.txt", "data.yaml", "config.yaml")
"""Looked for in the folder of the labels, and in two above it."""

MOST_CLASSES: Final = 1 << 15
"""Class maps hold 16 bits."""

_WORDNET: Final = re.compile(r"^(n\d{8})\s+(.+)$")
_IMAGENET: Final = ("n01440764", "n15075141")


@dataclass(frozen=True)
class ClassNames:
    """wordnet_ids: by index, where the file gives them, else empty. names: as the file spells them, those of ``vocabulary`` else."""

    vocabulary: Vocabulary
    names: tuple[str, ...]
    wordnet_ids: tuple[str, ...] = ()


def class_names(spelling: str, limits: Limits) -> ClassNames:
    """Names by a spelling: a vocabulary of foveal, or a file.

    ``.txt``: a name a line, index 0 first, with or without a WordNet id before it. ``.json``: a list, or an object of names by
    index. ``.yaml``, ``.yml``: the block ``names:`` or ``classes:``, as ``3: name`` or ``- name`` lines, or in one line ``[a, b]``.
    Indices that are not named are called ``unused 12``.

    Raises:
        LabelError: no such file or vocabulary, an empty name, or a form that is not read.
    """
    if spelling in known_vocabularies():
        return ClassNames(vocabulary(spelling), vocabulary(spelling).names)
    path = Path(spelling)
    match path.suffix.lower():
        case ".txt":
            return _from_lines(path, read_text(path, limits))
        case ".json":
            return _named(path, _by_index(read_json(path, limits), path))
        case ".yaml" | ".yml":
            return _named(path, _from_yaml(read_text(path, limits), path))
        case _:
            raise LabelError(
                f"class names {spelling!r}: neither a file ending in .txt, .json or .yaml, nor one of {', '.join(known_vocabularies())}"
            )


def names_beside(folder: Path, limits: Limits) -> ClassNames | None:
    """The first of ``BESIDE`` in the folder or in two above it; None if there is none."""
    for place in (folder, *folder.absolute().parents[:2]):
        for name in BESIDE:
            if (place / name).is_file():
                return class_names(str(place / name), limits)
    return None


def from_names(label: str, names: tuple[str, ...]) -> Vocabulary:
    """A vocabulary of the names; the one of foveal if it has the same. Raises LabelError: a name is empty, or none is given."""
    if not names:
        raise LabelError(f"{label} names no class")
    for index, name in enumerate(names):
        if not name.strip():
            raise LabelError(f"{label}: class {index} has an empty name; give it one, or leave it out")
    for known in known_vocabularies():
        if vocabulary(known).names == names:
            return vocabulary(known)
    background = next((index for index, name in enumerate(names) if name.casefold() == "background"), None)
    return Vocabulary(label, names, background)


def _from_lines(path: Path, text: str) -> ClassNames:
    lines = [line.strip() for line in text.rstrip().split("\n")]
    found = [_WORDNET.match(line) for line in lines]
    ids = tuple(m[1] for m in found if m)
    if len(ids) != len(lines):
        return ClassNames(from_names(path.name, tuple(lines)), tuple(lines))
    names = tuple(m[2] for m in found if m)
    imagenet = vocabulary("imagenet-1000")
    standard = len(ids) == len(imagenet) and (ids[0], ids[-1]) == _IMAGENET and list(ids) == sorted(ids)
    return ClassNames(imagenet if standard else from_names(path.name, names), names, ids)


def _named(path: Path, by_index: Mapping[int, str]) -> ClassNames:
    if by_index and (min(by_index) < 0 or max(by_index) >= MOST_CLASSES):
        raise LabelError(f"{path}: class indices {min(by_index)}..{max(by_index)}; 0..{MOST_CLASSES - 1} are allowed")
    names = tuple(by_index.get(index, f"unused {index}") for index in range(max(by_index, default=-1) + 1))
    return ClassNames(from_names(path.name, names), names)


def _by_index(values: Any, path: Path) -> dict[int, str]:
    try:
        if isinstance(values, list):
            pairs = list(enumerate(cast("list[Any]", values)))
        else:
            pairs = [(int(key), name) for key, name in cast("dict[str, Any]", values).items()]
    except (AttributeError, ValueError) as error:
        raise LabelError(f"{path} names no classes; a list of names, or an object of names by index is wanted") from error
    if not all(isinstance(name, str) for _, name in pairs):
        raise LabelError(f"{path} holds a name that is no text; a list of names, or an object of names by index is wanted")
    return dict(pairs)


def _from_yaml(text: str, path: Path) -> dict[int, str]:
    """The block ``names:`` or ``classes:`` alone; the rest of the file is not looked at."""
    lines = [re.sub(r"(^|\s)#.*$", "", line).rstrip() for line in text.split("\n")]
    for number, line in enumerate(lines):
        if head := re.match(r"^(?:names|classes)\s*:\s*(.*)$", line):
            return _yaml_list(head[1], path) if head[1] else _yaml_block(lines[number + 1 :], path)
    raise LabelError(f"{path} has no block names: or classes:; write the names into a .txt, one a line")


def _yaml_block(lines: list[str], path: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for line in filter(str.strip, lines):
        if item := re.match(r"^\s*-\s+(.*)$", line):
            found[len(found)] = _unquoted(item[1])
        elif item := re.match(r"^\s+(\d+)\s*:\s*(.*)$", line):
            found[int(item[1])] = _unquoted(item[2])
        elif line[0].isspace():
            raise LabelError(f"{path}: the line {line.strip()!r:.60} is neither '3: name' nor '- name'")
        else:
            break
    return found


def _yaml_list(text: str, path: Path) -> dict[int, str]:
    if not (text.startswith("[") and text.endswith("]")):
        raise LabelError(f"{path}: names: {text!r:.60}; a block of lines, or [a, b] in one line is wanted")
    try:
        return _by_index(json.loads(text), path)
    except ValueError:
        return {index: _unquoted(item) for index, item in enumerate(text[1:-1].split(","))}


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
