"""The weights of networks around a standard codec, by what they do and for which codec."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Literal, get_args

from foveal.codecs.learned.weights import FOLDER, WeightsCard
from foveal.errors import UnknownWeightsError

Part = Literal["surrogate", "preprocess", "compact", "restore", "upsample"]
"""surrogate: stands in for the codec where gradients are needed. preprocess: before it, for machines. compact: before it, to half the
size. restore: behind it. upsample: behind it, for what was coded at half the size."""
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, kw_only=True)
class AroundCard(WeightsCard):
    """The card of a network around a standard codec.

    host: the codec's name. default: whether this is the one that is used where none is named; others are kept for files that name them.
    reads: the weights of the proxy whose scores the network reads beside the picture, by name; nothing if it reads none.
    """

    part: Part
    host: str
    default: bool
    reads: str = ""


@functools.cache
def around_cards() -> tuple[AroundCard, ...]:
    """The cards of all such networks that came with this installation."""
    found = (json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json")))
    return tuple(AroundCard(**values) for values in found if "part" in values)


def card_for(part: Part, host: str) -> AroundCard:
    """The network that is used around a codec.

    Raises:
        UnknownWeightsError: none came with this installation.
    """
    for card in around_cards():
        if card.part == part and card.host == host and card.default:
            return card
    have = ", ".join(card.host for card in around_cards() if card.part == part and card.default) or "none"
    raise UnknownWeightsError(f"no {part} network for {host}; there is one for: {have}")


def card_named(part: Part, weights_id: bytes) -> AroundCard:
    """The network that a file names.

    Raises:
        UnknownWeightsError: it is not here.
    """
    for card in around_cards():
        if card.part == part and card.id == weights_id.hex():
            return card
    for card in around_cards():
        if card.id == weights_id.hex():
            raise UnknownWeightsError(
                f"the file asks for {card.id} as a {part} network, but that is a {card.part} network for {card.host}; the file is damaged"
            )
    have = ", ".join(f"{card.id} ({card.host})" for card in around_cards() if card.part == part) or "none"
    raise UnknownWeightsError(
        f"the file asks for the {part} network {weights_id.hex()}; here are {have}; the version of foveal that wrote it has it"
    )
