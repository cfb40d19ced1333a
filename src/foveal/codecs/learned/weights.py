"""Weights on disk: a safetensors file under xz and a card of the same name, found by the id that files carry."""

from __future__ import annotations

import functools
import hashlib
import json
import lzma
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from foveal.errors import UnknownWeightsError

FOLDER = Path(__file__).parents[2] / "weights"
ID_BYTES = 4
SUFFIX = ".safetensors.xz"
_FILTERS: Final[list[dict[str, Any]]] = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 1, "pb": 1}]
"""Bytes at odd places apart from those at even ones: of a float16 one is sign and exponent, the other nearly noise."""


@dataclass(frozen=True, kw_only=True)
class WeightsCard:
    """What is known of one set of weights.

    id: the first four bytes of the SHA-256 of the safetensors file, in hexadecimal. config: the network's sizes.
    recipe: the recipe's name, and where the run departed from it. figures: what the weights score, and how that was measured.
    base: the weights, of the same sizes, that the bytes of the file are the difference to, each modulo 256; None for a file that stands alone.
    """

    name: str
    id: str
    config: dict[str, int | float | str] = field(hash=False)
    data: str
    data_terms: str
    recipe: str
    steps: int
    minutes: float
    machine: str
    figures: str
    licence: str
    base: str | None = None

    @property
    def path(self) -> Path:
        """The safetensors file, under xz."""
        return FOLDER / f"{self.name}{SUFFIX}"


@dataclass(frozen=True, kw_only=True)
class Card(WeightsCard):
    """The card of a codec's weights; .fvl files carry their id.

    default: whether ``encode`` uses these weights where its preset is asked for; others of the same codec are kept to decode older files.
    preset: the one that takes these weights; None for weights that serve all presets of the codec.
    """

    codec: str
    default: bool
    preset: str | None = None


@functools.cache
def cards() -> tuple[Card, ...]:
    """The cards of all codecs' weights that came with this installation."""
    found = (json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json")))
    return tuple(Card(**values) for values in found if "codec" in values)


def default_card(codec: str, preset: str | None = None) -> Card:
    """The weights that ``encode`` uses; a codec with several sets has a preset for each, or one set for all its presets.

    Raises:
        UnknownWeightsError: this installation has none for the codec.
    """
    for card in cards():
        if card.codec == codec and card.default and (preset is None or card.preset in (None, preset)):
            return card
    wanted = codec if preset is None else f"{codec} with preset {preset}"
    raise UnknownWeightsError(f"this installation has no weights for {wanted}; `foveal train` makes them")


def card_of(codec: str, weights_id: bytes) -> Card:
    """The weights that a file names.

    Raises:
        UnknownWeightsError: they are not here.
    """
    for card in cards():
        if card.codec == codec and card.id == weights_id.hex():
            return card
    have = ", ".join(card.id for card in cards() if card.codec == codec) or "none"
    raise UnknownWeightsError(
        f"the file was made with weights {weights_id.hex()} of {codec}; here are {have}; the version of foveal that wrote it has them"
    )


def load_weights(card: WeightsCard) -> dict[str, Tensor]:
    """Loads a card's tensors, after checking that the file is the one that the card speaks of.

    Raises:
        UnknownWeightsError: the file is missing or has another hash.
    """
    try:
        data = _unpacked(card.path, card.base)
    except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise UnknownWeightsError(f"cannot read the weights {card.path}: {error}; install foveal again") from error
    if (found := weights_id(data)) != card.id:
        raise UnknownWeightsError(f"{card.path} has id {found}, its card says {card.id}; install foveal again")
    return load_safetensors(data)


def pack_weights(tensors: dict[str, Tensor], base: str | None = None) -> tuple[str, bytes]:
    """The id of tensors, and the bytes of their file: safetensors under xz, which takes off a fifth.

    base: the name of weights of the same sizes, in ``FOLDER``, to store the difference to.

    Raises:
        ValueError: they are of other sizes.
    """
    data = save_safetensors({name: tensor.contiguous() for name, tensor in tensors.items()})
    stored = data if base is None else _moved(data, base, -1)
    return weights_id(data), lzma.compress(stored, lzma.FORMAT_XZ, filters=_FILTERS)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name of a safetensors file, under xz if its name ends in ``.xz``; raises what the libraries raise."""
    if path.suffix != ".xz":
        return load_safetensors(path.read_bytes())
    beside = path.with_name(path.name.removesuffix(SUFFIX) + ".json")
    return load_safetensors(_unpacked(path, json.loads(beside.read_text()).get("base") if beside.exists() else None))


def _unpacked(path: Path, base: str | None) -> bytes:
    data = lzma.decompress(path.read_bytes())
    return data if base is None else _moved(data, base, 1)


def _moved(data: bytes, base: str, sign: int) -> bytes:
    """Each byte plus, or minus, that of the base, modulo 256."""
    stored = lzma.decompress((FOLDER / f"{base}{SUFFIX}").read_bytes())
    if len(stored) != len(data):
        raise ValueError(f"{len(data)} bytes, where {base}, which they are told apart from, has {len(stored)}")
    own, other = np.frombuffer(data, np.uint8), np.frombuffer(stored, np.uint8)
    return (own + np.uint8(sign % 256) * other).tobytes()


def weights_id(data: bytes) -> str:
    """The id of a safetensors file: the first four bytes of its SHA-256, in hexadecimal."""
    return hashlib.sha256(data).digest()[:ID_BYTES].hex()
