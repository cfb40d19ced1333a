"""The points of the experiment, and the folder that they are kept in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foveal.digits.recipe import Grid


@dataclass(frozen=True, order=True)
class Point:
    """One codec: trained for ``R + distortion_weight * D + classification_weight * H(label | answer)`` from the start of one seed."""

    distortion_weight: float
    classification_weight: float
    seed: int

    @property
    def name(self) -> str:
        """Such as ``d0.01-c4-s1``, which names its files."""
        return f"d{self.distortion_weight:g}-c{self.classification_weight:g}-s{self.seed}"


def points_of(grid: Grid) -> tuple[Point, ...]:
    """All points, seed by seed, so that a run that was stopped holds whole surfaces first."""
    return tuple(Point(d, c, seed) for seed in grid.seeds for d in grid.distortion_weights for c in grid.classification_weights)


@dataclass(frozen=True)
class Folder:
    """Where everything of a run lies."""

    path: Path

    @property
    def about(self) -> Path:
        """What the run is of."""
        return self.path / "run.json"

    def classifier(self, name: str) -> Path:
        """Weights of ``frozen`` or ``held-out``."""
        return self.path / "networks" / f"{name}.safetensors"

    def start(self, seed: int) -> Path:
        """Weights that the points of a seed go on from."""
        return self.path / "networks" / f"start-s{seed}.safetensors"

    def weights(self, point: Point) -> Path:
        """The frozen codec of a point."""
        return self.path / "points" / f"{point.name}.safetensors"

    def digits(self, point: Point) -> Path:
        """What was measured on each test digit."""
        return self.path / "points" / f"{point.name}.npz"

    def row(self, point: Point) -> Path:
        """What was measured, in one line; it is written last, so a point that has it is finished."""
        return self.path / "points" / f"{point.name}.json"
