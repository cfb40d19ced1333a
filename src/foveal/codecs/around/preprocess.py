"""Pictures that a network prepares for machines before a standard codec (``npp``). What comes out is a plain file of that codec."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, final

import numpy as np

from foveal.codecs.base import Codec, EncodeSettings, Prepared, QualityScale
from foveal.codecs.wrapped import WrappedCodec
from foveal.errors import SettingsError
from foveal.picture import Picture

if TYPE_CHECKING:
    from foveal.codecs.around.cards import AroundCard

PREPROCESSORS: Final = ("npp",)
"""The networks that may be named."""
_OWN: Final = ("jpeg", "hevc")
_FOR_OTHERS: Final = "hevc"
"""Codecs with a network of their own, and whose network all others get: it carries over to most, JPEG's to none (docs/results/around-codec.md)."""
_AT_BPP: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
_QUALITY_AT: Final[Mapping[str, tuple[float, ...]]] = {
    "jpeg": (5.7, 10.6, 21.5, 53.3, 85.0),
    "hevc": (9.7, 20.4, 31.5, 44.9, 61.1),
    "vvc": (21.5, 31.1, 43.5, 55.7, 70.8),
    "jpeg2000": (13.4, 22.0, 33.1, 48.2, 69.0),
    "webp": (1.0, 4.0, 25.1, 68.4, 88.3),
    "avif": (8.7, 25.8, 42.9, 60.5, 83.1),
    "jxl": (1.0, 10.7, 31.2, 70.7, 88.4),
    "av1": (15.9, 28.0, 42.1, 59.9, 84.7),
    "kvazaar": (12.9, 22.1, 32.1, 46.2, 61.2),
}
"""The quality of each codec at which files take ``_AT_BPP`` bits a pixel: the mean of eight of the photographs for training, less headers.
1 where files are never so small."""
_KEPT: Final = 3  # prepared pictures; a search goes back to none but the last ones


def preprocessing(codec: Codec, name: str = "npp", trained_for: str | None = None) -> Codec:
    """A codec whose pictures the network ``name`` prepares for machines, at the quality that is asked for.

    trained_for: the codec whose network it is; None for its own, or that of HEVC where it has none. A foreign network is asked for the quality at which
    its own codec's files take as many bits, so far as eight photographs say (``_QUALITY_AT``).

    Raises:
        SettingsError: another name, or a learned codec.
        UnknownWeightsError: there is no such network for that codec, or its weights are missing or damaged.
    """
    if name not in PREPROCESSORS:
        raise SettingsError(f"preprocess = {name!r}; {', '.join(PREPROCESSORS)} is allowed, or leave it out")
    if codec.info.learned:
        raise SettingsError(
            f"{codec.info.name} is a learned codec, and {name} prepares pictures for standard ones: "
            f"choose one of {', '.join(_QUALITY_AT)}, or leave preprocess out"
        )
    from foveal.codecs.around.cards import card_for  # torch comes with it

    own = codec.info.name
    host = host_of(own, trained_for)
    card = card_for("preprocess", host)
    return Preprocessed(codec, card, lambda quality: quality if host == own else alike(quality, own, host))


def host_of(codec: str, trained_for: str | None = None) -> str:
    """The codec whose network ``codec`` gets: ``trained_for`` if that is told, else its own or that of HEVC."""
    return trained_for or (codec if codec in _OWN else _FOR_OTHERS)


def alike(quality: float, codec: str, other: str) -> float:
    """The quality of another codec whose files take about as many bits as those of this one, between 0.1 and 1.6 bits a pixel."""
    logs = [math.log(bpp) for bpp in _AT_BPP]
    return float(np.interp(np.interp(quality, _QUALITY_AT[codec], logs), logs, _QUALITY_AT[other]))


@final
class Preprocessed(WrappedCodec):
    """A standard codec behind the network of a card. asks: from the codec's quality to that which the network is told.

    The network knows a range of qualities, and at others does as at the nearest end of it. Alpha stays as it is.

    Raises:
        UnknownWeightsError: as ``load_npp``.
    """

    def __init__(self, codec: Codec, card: AroundCard, asks: Callable[[float], float]) -> None:
        from foveal.codecs.around.npp import load_npp

        super().__init__(codec)
        self._net, self._asks = load_npp(card), asks

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        from foveal.codecs.around.conditioning import level_of

        config = self._net.config

        def prepared(quality: float) -> Prepared:
            told = min(config.fine, max(config.coarse, self._asks(quality)))
            samples = self._net.process(picture.samples, level_of(told), threads=settings.threads)
            return self._codec.prepare(replace(picture, samples=samples), settings)

        return _AtQuality(prepared, self.info.scale)


@final
class _AtQuality(Prepared):
    """A picture that is another one at each quality. The last few are kept, for a search asks for the same again."""

    def __init__(self, prepared: Callable[[float], Prepared], scale: QualityScale) -> None:
        self._prepared, self._scale = prepared, scale
        self._kept: OrderedDict[float, Prepared] = OrderedDict()

    def encode(self, quality: float) -> bytes:
        return self._at(quality).encode(quality)

    def _at(self, quality: float) -> Prepared:
        """By the codec's own parameter, so that where it is an integer neighbouring qualities give the same file."""
        scale = self._scale
        settled = 1 + 99 * (scale.native(quality) - scale.coarse) / (scale.fine - scale.coarse)
        if settled not in self._kept:
            self._kept[settled] = self._prepared(settled)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(settled)
        return self._kept[settled]
