"""What ships of the recurrent codecs: float networks in 8 bits, the exact network of the bits, and its tables."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foveal.codecs.learned.exact import frozen_layers, settle_layers, thawed_layers
from foveal.codecs.learned.narrow import narrowed, widened
from foveal.codecs.learned.rnn.bits import BitContext, bit_tables, frozen_ones
from foveal.codecs.learned.rnn.model import RnnModel
from foveal.codecs.learned.rnn.networks import Decoder, Encoder, RnnConfig
from foveal.codecs.learned.runtime import ready
from foveal.codecs.learned.weights import Card, load_weights
from foveal.entropy.tables import Tables

_FLOATS = ("encoder.", "decoder.")


@dataclass(frozen=True)
class RnnNetworks:
    """The frozen codec. tables: of the bits, one for each level of the logit that ``context`` gives."""

    card: Card
    config: RnnConfig
    encoder: nn.Module
    decoder: nn.Module
    context: BitContext
    tables: Tables


@torch.no_grad()
def freeze(model: RnnModel) -> dict[str, Tensor]:
    """The tensors that ship: convolutions of encoder and decoder in 8 bits with a scale for each output channel, the bits' network and tables in integers."""
    tensors: dict[str, Tensor] = {}
    for name, t in model.state_dict().items():
        if name.startswith(_FLOATS):
            tensors |= narrowed(name, t) if t.ndim == 4 else {name: t.half()}
    return tensors | frozen_layers(model.prior, "prior.") | {"tables.ones": torch.from_numpy(frozen_ones())}


def thaw(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state that training goes on from, of weights that ship."""
    return widened(weights, _FLOATS) | thawed_layers(weights)


@functools.lru_cache(maxsize=4)
def load_networks(card: Card) -> RnnNetworks:
    """Loads a set of weights; the result is shared and never changed."""
    weights = load_weights(card)
    config = RnnConfig(**card.config)  # type: ignore[arg-type]
    # Not on the meta device: its first use costs over a second. What the initial weights draw is given back.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        encoder, decoder = Encoder(config), Decoder(config)
        context = BitContext(config.bits, config.context, config.iterations)
    settle_layers(context, weights, "prior.")
    floats = widened(weights, _FLOATS)
    return RnnNetworks(
        card,
        config,
        ready(encoder, floats, "encoder."),
        ready(decoder, floats, "decoder."),
        context.eval().requires_grad_(False),
        bit_tables(weights["tables.ones"].numpy()),
    )
