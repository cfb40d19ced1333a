"""Finds the quality at which something that rises with quality crosses a target, in few probes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

from foveal.codecs.base import QualityScale

_MOST_PROBES = 24
_FINEST_STEP = 0.02  # of quality; where a codec's file still jumps between such neighbours, its sizes are steps
_NEAR = 0.05  # log size or dB: so near a target, a curve that is not quite monotone may cross it once more


class Probes(ABC):
    """Measures qualities, each once. ``excess`` rises with quality and is 0 on the target.

    window: the search ends at an excess between these. slope: excess per quality, a first guess.
    onward: the side of the target, +1 or -1 in quality, on which a better answer may still hide.
    """

    window: ClassVar[tuple[float, float]]
    slope: ClassVar[float]
    onward: ClassVar[int]

    def __init__(self) -> None:
        self.seen: dict[float, float] = {}
        self.passes: int = 0

    def excess(self, quality: float) -> float:
        """How far above the target this quality lies, in the subclass's unit; measured at the first call."""
        if quality not in self.seen:
            self.passes += 1
            self.seen[quality] = self._measure(quality)
        return self.seen[quality]

    def is_above(self, quality: float) -> bool:
        """Whether the target lies below this quality; one that is just met counts as a good answer."""
        return self.excess(quality) > 0 if self.onward > 0 else self.excess(quality) >= 0

    @abstractmethod
    def _measure(self, quality: float) -> float:
        """The excess, by coding the picture."""


def search(probes: Probes, scale: QualityScale) -> None:
    """Probes around the place where the excess changes its sign, or at the end of the scale if it never does."""
    steps = scale.steps()
    if steps is None:
        edge = _approach(probes)
        neighbours = [] if edge is None else [q for d in (0.25, 0.5) if 1 <= (q := edge + probes.onward * d) <= 100]
    else:
        index = _bisect(probes, steps)
        edge = steps[index] if 0 <= index < len(steps) else None
        neighbours = [steps[i] for d in (1, 2) if 0 <= (i := index + probes.onward * d) < len(steps)]
    for neighbour in neighbours:
        if edge is None or abs(probes.excess(edge)) > _NEAR:
            return
        probes.excess(neighbour)
        edge = neighbour


def _bisect(probes: Probes, steps: tuple[float, ...]) -> int:
    """Returns the index of the first step that misses the target, on the side where a better answer may hide."""
    low, high = -1, len(steps)
    while high - low > 1:
        middle = (low + high) // 2
        if probes.is_above(steps[middle]):
            high = middle
        else:
            low = middle
    return high if probes.onward > 0 else low


def _approach(probes: Probes) -> float | None:
    """Secant steps, halving where they are slow, until one is inside the window.

    Returns None then; else the quality next to the answer that misses the target, or None if there is none.
    """
    aim = sum(probes.window) / 2
    below: tuple[float, float] | None = None
    above: tuple[float, float] | None = None
    quality, width, stretch, slope = 50.0, math.inf, 1.1, probes.slope
    while len(probes.seen) < _MOST_PROBES:
        excess = probes.excess(quality)
        if probes.window[0] <= excess <= probes.window[1]:
            return None
        last = below or above
        if last is not None and math.isfinite(excess) and math.isfinite(last[1]):
            slope = max(0.002, (excess - last[1]) / (quality - last[0]))
        if probes.is_above(quality):
            above = (quality, excess)
        else:
            below = (quality, excess)
        if below and above:
            if above[0] - below[0] <= _FINEST_STEP:
                break
            quality, width = _inside(below, above, aim, width)
            continue
        if quality in (1, 100) and (above is None) == (quality == 100):
            break
        away = math.copysign(max(1.0, stretch * abs(aim - excess) / slope), 1 if above is None else -1)
        quality, stretch = min(100.0, max(1.0, quality + away)), stretch * 2
    miss = above if probes.onward > 0 else below
    return miss[0] if miss else None


def _inside(below: tuple[float, float], above: tuple[float, float], aim: float, before: float) -> tuple[float, float]:
    """The next quality in a bracket, and the bracket's width; its middle where the last step did not halve it."""
    (low, low_excess), (high, high_excess) = below, above
    width = high - low
    share = (aim - low_excess) / (high_excess - low_excess) if high_excess > low_excess else 0.5
    if width > before / 2 or not math.isfinite(share):
        return low + width / 2, width
    return low + width * min(0.95, max(0.05, share)), width
