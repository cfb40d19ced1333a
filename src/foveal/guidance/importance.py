"""How much each pixel matters to machines: the pixel-level importance score (PLIS) and the region of interest for machines (ROIM).

Huang's thesis has both from gradients of a proxy network (arXiv 2104.10315 and its sequel); formulas are not given there. Ours, two:

gradients: the score of a pixel is the mean square of the gradient of the log-likelihood of answers drawn from the proxy's own beliefs,
the diagonal of its Fisher information: how far, to second order, a small error in this pixel moves the distribution of the answers.
Places where any answer is sure, object or none, score low; places where an error would tip it score high.

harm: what such gradients of the proxy's teachers said of the errors that a codec really makes (``tasks/proxy/harm.py``), as one head of
the proxy has learned to foresee it. It takes one pass, and none back.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from foveal.codecs.learned.runtime import inference
from foveal.guidance.reader import TASKS, Scores, check_scores, check_tasks
from foveal.picture import Picture
from foveal.tasks.proxy.network import HEADS, STEP, STRIDES, Proxy
from foveal.tasks.proxy.reading import as_read, shipped_proxy
from foveal.tasks.proxy.surprise import squared_gradients
from foveal.threads import thread_limit

DRAWS: Final = 2
"""Draws of answers; each costs a gradient."""
_SMOOTHING = 2.0  # pixels, of the picture as read
_FLOOR = 1e-3  # of the mean score, so that every pixel has some
_HEADS: Final[Mapping[str, tuple[str, ...]]] = {
    "classify": ("classes",),
    "detect": ("objects",),
    "segment": ("parts",),
    "pose": ("person", "faces"),
}
_FEATURES_PART = 0.02  # of the general features, beside a head whose mean score is 1


@final
@dataclass(frozen=True, eq=False)
class Importance:
    """The score of each pixel of a picture as the proxy read it: float32 ``(rows, columns)``, above 0, the mean 1."""

    score: npt.NDArray[np.float32]

    def blocks(self, rows: int, columns: int) -> npt.NDArray[np.float64]:
        """The mean score of each cell of a grid over the whole picture, or the score there if the grid is finer."""
        coarser = rows <= self.score.shape[0] and columns <= self.score.shape[1]
        how = Image.Resampling.BOX if coarser else Image.Resampling.BILINEAR
        return np.maximum(np.asarray(Image.fromarray(self.score).resize((columns, rows), how), np.float64), 1e-9)

    def region(self, rows: int, columns: int) -> npt.NDArray[np.bool_]:
        """ROIM: the cells that score above the picture's median cell."""
        blocks = self.blocks(rows, columns)
        return blocks > np.median(blocks)


@final
class ProxyReader:
    """Reads importance with the proxy that comes with foveal, or with another. Safe to use from several threads.

    Raises:
        NetworkError: the weights are damaged or missing.
    """

    def __init__(self, proxy: Proxy | None = None) -> None:
        self._proxy = proxy or shipped_proxy()

    def importance(
        self, picture: Picture, tasks: Sequence[str] = TASKS, scores: Scores = "harm", *, threads: int | None = None
    ) -> Importance:
        """The score of each pixel for these tasks together.

        Raises:
            SettingsError: an unknown task, or none; another kind of scores.
        """
        wanted = check_tasks(tasks)
        return (
            self._by_harm(picture, wanted, threads)
            if check_scores(scores) == "harm"
            else self._by_gradients(picture, wanted, threads)
        )

    def _by_harm(self, picture: Picture, tasks: Sequence[str], threads: int | None) -> Importance:
        with inference(threads):
            x = as_read(picture)
            roots = self._proxy.harm(x)[0, [TASKS.index(task) for task in tasks]]
            each = (2 * (roots - roots.amax((1, 2), keepdim=True))).exp()
            score = (each / each.mean((1, 2), keepdim=True)).mean(0)
            whole = functional.interpolate(
                score[None, None], scale_factor=float(STRIDES[0]), mode="bilinear", align_corners=False
            )
            return Importance(_evened(whole[0, 0, : x.shape[2], : x.shape[3]]).numpy())

    def _by_gradients(self, picture: Picture, tasks: Sequence[str], threads: int | None) -> Importance:
        with _gradients(threads):
            read = as_read(picture)
            rows, columns = read.shape[2:]
            # Padded here: else edges would be given the gradients of all that repeats them.
            x = functional.pad(read, (0, -columns % STEP, 0, -rows % STEP), mode="replicate")
            score = squared_gradients(self._proxy, x, self._weights(tasks), DRAWS)
            return Importance(_smooth(score[0, :rows, :columns]).numpy())

    def _weights(self, tasks: Sequence[str]) -> dict[str, float]:
        """The factor of each head's score."""
        scales = {head: float(scale) for head, scale in zip(HEADS, self._proxy.scales, strict=True)}
        asked = {head for task in tasks for head in _HEADS[task]}
        return {head: scales[head] for head in HEADS if head in asked} | {"features": _FEATURES_PART * scales["features"]}

    def feature_errors(
        self, picture: Picture, decoded: Sequence[Picture], *, threads: int | None = None
    ) -> list[npt.NDArray[np.float32]]:
        """How far each decoded picture's features are from the picture's: the mean square over all maps, at each 8 pixels as read."""
        with inference(threads):
            x = as_read(picture)
            own = self._proxy(x).features
            rows, columns = (-(-side // STRIDES[0]) for side in x.shape[2:])
            return [_feature_error(own, self._proxy(as_read(other)).features)[:rows, :columns] for other in decoded]


@contextmanager
def _gradients(threads: int | None = None) -> Generator[None]:
    """As ``runtime.inference``, but with gradients, whatever mode the caller is in."""
    with thread_limit(threads), torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        yield


def _feature_error(own: Sequence[Tensor], other: Sequence[Tensor]) -> npt.NDArray[np.float32]:
    size = own[0].shape[2:]
    maps = [(a - b).square().mean(1, keepdim=True) for a, b in zip(own, other, strict=True)]
    spread = [functional.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in maps]
    return np.ascontiguousarray(torch.stack(spread).mean(0)[0, 0].numpy())


def _smooth(score: Tensor) -> Tensor:
    """A Gaussian over a score ``(rows, columns)``, evened."""
    reach = math.ceil(3 * _SMOOTHING)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / _SMOOTHING).square())
    kernel = (kernel / kernel.sum())[None, None]
    x = functional.pad(score[None, None], (reach,) * 4, mode="replicate")
    return _evened(functional.conv2d(functional.conv2d(x, kernel[:, :, None]), kernel[:, :, :, None])[0, 0])


def _evened(x: Tensor) -> Tensor:
    """A score with a floor, and of mean 1; one of 0 everywhere becomes 1."""
    mean = x.mean()
    return (x / mean + _FLOOR) / (1 + _FLOOR) if mean > 0 else torch.ones_like(x)
