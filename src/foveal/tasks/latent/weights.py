"""Weights of the networks that read latents, found by the id of the codec's weights that a file names."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass

from foveal.codecs.learned.weights import FOLDER, Card, WeightsCard, load_weights
from foveal.errors import RecipeError
from foveal.tasks.latent.network import LatentConfig, LatentNetwork
from foveal.tasks.residual import ready


@dataclass(frozen=True, kw_only=True)
class LatentCard(WeightsCard):
    """The card of a trunk and its heads.

    reads: the id of the codec's weights whose latents it reads. heads: the tasks that it answers, between commas. least_bands: how many
    bands of a file it needs.
    """

    reads: str
    heads: str
    least_bands: int = 1


@functools.cache
def latent_cards() -> tuple[LatentCard, ...]:
    """All that came with this installation."""
    found = (json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json")))
    return tuple(LatentCard(**values) for values in found if "heads" in values)


def card_for(weights: str, task: str) -> LatentCard | None:
    """The newest weights with a head for ``task`` that read latents of the codec's weights of this id; None if there are none."""
    return next((card for card in reversed(latent_cards()) if card.reads == weights and task in card.heads.split(",")), None)


def latent_card(name: str, codec: Card | None = None) -> LatentCard:
    """The weights of that name, which read latents of the codec's weights ``codec``, if they are given.

    Raises:
        RecipeError: there are none.
    """
    known = {card.name: card for card in latent_cards() if codec is None or card.reads == codec.id}
    if name not in known:
        of = "" if codec is None else f" of {codec.name}"
        raise RecipeError(f"no networks {name!r} read latents{of}; there are {', '.join(known) or 'none'}")
    return known[name]


@functools.lru_cache(maxsize=4)
def load_network(card: LatentCard) -> LatentNetwork:
    """The network that runs; it is shared and never changed.

    Raises:
        UnknownWeightsError: the file is missing or has another hash. RuntimeError: tensors of other sizes than the card says.
    """
    network = LatentNetwork(LatentConfig(**card.config), folded=True)  # type: ignore[arg-type]
    ready(network, load_weights(card))
    return network
