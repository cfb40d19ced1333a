"""Guided codecs, and the baselines that guides are measured against."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast, final

from foveal.bench.readers import Reader, network_id
from foveal.bench.variant import Opened, Variant, number_in, with_number
from foveal.codecs.base import Codec, CodecInfo, EncodeSettings
from foveal.codecs.guide import MOST
from foveal.codecs.guided.low_pass import LowPassCodec, check_sigma
from foveal.errors import NetworkError, SettingsError
from foveal.guidance.reader import TASKS, Machine, check_machine
from foveal.picture import Picture
from foveal.tasks.base import Task

SIGMA: Final = 0.7
"""Pixels of a low-pass without a number."""
OCTAVES: Final = 1.0
"""By how much blocks outside of all boxes are coarser, without a number."""
_MACHINE_WORDS: Final[Mapping[str, tuple[str, str | None]]] = {
    "fast": ("search", "fast"),
    "full": ("search", "full"),
    "gradients": ("scores", "gradients"),
    "whole": ("reads", None),
}
"""Words of ``machine=`` that are no tasks: the field of ``Machine`` that each sets, and to what."""
_SPECS: Final = ("onnx", "tflite", "torch", "hf", "builtin")


@final
@dataclass(frozen=True)
class ForMachine(Variant):
    """Files for machines. Their size is not held: a curve says what they cost."""

    machine: Machine

    @property
    def spelling(self) -> str:
        words = [] if self.machine.tasks == TASKS else [*self.machine.tasks]
        set_here = {name: value for name, value in vars(self.machine).items() if value != getattr(Machine(), name)}
        words += [word for word, (field, value) in _MACHINE_WORDS.items() if field in set_here and set_here[field] == value]
        return "=".join(("machine", "+".join(words))) if words else "machine"

    def check(self, info: CodecInfo, bands: int | None) -> None:
        check_machine(self.machine, info, mapped=False, hold_rate=False)

    def open(self, codec: str, readers: Sequence[Reader], threads: int | None) -> Opened:
        from foveal.tasks.builtin import network_card

        return Opened(self._id(network_card("proxy").id), self._wrap)

    def _wrap(self, codec: Codec) -> Codec:
        from foveal.guidance.machine import MachineCodec

        return MachineCodec(codec, self.machine, hold_rate=False)


@final
@dataclass(frozen=True)
class LowPass(Variant):
    """A Gaussian of ``sigma`` pixels before the codec, in files as large as the plain ones of the same quality."""

    sigma: float = SIGMA

    @property
    def spelling(self) -> str:
        return with_number("lowpass", "=", self.sigma, SIGMA)

    def check(self, info: CodecInfo, bands: int | None) -> None:
        if check_sigma(self.sigma) == 0:
            raise SettingsError("lowpass=0 changes nothing; give pixels above 0, or leave lowpass out")
        if bands is not None:
            raise SettingsError("a low-pass matches the size of whole files; leave bands out")

    def open(self, codec: str, readers: Sequence[Reader], threads: int | None) -> Opened:
        return Opened(self._id(), lambda codec: LowPassCodec(codec, self.sigma))


@final
@dataclass(frozen=True)
class Adaptive(Variant):
    """The codec's own adaptive quantisation."""

    @property
    def spelling(self) -> str:
        return "aq"

    def check(self, info: CodecInfo, bands: int | None) -> None:
        info.checked(EncodeSettings(adaptive=True))

    def settings(self, plain: EncodeSettings) -> EncodeSettings:
        return replace(plain, adaptive=True)


@final
@dataclass(frozen=True)
class InBoxes(Variant):
    """Regions of interest by a detector's boxes in the uncompressed picture: all else is ``octaves`` coarser.

    detector: the label of a network of the bench, or the spelling of a network.
    """

    detector: str
    octaves: float = OCTAVES

    @property
    def spelling(self) -> str:
        kind, _, name = self.detector.partition(":")
        files = kind in ("onnx", "tflite")
        label = Path(name).stem if files else Path(name).name if kind in _SPECS and name else self.detector
        return with_number(f"boxes={label}", "+", self.octaves, OCTAVES)

    def check(self, info: CodecInfo, bands: int | None) -> None:
        if not 0 < self.octaves <= MOST:
            raise SettingsError(f"boxes with {self.octaves:g} octaves; above 0 and up to {MOST:g} are allowed")

    def open(self, codec: str, readers: Sequence[Reader], threads: int | None) -> Opened:
        task, known = self._network(readers, threads)
        if task.scoring.name != "detect":
            raise SettingsError(f"boxes={self.detector}: it answers {task.scoring.name}; a network that answers detect is needed")

        def wrap(codec: Codec) -> Codec:
            from foveal.bench.detector_boxes import BoxesCodec

            return BoxesCodec(codec, task, self.octaves)

        return Opened(replace(self, detector="")._id(known), wrap)

    def _network(self, readers: Sequence[Reader], threads: int | None) -> tuple[Task[Picture, Any], str]:
        """The network, and its id."""
        from foveal.tasks.opening import open_task

        for reader in readers:
            if reader.task.label == self.detector:
                return reader.task, reader.network_id
        if self.detector.partition(":")[0] not in _SPECS:
            labels = ", ".join(reader.task.label for reader in readers) or "none"
            raise SettingsError(
                f"boxes={self.detector}: no network of the bench has that label; there are {labels}: "
                "add it by --network, or spell a network, such as boxes=onnx:FILE"
            )
        try:
            task = open_task(self.detector, threads=threads)
        except NetworkError as error:
            raise NetworkError(f"boxes={self.detector}: {error}") from error
        return task, network_id(task)


def machine_variant(value: str) -> Variant:
    """Words between ``+``: tasks, all without any, and how they are served."""
    tasks: list[str] = []
    more: dict[str, str | None] = {}
    for word in value.split("+") if value else ():
        field, setting = _MACHINE_WORDS.get(word, ("tasks", word))
        if word in tasks or field in more:
            raise SettingsError(f"machine={value}: {word!r} is one too many; name each task once, and one way to serve them")
        if field != "tasks":
            more[field] = setting
        elif word in TASKS:
            tasks.append(word)
        else:
            raise SettingsError(f"machine={value}: no {word!r}; there are {', '.join((*TASKS, *_MACHINE_WORDS))}")
    return ForMachine(replace(Machine(tuple(tasks) or TASKS), **cast("dict[str, Any]", more)))


def low_pass_variant(value: str) -> Variant:
    """``lowpass``, or ``lowpass=1.2``."""
    return LowPass(number_in("lowpass", value)) if value else LowPass()


def adaptive_variant(value: str) -> Variant:
    """``aq``."""
    if value:
        raise SettingsError(f"aq={value}; aq takes no value")
    return Adaptive()


def boxes_variant(value: str) -> Variant:
    """``boxes=LABEL``, or ``boxes=LABEL+1.5``."""
    found = re.fullmatch(r"(.+?)(?:\+([0-9.]+))?", value)
    if found is None:
        raise SettingsError("boxes without a detector; write boxes=LABEL, of a network that the bench is given")
    return InBoxes(found[1]) if found[2] is None else InBoxes(found[1], number_in("boxes", found[2]))
