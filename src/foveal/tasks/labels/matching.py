"""Which label belongs to which picture: by path without its ending, as far as one of the two says it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar

from foveal.errors import LabelError
from foveal.tasks.labels.labelled_set import LabelledSet, LaterTruth
from foveal.tasks.results import Truth
from foveal.tasks.vocabulary import Vocabulary

V = TypeVar("V")

_SHOWN = 3


def match_labels(labels: Mapping[str, V], pictures: Sequence[Path]) -> dict[Path, tuple[str, V]]:
    """By picture, in their order, the name that the label has and the label. Endings do not count: ``7.jpg`` labels ``7.avif``.

    Raises:
        LabelError: one label names two pictures, or two labels one picture.
    """
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for picture in pictures:
        by_stem[picture.stem].append(picture)
    found: dict[Path, tuple[str, V]] = {}
    for name, label in labels.items():
        parts = _bare(PurePosixPath(name.replace("\\", "/")))
        if not parts:
            raise LabelError(f"a label of a picture without a name, {name!r}; give it the picture's file name")
        candidates = by_stem.get(parts[-1], [])
        if len(candidates) > 1:
            candidates = [path for path in candidates if _bare(path)[-len(parts) :] == parts]
        if len(candidates) > 1:
            raise LabelError(
                f"the label {name!r} could be of {_list(candidates)}; name the folder in the label, or give one of them"
            )
        for picture in candidates:
            if picture in found:
                raise LabelError(f"{picture} has two labels, {found[picture][0]!r} and {name!r}; keep one")
            found[picture] = (name, label)
    return {picture: found[picture] for picture in pictures if picture in found}


def labelled_set(
    name: str,
    task: str,
    classes: Vocabulary,
    labels: Mapping[str, Truth | LaterTruth],
    pictures: Sequence[Path],
    *,
    leave_out: bool,
) -> LabelledSet:
    """Labels and pictures together.

    Raises:
        LabelError: no picture has a label; or, without ``leave_out``, a picture has none, or a label's picture is missing.
    """
    found = match_labels(labels, pictures)
    left_out = tuple(picture for picture in pictures if picture not in found)
    used = {key for key, _ in found.values()}
    unused = tuple(key for key in labels if key not in used)
    if not found:
        raise LabelError(
            f"{name}: none of its {len(labels)} labels ({_list(list(labels))}) is of one of the {len(pictures)} pictures ({_list(pictures)}); a label and its picture have one file name but for the ending"
        )
    if left_out and not leave_out:
        raise LabelError(
            f"{name}: {len(left_out)} of {len(pictures)} pictures have no label: {_list(left_out)}; allow it with leave_out (--leave-out)"
        )
    if unused and not leave_out:
        raise LabelError(
            f"{name}: the pictures of {len(unused)} of {len(labels)} labels are missing: {_list(unused)}; allow it with leave_out (--leave-out)"
        )
    return LabelledSet(name, task, classes, {picture: label for picture, (_, label) in found.items()}, left_out, unused)


def _bare(path: PurePath) -> tuple[str, ...]:
    """The parts of a path, the last without its ending."""
    return (*path.parts[:-1], path.stem) if path.name else ()


def _list(names: Sequence[object]) -> str:
    shown = ", ".join(str(name) for name in names[:_SHOWN])
    return shown + (", …" if len(names) > _SHOWN else "") if names else "none"
