"""Lossless alpha: a difference filter and zlib (docs/format.md, section 5)."""

from __future__ import annotations

import zlib

import numpy as np

from foveal.container.bounded import inflate
from foveal.errors import DamagedError
from foveal.picture import Samples


def write_alpha(alpha: Samples) -> bytes:
    """Codes uint8 ``(height, width)`` with the filter that gives the fewest bytes."""
    zero = np.uint8(0)
    filtered = (alpha, np.diff(alpha, axis=1, prepend=zero), np.diff(alpha, axis=0, prepend=zero))
    return min((bytes([i]) + zlib.compress(f.tobytes(), 9) for i, f in enumerate(filtered)), key=len)


def read_alpha(body: bytes, width: int, height: int) -> Samples:
    """Decodes what ``write_alpha`` gave.

    Raises:
        DamagedError: an unknown filter, or not exactly ``width * height`` samples.
    """
    if not body or body[0] > 2:
        raise DamagedError(f"alpha has filter {body[0] if body else 'none'}; 0, 1 or 2 is allowed")
    samples = inflate(body[1:], width * height, "alpha")
    if len(samples) != width * height:
        raise DamagedError(f"alpha has {len(samples)} samples; the picture has {width * height}")
    filtered = np.frombuffer(samples, np.uint8).reshape(height, width)
    return filtered.copy() if body[0] == 0 else np.cumsum(filtered, axis=2 - body[0], dtype=np.uint8)
