"""Multi-context feature distortion (MCFD): what a block's coarseness does to features around it, in the rate-distortion choice.

The picture is coded whole at several steps. Of each coding, each block has an estimated part of the bits, its squared error, and the
error of the proxy's features over contexts of growing reach around it, because a block alone means nothing to a network
(multi-scale feature distortion of Huang et al., arXiv 2104.10315; layers, reaches and weights are ours). Squared error counts by the
block's importance. Then each block takes the step of least ``D + lambda R``, with the lambda at which the bits are those of the
picture's own step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from foveal.guidance.importance import Importance, ProxyReader
from foveal.picture import Picture

Grid = npt.NDArray[np.float64]

_REACHES: Final = (0, 8, 16)
"""Pixels around a block that a context takes in."""
_CELL = 8
_CHOICES_AN_OCTAVE = 6
_DCT: Final = np.array(
    [[np.sqrt((1 if k == 0 else 2) / 8) * np.cos(np.pi * (n + 0.5) * k / 8) for n in range(8)] for k in range(8)], np.float32
)


@final
@dataclass(frozen=True, eq=False)
class Coding:
    """The picture coded whole, ``octaves`` coarser than its own step: what came back, and the bits that it took."""

    octaves: float
    decoded: Picture
    bits: float


@final
@dataclass(frozen=True)
class FeatureDistortion:
    """How distortion is measured. feature: the part of the features in it, 0..1; the rest is squared error of the samples, each block's
    weighed by its importance.
    """

    feature: float = 0.3

    def octaves(
        self,
        reader: ProxyReader,
        picture: Picture,
        codings: Sequence[Coding],
        importance: Importance,
        rows: int,
        columns: int,
        *,
        threads: int | None = None,
    ) -> Grid:
        """The step of each of ``rows x columns`` blocks that cover the picture, in octaves over the picture's own.

        ``codings``: two or more, the finest first, one of them at 0 octaves. Weighed errors and features are scaled to the mean of
        squared error, each, so that the multiplier keeps its meaning.
        """
        at: Grid = np.array([coding.octaves for coding in codings], np.float64)
        own = int(np.flatnonzero(at == 0)[0])
        errors = np.stack([_sample_error(picture, coding.decoded, rows, columns) for coding in codings])
        seen = reader.feature_errors(picture, [coding.decoded for coding in codings], threads=threads)
        features = np.stack([_context_error(error, picture, rows, columns) for error in seen])
        weighed = errors * importance.blocks(rows, columns)
        of_samples, of_features = (
            values * (errors[own].mean() / max(1e-12, values[own].mean())) for values in (weighed, features)
        )
        distortion = (1 - self.feature) * of_samples + self.feature * of_features
        activity = _activity(picture, at, _step_of(errors[own]), rows, columns)
        rate = activity * (np.array([coding.bits for coding in codings]) / activity.sum((1, 2)))[:, None, None]
        choices = _choices(float(at[0]), float(at[-1]))
        return _choose(choices, _between(at, distortion, choices), _between(at, rate, choices), float(codings[own].bits))


def _choices(finest: float, coarsest: float) -> Grid:
    """The steps that a block may take, in octaves; both ends and 0 are among them."""
    even = range(math.ceil(finest * _CHOICES_AN_OCTAVE), math.floor(coarsest * _CHOICES_AN_OCTAVE) + 1)
    return np.unique(np.array([finest, *(step / _CHOICES_AN_OCTAVE for step in even), coarsest], np.float64))


def _choose(choices: Grid, distortion: Grid, rate: Grid, bits: float) -> Grid:
    """The choice of least cost of each block, at the smallest multiplier that spends no more than these bits."""
    low, high = -40.0, 40.0
    best = np.argmin(distortion + 2.0**high * rate, 0)
    for _ in range(50):
        middle = (low + high) / 2
        chosen = np.argmin(distortion + 2.0**middle * rate, 0)
        if float(np.take_along_axis(rate, chosen[None], 0).sum()) > bits:
            low = middle
        else:
            high, best = middle, chosen
    return choices[best]


def _between(at: Grid, values: Grid, choices: Grid) -> Grid:
    """Values at all choices: their logarithms are taken as linear between codings, and as never turning back."""
    logs = np.log(np.maximum(values, 1e-9))
    rising = values[-1].sum() > values[0].sum()
    logs = np.maximum.accumulate(logs, 0) if rising else np.minimum.accumulate(logs, 0)
    upper = np.clip(np.searchsorted(at, choices), 1, len(at) - 1)
    share = ((choices - at[upper - 1]) / (at[upper] - at[upper - 1]))[:, None, None]
    return np.exp(logs[upper - 1] * (1 - share) + logs[upper] * share)


def _sample_error(picture: Picture, decoded: Picture, rows: int, columns: int) -> Grid:
    """Mean squared error over all channels in each cell of a grid."""
    error = np.square(picture.samples.astype(np.float32) - decoded.samples).mean(2)
    return np.asarray(Image.fromarray(error).resize((columns, rows), Image.Resampling.BOX), np.float64)


def _context_error(error: npt.NDArray[np.float32], picture: Picture, rows: int, columns: int) -> Grid:
    """The mean over contexts of the feature error around each block."""
    fine = (-(-picture.height // _CELL), -(-picture.width // _CELL))
    cells = torch.from_numpy(np.array(Image.fromarray(error).resize((fine[1], fine[0]), Image.Resampling.BILINEAR)))[None, None]
    total = np.zeros((rows, columns))
    for reach in _REACHES:
        wide = torch.nn.functional.avg_pool2d(cells, 2 * (reach // _CELL) + 1, 1, reach // _CELL, count_include_pad=False)
        total += np.asarray(Image.fromarray(wide[0, 0].numpy()).resize((columns, rows), Image.Resampling.BOX), np.float64)
    return total / len(_REACHES)


def _step_of(errors: Grid) -> float:
    """The quantiser's step, from the error of a uniform quantiser; coarser than that at low rates, where it hardly matters."""
    return float(np.sqrt(12 * max(errors.mean(), 0.1)))


def _activity(picture: Picture, at: Grid, step: float, rows: int, columns: int) -> Grid:
    """What each block costs at each step up to a factor: the logarithms of its transform coefficients in steps."""
    gray = picture.samples[:, :, 0] if picture.is_gray else np.asarray(Image.fromarray(picture.samples).convert("L"))
    height, width = gray.shape[0] + -gray.shape[0] % 8, gray.shape[1] + -gray.shape[1] % 8
    luma = np.pad(gray, ((0, height - gray.shape[0]), (0, width - gray.shape[1])), mode="edge").astype(np.float32)
    blocks = luma.reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3)
    size = np.abs(_DCT @ blocks @ _DCT.T).reshape(height // 8, width // 8, 64)[:, :, 1:]
    out: list[Grid] = []
    for octaves in at:
        cost = np.log2(1 + np.square(size / np.float32(step * 2.0**octaves))).sum(2)
        out.append(np.asarray(Image.fromarray(cost).resize((columns, rows), Image.Resampling.BOX), np.float64) + 0.5)
    return np.stack(out)
