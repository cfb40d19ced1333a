"""A set of labels: what is labelled in which picture, read when it is asked for; and the same in the classes of a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from foveal.errors import LabelError
from foveal.tasks.results import ClassLabel, Truth
from foveal.tasks.scorings import adapt, foreign_classes
from foveal.tasks.vocabulary import Vocabulary
from foveal.tasks.wording import counted


class LaterTruth(ABC):
    """A label that is made when it is asked for, such as a class map in a file. It travels to other processes."""

    @abstractmethod
    def read(self) -> Truth:
        """The label. Raises LabelError: it cannot be read."""


@final
@dataclass(frozen=True)
class LabelledSet:
    """Labels of pictures for one task.

    name: where they are from, as reports say it. task: ``classify``, ``detect``, ``segment`` or ``pose``. vocabulary: what their
    indices mean. by_picture: by the paths that were given. left_out: pictures without a label; unused: labels without a
    picture, as their files name them; both empty unless they were allowed to be left out.
    """

    name: str
    task: str
    vocabulary: Vocabulary
    by_picture: Mapping[Path, Truth | LaterTruth]
    left_out: tuple[Path, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def pictures(self) -> tuple[Path, ...]:
        """The labelled pictures, in the order in which they were given."""
        return tuple(self.by_picture)

    def truth(self, picture: Path) -> Truth:
        """The label of a picture. Raises LabelError: it has none, or it cannot be read."""
        if picture not in self.by_picture:
            raise LabelError(f"{picture} has no label in {self.name}; {len(self.by_picture)} pictures have one")
        label = self.by_picture[picture]
        return label.read() if isinstance(label, LaterTruth) else label


@final
class NetworkTruths(Mapping[str, Truth]):
    """The labels of a set in the classes of a network, by the pictures' names in a bench; read and adapted when asked for.

    leave_out: the labels of pictures whose class the network does not have are left out.

    Raises:
        LabelError: labels and network share no name, or, without ``leave_out``, pictures are of classes that it does not have.
    """

    def __init__(self, labels: LabelledSet, target: Vocabulary, names: Mapping[Path, str], *, leave_out: bool = False) -> None:
        self._labels, self._target = labels, target
        foreign = foreign_classes(labels.vocabulary, target)
        known = {names[picture]: picture for picture in labels.pictures if picture in names}
        indices = {name: _class_of(labels.by_picture[picture]) for name, picture in known.items()}
        strange = {name: index for name, index in indices.items() if index in foreign}
        if strange and not leave_out:
            name, index = next(iter(strange.items()))
            raise LabelError(
                f"{labels.name}: {len(strange)} of {counted(len(known), 'picture')} are of classes that are none of the network's ({target.name}), such as {name} of {labels.vocabulary.names[index]!r}; leave them out, or allow it with leave_out (--leave-out)"
            )
        self._pictures = {name: picture for name, picture in known.items() if name not in strange}

    def __getitem__(self, name: str) -> Truth:
        return adapt(self._labels.truth(self._pictures[name]), self._labels.vocabulary, self._target)

    def __iter__(self) -> Iterator[str]:
        return iter(self._pictures)

    def __len__(self) -> int:
        return len(self._pictures)


def _class_of(label: Truth | LaterTruth) -> int | None:
    return label.index if isinstance(label, ClassLabel) else None
