"""The factorized prior: one density per latent channel, the same at every position and every rate."""

from __future__ import annotations

from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foveal.entropy.grid import CDF_BITS, unit_knots

_TAIL = 16.0  # scales of the widest component that the frozen grid covers: exp(-16) is below 2^-23


@final
class LogisticMixturePrior(nn.Module):
    """A mixture of logistic densities for each channel of the latent ``y``.

    The density belongs to ``y`` itself, not to its quantised form, so a single one serves every step
    size: a symbol ``k`` at gain ``g`` has probability ``F((k + 1/2) / g) - F((k - 1/2) / g)``.

    Reference: ours, in the place of the piecewise-linear densities of Ballé et al., ICLR 2017.
    """

    def __init__(self, channels: int, components: int = 3) -> None:
        super().__init__()
        spread = torch.linspace(-4.5, -1.0, components)
        self.logits = nn.Parameter(torch.zeros(channels, components))
        self.means = nn.Parameter(torch.zeros(channels, components))
        self.log_scales = nn.Parameter(spread.repeat(channels, 1))

    def likelihood(self, v: Tensor, gain: Tensor) -> Tensor:
        """Probability of the unit cell around ``v`` (latent times gain).

        ``v``: ``(batch, channels, height, width)``; ``gain``: ``(batch, channels, 1, 1)``; result like ``v``.
        """
        weights = self.logits.softmax(1)
        total = torch.zeros_like(v)
        for k in range(weights.shape[1]):
            mean, scale = self.means[:, k, None, None], self.log_scales[:, k, None, None].exp()
            centre = v / gain - mean
            half = 0.5 / gain
            # Mirrored into the left tail, where the difference of two sigmoids keeps its precision.
            left = -centre.abs()
            mass = torch.sigmoid((left + half) / scale) - torch.sigmoid((left - half) / scale)
            total = total + weights[:, k, None, None] * mass
        return total

    @torch.no_grad()
    def freeze(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Samples the distribution functions on the integer grid that the decoder uses.

        Returns ``extent`` ``(channels,)``, the value of ``y`` that the grid's end stands for, and
        ``cdf`` ``(channels, knots)``, cumulative probabilities out of ``2**CDF_BITS``.
        """
        means, scales = self.means.double(), self.log_scales.double().exp()
        weights = self.logits.double().softmax(1)
        extent = (means.abs() + _TAIL * scales).amax(1)
        y = extent[:, None] * torch.from_numpy(unit_knots())[None, :]
        cdf = (weights[:, None] * torch.sigmoid((y[:, :, None] - means[:, None]) / scales[:, None])).sum(2)
        counts = (cdf * 2.0**CDF_BITS).round().to(torch.int32).numpy()
        counts[:, 0], counts[:, -1] = 0, 1 << CDF_BITS
        return extent.numpy(), counts
