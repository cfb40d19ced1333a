"""Outlines and run lengths of objects, made class maps by pycocotools."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import LabelError, MissingDependencyError
from foveal.tasks.labels.labelled_set import LaterTruth
from foveal.tasks.results import ClassMap
from foveal.tasks.vocabulary import Vocabulary


@final
@dataclass(frozen=True)
class Region:
    """An object: its class, and polygons (x, y, x, y, ... in pixels) or COCO's run lengths."""

    index: int
    polygons: tuple[tuple[float, ...], ...] = ()
    runs: tuple[int, ...] | str = ()


@final
@dataclass(frozen=True)
class Regions(LaterTruth):
    """The objects of a picture of that size as a class map. Smaller ones lie over larger ones; the rest is class ``background``.

    runs_size: width and height that run lengths are of, None for the picture's; a pixel takes what lies at its centre.
    """

    source: Path
    width: int
    height: int
    regions: tuple[Region, ...]
    background: int
    runs_size: tuple[int, int] | None = None

    def read(self) -> ClassMap:
        classes = np.full((self.height, self.width), self.background, np.int16)
        masks = [(self._mask(region), region.index) for region in self.regions]
        for mask, index in sorted(masks, key=lambda pair: -int(pair[0].sum())):
            classes[mask] = index
        return ClassMap(classes)

    def _mask(self, region: Region) -> NDArray[np.bool_]:
        try:
            from pycocotools import mask as coco
        except ImportError as error:
            raise MissingDependencyError("outlines are filled by pycocotools: pip install pycocotools") from error
        width, height = (self.width, self.height) if region.polygons else self.runs_size or (self.width, self.height)
        try:
            if isinstance(region.runs, str):
                coded: Any = {"size": [height, width], "counts": region.runs.encode("ascii")}
            elif region.runs:
                if sum(region.runs) != height * width:
                    raise ValueError(f"run lengths of {sum(region.runs)} pixels in {width}x{height}")
                coded = coco.frPyObjects({"size": [height, width], "counts": list(region.runs)}, height, width)
            else:
                coded = coco.merge(coco.frPyObjects([list(p) for p in region.polygons], height, width))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # its arrays are of before NumPy 2
                mask = coco.decode(coded).astype(bool)
        except (ValueError, TypeError, UnicodeEncodeError) as error:
            raise LabelError(f"{self.source}: an object of class {region.index} cannot be filled: {error}") from error
        if (width, height) == (self.width, self.height):
            return mask
        rows = (np.arange(self.height) * 2 + 1) * height // (2 * self.height)
        columns = (np.arange(self.width) * 2 + 1) * width // (2 * self.width)
        return mask[rows[:, None], columns]


def with_background(classes: Vocabulary) -> tuple[Vocabulary, int]:
    """The vocabulary with a background, and by how much its indices moved: pixels of no object have to be something."""
    if classes.background is not None:
        return classes, 0
    return Vocabulary(f"{classes.name} and background", ("background", *classes.names), 0), 1


def polygon(points: Sequence[float], where: str) -> tuple[float, ...]:
    """Raises LabelError: not three points."""
    if len(points) < 6 or len(points) % 2:
        raise LabelError(f"{where}: an outline of {len(points)} numbers; x and y of three points or more are wanted")
    return tuple(points)
