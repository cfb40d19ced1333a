"""The float twin of weights that ship: what training and heads begin with."""

from __future__ import annotations

from typing import Any

from foveal.codecs.learned.frequency.model import FrequencyModel
from foveal.codecs.learned.frequency.networks import thaw
from foveal.codecs.learned.frequency.transforms import FrequencyConfig
from foveal.codecs.learned.weights import Card, cards, load_weights
from foveal.errors import RecipeError


def frequency_card(name: str) -> Card:
    """The card of weights of ``frequency`` by their name. Raises RecipeError: there are none."""
    known = {card.name: card for card in cards() if card.codec == "frequency"}
    if name not in known:
        raise RecipeError(f"no weights {name!r} of frequency; there are {', '.join(known) or 'none'}")
    return known[name]


def float_twin(card: Card) -> FrequencyModel:
    """The network whose exact form a card's weights are. Raises UnknownWeightsError: its file is missing or has another hash."""
    sizes: dict[str, Any] = card.config
    model = FrequencyModel(FrequencyConfig(**sizes))
    model.load_state_dict(thaw(load_weights(card)))
    return model
