"""Labels in pixels, from the size that they were made for to that of the picture which is given. The rule is ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import LabelError


@final
@dataclass(frozen=True)
class Fit:
    """made_for, size: width and height in pixels, of what was labelled and of the picture."""

    made_for: tuple[int, int]
    size: tuple[int, int]

    def points(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions ``(..., 2)``, x and y in pixels of the picture."""
        return points * (np.array(self.size) / np.array(self.made_for))


def fit(made_for: tuple[int, int], size: tuple[int, int], where: str) -> Fit:
    """How labels made for one size lie on a picture of another, if it is the same picture enlarged or reduced.

    Raises:
        LabelError: no one scale brings each side of the first within a pixel of the second's. ``where`` begins the message.
    """
    least, most = zip(*(((own - 1) / made, (own + 1) / made) for own, made in zip(size, made_for, strict=True)), strict=True)
    if size != made_for and max(least) >= min(most):
        raise LabelError(
            f"{where}: labelled at {_text(made_for)}, and the picture has {_text(size)} pixels; one is not the other enlarged or "
            "reduced: give the picture that was labelled, or correct the label's width and height"
        )
    return Fit(made_for, size)


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
