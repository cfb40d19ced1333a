"""A guide as QPs of square blocks: what the encoders of HEVC take. Ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from foveal.codecs.guide import Guide
from foveal.codecs.held_rate import hold_size
from foveal.codecs.standard.av_frames import Region
from foveal.media.color import YCbCr

QP_PER_OCTAVE: Final = 6
_HELD_STEP = 0.4  # QP for one of quality in a search: as much file as hold_size expects of it

QPs = npt.NDArray[np.int64]
"""``(rows, columns)``, one for each block of a picture."""
Offsets = npt.NDArray[np.float64]
"""The same, continuous."""


def block_offsets(guide: Guide, width: int, height: int, planes: YCbCr, side: int) -> Offsets:
    """What a guide over ``width`` x ``height`` pixels adds to the QP of each block of ``side`` pixels; padding is as the edge."""
    rows, columns = blocks(planes, side)
    if guide.is_flat:
        return np.full((rows, columns), QP_PER_OCTAVE * float(guide.octaves[0, 0]))
    offsets = QP_PER_OCTAVE * guide.on_cells(width, height, side)
    beyond = ((0, rows - offsets.shape[0]), (0, columns - offsets.shape[1]))
    return np.pad(offsets, beyond, mode="edge")


def blocks(planes: YCbCr, side: int) -> tuple[int, int]:
    """How many rows and columns of blocks of ``side`` pixels a picture has."""
    height, width = planes.planes[0].shape
    return -(-height // side), -(-width // side)


def shared_out(wanted: Offsets) -> QPs:
    """Whole numbers in place of continuous ones: the fraction of each is made up by area.

    A block is rounded up if it is, row by row from the top, in the first ``fraction`` of the picture, else down. So many
    blocks of equal fraction have it as their mean, and sizes move evenly with what is added to all.
    """
    rows, columns = wanted.shape
    whole = np.floor(wanted)
    order = np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)
    return whole.astype(np.int64) + (order < np.rint((wanted - whole) * columns * rows))


def regions_of(steps: QPs, side: int, width: int, height: int) -> tuple[Region, ...]:
    """Few regions that give blocks of ``side`` pixels their steps; of those that overlap, the first counts.

    What is most frequent is one region under all others. Those are runs of a row, made higher while the next row has the same.
    """
    values, counts = np.unique(steps, return_counts=True)
    ground = int(values[np.argmax(counts)])
    found: list[Region] = []
    above: dict[tuple[int, int, int], int] = {}  # begin, end and step of a run: the row where it began
    rows, columns = steps.shape
    for row in range(rows + 1):
        here: dict[tuple[int, int, int], int] = {}
        if row < rows:
            line = steps[row]
            begins = np.flatnonzero(np.r_[True, line[1:] != line[:-1]])
            for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), columns], strict=True):
                if (step := int(line[begin])) != ground:
                    run = (begin, end, step)
                    here[run] = above.get(run, row)
        for run, top in above.items():
            if here.get(run) != top:
                begin, end, step = run
                right, bottom = min(end * side, width), min(row * side, height)
                found.append(Region(begin * side, top * side, right - begin * side, bottom - top * side, step))
        above = here
    return (*found, Region(0, 0, width, height, ground)) if ground else tuple(found)


def held(encode: Callable[[float], bytes], parameter: float, size: int) -> bytes:
    """The stream whose size is nearest to ``size``, of a QP around ``parameter``, at most 20 away."""
    coded: dict[float, bytes] = {}

    def size_of(quality: float) -> int:
        coded[quality] = encode(parameter + _HELD_STEP * (50 - quality))
        return len(coded[quality])

    return coded[hold_size(size_of, size).quality]
