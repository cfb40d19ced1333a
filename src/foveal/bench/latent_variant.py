"""Files whose latents are read in place of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from foveal.bench.readers import Reader
from foveal.bench.variant import Opened, Variant
from foveal.codecs.base import Codec, CodecInfo
from foveal.errors import NetworkError, SettingsError
from foveal.picture import Picture
from foveal.tasks.choice import LATENT_CODEC, StandIn, stand_in
from foveal.tasks.results import Result


@final
@dataclass(frozen=True)
class ReadLatents(Variant):
    """The codec as it is; in each network's place answers the head that stands in for it, from the same file."""

    @property
    def spelling(self) -> str:
        return "latent"

    def check(self, info: CodecInfo, bands: int | None) -> None:
        if info.name != LATENT_CODEC:
            raise SettingsError(f"{info.name}:latent; files of {LATENT_CODEC} alone have latents that heads read")

    def open(self, codec: str, readers: Sequence[Reader], threads: int | None) -> Opened:
        from foveal.tasks.latent.weights import latent_cards

        heads = {head for card in latent_cards() for head in card.heads.split(",")}
        for reader in readers:
            found = _found(reader)
            if found is None or found.head not in heads:
                raise SettingsError(
                    f"{codec}:latent: no head stands in for {reader.task.label}; heads here are {', '.join(sorted(heads)) or 'none'}: leave this network out"
                )
        return Opened(self._id(*(card.id for card in latent_cards())), _whole, _Heads(threads).answer)


def latent_variant(value: str) -> Variant:
    """``latent``."""
    if value:
        raise SettingsError(f"latent={value}; latent takes no value")
    return ReadLatents()


def _found(reader: Reader) -> StandIn | None:
    return None if reader.spec is None else stand_in(reader.spec)


def _whole(codec: Codec) -> Codec:
    return codec


@final
class _Heads:
    """Heads in the place of networks, opened when first needed."""

    def __init__(self, threads: int | None) -> None:
        self._threads = threads
        self._opened: dict[tuple[str, str], Any] = {}

    def answer(self, reader: Reader, data: bytes, decoded: Picture) -> Result:
        """Of the bands that the file has. Raises NetworkError: no head reads files of its weights."""
        from foveal.codecs.learned.frequency.latents import read_latents

        latents = read_latents(data, allow_partial=True, threads=self._threads)
        return self._head(reader, latents.weights).analyze(latents)

    def _head(self, reader: Reader, weights: str) -> Any:
        from foveal.tasks.latent.feature_task import open_head
        from foveal.tasks.latent.weights import card_for

        key = reader.task.label, weights
        if key not in self._opened:
            found = _found(reader)
            assert found is not None
            card = card_for(weights, found.head)
            if card is None:
                raise NetworkError(f"no head in the place of {reader.task.label} reads files of weights {weights}")
            self._opened[key] = open_head(card, found.head, found.file, self._threads)
        return self._opened[key]
