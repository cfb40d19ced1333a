"""What a codec's bits buy a machine: how rate and losses fall with quality, what one is worth in the other, and what a network saves.

The trade of the loss R + λ·D is taken from the codec itself, not chosen: at each quality λ = -dR/dD along the codec's own curve. So a
network that is trained with it is asked to do better than another quality would, at every quality alike. Losses of different kinds (four parts,
each read at several sizes) have each their own curve, and so their own λ; divided by the codec's rate the loss is, to first order,
1 - the mean saving over all of them at equal loss, plus a constant. Ours; the paper draws from nine pairs of QP and λ that it found by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from foveal.codecs.around.conditioning import level_of
from foveal.training.middle import Passed
from foveal.training.preprocess_task import Reading, Spread, losses

Values = npt.NDArray[np.float64]
Code = Callable[[Tensor, float], Passed]
"""From crops ``(n, 3, crop, crop)`` and a quality to what a codec makes of them, all at that quality."""
Read = Callable[[Tensor, int], Reading]
"""From crops, and the side that they are read at, to what networks see."""
_AT_ONCE: Final = 4
_POWERS: Final = 3
_SLOPES: Final = (0.3, 4.0)  # by how many percent a loss falls for a percent of rate; parabolas end in anything


@final
@dataclass(frozen=True, eq=False)
class Measured:
    """Means over crops at some qualities, as natural logarithms: rate ``(qualities,)`` in bits a pixel, lost ``(qualities, sides, parts)``."""

    levels: Values
    rate: Values
    lost: Values


@torch.no_grad()
def measure(
    code: Code,
    x: Tensor,
    read: Read,
    spread: Spread,
    qualities: Sequence[float],
    sides: Sequence[int],
    plain: Tensor | None = None,
) -> Measured:
    """Codes crops ``x`` at all qualities and reads them at all sides. plain: what they are held against, where it is not ``x``."""
    plain = x if plain is None else plain
    rate, lost = np.zeros(len(qualities)), list[list[Values]]()
    for start in range(0, len(x), _AT_ONCE):
        some, own = x[start : start + _AT_ONCE], plain[start : start + _AT_ONCE]
        seen, here = [read(own, side) for side in sides], list[Values]()
        for i, quality in enumerate(qualities):
            passed = code(some, quality)
            rate[i] += float(passed.bits.sum()) / x[:, 0].numel()
            moved = [losses(a, read(passed.decoded, side), spread).sum(0) for a, side in zip(seen, sides, strict=True)]
            here.append(torch.stack(moved).double().numpy() / len(x))
        lost.append(here)
    levels = np.array([level_of(quality) for quality in qualities])
    return Measured(levels, np.log(rate + 1e-9), np.log(np.sum(lost, 0) + 1e-12))


@final
@dataclass(frozen=True, eq=False)
class Trade:
    """At the levels of some crops: the codec's rate ``(n,)`` in bits a pixel, what it loses ``(n, parts)``, and by how many percent its
    rate rises for one percent less of each.
    """

    rate: Tensor
    lost: Tensor
    exchange: Tensor


@final
class Curves:
    """The codec's own curves: rate over the level, straight between what was measured; and of each part at each side the loss over rate,
    a parabola in the logarithms of both, whose slope is smooth.
    """

    def __init__(self, measured: Measured) -> None:
        self._levels, self._rate = measured.levels, np.maximum.accumulate(measured.rate)
        flat = measured.lost.reshape(len(self._rate), -1)
        powers = self._rate[:, None] ** np.arange(_POWERS)
        found = np.linalg.lstsq(powers, flat)[0].astype(np.float64)
        self._lost = found.reshape(_POWERS, *measured.lost.shape[1:])

    def at(self, levels: Sequence[float], side: int) -> Trade:
        """side: which one, by its number."""
        rate = np.interp(np.array(levels), self._levels, self._rate).astype(np.float64)
        constant, first, second = self._lost[:, side, None]
        along = rate[:, None]
        lost = constant + along * (first + along * second)
        exchange = 1 / np.clip(-(first + 2 * along * second), *_SLOPES)
        return Trade(*(torch.tensor(values, dtype=torch.float32) for values in (np.exp(rate), np.exp(lost), exchange)))

    def level(self, part: float) -> float:
        """The level at a part of the way from the coarsest to the finest, even in the logarithm of the rate."""
        rate = float(self._rate[0] + part * (self._rate[-1] - self._rate[0]))
        return float(np.interp(rate, self._rate + 1e-9 * np.arange(len(self._rate)), self._levels))


def saved(base: Measured, other: Measured) -> Values:
    """Logarithms of rate over that of ``base`` at equal loss, ``(qualities of other, sides, parts)``.

    ``other`` was measured at some of the levels of ``base``. What it loses more or less than ``base`` there is turned into rate along
    the slope of the curve of ``base``: losses of some crops rise here and there with quality, and between two such points a line means nothing.

    Raises:
        ValueError: it was measured at another level.
    """
    rows = [base.levels.tolist().index(level) for level in other.levels.tolist()]
    curves = Curves(base)
    exchange = np.stack([curves.at(other.levels.tolist(), i).exchange.numpy() for i in range(base.lost.shape[1])], 1)
    return (other.rate - base.rate[rows])[:, None, None] + exchange * (other.lost - base.lost[rows])
