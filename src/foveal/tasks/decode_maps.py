"""Outputs of segmenters: a class, or a score for each class, at each place of the input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import NetworkError
from foveal.tasks.forms import Form, Wanted
from foveal.tasks.input import Geometry
from foveal.tasks.results import VOID, ClassMap

_STRIP_PIXELS: Final = 1 << 21


@final
@dataclass(frozen=True)
class ClassIndices(Form):
    """``1 x rows x columns`` class numbers, over the whole input. void: the number that stands for no class, -1 if there is none."""

    void: int = -1

    def wanted(self, geometry: Geometry, classes: int) -> tuple[Wanted, ...]:
        return (Wanted(0, (None, None)),)

    def decode(self, outputs: Sequence[NDArray[Any]], geometry: Geometry, classes: int) -> ClassMap:
        """Each pixel takes the class of the place that its centre falls on."""
        known = outputs[0] if self.void < 0 else np.where(outputs[0] == self.void, 0, outputs[0])
        if known.size == 0 or known.min() < 0 or known.max() >= classes:
            seen = f"{known.min()} to {known.max()}" if known.size else "none"
            raise NetworkError(f"class numbers in the network's map: {seen}; its record has 0 to {classes - 1}")
        places = (
            np.where(outputs[0] == self.void, VOID, outputs[0]).astype(np.int16) if self.void >= 0 else known.astype(np.int16)
        )
        rows, columns = places.shape
        x = geometry.to_input(np.stack([np.arange(geometry.width) + 0.5] * 2, axis=1))[:, 0] * (columns / geometry.input_width)
        y = geometry.to_input(np.stack([np.arange(geometry.height) + 0.5] * 2, axis=1))[:, 1] * (rows / geometry.input_height)
        x, y = (np.clip(np.floor(at), 0, most - 1).astype(np.intp) for at, most in ((x, columns), (y, rows)))
        return ClassMap(places[y[:, None], x[None, :]])


@final
@dataclass(frozen=True)
class ClassLogits(Form):
    """``1 x classes x rows x columns`` scores (layout ``nchw``), or ``1 x rows x columns x classes`` (``nhwc``), over the whole input."""

    layout: str = "nchw"

    def __post_init__(self) -> None:
        if self.layout not in ("nchw", "nhwc"):
            raise NetworkError(f"[output] layout = {self.layout!r}; nchw or nhwc is allowed")

    def wanted(self, geometry: Geometry, classes: int) -> tuple[Wanted, ...]:
        return (Wanted(0, (classes, None, None) if self.layout == "nchw" else (None, None, classes)),)

    def decode(self, outputs: Sequence[NDArray[Any]], geometry: Geometry, classes: int) -> ClassMap:
        """The scores are brought to the picture's size, bilinear, then each pixel takes the largest."""
        from PIL import Image

        planes = outputs[0] if self.layout == "nchw" else outputs[0].transpose(2, 0, 1)
        images = [Image.fromarray(np.ascontiguousarray(plane, np.float32)) for plane in planes]
        classes_of = np.zeros((geometry.height, geometry.width), np.int16)
        for start, stop, box in _strips(geometry, planes.shape[2], planes.shape[1]):
            size = (geometry.width, stop - start)
            best = np.asarray(images[0].resize(size, Image.Resampling.BILINEAR, box))
            for number, image in enumerate(images[1:], 1):
                scores = np.asarray(image.resize(size, Image.Resampling.BILINEAR, box))
                classes_of[start:stop][scores > best] = number
                best = np.maximum(best, scores)
        return ClassMap(classes_of)


def _strips(geometry: Geometry, columns: int, rows: int) -> Iterator[tuple[int, int, tuple[float, float, float, float]]]:
    """Rows of the picture, start to stop, and the part of a map over the input that they lie on; a strip bounds the memory."""
    to_x, to_y = columns / geometry.input_width, rows / geometry.input_height
    height = max(_STRIP_PIXELS // geometry.width, 1)
    for start in range(0, geometry.height, height):
        stop = min(start + height, geometry.height)
        (x0, y0), (x1, y1) = geometry.to_input(np.array([[0, start], [geometry.width, stop]]))
        box = (max(x0 * to_x, 0.0), max(y0 * to_y, 0.0), min(x1 * to_x, float(columns)), min(y1 * to_y, float(rows)))
        yield start, stop, (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
