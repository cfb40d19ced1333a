"""What the number of a step draws for networks that see coded pictures: how finely each is coded, and how many bands there are."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from foveal.training.config import LatentTraining, NetworkConfig

_SKEW: Final = 1.3
"""Qualities are ``coarsest + (finest - coarsest) u^1.3``, u even: coarse ones a little more often."""


def draws_of(config: LatentTraining | NetworkConfig, step: int) -> np.random.Generator:
    """The chance of a step, which it and the seed alone decide."""
    return np.random.default_rng((config.seed, step))


def draw_qualities(
    config: LatentTraining | NetworkConfig, chance: np.random.Generator, count: int, device: torch.device
) -> Tensor:
    """One for each of ``count`` pictures, float32."""
    skewed = torch.from_numpy(chance.random(count) ** _SKEW).to(device, torch.float32)
    return config.coarsest + (config.finest - config.coarsest) * skewed


def draw_bands(config: LatentTraining, chance: np.random.Generator) -> int:
    """1 to 3."""
    drawn = chance.random()
    return 1 if drawn < config.one_band else 2 if drawn < config.one_band + config.two_bands else 3
