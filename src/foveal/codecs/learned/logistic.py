"""The logistic density, which models what a prediction leaves."""

from __future__ import annotations

import torch
from torch import Tensor


def cell_probability(v: Tensor, scale: Tensor) -> Tensor:
    """Probability of the unit cell around ``v`` under a logistic density of mean 0, at least 1e-9."""
    left = -v.abs()  # the left tail, where the difference of two sigmoids keeps its precision
    return (torch.sigmoid((left + 0.5) / scale) - torch.sigmoid((left - 0.5) / scale)).clamp_min(1e-9)
