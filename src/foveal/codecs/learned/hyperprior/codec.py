"""``hyperprior`` in files (docs/format.md, section 9)."""

from __future__ import annotations

from fractions import Fraction
from typing import final

import numpy as np
import torch

from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.learned.gdn_transforms import ANALYSIS_REACH, STRIDE, SYNTHESIS_REACH
from foveal.codecs.learned.hyperprior.networks import HYPER_STRIDE, load_networks
from foveal.codecs.learned.one_band import OneBandPrepared, padded_pixels, read_one_band
from foveal.codecs.learned.quality_levels import level_of
from foveal.codecs.learned.runtime import Reach, inference, run_in_blocks
from foveal.codecs.learned.symbols import check_symbols, describe_learned, symbols_crc
from foveal.codecs.learned.weights import card_of, default_card
from foveal.entropy.coder import SymbolReader, Symbols, SymbolSink
from foveal.entropy.fixed_point import Integers
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture

_HYPER_ANALYSIS_REACH = Reach(Fraction(STRIDE, HYPER_STRIDE), margin=8, step=HYPER_STRIDE // STRIDE)


@final
class HyperpriorPrepared(OneBandPrepared):
    """A picture after analysis and hyper analysis, ready for any quality."""

    def __init__(self, info: CodecInfo, picture: Picture, settings: EncodeSettings) -> None:
        self._networks, self._threads = load_networks(default_card(info.name, settings.preset)), settings.threads
        super().__init__(info, self._networks.card, picture)
        with inference(settings.threads):
            y = run_in_blocks(self._networks.analysis, padded_pixels(picture, HYPER_STRIDE), ANALYSIS_REACH, 1)
            y = y / torch.from_numpy(self._networks.normalising())
            self._z = run_in_blocks(self._networks.hyper_analysis, y, _HYPER_ANALYSIS_REACH, STRIDE)[0].contiguous().numpy()
            self._y = y[0, :, : _samples(picture.height), : _samples(picture.width)].contiguous().numpy()

    def _code(self, parameter: int, steps: Integers | None, sink: SymbolSink) -> int:
        """Puts the symbols of z, then those of y; returns the CRC of all. The registry says that there is no map."""
        assert steps is None
        networks, level = self._networks, level_of(parameter)
        z = np.rint(self._z / networks.hyper_steps(level)).astype(np.int32)
        sink.put(z, networks.hyper_tables(level))
        with inference(self._threads):
            prediction = networks.predict(level, z, *self._y.shape[1:])
        y = np.rint(self._y / networks.steps(level) - prediction.mean).astype(np.int32)
        sink.put(y, networks.tables, prediction.index)
        return symbols_crc(_both(z, y))


@final
class HyperpriorCodec(Codec):
    """The codec ``hyperprior`` (docs/format.md, section 9)."""

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        return HyperpriorPrepared(self.info, picture, settings)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        file = read_one_band(self.info, data, limits, settings)
        networks, level = load_networks(card_of(self.info.name, file.head.weights)), level_of(file.parameter)
        width, height = file.head.width, file.head.height

        reader = SymbolReader(file.unit.payload)
        shape = (len(networks.hyper_log_steps), -(-height // HYPER_STRIDE), -(-width // HYPER_STRIDE))
        z = reader.take(networks.hyper_tables(level), shape)
        with inference():
            prediction = networks.predict(level, z, _samples(height), _samples(width))
        y = reader.take(networks.tables, prediction.index.shape, prediction.index)
        check_symbols(_both(z, y), file.unit)
        reader.finish()

        with inference():
            latent = torch.from_numpy(networks.latent(level, y, prediction.mean))[None]
            return file.picture(run_in_blocks(networks.synthesis, latent, SYNTHESIS_REACH, STRIDE))

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        return describe_learned(self.info, data, limits)


def _samples(side: int) -> int:
    """The samples of y that a side of a picture takes."""
    return -(-side // STRIDE)


def _both(z: Symbols, y: Symbols) -> Symbols:
    return np.concatenate([z.reshape(-1), y.reshape(-1)])
