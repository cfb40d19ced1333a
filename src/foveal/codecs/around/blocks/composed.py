"""The two layers of a file put together, block by block, and the borders between them smoothed. Integers, exact.

The filter is that of HEVC's weak deblocking (ITU-T H.265, 8.7.2.5.7), without its conditions on what the block holds: a block of half size has
no detail next to the border that could suffer. It runs where one block was coded at the full size and the other was not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foveal.codecs.around.blocks.kinds import BLOCK, FULL, Kinds
from foveal.media.color import Plane

Planes = tuple[Plane, ...]
Mask = npt.NDArray[np.bool_]


def grid_of(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of blocks."""
    return -(-height // BLOCK), -(-width // BLOCK)


def spread(blocks: npt.NDArray[np.bool_], side: int, plane: Plane) -> Mask:
    """A value for each block as one for each sample of a plane, of whose blocks each has ``side`` samples a side."""
    return blocks.repeat(side, 0).repeat(side, 1)[: plane.shape[0], : plane.shape[1]]


def sides(planes: Planes, side: int = BLOCK) -> tuple[int, ...]:
    """Samples that a block has along a side in each plane, of which the first has ``side``, and chroma half as many."""
    return (side, *(side // 2 for _ in planes[1:]))


def composed(full: Planes | None, plain: Planes | None, learned: Planes | None, kinds: Kinds, qp: int) -> Planes:
    """Planes of one size, each block from the one of its kind; those of kinds that do not occur may be absent.

    qp: of the full-size layer, by which the borders are smoothed.
    """
    given = [planes for planes in (full, plain, learned) if planes is not None]
    out = tuple(plane.copy() for plane in given[0])
    for number, planes in enumerate((full, plain, learned)):
        chosen = kinds == number
        assert planes is not None or not chosen.any(), "a kind that occurs"
        if planes is not None and planes is not given[0]:
            for plane, own, side in zip(out, planes, sides(out), strict=True):
                np.copyto(plane, own, where=spread(chosen, side, plane))
    is_full = kinds == FULL
    if is_full.any() and not is_full.all():
        most = 1 << max(0, (qp - 24) // 6)
        for plane, side in zip(out, sides(out), strict=True):
            _smooth_columns(plane, is_full, side, most, luma=side == BLOCK)
            _smooth_columns(plane.T, is_full.T, side, most, luma=side == BLOCK)
    return out


def _smooth_columns(plane: Plane, is_full: Mask, side: int, most: int, *, luma: bool) -> None:
    """Across upright borders, in place."""
    for column in range(1, is_full.shape[1]):
        at = column * side
        differs = (is_full[:, column] != is_full[:, column - 1]).repeat(side)[: len(plane)]
        if at + 1 >= plane.shape[1] or not differs.any():
            continue
        p1, p0, q0, q1 = (plane[:, at + i].astype(np.int32) for i in (-2, -1, 0, 1))
        change = (9 * (q0 - p0) - 3 * (q1 - p1) + 8) >> 4 if luma else (4 * (q0 - p0) + p1 - q1 + 4) >> 3
        change = np.where(differs, np.clip(change, -most, most), 0)
        plane[:, at - 1] = np.clip(p0 + change, 0, 255)
        plane[:, at] = np.clip(q0 - change, 0, 255)
