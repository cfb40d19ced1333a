"""Sides that a codec cannot hold: padded by repeating the edge, cropped after decoding."""

from __future__ import annotations

import numpy as np

from foveal.picture import Samples


def pad_to_multiple(samples: Samples, multiple: int, *, least: int = 1) -> Samples:
    """Repeats the last row and column of ``(height, width, channels)`` until both sides are multiples, ``least`` or more."""
    height, width = (max(least, -(-side // multiple) * multiple) for side in samples.shape[:2])
    return np.pad(samples, ((0, height - samples.shape[0]), (0, width - samples.shape[1]), (0, 0)), mode="edge")
