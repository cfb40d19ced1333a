"""How the outputs of a network become a result: what every ``[output]`` form of a record has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from foveal.errors import NetworkError
from foveal.tasks.input import Geometry
from foveal.tasks.networks.base import Shape, shape_text
from foveal.tasks.results import Result


@dataclass(frozen=True)
class Wanted:
    """An output that a form reads: its number among the network's outputs, and its shape without the batch axis."""

    index: int
    shape: Shape


class Form(ABC):
    """One form of output. Its subclasses are frozen dataclasses, whose fields are the keys of ``[output]`` beside ``form``."""

    @abstractmethod
    def wanted(self, geometry: Geometry, classes: int) -> tuple[Wanted, ...]:
        """The outputs that it reads, for an input of the geometry's size and so many classes (or joints)."""

    @abstractmethod
    def decode(self, outputs: Sequence[NDArray[Any]], geometry: Geometry, classes: int) -> Result:
        """The result, in pixels of the picture. outputs: as ``wanted`` says, without batch axes."""

    def read(self, outputs: Sequence[NDArray[Any]], geometry: Geometry, classes: int, label: str) -> Result:
        """``decode``, with the shapes checked first.

        Raises:
            NetworkError: outputs of another number or shape than the form has.
        """
        found = [_matching(outputs, wanted, type(self).__name__, label) for wanted in self.wanted(geometry, classes)]
        return self.decode(found, geometry, classes)


def _matching(outputs: Sequence[NDArray[Any]], wanted: Wanted, form: str, label: str) -> NDArray[Any]:
    """The output that is wanted, without the axes of length 1 that it has in front."""
    if wanted.index >= len(outputs):
        seen = ", ".join(shape_text(output.shape) for output in outputs) or "none"
        raise NetworkError(f"{label}: its record's [output] reads output {wanted.index}, the network has {len(outputs)}: {seen}")
    output = outputs[wanted.index]
    extra = output.ndim - len(wanted.shape)
    tail = output.shape[max(extra, 0) :]
    fits = extra >= 0 and set(output.shape[:extra]) <= {1}
    if not fits or any(want not in (None, side) for side, want in zip(tail, wanted.shape, strict=True)):
        raise NetworkError(
            f"{label}: output {wanted.index} is {shape_text(output.shape)}, its record's [output] ({form}) wants {shape_text((1, *wanted.shape))}; "
            "correct the form, its numbers or the classes there"
        )
    return output.reshape(tail)
