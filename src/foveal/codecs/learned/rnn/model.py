"""The recurrent codec as it trains: the residual loop unrolled, and the entropy coder's network learning beside it.

Reference: Toderici et al., "Variable rate image compression with recurrent neural networks", ICLR 2016 (arXiv 1511.06085),
section 3.1 (binariser, residual loop); Toderici et al., CVPR 2017, sections 2.1 and 2.2 (cells, reconstruction).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.learned.exact import UNIT
from foveal.codecs.learned.rnn.bits import PAST, STEPS, BitContext, step_masks
from foveal.codecs.learned.rnn.cells import State
from foveal.codecs.learned.rnn.networks import Decoder, Encoder, RnnConfig
from foveal.codecs.learned.rnn.start import start_as_transform


@dataclass(frozen=True, eq=False)
class Unrolled:
    """What the iterations gave, one entry each. error: the mean absolute residual of each picture, ``(batch,)``, samples in 0..1.

    bits: the mean over all bits of what the entropy coder would take for one, 1 at most for one that knows nothing.
    """

    error: list[Tensor]
    squared: list[Tensor]
    bits: list[Tensor]


@final
class RnnModel(nn.Module):
    """Encoder, binariser, decoder and bit context; ``unroll`` runs the loop."""

    def __init__(self, config: RnnConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        start_as_transform(self.encoder, self.decoder, config)
        self.prior = BitContext(config.bits, config.context, config.iterations)

    def forward(self, x: Tensor, iterations: int, *, stochastic: bool = False, mixed: torch.autocast | None = None) -> Unrolled:
        """Codes pictures ``(batch, 3, 16 h, 16 w)`` in 0..1.

        stochastic: bits are drawn with the odds that the encoder gives them, as the papers train; else they are its signs.
        mixed: in which the float networks compute; the residual loop itself stays in float32.
        """
        target = x - 0.5
        reconstruction = torch.zeros_like(target)
        encoder_states: tuple[State, ...] = ()
        decoder_states: tuple[State, ...] = ()
        past: list[Tensor] = []
        result = Unrolled([], [], [])
        for iteration in range(iterations):
            with mixed or torch.autocast(x.device.type, enabled=False):
                odds, encoder_states = self.encoder(target - reconstruction, encoder_states, iteration)
                bits = binarise(odds.float(), stochastic=stochastic)
                decoded, decoder_states = self.decoder(bits, decoder_states, iteration)
            additive = self.config.reconstruction == "additive"
            reconstruction = decoded.float() + reconstruction if additive else decoded.float()
            residual = target - reconstruction
            result.error.append(residual.abs().mean((1, 2, 3)))
            result.squared.append((x - (reconstruction.detach() + 0.5).clamp(0, 1)).square().mean((1, 2, 3)))
            past.insert(0, bits.detach())
            result.bits.append(self._bits(past, iteration))
        return result

    def _bits(self, past: list[Tensor], iteration: int) -> Tensor:
        """What a bit of the newest grid takes, on the mean, estimated at one step drawn for each picture; in bits."""
        newest = past[0]
        batch, channels, rows, columns = newest.shape
        masks = step_masks(channels, rows, columns, newest.device)
        step = torch.randint(STEPS, (batch,), device=newest.device)
        order = masks.float().argmax(0)  # (channels, rows, columns): the step of each bit
        known = newest * (order[None] < step[:, None, None, None])
        older = (past[1:] + [torch.zeros_like(newest)] * PAST)[:PAST]
        logit = self.prior(torch.cat([known, *older], 1), iteration) / UNIT
        nats = functional.softplus(-logit * newest)
        here = masks[step]
        # A picture's steps hold equally many bits, but for one-place pictures; so the mean over the drawn ones is the mean over all.
        return (nats * here).sum() / here.sum().clamp_min(1) / torch.log(torch.tensor(2.0))


def binarise(odds: Tensor, *, stochastic: bool) -> Tensor:
    """-1 or 1 of values in -1..1: the sign, or a draw whose mean is the value; the gradient passes as if nothing had happened."""
    with torch.no_grad():
        threshold = 2 * torch.rand_like(odds) - 1 if stochastic else torch.zeros_like(odds)
        bits = torch.where(odds >= threshold, 1.0, -1.0)
    return bits + (odds - odds.detach())
