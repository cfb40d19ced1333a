"""A network's record: what it answers, what it is given, how its outputs are read. Frozen dataclasses read from TOML."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from foveal.declared import build
from foveal.errors import LabelError, NetworkError, RecipeError
from foveal.tasks.decode_boxes import AnchorBoxes, OffsetBoxes, PlainBoxes, TransposedBoxes
from foveal.tasks.decode_joints import Heatmaps, Keypoints
from foveal.tasks.decode_maps import ClassIndices, ClassLogits
from foveal.tasks.decode_scores import Scores
from foveal.tasks.forms import Form
from foveal.tasks.input import InputRecord
from foveal.tasks.results import Boxes, ClassMap, ClassScores, Joints, Result
from foveal.tasks.vocabulary import Vocabulary, known_vocabularies, vocabulary

FORMS: Final[dict[str, dict[str, type[Form]]]] = {
    "classify": {"scores": Scores},
    "detect": {"yolox": OffsetBoxes, "yolo-fastest": AnchorBoxes, "yolo-v8": TransposedBoxes, "boxes": PlainBoxes},
    "segment": {"class-map": ClassIndices, "logits": ClassLogits},
    "pose": {"keypoints": Keypoints, "heatmaps": Heatmaps},
}
"""The forms of output that each task has."""

RESULTS: Final[dict[str, type[Result]]] = {"classify": ClassScores, "detect": Boxes, "segment": ClassMap, "pose": Joints}
"""What each task says of a picture."""


@dataclass(frozen=True)
class Record:
    """All that foveal has to know of a network. source, licence: where it is from and under which terms, in plain words.

    Raises:
        NetworkError: a task that there is not, a form that it does not have, or an input that cannot serve it.
    """

    task: str
    classes: Vocabulary
    input: InputRecord
    output: Form
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if self.task not in FORMS:
            raise NetworkError(f"task {self.task!r}; one of {', '.join(FORMS)} is allowed")
        if type(self.output) not in FORMS[self.task].values():
            raise NetworkError(f"{type(self.output).__name__} is no form of {self.task}; it has {', '.join(FORMS[self.task])}")
        if self.task == "segment" and self.input.fit == "crop":
            raise NetworkError("[input] fit = 'crop' leaves pixels without a class; segment takes stretch, letterbox or scale")


@dataclass(frozen=True)
class _File:
    """The keys outside the tables."""

    task: str
    classes: str
    input: dict[str, Any]
    output: dict[str, Any]
    source: str = ""
    licence: str = ""


def read_record(path: Path) -> Record:
    """Reads a record; ``classes`` is a vocabulary of foveal, or a .txt file of one name a line, found from the record's own folder.

    Raises:
        NetworkError: the file is missing, is not TOML, or holds a key or a value that is not allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NetworkError(f"cannot read the record {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise NetworkError(f"{path} is not TOML: {error}") from error
    return parse_record(text, path.parent, str(path))


def shipped_record(name: str) -> Record | None:
    """The record of that name among those that come with foveal, or None."""
    folder = files("foveal.tasks") / "records"
    file = folder / f"{name}.toml"
    if name != Path(name).name or not file.is_file():
        return None
    return parse_record(file.read_text(encoding="utf-8"), None, f"the record {name}.toml of foveal")


def parse_record(text: str, folder: Path | None, where: str) -> Record:
    """The record in a TOML text. folder: where a file of class names is found. Raises as ``read_record``."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NetworkError(f"{where} is not TOML: {error}") from error
    file = _build(_File, values, where)
    for name, table in (("input", file.input), ("output", file.output)):
        if not isinstance(table, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise NetworkError(f"{where}: {name} = {table!r} is no table; write [{name}]")
    try:
        given = _build(InputRecord, file.input, f"{where} [input]")
        return Record(file.task, _classes(file.classes, folder), given, _form(file, where), file.source, file.licence)
    except NetworkError as error:
        raise error if str(error).startswith(where) else NetworkError(f"{where}: {error}") from error


def _form(file: _File, where: str) -> Form:
    if file.task not in FORMS:
        raise NetworkError(f"task {file.task!r}; one of {', '.join(FORMS)} is allowed")
    known, form = FORMS[file.task], file.output.get("form")
    if form not in known:
        raise NetworkError(f"[output] form = {form!r}; {file.task} has {', '.join(known)}")
    return _build(
        known[cast(str, form)], {name: value for name, value in file.output.items() if name != "form"}, f"{where} [output]"
    )


def _classes(name: str, folder: Path | None) -> Vocabulary:
    if not name.endswith(".txt"):
        try:
            return vocabulary(name)
        except LabelError as error:
            raise NetworkError(
                f"classes = {name!r}; {', '.join(known_vocabularies())}, or a .txt file beside the record"
            ) from error
    path = (folder or Path()) / name
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise NetworkError(f"cannot read the class names in {path}: {error}") from error
    if not names:
        raise NetworkError(f"{path} holds no class name; one name a line is needed")
    return Vocabulary(path.stem, names, next((number for number, text in enumerate(names) if text == "background"), None))


T = TypeVar("T")


def _build(kind: type[T], values: dict[str, Any], where: str) -> T:
    """``build`` of recipes, for tuples of numbers too."""
    ready = dict(values)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in ready and str(field.type).startswith("tuple"):
            ready[field.name] = _numbers(ready[field.name], str(field.type), f"{where}: {field.name}")
    try:
        return build(kind, ready, where)
    except RecipeError as error:
        raise NetworkError(str(error)) from error


def _numbers(value: Any, kind: str, where: str) -> tuple[int | float, ...]:
    allowed = (int,) if "int" in kind else (int, float)
    items: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [None]
    if any(not isinstance(item, allowed) or isinstance(item, bool) for item in items):
        raise NetworkError(f"{where} = {value!r} is no list of {'whole numbers' if allowed == (int,) else 'numbers'}")
    return tuple(items)
