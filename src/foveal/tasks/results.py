"""What networks say of a picture, and what labels say: the types between networks, labels, scores and overlays.

Positions are in pixels of the picture as it was given, x to the right and y down, (0, 0) the outer corner of the first pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

VOID: Final = -1
"""The class of pixels that count nowhere."""


@dataclass(frozen=True, eq=False)
class ClassScores:
    """How likely each class is: float32 ``(classes,)``; the larger the likelier."""

    scores: NDArray[np.float32]


@dataclass(frozen=True)
class ClassLabel:
    """The class that a picture is of."""

    index: int


@dataclass(frozen=True, eq=False)
class Boxes:
    """Objects, the surest first: corners float32 ``(n, 4)`` x0, y0, x1, y1; classes int64 ``(n,)``; scores float32 ``(n,)`` in 0..1."""

    corners: NDArray[np.float32]
    classes: NDArray[np.int64]
    scores: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TrueBoxes:
    """Labelled objects: corners and classes as in ``Boxes``. crowd: bool ``(n,)``, groups that detections may lie in without being wrong."""

    corners: NDArray[np.float32]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ClassMap:
    """The class of each pixel: int16 ``(height, width)``, ``VOID`` where labels say none."""

    classes: NDArray[np.int16]


@dataclass(frozen=True, eq=False)
class Joints:
    """One person's joints: points float32 ``(joints, 2)`` x, y; scores float32 ``(joints,)``. In labels a score of 0 is a hidden joint."""

    points: NDArray[np.float32]
    scores: NDArray[np.float32]


Result = ClassScores | Boxes | ClassMap | Joints
"""What a network says."""

Truth = ClassLabel | TrueBoxes | ClassMap | Joints
"""What a label says, or a network's own result on the uncompressed picture."""
