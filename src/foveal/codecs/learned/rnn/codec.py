"""``rnn-2015`` and ``rnn-2017`` in files (docs/format.md, section 13).

::

    picture ─► residual loop ─► bits of an iteration ─► context and entropy coder ─► one unit, one band
    picture ◄─ decoder, iteration by iteration ◄─ bits ◄─ context and entropy coder ◄─ one unit, one band

Quality is the number of iterations, so every file is the beginning of all larger ones of the same picture but for its HEAD.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.learned.one_band import padded_pixels
from foveal.codecs.learned.rnn.bits import Bits
from foveal.codecs.learned.rnn.frozen import RnnNetworks, load_networks
from foveal.codecs.learned.rnn.loop import (
    blocks,
    decode_block,
    decode_picture,
    encode_block,
    encode_picture,
    from_grid,
    to_grid,
    to_samples,
)
from foveal.codecs.learned.rnn.networks import STRIDE
from foveal.codecs.learned.rnn.payload import read_unit, write_unit
from foveal.codecs.learned.runtime import inference
from foveal.codecs.learned.symbols import (
    describe_learned,
    parameter_of_bands,
    read_preset,
    read_quality,
    write_preset,
    write_quality,
)
from foveal.codecs.learned.weights import card_of, default_card
from foveal.container.alpha import read_alpha, write_alpha
from foveal.container.format import Container, Head, Unit
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.errors import SettingsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture, Samples

PLAIN_SUFFIX = "-plain"
"""Ends the name of a preset whose bits are not entropy coded."""


@final
class RnnPrepared(Prepared):
    """A picture, and as many iterations of it as some quality has asked for so far."""

    def __init__(self, info: CodecInfo, picture: Picture, settings: EncodeSettings) -> None:
        self._preset = preset = settings.preset or info.presets[0]
        self._info, self._picture, self._threads = info, picture, settings.threads
        self._coded = not preset.endswith(PLAIN_SUFFIX)
        self._networks = networks = load_networks(default_card(info.name, preset.removesuffix(PLAIN_SUFFIX)))
        self._alpha = None if picture.alpha is None else write_alpha(picture.alpha)
        self._x = x = padded_pixels(picture, networks.config.tile or STRIDE)
        one = len(blocks(x.shape[2] // STRIDE, x.shape[3] // STRIDE, networks.config)) == 1
        self._running = encode_block(networks, x) if one else None  # of more blocks no states are kept
        self._grids: list[Bits] = []
        self._units: list[Unit] = []

    def encode(self, quality: float) -> bytes:
        iterations = int(self._info.scale.native(quality))
        with inference(self._threads):
            self._iterate(iterations)
            for number in range(len(self._units), iterations):
                self._units.append(write_unit(self._networks, self._grids[:number], self._grids[number], coded=self._coded))
        picture = self._picture
        head = Head(
            self._info.id,
            bytes.fromhex(self._networks.card.id),
            picture.width,
            picture.height,
            gray=picture.is_gray,
            alpha=picture.alpha is not None,
            bands=iterations,
            parameters=write_quality(parameter_of_bands(self._info, iterations)) + write_preset(self._info, self._preset),
            short_sums=True,
        )
        return write_container(Container(head, tuple(self._units[:iterations]), self._alpha, picture.icc, picture.exif))

    def _iterate(self, iterations: int) -> None:
        if self._running is not None:
            while len(self._grids) < iterations:
                self._grids.append(to_grid(next(self._running)))
        elif len(self._grids) < iterations:
            self._grids = encode_picture(self._networks, self._x, iterations)


@final
class RnnCodec(Codec):
    """The codecs ``rnn-2015`` and ``rnn-2017`` (docs/format.md, section 13)."""

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        return RnnPrepared(self.info, picture, settings)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        file = self._open(data, limits, settings)
        with inference(settings.threads):
            return file.picture(decode_picture(file.networks, file.grids, file.head.width, file.head.height, gray=file.head.gray))

    def decode_bands(
        self, data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS, settings: DecodeSettings = DecodeSettings()
    ) -> Iterator[Picture]:
        file = self._open(data, limits, settings)
        networks, head = file.networks, file.head
        _, rows, columns = file.grids[0].shape
        one = len(blocks(rows, columns, networks.config)) == 1
        running = decode_block(networks, [from_grid(grid) for grid in file.grids]) if one else None
        for number in range(len(file.grids)):
            with inference(settings.threads):
                if running is None:
                    samples = decode_picture(networks, file.grids[: number + 1], head.width, head.height, gray=head.gray)
                else:
                    samples = to_samples(next(running)[:, :, : head.height, : head.width], gray=head.gray)
            yield file.picture(samples)

    def _open(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> _Opened:
        container = read_container(data, limits, wanted=_wanted(self.info, settings), partial=settings.allow_partial)
        head = container.head
        read_quality(self.info, head)
        coded = not self.info.presets[read_preset(self.info, head)].endswith(PLAIN_SUFFIX)
        networks = load_networks(card_of(self.info.name, head.weights))
        pad = networks.config.tile or STRIDE
        rows, columns = (-(-side // pad) * pad // STRIDE for side in (head.height, head.width))
        grids: list[Bits] = []
        with inference(settings.threads):
            for unit in container.units:
                grids.append(read_unit(networks, grids, (networks.config.bits, rows, columns), unit, coded=coded))
        alpha = None if container.alpha is None else read_alpha(container.alpha, head.width, head.height)
        return _Opened(head, networks, tuple(grids), alpha, container.icc, container.exif)

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        return describe_learned(self.info, data, limits)

    def bytes_needed(
        self, data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS, settings: DecodeSettings = DecodeSettings()
    ) -> int:
        return read_container(data, limits, wanted=_wanted(self.info, settings), partial=settings.allow_partial).read_bytes


@dataclass(frozen=True)
class _Opened:
    """A file whose bits are decoded."""

    head: Head
    networks: RnnNetworks
    grids: tuple[Bits, ...]
    alpha: Samples | None
    icc: bytes | None
    exif: bytes | None

    def picture(self, samples: Samples) -> Picture:
        return Picture(samples, self.alpha, self.icc, self.exif)


def _wanted(info: CodecInfo, settings: DecodeSettings) -> Callable[[Head, int], bool] | None:
    """Which units of a file a decode reads."""
    bands = settings.bands
    if bands is None:
        return None

    def wanted(head: Head, unit: int) -> bool:
        if bands > head.bands:
            raise SettingsError(
                f"bands = {bands}; the file has {head.bands} iterations of {info.name}: ask for 1 to {head.bands}, or leave it out"
            )
        return unit < bands

    return wanted
