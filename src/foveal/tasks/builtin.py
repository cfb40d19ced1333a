"""``builtin:NAME``: the networks that come with foveal, with their weights and records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from foveal.codecs.learned.weights import FOLDER, WeightsCard, load_weights
from foveal.errors import NetworkError, UnknownWeightsError
from foveal.tasks.networks.base import Network
from foveal.tasks.record import Record

BUILTIN: Final = {"camvid-segment": "camvid-segment-1", "camvid-segment-coded": "camvid-segment-coded-1"}
"""The names that ``builtin:`` takes, and the weights of each."""
GUIDING: Final = {"proxy": "proxy-3"}
"""Networks that guide codecs and answer no task, and the weights of each."""


@dataclass(frozen=True, kw_only=True)
class NetworkCard(WeightsCard):
    """The card of the weights of a task's network. network: what it is called in recipes and after ``builtin:``."""

    network: str


def network_card(name: str, weights: str | None = None) -> NetworkCard:
    """The card of a network's weights. weights: their name, where others than the newest are wanted.

    Raises:
        NetworkError: no network of that name comes with foveal, or its card is not there.
    """
    weights = weights or (BUILTIN | GUIDING).get(name)
    if weights is None:
        raise NetworkError(f"builtin:{name}; there are {', '.join(BUILTIN)}")
    path = FOLDER / f"{weights}.json"
    try:
        return NetworkCard(**json.loads(path.read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise NetworkError(f"cannot read {path}, the card of builtin:{name}: {error}; install foveal again") from error


def load_builtin(name: str, threads: int | None = None) -> tuple[Network, Record]:
    """A network that comes with foveal, and its record. threads: how many a run may use, None for torch's own choice.

    Raises:
        NetworkError: no such network comes with foveal, or it answers no task, or its weights are damaged.
    """
    from foveal.tasks.camvid_segment.running import open_segmenter

    if name in GUIDING:
        raise NetworkError(f"builtin:{name} answers no task, it guides codecs: `foveal importance` shows where it looks")
    card = network_card(name)
    try:
        return open_segmenter(load_weights(card), card, threads)
    except (KeyError, RuntimeError, TypeError, UnknownWeightsError) as error:
        raise NetworkError(f"builtin:{name}: {error}") from error
