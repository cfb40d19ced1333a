"""Quality as integers: a level between nodes, and the weight of each node, the same on every machine.

What depends on quality is stored at ``NODES`` equidistant qualities and is linear between them.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, arange

from foveal.codecs.learned.exact import ACTIVATION_MAX
from foveal.codecs.learned.gains import QUALITY_MAX, QUALITY_MIN
from foveal.codecs.learned.symbols import PARAMETER_MAX
from foveal.entropy.fixed_point import Integers

NODES = 8
HAT_MAX = ACTIVATION_MAX
LEVEL_MAX = HAT_MAX * (NODES - 1)


def level_of(parameter: int) -> int:
    """The level, 0..``LEVEL_MAX``, that a file's 16-bit quality parameter stands for."""
    return (parameter * LEVEL_MAX + PARAMETER_MAX // 2) // PARAMETER_MAX


def integer_hats(level: Integers | int) -> Integers:
    """Weights of the nodes out of ``HAT_MAX``, for linear interpolation: levels of any shape to ``(NODES, *shape)``."""
    levels = np.asarray(level, np.int64)
    nodes = HAT_MAX * np.arange(NODES).reshape(-1, *[1] * levels.ndim)
    return np.maximum(HAT_MAX - np.abs(levels[None] - nodes), 0)


def float_hats(quality: Tensor) -> Tensor:
    """The same out of 1, for qualities 1..100: ``(batch,)`` or ``(batch, 1, h, w)`` to ``(batch, NODES, h, w)``."""
    quality = quality.reshape(len(quality), 1, *(quality.shape[2:] or (1, 1)))
    t = (quality.clamp(QUALITY_MIN, QUALITY_MAX) - QUALITY_MIN) / (QUALITY_MAX - QUALITY_MIN) * (NODES - 1)
    nodes = arange(NODES, device=quality.device, dtype=quality.dtype)[:, None, None]
    return (1 - (t - nodes).abs()).clamp_min(0)
