"""Image folders: the class of a picture is the folder that holds it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foveal.errors import LabelError
from foveal.limits import Limits
from foveal.tasks.labels.labelled_set import LabelledSet
from foveal.tasks.labels.names import ClassNames, class_names, from_names, names_beside
from foveal.tasks.labels.spelling import LabelSpelling
from foveal.tasks.results import ClassLabel


def read_folders(spelled: LabelSpelling, pictures: Sequence[Path], leave_out: bool, limits: Limits) -> LabelledSet:
    """The folder next below the root names the class. With a names file beside (or ``names=``) its order gives the indices, and
    folders may be called by WordNet ids; else the folders, sorted by name.

    Raises:
        LabelError: no such root, a picture that lies in no folder of it, or a class folder without a picture.
    """
    root = spelled.path.absolute()
    if not root.is_dir():
        raise LabelError(f"no folder {spelled.path}")
    held: dict[Path, str] = {}
    for picture in pictures:
        path = picture.absolute()
        if path.is_relative_to(root) and len(parts := path.relative_to(root).parts) > 1:
            held[picture] = parts[0]
    left_out = tuple(picture for picture in pictures if picture not in held)
    if not held:
        raise LabelError(
            f"{spelled.label}: none of the {len(pictures)} pictures lies in a class folder of it, such as {left_out[0]}; name the folder whose folders are the classes"
        )
    if left_out and not leave_out:
        raise LabelError(
            f"{spelled.label}: {len(left_out)} of {len(pictures)} pictures lie in no class folder of it, such as {left_out[0]}; allow it with leave_out (--leave-out)"
        )
    folders = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    empty = tuple(name for name in folders if name not in set(held.values()))
    if empty and not leave_out:
        raise LabelError(
            f"{spelled.label}: the class {empty[0]!r} ({len(empty)} in all) has no picture; allow it with leave_out (--leave-out)"
        )
    names = _names(spelled, tuple(folders), limits)
    index = {name: _index(names, name, spelled) for name in set(held.values())}
    labels = {picture: ClassLabel(index[name]) for picture, name in held.items()}
    return LabelledSet(spelled.label, "classify", names.vocabulary, labels, left_out, empty)


def _names(spelled: LabelSpelling, folders: tuple[str, ...], limits: Limits) -> ClassNames:
    found = class_names(spelled.names, limits) if spelled.names else names_beside(spelled.path, limits)
    return found or ClassNames(from_names(spelled.label, folders), folders)


def _index(names: ClassNames, folder: str, spelled: LabelSpelling) -> int:
    if folder in names.wordnet_ids:
        return names.wordnet_ids.index(folder)
    index = names.vocabulary.index(folder)
    if index is None:
        raise LabelError(
            f"{spelled.label}: the folder {folder!r} is none of the {len(names.names)} classes of {names.vocabulary.name}"
        )
    return index
