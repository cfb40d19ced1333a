"""A standard codec in the middle of networks in training: what it makes of crops, and gradients through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from foveal.codecs.around.cards import card_for
from foveal.codecs.around.conditioning import level_of
from foveal.codecs.around.surrogate import STRIDE, Surrogate, load_surrogate
from foveal.errors import MissingDependencyError
from foveal.training.host import Host


@final
@dataclass(frozen=True, eq=False)
class Passed:
    """decoded: ``(n, 3, height, width)`` in 0..1. bits: of each picture, ``(n,)``."""

    decoded: Tensor
    bits: Tensor


def code_through(host: Host, x: Tensor, qualities: list[float]) -> Passed:
    """Codes RGB ``(n, 3, height, width)`` in 0..1, each picture at its quality; no gradients."""
    pixels = (x.detach() * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().contiguous().numpy()
    coded = [host.code(one, quality) for one, quality in zip(pixels, qualities, strict=True)]
    decoded = torch.from_numpy(np.stack([one.decoded for one in coded])).to(x.device)  # pyright: ignore[reportUnknownMemberType]
    bits = torch.tensor([float(one.bits) for one in coded], device=x.device)
    return Passed(decoded.permute(0, 3, 1, 2).float() / 255, bits)


@final
class Middle:
    """A standard codec between the network and those who read: itself forward, its surrogate backward; the surrogate alone where
    the codec cannot be run, as on a machine without PyAV.

    Raises:
        RecipeError: networks cannot be trained around this codec. UnknownWeightsError: it has no surrogate.
    """

    def __init__(self, name: str) -> None:
        self.host = Host(name)
        self.surrogate: Surrogate = load_surrogate(card_for("surrogate", name))
        try:
            self.host.code(np.full((STRIDE, STRIDE, 3), 128, np.uint8), 50)
            self.runs = True
        except MissingDependencyError:
            self.runs = False

    def code(self, x: Tensor, quality: float) -> Passed:
        """Crops at one quality, without gradients."""
        qualities = [quality] * len(x)
        return code_through(self.host, x, qualities) if self.runs else self.through(x, qualities)

    def through(self, x: Tensor, qualities: Sequence[float]) -> Passed:
        """Crops ``(n, 3, crop, crop)`` in 0..1, each at its quality. Gradients of the bits are scaled to the real number, so that what
        the surrogate is wrong by on the whole does no harm.
        """
        surrogate = self.surrogate.to(x.device)
        told = surrogate(x, torch.tensor([level_of(quality) for quality in qualities], device=x.device))
        if not self.runs:
            return Passed(told.picture.clamp(0, 1), told.bits)
        real = code_through(self.host, x, list(qualities))
        bits = real.bits * told.bits / told.bits.detach().clamp_min(1)
        return Passed(told.picture + (real.decoded - told.picture).detach(), bits)
