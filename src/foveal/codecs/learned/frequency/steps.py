"""The steps of a band as a codec runs them: what a step does not code is not computed, and what is not known is not read.

Arrays are in *coding order*: rows are the places of one corner of all 2x2 squares after the other, each from the top, and
columns are steps. At every place each step codes another quarter of the channels, so that the symbols of step ``t`` are
``x[:, t]`` of ``x`` ``(places, STEPS, latent / STEPS)``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foveal.codecs.learned.exact import ACTIVATION_MAX
from foveal.codecs.learned.frequency.prior import STEPS, BandPrior, StepPrior

Array = npt.NDArray[Any]


@final
class Places:
    """The places of a band of ``height`` and ``width``, in coding order and back.

    size: height and width. count: how many. corners: the rows of each corner.
    """

    def __init__(self, height: int, width: int) -> None:
        numbers = np.arange(height * width).reshape(height, width)
        corners = [numbers[corner // 2 :: 2, corner % 2 :: 2] for corner in range(STEPS)]
        ends = np.cumsum([corner.size for corner in corners]).tolist()
        self.size, self.count = (height, width), height * width
        self.corners = [slice(end - corner.size, end) for corner, end in zip(corners, ends, strict=True)]
        order = np.concatenate([corner.reshape(-1) for corner in corners])
        self._order, self._inverse = torch.from_numpy(order), torch.from_numpy(np.argsort(order))

    def rows_of(self, x: Tensor) -> Tensor:
        """``(places, c)`` in coding order of ``x`` ``(1, c, h, w)``."""
        return x[0].permute(1, 2, 0).flatten(0, 1).index_select(0, self._order)

    def image_of(self, rows: Tensor) -> Tensor:
        """``(1, c, h, w)`` of ``rows`` ``(places, c)`` in coding order."""
        return rows.index_select(0, self._inverse).reshape(1, *self.size, -1).permute(0, 3, 1, 2)

    def to_coded(self, x: Array) -> Array:
        """``(places, STEPS, c / STEPS)`` of ``x`` ``(h, w, c)``."""
        height, width = self.size
        groups = x.reshape(height, width, STEPS, -1)
        out = np.empty((height * width, *groups.shape[2:]), x.dtype)
        for corner, rows in enumerate(self.corners):
            part = groups[corner // 2 :: 2, corner % 2 :: 2].reshape(-1, *groups.shape[2:])
            out[rows, corner:], out[rows, :corner] = part[:, : STEPS - corner], part[:, STEPS - corner :]
        return out

    def from_coded(self, x: Array) -> Array:
        """``(h, w, c)`` of ``x`` ``(places, STEPS, c / STEPS)``."""
        height, width = self.size
        out = np.empty((height, width, *x.shape[1:]), x.dtype)
        for corner, rows in enumerate(self.corners):
            into = out[corner // 2 :: 2, corner % 2 :: 2]
            part = x[rows].reshape(*into.shape)
            into[:, :, : STEPS - corner], into[:, :, STEPS - corner :] = part[:, :, corner:], part[:, :, :corner]
        return out.reshape(height, width, -1)


@functools.lru_cache(maxsize=64)
def places_of(height: int, width: int) -> Places:
    """``Places``, shared."""
    return Places(height, width)


@dataclass(frozen=True)
class Lit:
    """The channels of features that are not 0 everywhere, for the others add nothing: about half of those that ship.

    rows: ``(places, count)`` in coding order. channels: their ``count`` numbers.
    """

    rows: Tensor
    channels: Tensor

    @staticmethod
    def of(features: Tensor, places: Places) -> Lit:
        """Of features ``(1, width, h, w)``, which are not negative."""
        rows = places.rows_of(features)
        channels = rows.amax(0).nonzero()[:, 0]
        return Lit(rows.index_select(1, channels), channels)


@final
class BandSteps:
    """The steps of a settled ``BandPrior``: the integers that its ``step`` gives, for nothing is rounded inside a sum."""

    def __init__(self, prior: BandPrior) -> None:
        self._steps = [_CodedStep(step, number, prior.latent) for number, step in enumerate(prior.steps)]

    def step(self, number: int, features: Lit, known: Tensor, places: Places) -> tuple[Tensor, Tensor]:
        """Means and logarithms of scales (to base 2) of what a step codes, both ``(places, latent / STEPS)``.

        ``known``: ``(places, STEPS, latent / STEPS)``, of which the steps before are read.
        """
        return self._steps[number](features, known, places)


@final
class _CodedStep:
    """One step. ``_known`` and ``_leave`` hold for each corner the weights that it needs there, ``(c_in, c_out)``."""

    def __init__(self, step: nn.Module, number: int, latent: int) -> None:
        assert isinstance(step, StepPrior)
        enter, leave = step.enter.weight.detach().flatten(1), step.leave.weight.detach().flatten(1)
        inputs = enter.shape[1] - (latent if number else 0)
        self._enter, self._bias = enter[:, :inputs].T.contiguous(), step.enter.bias.detach()
        self._block, self._number = step.block, number
        self._known: list[Tensor] = []
        self._leave: list[tuple[Tensor, Tensor]] = []
        for corner in range(STEPS):
            if number:
                before = [(step - corner) % STEPS for step in range(number)]
                self._known.append(enter[:, inputs:].reshape(len(enter), STEPS, -1)[:, before].flatten(1).T.contiguous())
            coded = (number - corner) % STEPS
            weight = leave.reshape(2, STEPS, latent // STEPS, -1)[:, coded].flatten(0, 1).T.contiguous()
            self._leave.append((weight, step.leave.bias.detach().reshape(2, STEPS, -1)[:, coded].flatten()))

    def __call__(self, features: Lit, known: Tensor, places: Places) -> tuple[Tensor, Tensor]:
        sums = torch.addmm(self._bias, features.rows, self._enter.index_select(0, features.channels))
        before = known[:, : self._number].flatten(1)
        for rows, weight in zip(places.corners, self._known, strict=False):  # none in the first step
            sums[rows].addmm_(before[rows], weight)
        x = places.image_of(sums.floor_().clamp_(0, ACTIVATION_MAX))
        rows = places.rows_of(self._block(x))
        out = torch.cat(
            [torch.addmm(bias, rows[part], weight) for part, (weight, bias) in zip(places.corners, self._leave, strict=True)]
        )
        mean, scale = out.floor_().chunk(2, 1)
        return mean, scale
