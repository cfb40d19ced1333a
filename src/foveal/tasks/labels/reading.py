"""The table of label forms, and labels read by their spelling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from foveal.errors import LabelError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.tasks.labels.coco_json import read_coco
from foveal.tasks.labels.csv_table import read_csv
from foveal.tasks.labels.folders import read_folders
from foveal.tasks.labels.joints_json import read_joints
from foveal.tasks.labels.labelled_set import LabelledSet
from foveal.tasks.labels.masks import read_masks
from foveal.tasks.labels.spelling import EXAMPLES, LabelSpelling, parse_spelling
from foveal.tasks.labels.yolo_text import read_yolo

Reader = Callable[[LabelSpelling, Sequence[Path], bool, Limits], LabelledSet]


@dataclass(frozen=True)
class LabelForm:
    """read: the reader. tasks: those that it serves; one that serves several has to be told which. words: what it may be told else."""

    read: Reader
    tasks: tuple[str, ...]
    words: tuple[str, ...] = ()


FORMS: Final[dict[str, LabelForm]] = {
    "folders": LabelForm(read_folders, ("classify",), ("names",)),
    "csv": LabelForm(read_csv, ("classify",), ("names",)),
    "coco": LabelForm(read_coco, ("detect", "segment", "pose")),
    "yolo": LabelForm(read_yolo, ("detect", "segment"), ("names", "absent_is_empty")),
    "masks": LabelForm(read_masks, ("segment",), ("names", "void")),
    "joints": LabelForm(read_joints, ("pose",)),
}


def read_labels(
    spelling: str | LabelSpelling,
    pictures: Sequence[Path],
    task: str | None = None,
    *,
    leave_out: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> LabelledSet:
    """Labels of the pictures. task: what they are wanted for, where the spelling does not say it.

    leave_out: pictures without a label, and labels without a picture, are left out and named in the result, not refused.

    Raises:
        LabelError: no such form; a form that does not serve the task, or several and is not told which; labels that are broken,
            or are not of these pictures. LimitError: a file larger than ``limits`` allow. MissingDependencyError: polygons
            without pycocotools.
    """
    spelled = parse_spelling(spelling) if isinstance(spelling, str) else spelling
    if spelled.form not in FORMS:
        raise LabelError(f"no form of labels {spelled.form!r}; there are {', '.join(FORMS)}: {EXAMPLES}")
    if not pictures:
        raise LabelError(f"{spelled.label}: no picture is given")
    form = FORMS[spelled.form]
    for word in ("names", "void", "absent_is_empty"):
        if getattr(spelled, word) not in (None, False) and word not in form.words:
            raise LabelError(
                f"{spelled.label}: {word.replace('_', '-')} says nothing to labels of the form {spelled.form}; leave it out"
            )
    return form.read(replace(spelled, task=_task(spelled, form, task)), pictures, leave_out, limits)


def _task(spelled: LabelSpelling, form: LabelForm, asked: str | None) -> str:
    if spelled.task and asked and spelled.task != asked:
        raise LabelError(f"{spelled.label} is spelled as labels for {spelled.task}; they are wanted for {asked}")
    task = spelled.task or asked or (form.tasks[0] if len(form.tasks) == 1 else None)
    if task is None:
        raise LabelError(f"{spelled.label} could be for {' or '.join(form.tasks)}; say which, as {spelled.label}@{form.tasks[0]}")
    if task not in form.tasks:
        raise LabelError(f"{spelled.label}: labels of the form {spelled.form} serve {' or '.join(form.tasks)}, not {task}")
    return task
