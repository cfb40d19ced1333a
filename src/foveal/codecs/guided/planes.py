"""What the filters share: planes of luma and chroma in float, their 8x8 blocks, and the cosine transform of these."""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np
import numpy.typing as npt

from foveal.picture import Samples

SIDE: Final = 8
"""Pixels a side of a block."""
Floats = npt.NDArray[np.float32]
_TO_YCC: Final = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))  # BT.601, as in JPEG
_TO_RGB: Final = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def to_planes(samples: Samples) -> Floats:
    """Y, Cb and Cr ``(3, height, width)`` of RGB, 0..255 and -127.5..127.5; gray as it is, ``(1, height, width)``."""
    if samples.shape[2] == 1:
        return samples.transpose(2, 0, 1).astype(np.float32)
    flat = samples.reshape(-1, 3).astype(np.float32)
    return (np.array(_TO_YCC, np.float32) @ flat.T).reshape(3, *samples.shape[:2])


def take_off(samples: Samples, planes: Floats) -> Samples:
    """Samples ``(height, width, channels)`` less such planes; those are unchanged, bit for bit, where all planes are 0."""
    if planes.shape[0] == 3:
        planes = (np.array(_TO_RGB, np.float32) @ planes.reshape(3, -1)).reshape(planes.shape)
    less: Floats = samples.astype(np.float32)
    less -= planes.transpose(1, 2, 0)
    return np.clip(np.rint(less, out=less), 0, 255, out=less).astype(np.uint8)


def as_blocks(plane: Floats) -> Floats:
    """A view ``(rows, columns, 8, 8)`` of a plane whose sides are multiples of 8."""
    height, width = plane.shape
    return plane.reshape(height // SIDE, SIDE, width // SIDE, SIDE).swapaxes(1, 2)


@functools.cache
def cosine_matrix() -> Floats:
    """``(64, 64)``, orthonormal: ``blocks @ matrix.T`` are their coefficients, the mean first; ``coefficients @ matrix`` goes back."""
    place = np.arange(SIDE, dtype=np.float64)
    waves = np.cos(np.outer(place, 2 * place + 1) * (np.pi / (2 * SIDE))) * math.sqrt(2 / SIDE)
    waves[0] *= math.sqrt(0.5)
    return np.kron(waves, waves).astype(np.float32)
