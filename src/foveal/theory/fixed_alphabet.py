"""The entropy definition read without time sharing: H(S|X̂) <= C where X̂ itself, one of two letters, is all that a decoder receives.

H(S|X̂) is concave in the channel, so what satisfies the bound is no convex set, and this function need not be convex: docs/theory.md shows
one that is not. It is computed with certified bounds by branch and bound over the channels, which are a box of as many dimensions as symbols.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from foveal.errors import TheoryError
from foveal.theory.arrays import Array, number
from foveal.theory.source import Source

_MOST_SYMBOLS: Final = 4
_MOST_CELLS: Final = 5_000_000


@dataclass(frozen=True)
class Bracket:
    """lower <= R <= upper, bits; both inf where no channel keeps the bounds. channel: P(second letter | x) of a channel with rate ``upper``."""

    lower: float
    upper: float
    channel: tuple[float, ...]


def counter_example() -> Source:
    """Three symbols and two letters for which the function of this module is not convex in C. The distortion is 0, so D does not matter."""
    labels = np.array([[0.7, 0.3], [1.0, 0.0], [0.0, 1.0]])
    return Source(np.array([0.76, 0.2, 0.04]), labels, np.zeros((3, 2)), name="two letters are not enough")


def fixed_alphabet_rate(source: Source, distortion: float, equivocation: float, *, tolerance_bits: float = 1e-3) -> Bracket:
    """The least I(X; X̂) with E[Δ] <= distortion and H(S|X̂) <= equivocation bits over channels from X to the source's two letters.

    The mutual information of a cell of channels is at least its tangent in the centre, H(S|X̂) at least its least value at a corner; cells that
    can neither break the one nor beat the best channel found are dropped, the others halved.

    Raises:
        TheoryError: more than four symbols of a probability above 0, not two letters, or bounds that are no numbers.
    """
    source = source.without_unused()
    symbols, letters = source.distortion.shape
    if letters != 2 or symbols > _MOST_SYMBOLS:
        raise TheoryError(
            f"{symbols} symbols, {letters} letters; two letters and at most {_MOST_SYMBOLS} symbols can be searched"
        )
    distortion, equivocation = number(distortion, "distortion"), number(equivocation, "equivocation")
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=symbols)))
    centres, half = np.full((1, symbols), 0.5), 0.5
    best, channel, settled, seen = math.inf, np.full(symbols, math.nan), math.inf, 0
    while len(centres):
        corners = centres[:, None] + half * signs
        slope = source.p * (source.distortion[:, 1] - source.distortion[:, 0])
        cost = centres @ slope + float(source.p @ source.distortion[:, 0])
        unknown = _equivocation(source, corners)
        possible = (cost - half * np.abs(slope).sum() <= distortion + 1e-12) & (unknown.min(axis=1) <= equivocation + 1e-12)
        tried = np.concatenate([centres[possible], corners[possible].reshape(-1, symbols)])
        best, channel = _improved(source, tried, distortion, equivocation, best, channel)
        centres = centres[possible]
        least = least_information(source.p, centres, half)
        undecided = least < best - tolerance_bits
        settled = min(settled, float(least[~undecided].min(initial=math.inf)))
        seen += len(centres)
        if seen > _MOST_CELLS:
            settled = min(settled, float(least.min(initial=math.inf)))
            break
        half /= 2
        centres = (centres[undecided][:, None] + half * signs).reshape(-1, symbols)
    return Bracket(min(settled, best), best, tuple(float(w) for w in channel))


def information(p: Array, channels: Array) -> Array:
    """I(X; X̂) in bits of channels to two letters. channels: (channels, symbols), P(second letter | x)."""
    return np.maximum(_binary(channels @ p) - _binary(channels) @ p, 0.0)


def least_information(p: Array, centres: Array, half: float) -> Array:
    """Bits that no channel of the cube of side 2 ``half`` around each centre stays below: the tangent at the centre, as I is convex."""
    gradient = p * (_logit(centres) - _logit(centres @ p)[:, None])
    return np.maximum(information(p, centres) - half * np.abs(gradient).sum(axis=1), 0.0)


def _improved(
    source: Source, channels: Array, distortion: float, equivocation: float, best: float, channel: Array
) -> tuple[float, Array]:
    cost = channels @ (source.p * source.distortion[:, 1]) + (1 - channels) @ (source.p * source.distortion[:, 0])
    kept = channels[(cost <= distortion + 1e-12) & (_equivocation(source, channels) <= equivocation + 1e-12)]
    if not len(kept):
        return best, channel
    rates = information(source.p, kept)
    first = int(rates.argmin())
    return (float(rates[first]), kept[first]) if rates[first] < best else (best, channel)


def _equivocation(source: Source, channels: Array) -> Array:
    """(...,): H(S|X̂) in bits. channels: (..., symbols)."""
    joint = source.p[:, None] * source.labels
    total = np.zeros(channels.shape[:-1])
    for share in (channels, 1 - channels):
        answer = share @ joint
        total = total + _plain_entropy(answer).sum(axis=-1) - _plain_entropy(answer.sum(axis=-1))
    return total


def _plain_entropy(x: Array) -> Array:
    return -x * np.log2(np.where(x > 0, x, 1.0))


def _binary(x: Array) -> Array:
    return _plain_entropy(x) + _plain_entropy(1 - x)


def _logit(x: Array) -> Array:
    return np.log2(x / (1 - x))
