"""The quality at which a picture with a quality map takes as much room as without."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

from foveal.codecs.base import QualityScale
from foveal.codecs.probing import Probes, search


@final
class _Held(Probes):
    window = (-0.002, 0.002)
    slope = 0.04
    onward = 1

    def __init__(self, size_of: Callable[[float], int], size: int) -> None:
        super().__init__()
        self._size_of, self._size = size_of, size

    def _measure(self, quality: float) -> float:
        return math.log(self._size_of(quality) / self._size)


def quality_of_size(size_of: Callable[[float], int], size: int) -> float:
    """The quality whose size is nearest to ``size``, within 0.2 % where sizes allow."""
    probes = _Held(size_of, size)
    search(probes, QualityScale("quality", 1, 100, True))
    return min(probes.seen, key=lambda q: abs(probes.seen[q]))
