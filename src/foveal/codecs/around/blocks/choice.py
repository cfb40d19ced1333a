"""Which blocks are coded at half the size: by what each would cost at either size, and what a border between the two costs.

D is the squared error of RGB, lambda what a bit is worth in it. It is that of HEVC at this quality, measured as the slope of x265's own curve (preset medium) on 16
photographs, 481x321 to 1024x768: 1397, 716, 357, 194, 99.5 and 51.7 of mean squared error for a bit a pixel at crf 48.5, 45.5, 42.5, 39.5, 36.5 and
33.5, each the geometric mean. It doubles every 3.15 crf.

x265 does not tell, through PyAV, what a block took. So the bits of a layer, which are known, are shared out by the coefficients of its decoded
picture: log2(1 + (c / step)^2) of each in a cosine transform of 8x8, without the first. The decoded picture serves better than the original, as what the quantiser
left out took no bits.

A border between blocks of different kinds costs as much as half a block: neither layer has anything beside it to predict from, and what stands in
for the other's blocks has to be coded. With one colour in their place, the mean of what is left, it was 110 bits in the full-size layer and 60 in the other, for
each side of a block, on four photographs at crf 44 to 50; continued smoothly from the border it was 160 and 110, and what the decoder had made of either, coded again, gained
nothing. So the choice is one of least energy with a price on borders (``BORDER_BITS``).
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import numpy.typing as npt

from foveal.codecs.around.blocks.composed import Mask, Planes, sides, spread
from foveal.codecs.around.blocks.kinds import BLOCK
from foveal.media.color import Plane
from foveal.picture import Samples

BORDER_BITS: Final = 170.0
_SLOPE, _SLOPE_CRF, _OCTAVE_CRF = 98.5, 36.5, 3.15
_TRANSFORM: Final = 8
_SWEEPS: Final = 20
_STARTS: Final = (1, 3, 5, 9)  # blocks a side, over which a start of the search is a mean

_Floats = npt.NDArray[np.float64]


def slope_at(crf: float) -> float:
    """Lambda: the squared error of RGB, the mean over channels, summed over pixels, that a bit is worth."""
    return _SLOPE * 2 ** ((crf - _SLOPE_CRF) / _OCTAVE_CRF)


def squared_error(picture: Samples, decoded: Samples) -> npt.NDArray[np.float32]:
    """Of each pixel, the mean over channels."""
    difference = picture.astype(np.int16) - decoded
    return np.square(difference, dtype=np.int32).mean(2, dtype=np.float32)


def block_sums(values: npt.NDArray[np.floating], side: int = BLOCK) -> _Floats:
    """Sums over blocks, ``(rows, columns)`` of them; the last ones may be smaller."""
    rows = np.add.reduceat(values, range(0, values.shape[0], side), axis=0, dtype=np.float64)
    return np.add.reduceat(rows, range(0, values.shape[1], side), axis=1)


def shared_bits(decoded: Planes, bits: float, crf: float, side: int) -> _Floats:
    """The bits of a layer, shared out to its blocks of ``side`` samples of luma."""
    step = 2 ** ((crf - 3 - 4) / 6)  # 3 crf above the QP, whose step is 1 at 4
    busy: _Floats | float = 0.1  # a block without any coefficient takes something too
    for plane, own in zip(decoded, sides(decoded, side), strict=True):
        busy = busy + block_sums(_busy(plane, step), own // _TRANSFORM)
    return bits * busy / np.sum(busy)


def _busy(plane: npt.NDArray[np.generic], step: float) -> npt.NDArray[np.float32]:
    """Of each 8x8, about the bits of its coefficients."""
    height, width = (-(-n // _TRANSFORM) * _TRANSFORM for n in plane.shape)
    padded = np.pad(plane, ((0, height - plane.shape[0]), (0, width - plane.shape[1])), mode="edge").astype(np.float32)
    blocks = padded.reshape(height // _TRANSFORM, _TRANSFORM, -1, _TRANSFORM).transpose(0, 2, 1, 3)
    found = _cosines() @ blocks @ _cosines().T
    found[:, :, 0, 0] = 0
    return np.log2(1 + np.square(found / np.float32(step))).sum((2, 3))


@functools.cache
def _cosines() -> npt.NDArray[np.float32]:
    k, i = np.arange(_TRANSFORM)[:, None], np.arange(_TRANSFORM)[None]
    basis = np.cos(np.pi * (2 * i + 1) * k / (2 * _TRANSFORM)) * np.sqrt(2 / _TRANSFORM)
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)


def least_cost(gain: _Floats, border: float) -> Mask:
    """Which blocks to code at half the size: ``gain`` is what each saves by it, ``border`` what each side costs where kinds differ.

    Iterated conditional modes from several starts, smoothed more and less, both kinds alone among them; the cheapest end counts.
    """
    starts = [np.zeros(gain.shape, bool), np.ones(gain.shape, bool), *(_mean_around(gain, side) > 0 for side in _STARTS)]
    ends = [_settled(start, gain, border) for start in starts]
    return min(ends, key=lambda half: _cost(half, gain, border))


def _cost(half: Mask, gain: _Floats, border: float) -> float:
    edges = np.count_nonzero(half[1:] != half[:-1]) + np.count_nonzero(half[:, 1:] != half[:, :-1])
    return border * edges - float(gain[half].sum())


def _settled(half: Mask, gain: _Floats, border: float) -> Mask:
    """Moves blocks of one colour of a chess board at a time to the kind that is cheaper beside their neighbours, until none moves."""
    board = np.indices(gain.shape).sum(0) % 2
    for _ in range(_SWEEPS):
        before = half
        for colour in (0, 1):
            padded = np.pad(np.where(half, 1, -1), 1)
            beside = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
            half = np.where(board == colour, gain + border * beside > 0, half)
        if (half == before).all():
            break
    return half


def _mean_around(values: _Floats, side: int) -> _Floats:
    padded = np.pad(values, side // 2, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, (side, side)).mean((2, 3))


def filled(planes: Planes, keep: Mask, side: int) -> Planes:
    """Planes whose blocks, ``side`` samples of luma a side, have the mean of all that are kept, but for these."""
    return tuple(_filled(plane, spread(keep, own, plane)) for plane, own in zip(planes, sides(planes, side), strict=True))


def _filled(plane: Plane, kept: Mask) -> Plane:
    return np.where(kept, plane, np.uint8(round(float(plane[kept].mean()))))
