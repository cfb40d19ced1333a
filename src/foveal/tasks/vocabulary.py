"""What class indices and joints are called, and how the classes of labels become those of a network: by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import LabelError
from foveal.tasks.results import VOID


@dataclass(frozen=True)
class Vocabulary:
    """Names by index. background: the index that stands for everything that has no name here, if there is one."""

    name: str
    names: tuple[str, ...]
    background: int | None = None

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int | None:
        """The index of a name or of one of its other spellings, or None."""
        wanted = _plain(name)
        return next((number for number, known in enumerate(self.names) if _plain(known) == wanted), None)


def vocabulary(name: str) -> Vocabulary:
    """One of the vocabularies that come with foveal: the files of ``foveal/tasks/vocabularies``.

    Raises:
        LabelError: there is none of that name.
    """
    if name not in known_vocabularies():
        raise LabelError(f"no vocabulary {name!r}; there are {', '.join(known_vocabularies())}, or a file of one name a line")
    return _read(name)


@cache
def known_vocabularies() -> tuple[str, ...]:
    """The names that ``vocabulary`` takes, sorted."""
    folder = files("foveal.tasks") / "vocabularies"
    return tuple(sorted(entry.name.removesuffix(".txt") for entry in folder.iterdir() if entry.name.endswith(".txt")))


def conversion(source: Vocabulary, target: Vocabulary) -> NDArray[np.int64]:
    """For each index of ``source`` the index in ``target`` of the same name; its background, else ``VOID``, where it has no such name.

    Raises:
        LabelError: the two share no name but the background's.
    """
    fallback = VOID if target.background is None else target.background
    indices = {_plain(name): number for number, name in reversed([*enumerate(target.names)])}
    found = [indices.get(_plain(name)) for name in source.names]
    if not any(index not in (None, target.background) for index in found):
        raise LabelError(
            f"labels of {source.name} ({', '.join(source.names[:4])}, …) and a network of {target.name} ({', '.join(target.names[:4])}, …) share no name; call the classes what the network calls them, or take another network"
        )
    return np.array([fallback if index is None else index for index in found], np.int64)


_SAME: Final[Sequence[Sequence[str]]] = (
    ("airplane", "aeroplane"),
    ("motorcycle", "motorbike"),
    ("couch", "sofa"),
    ("dining table", "diningtable"),
    ("potted plant", "pottedplant"),
    ("tv", "tvmonitor"),
)
_FIRST: Final = {other.replace(" ", ""): names[0].replace(" ", "") for names in _SAME for other in names}


def _plain(name: str) -> str:
    text = "".join(letter for letter in name.casefold() if letter.isalnum())
    return _FIRST.get(text, text)


@cache
def _read(name: str) -> Vocabulary:
    lines = (files("foveal.tasks") / "vocabularies" / f"{name}.txt").read_text(encoding="utf-8").split("\n")
    names = tuple(line.strip() for line in lines if line.strip())
    background = next((number for number, text in enumerate(names) if text == "background"), None)
    return Vocabulary(name, names, background)
