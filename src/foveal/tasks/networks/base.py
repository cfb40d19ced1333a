"""What a task needs of a network: numbers in, numbers out, and what it says of its own input."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from foveal.errors import NetworkError

Shape = tuple[int | None, ...]
"""The sides of an array; None where any length will do."""


@dataclass(frozen=True)
class Declared:
    """What a network's file says of its input. shape: with its batch axis; type: numpy's name, such as ``float32``."""

    shape: Shape
    type: str


class Network(ABC):
    """A network with one input. It knows nothing of pictures: a ``Record`` says how its input is made and its outputs are read.

    declared: what its file says of the input, None where there is no such thing (a torch module); it is compared with the record.
    identity: a hash of the network itself, so that another one under the same name is told apart; empty where it has none.

    A network that ships with foveal is opened by ``foveal.tasks.builtin.load_builtin(name, threads)``, which returns the network
    and its record, ``tuple[Network, Record]``, and raises NetworkError for a name that it does not know. Such a network is a
    ``TorchNetwork`` around a module (``networks/torch_module.py``), or a class of its own; its record is made in Python, or read by
    ``shipped_record(name)`` from ``records/<name>.toml``.
    """

    declared: Declared | None = None
    identity: str = ""

    @abstractmethod
    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """The outputs, in the network's own order, for a batch of one: shape, layout and type are those of the record's ``[input]``.

        Quantised outputs are given as the real numbers that they stand for.

        Raises:
            NetworkError: the network fails.
        """


def file_identity(path: Path) -> str:
    """A hash of a file's bytes. Raises NetworkError: it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NetworkError(f"cannot read {path}: {error.strerror}") from error


def shape_text(shape: Sequence[int | None]) -> str:
    """Such as ``1x3x224x224``; ``?`` for any length."""
    return "x".join("?" if side is None else str(side) for side in shape) or "a single number"


def check_declared(declared: Declared | None, shape: Shape, type_name: str, label: str) -> None:
    """Compares what a network declares with what its record makes.

    Raises:
        NetworkError: a shape or a type that differs.
    """
    if declared is None:
        return
    same = len(declared.shape) == len(shape) and all(
        None in pair or pair[0] == pair[1] for pair in zip(declared.shape, shape, strict=True)
    )
    if not same or declared.type != type_name:
        raise NetworkError(
            f"{label} takes {shape_text(declared.shape)} of {declared.type}, its record's [input] makes {shape_text(shape)} of {type_name}; "
            "correct width, height, layout or type there"
        )
