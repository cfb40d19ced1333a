"""Files of one band without tiles, which ``gdn``, ``hyperprior`` and ``cae-pca`` write: what is the same whatever codes the symbols.

::

    picture ─► padded_pixels ─► the codec's symbols ─► one unit ─┬─► file
               head, alpha, ICC and Exif ────────────────────────┘
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from foveal.codecs.base import CodecInfo, DecodeSettings, Prepared
from foveal.codecs.learned.held_map import hold_map
from foveal.codecs.learned.quality_map import CELL, map_of, write_map
from foveal.codecs.learned.symbols import quality_parameter, read_preset, read_quality, write_preset, write_quality
from foveal.codecs.learned.weights import Card
from foveal.container.alpha import read_alpha, write_alpha
from foveal.container.format import Container, Head, Unit
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.entropy.coder import BitCounter, SymbolSink, SymbolWriter
from foveal.entropy.fixed_point import Integers
from foveal.limits import Limits
from foveal.media.padding import pad_to_multiple
from foveal.picture import Picture, Samples


def padded_pixels(picture: Picture, multiple: int) -> Tensor:
    """The picture as ``(1, 3, height, width)`` in 0..1, its sides filled up to multiples by repeating its edge."""
    samples = pad_to_multiple(picture.rgb(), multiple)
    return torch.from_numpy(samples).permute(2, 0, 1)[None].float() / 255


class OneBandPrepared(Prepared):
    """A picture after analysis; a subclass codes its symbols.

    steps: of a quality map, for codecs that take one. preset: for those whose files say it.
    """

    def __init__(
        self,
        info: CodecInfo,
        card: Card,
        picture: Picture,
        steps: Integers | None = None,
        *,
        hold_rate: bool = False,
        preset: str | None = None,
    ) -> None:
        self._info, self._card, self._picture = info, card, picture
        self._preset = write_preset(info, preset)
        self._steps, self._hold_rate = steps, hold_rate
        self._alpha = None if picture.alpha is None else write_alpha(picture.alpha)

    @abstractmethod
    def _code(self, parameter: int, steps: Integers | None, sink: SymbolSink) -> int:
        """Puts the symbols at a quality parameter, 0..65535, moved by ``steps``; returns their CRC-32."""

    @final
    def encode(self, quality: float) -> bytes:
        steps = self._steps
        if self._hold_rate and steps is not None:
            quality, steps = hold_map(self._size, quality, steps)
        parameter, writer = quality_parameter(self._info, quality), SymbolWriter()
        crc = self._code(parameter, steps, writer)
        return self._file(parameter, steps, Unit(0, crc, writer.finish()))

    @final
    def size(self, quality: float) -> int:
        return self._size(quality, self._steps)

    def _size(self, quality: float, steps: Integers | None) -> int:
        parameter, counter = quality_parameter(self._info, quality), BitCounter()
        self._code(parameter, steps, counter)
        return len(self._file(parameter, steps, Unit(0, 0, b""))) + counter.size_bytes

    def _file(self, parameter: int, steps: Integers | None, unit: Unit) -> bytes:
        picture = self._picture
        head = Head(
            self._info.id,
            bytes.fromhex(self._card.id),
            picture.width,
            picture.height,
            gray=picture.is_gray,
            alpha=picture.alpha is not None,
            parameters=write_quality(parameter) + self._preset + (b"" if steps is None else write_map(steps)),
        )
        return write_container(Container(head, (unit,), self._alpha, picture.icc, picture.exif))


@final
@dataclass(frozen=True)
class OneBandFile:
    """What such a file holds beside its symbols. parameter: the quality parameter, 0..65535; preset: its number; alpha: ``(height, width)``.

    steps: of the quality map, ``(ceil(height / 32), ceil(width / 32))``, if there is one.
    """

    head: Head
    parameter: int
    preset: int
    steps: Integers | None
    unit: Unit
    alpha: Samples | None
    icc: bytes | None
    exif: bytes | None

    def picture(self, x: Tensor) -> Picture:
        """The picture of a reconstruction ``(1, 3, height, width)`` in 0..1, which may be larger below and on the right."""
        x = x[0, :, : self.head.height, : self.head.width]
        x = x.mean(0, keepdim=True) if self.head.gray else x
        samples = (x * 255).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        return Picture(samples, self.alpha, self.icc, self.exif)


def read_one_band(info: CodecInfo, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> OneBandFile:
    """Opens a file; its symbols are still to be decoded. Raises as ``Codec.decode``."""
    container = read_container(data, limits, partial=settings.allow_partial)
    head = container.head
    parameter = read_quality(info, head)
    preset = read_preset(info, head)
    steps = map_of(head, -(-head.height // CELL), -(-head.width // CELL)) if info.importance else None
    alpha = None if container.alpha is None else read_alpha(container.alpha, head.width, head.height)
    return OneBandFile(head, parameter, preset, steps, container.units[0], alpha, container.icc, container.exif)
