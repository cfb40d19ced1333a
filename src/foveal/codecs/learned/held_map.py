"""A quality map in a file that is as large as one without: the quality moves, and the map is made weaker where the scale ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from foveal.codecs.held_rate import HELD_WITHIN, hold_size
from foveal.entropy.fixed_point import Integers

_STRENGTHS: Final = (1, 1 / 2, 1 / 4, 1 / 8, 1 / 16)


def hold_map(size_of: Callable[[float, Integers | None], int], quality: float, steps: Integers) -> tuple[float, Integers | None]:
    """The quality and the map at which a file is as large as one of ``quality`` without; no map where none keeps within 1 %.

    ``size_of``: the bytes at a quality, 1..100, with a map or without.
    """
    even = size_of(quality, None)
    for strength in _STRENGTHS:
        weaker = np.rint(steps * strength).astype(np.int64)
        held = hold_size(lambda q, weaker=weaker: size_of(q, weaker), even)
        if abs(held.excess) <= HELD_WITHIN and weaker.any():
            return held.quality, weaker
    return quality, None
