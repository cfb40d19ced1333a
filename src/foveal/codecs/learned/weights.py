"""Weights on disk: a safetensors file under xz and a card of the same name, found by the id that files carry.

Cards are read without torch; it is imported where tensors are.
"""

from __future__ import annotations

import functools
import hashlib
import json
import lzma
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from foveal.codecs.learned.weights_difference import put_together, told_apart
from foveal.errors import UnknownWeightsError

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).parents[2] / "weights"
ID_BYTES = 4
SUFFIX = ".safetensors.xz"
_EXTENDS: Final = "extends"
"""The tensor that holds the id of what these weights extend, so that their own id depends on it."""
_CONTEXTS: Final = ((0, 1, 1), (2, 0, 0), (1, 0, 0), (0, 0, 1))
"""What a byte is coded after, as xz calls it: bits of the one before (lc), whether it and its beginning lie at an even place (lp, pb). Of a float16
one byte is sign and exponent, the other nearly noise; of steps all are alike. The smallest file is kept.
"""


@dataclass(frozen=True, kw_only=True)
class WeightsCard:
    """What is known of one set of weights.

    id: the first four bytes of the SHA-256 of the safetensors file, in hexadecimal. config: the network's sizes.
    recipe: the recipe's name, and where the run departed from it. figures: what the weights score, and how that was measured.
    base: the weights that the file is the difference to (``weights_difference``); None for a file that stands alone.
    extends: the weights whose tensors these are added to, and stand in the place of where names are the same; None for those that are whole.
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
    extends: str | None = None

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
    """Loads a card's tensors, with those that they extend, after checking that the files are those that the cards speak of.

    Raises:
        UnknownWeightsError: a file is missing or has another hash, or what the weights extend is not what it was.
    """
    try:
        data = _unpacked(card.path, card.base)
    except (OSError, EOFError, lzma.LZMAError, ValueError) as error:
        raise UnknownWeightsError(f"cannot read the weights {card.path}: {error}; install foveal again") from error
    if (found := weights_id(data)) != card.id:
        raise UnknownWeightsError(f"{card.path} has id {found}, its card says {card.id}; install foveal again")
    tensors = _loaded(data)
    return tensors if card.extends is None else _extended(card.name, tensors, card.extends)


def named_card(name: str) -> WeightsCard:
    """What the card of that name, of a codec or of anything else, says of its weights.

    Raises:
        UnknownWeightsError: there is none.
    """
    try:
        values = json.loads((FOLDER / f"{name}.json").read_text())
        return WeightsCard(**{f.name: values[f.name] for f in fields(WeightsCard) if f.name in values})
    except (OSError, TypeError, ValueError) as error:
        raise UnknownWeightsError(f"no weights {name!r} with their card in {FOLDER}: {error}; install foveal again") from error


def _extended(name: str, own: dict[str, Tensor], extends: str) -> dict[str, Tensor]:
    """The tensors of the weights ``extends``, and over them one's own.

    Raises:
        UnknownWeightsError: they are not those that ``own`` was made for.
    """
    card, wanted = named_card(extends), own[_EXTENDS].numpy().tobytes().hex()
    if card.id != wanted:
        raise UnknownWeightsError(
            f"the weights {name} extend {extends} of id {wanted}, here it has {card.id}; install foveal again"
        )
    return load_weights(card) | {key: tensor for key, tensor in own.items() if key != _EXTENDS}


def pack_weights(tensors: dict[str, Tensor], base: str | None = None, extends: str | None = None) -> tuple[str, bytes]:
    """The id of tensors, and the bytes of their file: safetensors under xz, which takes off a fifth.

    base: the name of weights like them, in ``FOLDER``, to store the difference to. extends: of those, also there, that the tensors
    are added to when they are loaded.

    Raises:
        UnknownWeightsError: there are no such weights to store the difference to, or to extend.
    """
    import torch
    from safetensors.torch import save as save_safetensors

    if extends is not None:
        tensors = tensors | {_EXTENDS: torch.tensor(list(bytes.fromhex(named_card(extends).id)), dtype=torch.uint8)}
    data = save_safetensors({name: tensor.contiguous() for name, tensor in tensors.items()})
    stored = data if base is None else told_apart(data, _base(base))
    return weights_id(data), _compressed(stored)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name of a safetensors file, under xz if its name ends in ``.xz``, with those that they extend; raises what the libraries
    raise, and as ``load_weights`` of what is extended.
    """
    if path.suffix != ".xz":
        return _loaded(path.read_bytes())
    beside = path.with_name(path.name.removesuffix(SUFFIX) + ".json")
    card: dict[str, Any] = json.loads(beside.read_text()) if beside.exists() else {}
    tensors, extends = _loaded(_unpacked(path, card.get("base"))), card.get("extends")
    return tensors if extends is None else _extended(beside.stem, tensors, extends)


def _compressed(data: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": lc, "lp": lp, "pb": pb} for lc, lp, pb in _CONTEXTS]
    return min((lzma.compress(data, lzma.FORMAT_XZ, filters=[one]) for one in filters), key=len)


def _loaded(data: bytes) -> dict[str, Tensor]:
    from safetensors.torch import load as load_safetensors

    return load_safetensors(data)


def _unpacked(path: Path, base: str | None) -> bytes:
    data = lzma.decompress(path.read_bytes())
    return data if base is None else put_together(data, _base(base))


def _base(name: str) -> bytes:
    card = named_card(name)
    return _unpacked(card.path, card.base)


def weights_id(data: bytes) -> str:
    """The id of a safetensors file: the first four bytes of its SHA-256, in hexadecimal."""
    return hashlib.sha256(data).digest()[:ID_BYTES].hex()
