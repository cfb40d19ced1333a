"""A picture with a network's result drawn over it, for a person to look at."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from typing import Final, final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from foveal.picture import Picture
from foveal.tasks.results import VOID, Boxes, ClassMap, ClassScores, Joints, Result
from foveal.tasks.vocabulary import Vocabulary
from foveal.tasks.wording import counted

Color = tuple[int, int, int]
Place = tuple[float, float, float, float]

SURE: Final = 0.3
"""Objects of a lower score are not drawn, nor listed for a person, unless a number of them is asked for."""
SEEN: Final = 0.2
"""Joints of a lower score are not drawn."""
_LEAST: Final = 480  # a picture of a shorter long side is enlarged, so that names can be read on it
_PANEL: Final = 320  # and the list is so wide at least
_LINES: Final = 12
_SCORES: Final = 3  # of a class in the list
_LIMBS: Final = (
    ("ankle", "knee"), ("knee", "hip"), ("hip", "shoulder"), ("shoulder", "elbow"), ("elbow", "wrist"), ("eye", "ear"),
)  # fmt: skip
_MIDDLE: Final = (
    ("left hip", "right hip"), ("left shoulder", "right shoulder"), ("neck", "head top"), ("nose", "left eye"),
    ("nose", "right eye"), ("neck", "left shoulder"), ("neck", "right shoulder"),
)  # fmt: skip


def color_of(index: int) -> Color:
    """A colour for a class, far from those of the classes beside it."""
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, (0.85, 0.6)[index % 2], (1.0, 0.8)[index // 2 % 2])
    return round(255 * red), round(255 * green), round(255 * blue)


def draw(picture: Picture, result: Result, classes: Vocabulary, top: int | None = None) -> Picture:
    """The picture, enlarged if it is small, with what was found: boxes, tinted classes or joints, and a list below it; beside it if the
    picture is narrower than the list.

    top: how many classes or objects at most; else five classes, and the objects of a score of ``SURE`` or more. Alpha is left out.
    """
    canvas = _Canvas(picture)
    match result:
        case ClassScores():
            _draw_scores(canvas, result, classes, top or 5)
        case Boxes():
            _draw_boxes(canvas, result, classes, top)
        case ClassMap():
            _draw_map(canvas, result, classes)
        case Joints():
            _draw_joints(canvas, result, classes)
    return canvas.finished()


@final
class _Canvas:
    """The picture while it is drawn on. scale_x, scale_y: pixels of it for one of the picture; unit: the width of a line."""

    def __init__(self, picture: Picture) -> None:
        long = max(picture.width, picture.height)
        factor = max(_LEAST / long, 1)
        size = max(round(picture.width * factor), 1), max(round(picture.height * factor), 1)
        image = Image.fromarray(np.ascontiguousarray(picture.rgb()))
        self.image = image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)
        self.scale_x, self.scale_y = size[0] / picture.width, size[1] / picture.height
        middle = max(min(size), max(size) // 4)
        self.unit = max(round(middle / 200), 2)
        self.font = ImageFont.load_default(max(middle / 32, 13))
        self.pen = ImageDraw.Draw(self.image)
        self._lines: list[tuple[Color | None, str]] = []
        self._tags: list[Place] = []

    def line(self, text: str, color: Color | None = None) -> None:
        """A line for the list, behind a patch of a colour."""
        self._lines.append((color, text))

    def list_classes(self, lines: Sequence[tuple[str, Color | None]]) -> None:
        """The first of the lines for the list, and how many more there are."""
        for text, color in lines[:_LINES]:
            self.line(text, color)
        if len(lines) > _LINES:
            self.line(f"and {counted(len(lines) - _LINES, 'more class', 'more classes')}")

    def tag(self, box: Place, text: str, color: Color) -> None:
        """A text on a patch of a colour at a corner of a box, inside the picture; none where it would lie on another tag or hide a
        third of the picture's height: the list has it too.
        """
        left, top, right, bottom = self.pen.textbbox((0, 0), text, font=self.font)
        width, height = math.ceil(right - left) + 2 * self.unit, math.ceil(bottom - top) + 2 * self.unit
        if width > self.image.width or 3 * height > self.image.height:
            return
        x0, y0, x1, y1 = (round(side) for side in box)  # between pixels Pillow cuts letters off at the picture's border
        for y in (y0 - height, max(y0, 0), y1, y1 - height):
            for x in (x0, x1 - width):
                x = min(max(x, 0), self.image.width - width)
                place = (x, y, x + width, y + height)
                if 0 <= y <= self.image.height - height and not any(_overlap(place, other) for other in self._tags):
                    self._tags.append(place)
                    self.pen.rectangle(place, fill=color)
                    self.pen.text((x + self.unit - left, y + self.unit - top), text, _ink_on(color), self.font)
                    return

    def finished(self) -> Picture:
        """The picture with the list below it, or beside it where the picture is narrower than the list."""
        if not self._lines:
            return Picture(np.array(self.image))
        box = self.pen.textbbox((0, 0), "Ag|", font=self.font)
        step = round((box[3] - box[1]) * 1.5) + 1
        whole = max(int(max(self.pen.textlength(text, font=self.font) for _, text in self._lines)) + 3 * step, _PANEL)
        width, height = self.image.size
        beside = width < whole and len(self._lines) * step + step // 2 <= height
        columns = 1 if beside else max(min(width // whole, len(self._lines)), 1)
        rows = -(-len(self._lines) // columns)
        left, top = (width, 0) if beside else (0, height)
        size = (width + whole, height) if beside else (max(width, whole), height + rows * step + step // 2)
        sheet = Image.new("RGB", size, (24, 24, 24))
        sheet.paste(self.image)
        pen = ImageDraw.Draw(sheet)
        for number, (color, text) in enumerate(self._lines):
            column, row = divmod(number, rows)
            x, y = left + column * whole + step // 2, top + row * step + step // 4
            if color is not None:
                pen.rectangle((x, y + step // 8, x + step // 2, y + step - step // 4), fill=color)
                x += step
            pen.text((x, y), text, fill=(240, 240, 240), font=self.font)
        return Picture(np.array(sheet))


def _overlap(one: Place, other: Place) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _ink_on(color: Color) -> Color:
    """Black or white, whichever can be read on a colour."""
    red, green, blue = color
    return (0, 0, 0) if 299 * red + 587 * green + 114 * blue > 140_000 else (255, 255, 255)


def _draw_scores(canvas: _Canvas, result: ClassScores, classes: Vocabulary, top: int) -> None:
    order = np.argsort(-result.scores, kind="stable")[:top]
    for index in order.tolist():
        canvas.line(f"{result.scores[index]:7.2%}  {classes.names[index]}")


def shown(boxes: Boxes, top: int | None) -> Sequence[int]:
    """Which objects a person is shown: the ``top`` surest, else those of a score of ``SURE`` or more."""
    return range(len(boxes.scores))[:top] if top else np.flatnonzero(boxes.scores >= SURE).tolist()


def _draw_boxes(canvas: _Canvas, result: Boxes, classes: Vocabulary, top: int | None) -> None:
    chosen = list(shown(result, top))
    places = result.corners * np.array([canvas.scale_x, canvas.scale_y] * 2, np.float32)
    for number in reversed(chosen):  # the surest lie on top
        x0, y0, x1, y1 = (float(side) for side in places[number])
        canvas.pen.rectangle((x0, y0, max(x1, x0), max(y1, y0)), outline=color_of(int(result.classes[number])), width=canvas.unit)
    listed: dict[int, list[str]] = {}
    for number in chosen:  # after all boxes, so that none lies over a name; the surest choose their places first
        index, score = int(result.classes[number]), f"{result.scores[number]:.2f}"
        x0, y0, x1, y1 = (float(side) for side in places[number])
        canvas.tag((x0, y0, x1, y1), f"{classes.names[index]} {score}", color_of(index))
        listed.setdefault(index, []).append(score)
    canvas.list_classes([(f"{classes.names[index]} {_first(scores)}", color_of(index)) for index, scores in listed.items()])
    if not chosen:
        canvas.line("no object is sure enough")


def _first(scores: Sequence[str]) -> str:
    more = f" and {len(scores) - _SCORES} more" if len(scores) > _SCORES else ""
    return ", ".join(scores[:_SCORES]) + more


def _draw_map(canvas: _Canvas, result: ClassMap, classes: Vocabulary) -> None:
    """The background stays as it is; pixels of no class are darkened."""
    colors = np.array([*(color_of(index) for index in range(len(classes))), (0, 0, 0)], np.uint8)  # VOID is -1, the last one
    background = len(classes) if classes.background is None else classes.background
    tint = Image.fromarray(colors[result.classes]).resize(canvas.image.size, Image.Resampling.NEAREST)
    shade = np.where(result.classes == background, 0, 128).astype(np.uint8)  # of 255
    canvas.image.paste(tint, mask=Image.fromarray(shade).resize(canvas.image.size, Image.Resampling.NEAREST))
    found, counts = np.unique(result.classes.astype(np.int64), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    numbers: list[int] = found[order].tolist()
    lines: list[tuple[str, Color | None]] = []
    for index, count in zip(numbers, counts[order].tolist(), strict=True):
        name = "no class" if index == VOID else classes.names[index]
        red, green, blue = (int(part) for part in colors[index])
        lines.append((f"{name} {count / result.classes.size:.1%}", None if index == background else (red, green, blue)))
    canvas.list_classes(lines)


def _draw_joints(canvas: _Canvas, result: Joints, classes: Vocabulary) -> None:
    places = result.points * np.array([canvas.scale_x, canvas.scale_y], np.float32)
    sides = [(f"{side} {a}", f"{side} {b}") for side in ("left", "right") for a, b in _LIMBS]
    for first, second in (*sides, *_MIDDLE):
        ends = [
            index for index in (classes.index(first), classes.index(second)) if index is not None and result.scores[index] >= SEEN
        ]
        if len(ends) == 2:
            line = [(float(places[end, 0]), float(places[end, 1])) for end in ends]
            canvas.pen.line(line, fill=(0, 0, 0), width=2 * canvas.unit + 2)
            canvas.pen.line(line, fill=_side_color(first, second), width=2 * canvas.unit)
    radius = 2 * canvas.unit
    for (x, y), score, name in zip(places.tolist(), result.scores.tolist(), classes.names, strict=True):
        if score >= SEEN:
            canvas.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_side_color(name, name), outline=(0, 0, 0))
    count = int((result.scores >= SEEN).sum())
    canvas.line("left", _side_color("left", "left"))
    canvas.line("right", _side_color("right", "right"))
    canvas.line(f"{count} of {len(classes)} joints of a score of {SEEN} or more")


def _side_color(first: str, second: str) -> Color:
    sides = {name.split()[0] for name in (first, second)}
    return (255, 160, 0) if sides == {"left"} else (0, 200, 255) if sides == {"right"} else (255, 255, 255)
