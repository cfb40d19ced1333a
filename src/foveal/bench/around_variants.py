"""Networks around a codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from foveal.bench.readers import Reader
from foveal.bench.variant import Opened, Variant
from foveal.codecs.around.chain import Around, Restore
from foveal.codecs.base import Codec, CodecInfo, EncodeSettings
from foveal.errors import SettingsError


@final
@dataclass(frozen=True)
class InNetworks(Variant):
    """A codec between networks."""

    around: Around

    @property
    def spelling(self) -> str:
        if self.around.preprocess is None:
            return "compact" if self.around.restore == "compact" else "restored"
        return "=".join(part for part in (self.around.preprocess, self.around.trained_for) if part)

    def check(self, info: CodecInfo, bands: int | None) -> None:
        self.around.check(info)

    def open(self, codec: str, readers: Sequence[Reader], threads: int | None) -> Opened:
        return Opened(self._id(self.around.weights_of(codec)), self.around.wrap)


@final
@dataclass(frozen=True)
class SteeredInNetworks(Variant):
    """A codec between networks, and steered besides, such as ``machine:npp``: as ``foveal encode`` does both, the picture is first
    what ``steered`` makes of it, then what the network does.
    """

    steered: Variant
    between: InNetworks

    @property
    def spelling(self) -> str:
        return f"{self.between.spelling}:{self.steered.spelling}"

    def check(self, info: CodecInfo, bands: int | None) -> None:
        self.steered.check(info, bands)
        self.between.check(info, bands)

    def settings(self, plain: EncodeSettings) -> EncodeSettings:
        return self.steered.settings(plain)

    def open(self, codec: str, readers: Sequence[Reader], threads: int | None) -> Opened:
        inner, outer = self.between.open(codec, readers, threads), self.steered.open(codec, readers, threads)

        def wrap(plain: Codec) -> Codec:
            return outer.wrap(inner.wrap(plain))

        return Opened(f"{inner.id}-{outer.id}", wrap)


def preprocessed_variant(value: str) -> Variant:
    """``npp``, or ``npp=hevc``: by the network that was trained for another codec."""
    return InNetworks(Around(preprocess="npp", trained_for=value or None))


def compact_variant(value: str) -> Variant:
    """``compact``: half the size, restored."""
    return InNetworks(Around(restore=_bare("compact", value, "compact")))


def restored_variant(value: str) -> Variant:
    """``restored``: full size, restored."""
    return InNetworks(Around(restore=_bare("restored", value, "full")))


def _bare(name: str, value: str, restore: Restore) -> Restore:
    if value:
        raise SettingsError(f"{name}={value}; {name} takes no value")
    return restore
