"""Which networks read in a bench, and with which labels: from the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from foveal.bench.pictures import find_pictures, picture_names
from foveal.errors import LabelError, SettingsError

if TYPE_CHECKING:
    from foveal.bench.readers import Reader
    from foveal.tasks.labels.labelled_set import LabelledSet
    from foveal.tasks.pixel import PixelTask
    from foveal.tasks.results import Truth


@dataclass(frozen=True)
class ReadersAsked:
    """tasks: only these, and every one of them must have a network. networks, labels: as spelled.

    leave_out: pictures without a label, or of a class that the network does not have, are scored by agreement alone, and labels
    without a picture do not count.
    """

    tasks: tuple[str, ...]
    networks: tuple[str, ...]
    labels: tuple[str, ...]
    leave_out: bool = False

    @property
    def any(self) -> bool:
        """Whether any network is to read."""
        return bool(self.tasks or self.networks)


def bench_pictures(folder: Path, sample: int | None) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The pictures of a known data set or of a folder; and ``sample`` of them, evenly spaced, or all.

    Raises:
        InputError: no such folder, or no picture in it. SettingsError: a sample of none, or of more pictures than there are.
    """
    from foveal.tasks.labels.known_set import known_set

    known = known_set(folder) if folder.is_dir() else None
    pictures = known.pictures if known else find_pictures(folder)
    if sample is None:
        return pictures, pictures
    if not 1 <= sample <= len(pictures):
        raise SettingsError(f"a sample of {sample} pictures; {folder} has {len(pictures)}: 1 to {len(pictures)} is allowed")
    return pictures, tuple(pictures[i * len(pictures) // sample] for i in range(sample))


def open_readers(
    asked: ReadersAsked, folder: Path, pictures: Sequence[Path], chosen: Sequence[Path], threads: int | None
) -> tuple[Reader, ...]:
    """The networks, each with the labels of its task if there are some. pictures: those that labels may be of; chosen: of the bench.

    Raises:
        SettingsError: a task without a network, or a network or labels of a task that is not among those asked for.
        NetworkError, LabelError: a network or labels that cannot be opened, or whose classes do not match.
    """
    from foveal.bench.readers import Reader, network_id
    from foveal.tasks.builtin import BUILTIN
    from foveal.tasks.opening import open_task
    from foveal.tasks.scorings import SCORINGS

    if unknown := [task for task in asked.tasks if task not in SCORINGS]:
        raise SettingsError(f"no task {unknown[0]!r}; there are {', '.join(SCORINGS)}")
    if not asked.any:
        if asked.labels:
            raise SettingsError("--labels without --network; name the network that they score, such as --network onnx:FILE")
        return ()
    tasks = [open_task(spec, threads=threads) for spec in asked.networks]
    if asked.tasks:
        for task in tasks:
            if task.scoring.name not in asked.tasks:
                raise SettingsError(f"{task.label} answers {task.scoring.name}, but --tasks asks for {', '.join(asked.tasks)}")
        missing = [name for name in asked.tasks if name not in {task.scoring.name for task in tasks}]
        for name in missing:
            builtin = [known for known in BUILTIN if known.endswith(f"-{name}")]
            hint = f", such as --network builtin:{builtin[0]}" if builtin else ""
            raise SettingsError(f"--tasks {name} needs a network{hint}; `foveal bench --help` shows how one is spelled")
    labels = _labels(asked, folder, pictures, {task.scoring.name for task in tasks})
    names = dict(zip(chosen, picture_names(chosen), strict=True))
    readers: list[Reader] = []
    for task, spec in zip(tasks, asked.networks, strict=True):
        known = labels.get(task.scoring.name)
        readers.append(Reader(task, network_id(task), _truths(asked, known, task, names) if known else {}, spec))
    return tuple(readers)


def _truths(asked: ReadersAsked, labels: LabelledSet, task: PixelTask, names: Mapping[Path, str]) -> Mapping[str, Truth]:
    from foveal.tasks.labels.labelled_set import NetworkTruths

    try:
        return NetworkTruths(labels, task.classes, names, leave_out=asked.leave_out)
    except LabelError as error:
        own = "" if asked.labels else "; a data set that foveal knows brings its labels: copied elsewhere, the pictures have none"
        raise LabelError(f"{task.label}: {error}{own}") from error


def _labels(asked: ReadersAsked, folder: Path, pictures: Sequence[Path], tasks: set[str]) -> Mapping[str, LabelledSet]:
    from foveal.tasks.labels.known_set import known_set
    from foveal.tasks.labels.reading import read_labels

    known = known_set(folder) if folder.is_dir() else None
    found: dict[str, LabelledSet] = {}
    for spelling in asked.labels:
        labels = read_labels(spelling, pictures, leave_out=asked.leave_out)
        if labels.task in found or labels.task not in tasks:
            why = "there are two such labels" if labels.task in found else f"the networks answer {', '.join(sorted(tasks))}"
            raise SettingsError(f"--labels {spelling} is for {labels.task}, but {why}")
        found[labels.task] = labels
    for task in tasks - found.keys():
        if known and task in known.tasks:
            found[task] = read_labels(known.spellings[task], pictures, task, leave_out=True)
    return found
