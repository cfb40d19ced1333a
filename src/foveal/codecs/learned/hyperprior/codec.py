"""``hyperprior`` in files (docs/format.md, section 9)."""

from __future__ import annotations

from fractions import Fraction
from typing import final

import numpy as np
import torch

from foveal.codecs.base import Codec, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.learned.gdn_transforms import ANALYSIS_REACH, STRIDE, SYNTHESIS_REACH
from foveal.codecs.learned.hyperprior.networks import HYPER_STRIDE, load_networks
from foveal.codecs.learned.quality_levels import level_of
from foveal.codecs.learned.runtime import Reach, inference, run_in_blocks
from foveal.codecs.learned.symbols import (
    check_symbols,
    describe_learned,
    quality_parameter,
    read_quality,
    symbols_crc,
    write_quality,
)
from foveal.codecs.learned.weights import card_of, default_card
from foveal.container.alpha import read_alpha, write_alpha
from foveal.container.format import Container, Head, Unit
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.entropy.coder import BitCounter, SymbolReader, Symbols, SymbolSink, SymbolWriter
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.padding import pad_to_multiple
from foveal.picture import Picture

_HYPER_ANALYSIS_REACH = Reach(Fraction(STRIDE, HYPER_STRIDE), margin=8, step=HYPER_STRIDE // STRIDE)


@final
class HyperpriorPrepared(Prepared):
    """A picture after analysis and hyper analysis, ready for any quality."""

    def __init__(self, codec: HyperpriorCodec, picture: Picture, settings: EncodeSettings) -> None:
        self._codec, self._picture, self._threads = codec, picture, settings.threads
        self._alpha = None if picture.alpha is None else write_alpha(picture.alpha)
        self._networks = load_networks(default_card(codec.info.name))
        samples = pad_to_multiple(picture.rgb(), HYPER_STRIDE)
        with inference(settings.threads):
            x = torch.from_numpy(samples).permute(2, 0, 1)[None].float() / 255
            y = run_in_blocks(self._networks.analysis, x, ANALYSIS_REACH, 1)
            y = y / torch.from_numpy(self._networks.normalising())
            self._z = run_in_blocks(self._networks.hyper_analysis, y, _HYPER_ANALYSIS_REACH, STRIDE)[0].contiguous().numpy()
            self._y = y[0, :, : _samples(picture.height), : _samples(picture.width)].contiguous().numpy()

    def encode(self, quality: float) -> bytes:
        parameter, writer = self._parameter(quality), SymbolWriter()
        crc = self._code(parameter, writer)
        return self._file(parameter, Unit(0, crc, writer.finish()))

    def size(self, quality: float) -> int:
        parameter, counter = self._parameter(quality), BitCounter()
        self._code(parameter, counter)
        return len(self._file(parameter, Unit(0, 0, b""))) + counter.size_bytes

    def _parameter(self, quality: float) -> int:
        return quality_parameter(self._codec.info, quality)

    def _code(self, parameter: int, sink: SymbolSink) -> int:
        """Puts the symbols of z, then those of y; returns the CRC of all."""
        networks, level = self._networks, level_of(parameter)
        z = np.rint(self._z / networks.hyper_steps(level)).astype(np.int32)
        sink.put(z, networks.hyper_tables(level))
        with inference(self._threads):
            prediction = networks.predict(level, z, *self._y.shape[1:])
        y = np.rint(self._y / networks.steps(level) - prediction.mean).astype(np.int32)
        sink.put(y, networks.tables, prediction.index)
        return symbols_crc(_both(z, y))

    def _file(self, parameter: int, unit: Unit) -> bytes:
        picture, card = self._picture, self._networks.card
        head = Head(
            self._codec.info.id,
            bytes.fromhex(card.id),
            picture.width,
            picture.height,
            gray=picture.is_gray,
            alpha=picture.alpha is not None,
            parameters=write_quality(parameter),
        )
        return write_container(Container(head, (unit,), self._alpha, picture.icc, picture.exif))


@final
class HyperpriorCodec(Codec):
    """The codec ``hyperprior`` (docs/format.md, section 9)."""

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        DEFAULT_LIMITS.check_size(picture.width, picture.height)
        return HyperpriorPrepared(self, picture, settings)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        container = read_container(data, limits, partial=settings.allow_partial)
        head = container.head
        level = level_of(read_quality(self.info, head))
        networks = load_networks(card_of(self.info.name, head.weights))
        unit = container.units[0]
        alpha = None if container.alpha is None else read_alpha(container.alpha, head.width, head.height)

        reader = SymbolReader(unit.payload)
        shape = (len(networks.hyper_log_steps), -(-head.height // HYPER_STRIDE), -(-head.width // HYPER_STRIDE))
        z = reader.take(networks.hyper_tables(level), shape)
        with inference():
            prediction = networks.predict(level, z, _samples(head.height), _samples(head.width))
        y = reader.take(networks.tables, prediction.index.shape, prediction.index)
        check_symbols(_both(z, y), unit)
        reader.finish()

        with inference():
            latent = torch.from_numpy(networks.latent(level, y, prediction.mean))[None]
            x = run_in_blocks(networks.synthesis, latent, SYNTHESIS_REACH, STRIDE)[0, :, : head.height, : head.width]
            x = x.mean(0, keepdim=True) if head.gray else x
            samples = (x * 255).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        return Picture(samples, alpha, container.icc, container.exif)

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        return describe_learned(self.info, data, limits)


def _samples(side: int) -> int:
    """The samples of y that a side of a picture takes."""
    return -(-side // STRIDE)


def _both(z: Symbols, y: Symbols) -> Symbols:
    return np.concatenate([z.reshape(-1), y.reshape(-1)])
