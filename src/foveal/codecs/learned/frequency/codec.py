"""The codec ``frequency``: pictures to files and back (docs/format.md, section 8).

::

    picture ─► analysis (in blocks) ─► y_0, y_1, y_2 ─► for each tile, for each band: walk_band ─► one unit
    picture ◄─ synthesis (in blocks) ◄─ ŷ_0, ŷ_1, ŷ_2 ◄──────────────────────────── walk_band ◄─ one unit
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from foveal.codecs.base import Codec, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.learned.frequency.bands import SymbolEncoder, hats_at, walk_band
from foveal.codecs.learned.frequency.networks import load_networks
from foveal.codecs.learned.frequency.plan import Plan, area_of, make_plan, read_plan, wanted_units
from foveal.codecs.learned.frequency.reading import decode_tiles, for_each
from foveal.codecs.learned.frequency.tiling import ADAPTED_MARGIN, MARGIN, Rect, analyse, padded, synthesise, tile_side
from foveal.codecs.learned.frequency.transforms import BANDS, STRIDES
from foveal.codecs.learned.gains import octave_in_quality
from foveal.codecs.learned.held_map import hold_map
from foveal.codecs.learned.quality_levels import level_of
from foveal.codecs.learned.quality_map import CELL, guide_steps, write_map
from foveal.codecs.learned.runtime import inference
from foveal.codecs.learned.symbols import describe_learned, quality_parameter, symbols_crc, write_quality
from foveal.codecs.learned.weights import card_of, default_card
from foveal.container.alpha import read_alpha, write_alpha
from foveal.container.format import Container, Head, Tiling, Unit
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.entropy.coder import BitCounter, SymbolSink, SymbolWriter
from foveal.entropy.fixed_point import Integers
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture


@final
class FrequencyPrepared(Prepared):
    """A picture after analysis, ready for any quality."""

    def __init__(self, codec: FrequencyCodec, picture: Picture, settings: EncodeSettings) -> None:
        self._codec, self._picture, self._settings = codec, picture, settings
        self._alpha = None if picture.alpha is None else write_alpha(picture.alpha)
        self._networks = networks = load_networks(default_card(codec.info.name, settings.preset))
        self._bounds = bounds = padded(picture.width, picture.height)
        self._side = tile_side(picture.width, picture.height, settings.tile)
        self._latents = [
            np.empty((bounds.height // stride, bounds.width // stride, latent), np.float32)
            for latent, stride in zip(networks.config.latents, STRIDES, strict=True)
        ]
        with inference(settings.threads):
            margin = ADAPTED_MARGIN if networks.config.adapters else MARGIN
            analyse(networks.analysis, self._pixels, bounds, self._latents, margin)
        for y, exponents in zip(self._latents, networks.exponents, strict=True):
            y *= np.exp2(-exponents.astype(np.float32))
        octave = octave_in_quality(networks.config.coarse_lambda, networks.config.fine_lambda)
        self._steps = guide_steps(settings.guide, picture.width, picture.height, octave)
        if self._steps is not None:  # cells beyond the picture are as those at its edge
            rows, columns = self._steps.shape
            self._steps = np.pad(
                self._steps, ((0, bounds.height // CELL - rows), (0, bounds.width // CELL - columns)), mode="edge"
            )

    def _pixels(self, area: Rect) -> Tensor:
        picture = self._picture
        samples = picture.samples[area.top : area.bottom, area.left : area.right]
        below, right = area.height - samples.shape[0], area.width - samples.shape[1]
        samples = np.pad(samples, ((0, below), (0, right), (0, 0)), mode="edge")
        x = torch.from_numpy(samples).permute(2, 0, 1)[None].float() / 255
        return x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)

    def encode(self, quality: float) -> bytes:
        guide, steps = self._settings.guide, self._steps
        if guide is not None and guide.hold_rate and steps is not None:
            quality, steps = hold_map(self._size, quality, steps)
        parameter = self._parameter(quality)
        plan = self._plan(parameter, steps)

        def code(tile: int) -> list[Unit]:
            writers = [SymbolWriter() for _ in range(BANDS)]
            crcs = self._code(plan, tile, writers)
            return [
                Unit(band * len(plan.tiles) + tile, crc, writer.finish())
                for band, (crc, writer) in enumerate(zip(crcs, writers, strict=True))
            ]

        units = [unit for tile in for_each(range(len(plan.tiles)), code, self._settings.threads) for unit in tile]
        return self._file(parameter, steps, sorted(units, key=lambda unit: unit.number))

    def size(self, quality: float) -> int:
        return self._size(quality, self._steps)

    def information(self, quality: float) -> float:
        """The bits that the symbols take by their tables, without anything that a file has beside them."""
        plan = self._plan(self._parameter(quality), self._steps)
        counter = BitCounter()
        for tile in range(len(plan.tiles)):
            self._code(plan, tile, [counter] * BANDS)
        return counter.bits

    def _size(self, quality: float, steps: Integers | None) -> int:
        parameter = self._parameter(quality)
        plan = self._plan(parameter, steps)

        def count(tile: int) -> int:
            counters = [BitCounter() for _ in range(BANDS)]
            self._code(plan, tile, counters)
            return sum(counter.size_bytes for counter in counters)

        empty = [Unit(number, 0, b"") for number in range(BANDS * len(plan.tiles))]
        payloads = for_each(range(len(plan.tiles)), count, self._settings.threads)
        return len(self._file(parameter, steps, empty)) + sum(payloads)

    def _parameter(self, quality: float) -> int:
        return quality_parameter(self._codec.info, quality)

    def _plan(self, parameter: int, steps: Integers | None) -> Plan:
        return make_plan(self._picture.width, self._picture.height, self._side, level_of(parameter), steps)

    def _code(self, plan: Plan, number: int, sinks: Sequence[SymbolSink]) -> list[int]:
        """Puts the symbols of a tile's bands into their sinks; returns their CRCs."""
        tile, below, crcs = plan.tiles[number], None, list[int]()
        for band in range(BANDS):
            rows, columns = tile.part_of(plan.bounds, STRIDES[band])
            y = self._latents[band][rows, columns]
            encoder = SymbolEncoder(y, self._networks, sinks[band])
            hats = hats_at(plan.hats_of(tile), band)
            below = walk_band(self._networks, band, hats, (y.shape[0], y.shape[1]), below, encoder).lifted
            crcs.append(symbols_crc(np.concatenate(encoder.symbols)))
        return crcs

    def _file(self, parameter: int, steps: Integers | None, units: Sequence[Unit]) -> bytes:
        picture, side = self._picture, self._side
        head = Head(
            self._codec.info.id,
            bytes.fromhex(self._networks.card.id),
            picture.width,
            picture.height,
            gray=picture.is_gray,
            alpha=picture.alpha is not None,
            bands=BANDS,
            tiling=None if side is None else Tiling(side, side, 0),
            parameters=write_quality(parameter) + (b"" if steps is None else write_map(steps)),
            short_sums=True,
        )
        return write_container(Container(head, tuple(units), self._alpha, picture.icc, picture.exif))


@final
class FrequencyCodec(Codec):
    """The codec ``frequency`` (docs/format.md, section 8)."""

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        return FrequencyPrepared(self, picture, settings)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        container = read_container(data, limits, wanted=wanted_units(self.info, settings), partial=settings.allow_partial)
        head = container.head
        plan, area = read_plan(self.info, head), area_of(head, settings)
        networks = load_networks(card_of(self.info.name, head.weights))
        alpha = None if container.alpha is None else read_alpha(container.alpha, head.width, head.height)
        if alpha is not None:
            alpha = np.ascontiguousarray(alpha[area.top : area.bottom, area.left : area.right])
        held, latents = decode_tiles(networks, plan, area, container, settings.threads)
        samples = np.empty((area.height, area.width, 1 if head.gray else 3), np.uint8)
        with inference(settings.threads):
            for block, x in synthesise(networks.synthesis, latents, held, plan.float_hats, area, plan.bounds):
                x = x[0].mean(0, keepdim=True) if head.gray else x[0]
                rows, columns = block.part_of(area, 1)
                samples[rows, columns] = (x * 255).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
        return Picture(samples, alpha, container.icc, container.exif)

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        return describe_learned(self.info, data, limits)

    def bytes_needed(
        self, data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS, settings: DecodeSettings = DecodeSettings()
    ) -> int:
        return read_container(data, limits, wanted=wanted_units(self.info, settings), partial=settings.allow_partial).read_bytes
