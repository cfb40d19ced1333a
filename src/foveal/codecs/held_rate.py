"""The quality at which a picture with a guide takes as much room as without, for every codec."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from foveal.codecs.base import QualityScale
from foveal.codecs.probing import Probes, search

HELD_WITHIN = 0.01


@dataclass(frozen=True)
class Held:
    """A quality, and the logarithm of its size over the one to hold."""

    quality: float
    excess: float


@final
class _Sizes(Probes):
    window = (-0.002, 0.002)
    slope = 0.04
    onward = 1

    def __init__(self, size_of: Callable[[float], int], size: int) -> None:
        super().__init__()
        self._size_of, self._size = size_of, size

    def _measure(self, quality: float) -> float:
        return math.log(self._size_of(quality) / self._size)


def hold_size(size_of: Callable[[float], int], size: int) -> Held:
    """The quality whose size is nearest to ``size``; at the ends of the scale that may be far."""
    probes = _Sizes(size_of, size)
    search(probes, QualityScale("quality", 1, 100, True))
    quality = min(probes.seen, key=lambda q: abs(probes.seen[q]))
    return Held(quality, probes.seen[quality])
