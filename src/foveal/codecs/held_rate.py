"""The quality at which a picture with a guide takes as much room as without, for every codec."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from foveal.codecs.base import Prepared, QualityScale
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


@final
class SizedLike(Prepared):
    """Files of a prepared picture that holds the sizes of ``own`` plain files, as large as those of another, ``like``, at the same quality."""

    def __init__(self, held: Prepared, own: Prepared, like: Prepared) -> None:
        self._held, self._own, self._like = held, own, like

    def encode(self, quality: float) -> bytes:
        return self._held.encode(hold_size(self._own.size, self._like.size(quality)).quality)


@final
class AsLarge(Prepared):
    """Files of one prepared picture that are as large as those of another, ``like``, at the same quality.

    Where the codec's parameter is an integer, or the scale ends, sizes are as near as they get.
    """

    def __init__(self, prepared: Prepared, like: Prepared, scale: QualityScale) -> None:
        self._prepared, self._like, self._scale = prepared, like, scale

    def encode(self, quality: float) -> bytes:
        coded: dict[float, bytes] = {}

        def at(near: float) -> bytes:
            value = self._scale.native(near)
            if value not in coded:
                coded[value] = self._prepared.encode(near)
            return coded[value]

        held = hold_size(lambda near: len(at(near)), self._like.size(quality))
        return at(held.quality)
