"""What a codec of a bench may be besides plain."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, final

from foveal.bench.readers import Reader
from foveal.codecs.base import Codec, CodecInfo, EncodeSettings
from foveal.errors import SettingsError
from foveal.picture import Picture
from foveal.tasks.results import Result

Answerer = Callable[[Reader, bytes, Picture], Result]
"""What a network of the bench answers of a coded file, and of the picture that was decoded from it."""


def from_picture(reader: Reader, data: bytes, decoded: Picture) -> Result:
    """The network's own answer on the decoded picture."""
    return reader.task.analyze(decoded)


@final
@dataclass(frozen=True)
class Opened:
    """A variant with what it needs. id: another one where that, or what the variant does with it, changes; rows hold it.

    wrap: the codec as the variant uses it. answer: how networks read its files.
    """

    id: str | None
    wrap: Callable[[Codec], Codec]
    answer: Answerer = from_picture


PLAIN: Final = Opened(None, lambda codec: codec)


@dataclass(frozen=True)
class Variant(ABC):
    """One way to use a codec. Subclasses are final."""

    @property
    @abstractmethod
    def spelling(self) -> str:
        """How it is asked for and reported, the same for equal variants."""

    @abstractmethod
    def check(self, info: CodecInfo, bands: int | None) -> None:
        """Raises SettingsError: the codec has no such variant, or its files cut after ``bands`` have none."""

    def settings(self, plain: EncodeSettings) -> EncodeSettings:
        """The codec's settings."""
        return plain

    def open(self, codec: str, readers: Sequence[Reader], threads: int | None) -> Opened:
        """Finds what it needs. codec: the name of the one that is used so. readers: the networks of the bench.

        Raises:
            SettingsError: no such reader, or one of no use here. NetworkError: a network that cannot be opened.
            UnknownWeightsError: no network of our own for this codec.
        """
        return Opened(self._id(), PLAIN.wrap)

    def _id(self, *needs: str) -> str:
        return hashlib.sha256(" ".join((repr(self), *needs)).encode()).hexdigest()[:12]


def number_in(name: str, text: str) -> float:
    """The number that a value of an option spells. Raises SettingsError."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SettingsError(f"{name} of {text!r}; a number such as 1.5 is needed")
    return number


def with_number(name: str, sign: str, number: float, default: float) -> str:
    """An option, with its number where that is not the default."""
    return name if number == default else f"{name}{sign}{number:g}"
