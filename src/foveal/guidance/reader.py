"""Whom a file is for: a person, or a machine, and what that is to do with the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast, final, get_args

from foveal.codecs.base import Codec, CodecInfo
from foveal.errors import SettingsError
from foveal.guidance.allocation import DEFAULT_ALLOCATION, Allocation
from foveal.limits import DEFAULT_LIMITS, Limits

Reader = Literal["person", "machine"]
Search = Literal["fast", "full"]
TASKS: Final = ("classify", "detect", "segment", "pose")
"""What importance can be asked for."""


@final
@dataclass(frozen=True)
class Machine:
    """The machine that a file is for.

    tasks: what it is to do with the picture. search: None takes importance from gradients; ``fast`` and ``full`` code the picture
    at 3 and at 8 steps and choose each block's by what features lose (``feature_distortion``), for all tasks alike; they take
    about 5 and 10 times as long as the codec alone.
    allocation: how importance becomes steps.

    Raises:
        SettingsError: an unknown task or search, no task, or a search for some tasks only.
    """

    tasks: tuple[str, ...] = TASKS
    search: Search | None = None
    allocation: Allocation = DEFAULT_ALLOCATION

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", check_tasks(self.tasks))
        if self.search not in (None, *get_args(Search)):
            raise SettingsError(f"search = {self.search!r}; {' or '.join(get_args(Search))} is allowed, or leave it out")
        if self.search is not None and self.tasks != TASKS:
            raise SettingsError(
                f"search = {self.search!r} with tasks = {','.join(self.tasks)!r}; a search goes by features, which serve all tasks: "
                "leave one of the two out"
            )


def check_tasks(tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks, in the order of ``TASKS``. Raises SettingsError: an unknown one, or none."""
    unknown = [task for task in tasks if task not in TASKS]
    if unknown or not tasks:
        raise SettingsError(f"tasks = {','.join(map(str, tasks))!r}; one or more of {', '.join(TASKS)} are needed")
    return tuple(task for task in TASKS if task in tasks)


def parse_tasks(text: str | None) -> tuple[str, ...]:
    """The tasks between commas, all without a text. Raises SettingsError: an unknown one, or none."""
    return TASKS if text is None else check_tasks([part.strip() for part in text.split(",")])


def asked_machine(reader: str, tasks: str | Sequence[str] | None = None, search: str | None = None) -> Machine | None:
    """What a caller asks for; None for a person. A text of tasks has commas between them.

    Raises:
        SettingsError: another reader, tasks or a search for a person, or as ``Machine``.
    """
    if reader not in get_args(Reader):
        raise SettingsError(f"a file for {reader!r}; {' or '.join(get_args(Reader))} is allowed")
    if reader == "person":
        for name, value in (("tasks", tasks), ("search", search)):
            if value is not None:
                raise SettingsError(f"{name} = {value!r} for a person; ask --for machine (reader='machine'), or leave {name} out")
        return None
    found = parse_tasks(tasks) if tasks is None or isinstance(tasks, str) else check_tasks(tasks)
    return Machine(found, cast("Search | None", search))


def check_machine(machine: Machine, info: CodecInfo, *, mapped: bool, hold_rate: bool) -> None:
    """What can be said before any picture is read. mapped: whether an importance map or a guide is given too.

    Raises:
        SettingsError: it is, or ``hold_rate``; or the codec has no steps to search for.
    """
    if mapped:
        raise SettingsError("an importance map, or a guide, and a file for a machine, which has one of its own; leave one out")
    if hold_rate:
        raise SettingsError("hold_rate and a file for a machine, which is as large as a plain one anyway; leave hold_rate out")
    if machine.search is not None and info.octave is None:
        raise SettingsError(
            f"{info.name} has no steps of its own inside a picture, so there is nothing to search; leave search out"
        )


def for_reader(codec: Codec, machine: Machine | None, *, hold_rate: bool = True, limits: Limits = DEFAULT_LIMITS) -> Codec:
    """What makes files for a machine with ``codec``; the codec itself for a person. Arguments and errors as ``MachineCodec``."""
    if machine is None:
        return codec
    from foveal.guidance.machine import MachineCodec

    return MachineCodec(codec, machine, hold_rate=hold_rate, limits=limits)
