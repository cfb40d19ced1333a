"""How labels are spelled on a command line: ``FORM:PATH`` and, after an ``@``, what the form has to be told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from foveal.errors import LabelError
from foveal.tasks.scorings import SCORINGS

EXAMPLES: Final = "folders:DIR, csv:FILE.csv, coco:FILE.json@detect, yolo:DIR@names=data.yaml, masks:DIR@names=camvid-11,void=11, joints:FILE.json"
_ABSENT: Final = "absent-is-empty"


@dataclass(frozen=True)
class LabelSpelling:
    """form: the reader. task: where a form serves several. names: class names, a file or a vocabulary of foveal.
    void: the value of pixels that count nowhere. absent_is_empty: a picture without a file has no objects.
    """

    form: str
    path: Path
    task: str | None = None
    names: str | None = None
    void: int | None = None
    absent_is_empty: bool = False

    @property
    def label(self) -> str:
        """What reports call these labels."""
        return f"{self.form}:{self.path}"


def parse_spelling(text: str) -> LabelSpelling:
    """``FORM:PATH[@WORD,...]``, a word being a task, ``names=...``, ``void=...`` or ``absent-is-empty``. A path that exists may hold an ``@``.

    Raises:
        LabelError: no form, or a word that there is not.
    """
    form, colon, rest = text.partition(":")
    if not colon or not rest:
        raise LabelError(f"labels {text!r}; FORM:PATH is wanted, such as {EXAMPLES}")
    path, at, words = rest, "", ""
    if not Path(rest).exists() and "@" in rest:
        path, at, words = rest.rpartition("@")
    spelling = LabelSpelling(form, Path(path))
    for word in words.split(",") if at else ():
        spelling = _with(spelling, word.strip(), text)
    return spelling


def _with(spelling: LabelSpelling, word: str, text: str) -> LabelSpelling:
    key, _, value = word.partition("=")
    if word in SCORINGS:
        return replace(spelling, task=word)
    if word == _ABSENT:
        return replace(spelling, absent_is_empty=True)
    if key == "names" and value:
        return replace(spelling, names=value)
    if key == "void" and value.isdecimal() and len(value) <= 5:
        return replace(spelling, void=int(value))
    raise LabelError(f"{word!r} in the labels {text!r}; {', '.join(SCORINGS)}, names=FILE, void=NUMBER or {_ABSENT} are allowed")
