"""Outputs of pose networks: where each joint of one person is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import NetworkError
from foveal.tasks.forms import Form, Wanted
from foveal.tasks.input import Geometry
from foveal.tasks.results import Joints


@final
@dataclass(frozen=True)
class Keypoints(Form):
    """``1 x joints x 3``: two positions and a score. order: ``yx`` as MoveNet, or ``xy``. normalised: positions in 0..1, else in pixels of the input."""

    order: str = "yx"
    normalised: bool = True

    def __post_init__(self) -> None:
        if self.order not in ("yx", "xy"):
            raise NetworkError(f"[output] order = {self.order!r}; yx or xy is allowed")

    def wanted(self, geometry: Geometry, classes: int) -> tuple[Wanted, ...]:
        return (Wanted(0, (classes, 3)),)

    def decode(self, outputs: Sequence[NDArray[Any]], geometry: Geometry, classes: int) -> Joints:
        points = outputs[0][:, [1, 0] if self.order == "yx" else [0, 1]].astype(np.float64)
        if self.normalised:
            points = points * (geometry.input_width, geometry.input_height)
        return Joints(geometry.to_picture(points).astype(np.float32), outputs[0][:, 2].astype(np.float32))


@final
@dataclass(frozen=True)
class Heatmaps(Form):
    """``1 x joints x rows x columns``: how likely the joint is in each cell of a grid over the input."""

    def wanted(self, geometry: Geometry, classes: int) -> tuple[Wanted, ...]:
        return (Wanted(0, (classes, None, None)),)

    def decode(self, outputs: Sequence[NDArray[Any]], geometry: Geometry, classes: int) -> Joints:
        """The likeliest cell, a quarter of a cell towards the likelier neighbour, as is usual."""
        maps = outputs[0].astype(np.float32)
        _, rows, columns = maps.shape
        y, x = np.divmod(maps.reshape(classes, -1).argmax(axis=1), columns)
        joints = np.arange(classes)
        wide = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
        shift_x = np.sign(wide[joints, y + 1, x + 2] - wide[joints, y + 1, x]) / 4
        shift_y = np.sign(wide[joints, y + 2, x + 1] - wide[joints, y, x + 1]) / 4
        cells = np.stack([x + 0.5 + shift_x, y + 0.5 + shift_y], axis=1)
        points = geometry.to_picture(cells * (geometry.input_width / columns, geometry.input_height / rows))
        return Joints(points.astype(np.float32), maps[joints, y, x])
