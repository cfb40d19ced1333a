"""A standard codec as training meets it: crops in, decoded crops and their bits out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from foveal.codecs.base import DecodeSettings, EncodeSettings
from foveal.codecs.registry import codec_by_name
from foveal.errors import RecipeError
from foveal.picture import Picture

Pixels = npt.NDArray[np.uint8]
HOSTS: Final = {"jpeg": None, "hevc": "medium", "vvc": "faster"}
"""The codecs that networks can be trained around, and the preset that they are trained with."""


@final
@dataclass(frozen=True, eq=False)
class Coded:
    """decoded: as what was coded. bits: of the file, less those of a gray file of the same size and quality, which headers take."""

    decoded: Pixels
    bits: int


@final
class Host:
    """One of ``HOSTS``, by name, with its default chroma and one thread.

    Raises:
        RecipeError: another codec.
    """

    def __init__(self, name: str) -> None:
        if name not in HOSTS:
            raise RecipeError(f"host = {name!r}; {', '.join(HOSTS)} are allowed")
        self._codec, self._preset = codec_by_name(name), HOSTS[name]
        self._empty: dict[tuple[int, int, float], int] = {}

    def code(self, pixels: Pixels, quality: float) -> Coded:
        """Codes and decodes ``(height, width, 3)`` at a quality 1..100."""
        key = (*pixels.shape[:2], quality)
        if key not in self._empty:
            self._empty[key] = len(self._encode(np.full_like(pixels, 128), quality))
        data = self._encode(pixels, quality)
        decoded = self._codec.decode(data, settings=DecodeSettings(threads=1))
        return Coded(decoded.samples, 8 * max(0, len(data) - self._empty[key]))

    def nearest(self, quality: float) -> float:
        """The nearest quality to one of 1..100 that the codec has; where its parameter is an integer, those between are coded the same."""
        steps = self._codec.info.scale.steps()
        return quality if steps is None else min(steps, key=lambda step: abs(step - quality))

    def _encode(self, pixels: Pixels, quality: float) -> bytes:
        return self._codec.encode(Picture(pixels), EncodeSettings(quality, preset=self._preset, threads=1))
