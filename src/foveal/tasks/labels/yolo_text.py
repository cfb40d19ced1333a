"""YOLO text: a file a picture; a line an object, ``class cx cy w h`` or ``class x1 y1 x2 y2 x3 y3 ...``, in parts of the picture's size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from foveal.errors import LabelError
from foveal.limits import Limits
from foveal.tasks.labels.labelled_set import LabelledSet, LaterTruth
from foveal.tasks.labels.matching import labelled_set, match_labels
from foveal.tasks.labels.names import BESIDE, ClassNames, class_names, names_beside
from foveal.tasks.labels.picture_sizes import picture_size
from foveal.tasks.labels.polygons import Region, Regions, polygon, with_background
from foveal.tasks.labels.spelling import LabelSpelling
from foveal.tasks.labels.text_files import list_files, read_text
from foveal.tasks.results import TrueBoxes, Truth
from foveal.tasks.vocabulary import vocabulary

_SLACK = 0.01
"""Rounding and cropping leave numbers a little outside 0..1."""


@dataclass(frozen=True)
class _Line:
    """index: the class. numbers: four of a box, or six or more of an outline."""

    index: int
    numbers: tuple[float, ...]


def read_yolo(spelled: LabelSpelling, pictures: Sequence[Path], leave_out: bool, limits: Limits) -> LabelledSet:
    """Names from ``names=``, a file beside, else those of COCO. For detect an outline gives the box around it; segment takes outlines alone.

    An empty file is a picture without objects. A picture without a file is one that nobody labelled, unless ``absent-is-empty`` is said.

    Raises:
        LabelError: a line that is neither, numbers outside 0..1, an object without width or height, a class that has no name, or
            boxes where outlines are needed.
    """
    names = class_names(spelled.names, limits) if spelled.names else names_beside(spelled.path, limits)
    if names is None:
        coco = vocabulary("coco-80")
        names = ClassNames(coco, coco.names)
    files = {
        path.relative_to(spelled.path).as_posix(): path for path in list_files(spelled.path, ".txt") if path.name not in BESIDE
    }
    used = {path: picture for picture, (_, path) in match_labels(files, pictures).items()}
    segment = spelled.task == "segment"
    classes, shift = with_background(names.vocabulary) if segment else (names.vocabulary, 0)
    labels: dict[str, Truth | LaterTruth] = {}
    for name, path in files.items():
        if path not in used:
            labels[name] = _boxes([], 1, 1)  # refused or left out with its name; not read
            continue
        width, height = picture_size(used[path], limits)
        lines = _lines(path, len(names.names), limits)
        if segment:
            labels[name] = Regions(path, width, height, _regions(lines, path, width, height, shift), classes.background or 0)
        else:
            labels[name] = _boxes(lines, width, height)
    if spelled.absent_is_empty:
        for picture in set(pictures) - set(used.values()):
            size = picture_size(picture, limits)
            empty = Regions(picture, *size, (), classes.background or 0) if segment else _boxes([], *size)
            labels[picture.as_posix()] = empty
    return labelled_set(spelled.label, spelled.task or "detect", classes, labels, pictures, leave_out=leave_out)


def _lines(path: Path, classes: int, limits: Limits) -> list[_Line]:
    found: list[_Line] = []
    for number, text in enumerate(read_text(path, limits).split("\n"), start=1):
        if not (words := text.split()):
            continue
        where = f"{path}, line {number}"
        try:
            index, values = int(words[0]), tuple(float(word) for word in words[1:])
        except ValueError as error:
            raise LabelError(f"{where}: {text.strip()!r:.60}; a class index and numbers are wanted") from error
        if not 0 <= index < classes:
            raise LabelError(f"{where}: class {index}; 0..{classes - 1} have names; say @names=FILE if these are not the names")
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            raise LabelError(
                f"{where}: {len(values)} numbers after the class; 4 of a box, or 6, 8, 10, ... of an outline are wanted"
            )
        outside = [value for value in values if not (math.isfinite(value) and -_SLACK <= value <= 1 + _SLACK)]
        if outside or (len(values) == 4 and min(values[2:]) < 0):
            raise LabelError(f"{where}: {(outside or values)[0]}; numbers are parts of the picture's size, 0..1")
        width, height = values[2:] if len(values) == 4 else (max(side) - min(side) for side in (values[::2], values[1::2]))
        if not width or not height:
            raise LabelError(
                f"{where}: an object of width {width:g} and height {height:g}; one without area cannot be found: delete the line, or mend it"
            )
        found.append(_Line(index, values))
    return found


def _boxes(lines: Sequence[_Line], width: int, height: int) -> TrueBoxes:
    corners: list[tuple[float, float, float, float]] = []
    for line in lines:
        if len(line.numbers) == 4:
            cx, cy, w, h = line.numbers
            corners.append((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))
        else:
            x, y = line.numbers[::2], line.numbers[1::2]
            corners.append((min(x), min(y), max(x), max(y)))
    scaled = np.array(corners, np.float64).reshape(-1, 4) * (width, height, width, height)
    indices = np.array([line.index for line in lines], np.int64)
    return TrueBoxes(scaled.astype(np.float32), indices, np.zeros(len(lines), bool))


def _regions(lines: Sequence[_Line], path: Path, width: int, height: int, shift: int) -> tuple[Region, ...]:
    found: list[Region] = []
    for line in lines:
        if len(line.numbers) == 4:
            raise LabelError(f"{path} holds boxes; segment needs outlines, class x1 y1 x2 y2 x3 y3 ...")
        points = [value * (height if at % 2 else width) for at, value in enumerate(line.numbers)]
        found.append(Region(line.index + shift, (polygon(points, str(path)),)))
    return tuple(found)
