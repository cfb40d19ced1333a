"""A network's result in words and numbers: what ``foveal analyze`` prints and writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from foveal.tasks.overlay import SEEN, SURE
from foveal.tasks.results import VOID, Boxes, ClassMap, ClassScores, Joints, Result
from foveal.tasks.vocabulary import Vocabulary

TOP_CLASSES: Final = 5
LIKELY: Final = 0.005
"""What a text lists classes from."""


@dataclass(frozen=True)
class ScoredClass:
    """A class that the picture may be of."""

    index: int
    name: str
    score: float


@dataclass(frozen=True)
class FoundObject:
    """An object. box: x0, y0, x1, y1 in pixels of the picture."""

    index: int
    name: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class ClassShare:
    """The part of the picture's pixels, 0..1, that are of a class."""

    index: int
    name: str
    share: float


@dataclass(frozen=True)
class FoundJoint:
    """A joint at x, y in pixels of the picture."""

    index: int
    name: str
    score: float
    x: float
    y: float


Finding = ScoredClass | FoundObject | ClassShare | FoundJoint


def findings(result: Result, classes: Vocabulary, top: int | None) -> tuple[Finding, ...]:
    """What was found, the likeliest or largest first; joints in their own order.

    top: at most so many classes (5 if left out) or objects (all).
    """
    names = classes.names
    match result:
        case ClassScores():
            order: list[int] = np.argsort(-result.scores, kind="stable")[: top or TOP_CLASSES].tolist()
            return tuple(ScoredClass(index, names[index], _short(float(result.scores[index]))) for index in order)
        case Boxes():
            labels: list[int] = result.classes.tolist()
            rows = zip(labels, result.scores.tolist(), result.corners.tolist(), strict=True)
            found = (FoundObject(i, names[i], _short(score), _box(corners)) for i, score, corners in rows)
            return tuple(found)[:top] if top else tuple(found)
        case ClassMap():
            indices, counts = np.unique(result.classes, return_counts=True)
            largest = np.argsort(-counts, kind="stable")[:top]
            found_classes: list[int] = indices[largest].tolist()
            parts = zip(found_classes, (counts[largest] / result.classes.size).tolist(), strict=True)
            return tuple(ClassShare(index, "no class" if index == VOID else names[index], _short(part)) for index, part in parts)
        case Joints():
            rows = zip(names, result.scores.tolist(), result.points.tolist(), strict=True)
            return tuple(
                FoundJoint(i, name, _short(score), round(x, 2), round(y, 2)) for i, (name, score, (x, y)) in enumerate(rows)
            )


def runs_of(result: Result) -> tuple[int, ...] | None:
    """A class map as class, length, class, length, … row by row from the top left; None for other results."""
    if not isinstance(result, ClassMap):
        return None
    flat = result.classes.ravel()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = np.diff(np.append(starts, flat.size))
    return tuple(np.stack([flat[starts], lengths], axis=1).ravel().tolist())


def finding_lines(found: tuple[Finding, ...], every: bool) -> list[str]:
    """A line for each finding. every: those of low scores too."""
    lines = [_line(one) for one in found if every or not _weak(one)]
    left = len(found) - len(lines)
    return [*lines, f"({left} of a lower score)"] if left else lines or ["nothing"]


def _weak(one: Finding) -> bool:
    match one:
        case ScoredClass():
            return one.score < LIKELY
        case FoundObject():
            return one.score < SURE
        case FoundJoint():
            return one.score < SEEN
        case _:
            return False


def _line(one: Finding) -> str:
    match one:
        case ScoredClass():
            return f"{one.score:8.2%}  {one.name}"
        case FoundObject():
            x0, y0, x1, y1 = one.box
            return f"{one.score:6.2f}  {one.name:<16} {x0:.0f},{y0:.0f} to {x1:.0f},{y1:.0f}"
        case ClassShare():
            return f"{one.share:7.1%}  {one.name}"
        case FoundJoint():
            return f"{one.score:6.2f}  {one.name:<16} {one.x:.0f},{one.y:.0f}"


def _box(corners: list[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(side, 2) for side in corners)
    return x0, y0, x1, y1


def _short(number: float) -> float:
    return round(number, 6)
