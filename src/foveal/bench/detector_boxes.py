"""Regions of interest by a detector's own boxes: an oracle, which knows what the network will be asked to find again. Ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from foveal.codecs.base import Codec, EncodeSettings, Prepared
from foveal.codecs.guide import Guide
from foveal.codecs.wrapped import WrappedCodec
from foveal.errors import SettingsError
from foveal.picture import Picture
from foveal.tasks.base import Task
from foveal.tasks.results import TrueBoxes

BLOCK: Final = 16
"""Pixels a side of what is in a box or not."""


@final
class BoxesCodec(WrappedCodec):
    """Another codec, whose files are ``octaves`` coarser wherever a detector finds nothing in the uncompressed picture.

    What counts is what agreement is measured against: the detections that the network is sure of. A picture without any gets a plain
    file. The size is not held.

    Raises:
        SettingsError: its files, a guide beside the boxes. NetworkError: its files, the detector fails.
    """

    def __init__(self, codec: Codec, detector: Task[Picture, Any], octaves: float) -> None:
        super().__init__(codec)
        self._detector, self._octaves = detector, octaves

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        if settings.guide is not None:
            raise SettingsError("a guide and regions by a detector's boxes; leave one out")
        found = self._detector.scoring.truth_of(self._detector.analyze(picture))
        assert isinstance(found, TrueBoxes), "a detector finds boxes"
        inside = blocks_inside(found.corners, picture.width, picture.height)
        if not inside.any():
            return self._codec.prepare(picture, settings)
        octaves = self._octaves * ~inside
        # Laid out so that a cell of the guide is a block of the picture, where its sides are no multiples of one.
        pixels = octaves.repeat(BLOCK, 0).repeat(BLOCK, 1)[: picture.height, : picture.width]
        return self._codec.prepare(picture, replace(settings, guide=Guide(pixels.astype(np.float32))))


def blocks_inside(corners: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.bool_]:
    """Which blocks, ``(rows, columns)`` from the top left, any box covers a part of. corners: ``(n, 4)`` x0, y0, x1, y1 in pixels."""
    inside = np.zeros((-(-height // BLOCK), -(-width // BLOCK)), bool)
    for x0, y0, x1, y1 in np.clip(corners, 0, (width, height, width, height)).tolist():
        if x1 > x0 and y1 > y0:
            inside[int(y0 // BLOCK) : int(-(-y1 // BLOCK)), int(x0 // BLOCK) : int(-(-x1 // BLOCK))] = True
    return inside
