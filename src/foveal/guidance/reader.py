"""Whom a file is for: a person, or a machine, and what that is to do with the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast, final, get_args

from foveal.codecs.base import Codec, CodecInfo, EncodeSettings
from foveal.codecs.search import Encoded, Target, encode_to_target
from foveal.errors import SettingsError, TargetError
from foveal.guidance.allocation import DEFAULT_ALLOCATION, Allocation
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture
from foveal.tasks.proxy import TASKS as TASKS

Reader = Literal["person", "machine"]
Search = Literal["fast", "full"]
Scores = Literal["harm", "gradients"]
READS: Final = 416
"""What common networks read: from 224 to 513 pixels."""
_LEAST_READS: Final = 16
_BLUR: Final = 0.43  # pixels; chosen with the allocation


@final
@dataclass(frozen=True)
class Machine:
    """The machine that a file is for.

    tasks: what it is to do with the picture. scores: how importance is found (``ProxyReader.importance``).
    reads: pixels of the longer side at which it reads; what only a larger reading would hold is filtered away. None: it reads all.
    search: ``fast`` and ``full`` code the picture at 3 and at 8 steps and choose each block's by what samples lose, weighed by
    importance, and by what features do (``feature_distortion``); they take about 5 and 10 times as long as the codec alone.
    allocation: how importance becomes steps.

    Raises:
        SettingsError: an unknown task, kind of scores or search, no task, or a reading side that is no whole number from 16 on.
    """

    tasks: tuple[str, ...] = TASKS
    search: Search | None = None
    scores: Scores = "harm"
    reads: int | None = READS
    allocation: Allocation = DEFAULT_ALLOCATION

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", check_tasks(self.tasks))
        check_scores(self.scores)
        if self.reads is not None and not (isinstance(self.reads, int) and self.reads >= _LEAST_READS):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SettingsError(
                f"reads = {self.reads!r}; a whole number of pixels from {_LEAST_READS} on is allowed, or 0 if it reads all"
            )
        if self.search not in (None, *get_args(Search)):
            raise SettingsError(f"search = {self.search!r}; {' or '.join(get_args(Search))} is allowed, or leave it out")


def blur_of(width: int, height: int, reads: int | None) -> float:
    """The Gaussian, in pixels, that takes away what a reading with its longer side at ``reads`` cannot hold; 0 if it holds all."""
    longer = max(width, height)
    return 0.0 if reads is None or longer <= reads else _BLUR * math.sqrt((longer / reads) ** 2 - 1)


def check_tasks(tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks, in the order of ``TASKS``. Raises SettingsError: an unknown one, or none."""
    if not isinstance(tasks, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingsError(f"tasks = {tasks!r}; a text such as 'detect,pose' or a list of tasks is needed")
    unknown = [task for task in tasks if task not in TASKS]
    if unknown or not tasks:
        raise SettingsError(f"tasks = {','.join(map(str, tasks))!r}; one or more of {', '.join(TASKS)} are needed")
    return tuple(task for task in TASKS if task in tasks)


def check_scores(scores: str) -> Scores:
    """The kind of scores. Raises SettingsError: an unknown one."""
    if scores not in get_args(Scores):
        raise SettingsError(f"scores = {scores!r}; {' or '.join(get_args(Scores))} is allowed")
    return cast("Scores", scores)


def parse_tasks(text: str | None) -> tuple[str, ...]:
    """The tasks between commas, all without a text. Raises SettingsError: an unknown one, or none."""
    return TASKS if text is None else check_tasks([part.strip() for part in text.split(",")])


def asked_machine(
    reader: str,
    tasks: str | Sequence[str] | None = None,
    search: str | None = None,
    scores: str | None = None,
    reads: int | None = None,
) -> Machine | None:
    """What a caller asks for; None for a person. A text of tasks has commas between them. reads: 0 means all of the picture.

    Raises:
        SettingsError: another reader; tasks, scores, a reading side or a search for a person; or as ``Machine``.
    """
    if reader not in get_args(Reader):
        raise SettingsError(f"a file for {reader!r}; {' or '.join(get_args(Reader))} is allowed")
    if reader == "person":
        for name, value in (("tasks", tasks), ("search", search), ("scores", scores), ("reads", reads)):
            if value is not None:
                raise SettingsError(f"{name} = {value!r} for a person; ask --for machine (reader='machine'), or leave {name} out")
        return None
    found = parse_tasks(tasks) if tasks is None or isinstance(tasks, str) else check_tasks(tasks)
    kind: Scores = "harm" if scores is None else check_scores(scores)
    return Machine(found, cast("Search | None", search), kind, READS if reads is None else reads or None)


def check_machine(machine: Machine, info: CodecInfo, *, mapped: bool, hold_rate: bool, adaptive: bool = False) -> None:
    """What can be said before any picture is read. mapped: whether an importance map or a guide is given too.

    Raises:
        SettingsError: it is, or ``hold_rate``, or ``adaptive``; or the codec has no steps to search for.
    """
    if mapped:
        raise SettingsError("an importance map, or a guide, and a file for a machine, which has one of its own; leave one out")
    if hold_rate:
        raise SettingsError("hold_rate and a file for a machine, which is as large as a plain one anyway; leave hold_rate out")
    if adaptive:
        raise SettingsError("adaptive quantisation and a file for a machine, which would both move the bits; leave one out")
    if machine.search is not None and info.octave is None:
        raise SettingsError(
            f"{info.name} has no steps of its own inside a picture, so there is nothing to search; leave search out"
        )


def encode_for(
    codec: Codec, machine: Machine | None, picture: Picture, settings: EncodeSettings, target: Target, limits: Limits
) -> Encoded:
    """A file that meets a target. Arguments and errors as ``MachineCodec`` and ``encode_to_target``.

    Files for a machine whose bits come back by estimate cannot be as small as plain ones; where they miss the target, sizes are held.
    """
    try:
        return encode_to_target(for_reader(codec, machine, hold_rate=False, limits=limits), picture, settings, target, limits)
    except TargetError:
        if machine is None:
            raise
        return encode_to_target(for_reader(codec, machine, limits=limits), picture, settings, target, limits)


def for_reader(codec: Codec, machine: Machine | None, *, hold_rate: bool = True, limits: Limits = DEFAULT_LIMITS) -> Codec:
    """What makes files for a machine with ``codec``; the codec itself for a person. Arguments and errors as ``MachineCodec``."""
    if machine is None:
        return codec
    from foveal.guidance.machine import MachineCodec

    return MachineCodec(codec, machine, hold_rate=hold_rate, limits=limits)
