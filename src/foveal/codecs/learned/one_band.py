"""Files of one band without tiles, which ``gdn`` and ``hyperprior`` write: what is the same whatever codes the symbols.

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
from foveal.codecs.learned.symbols import quality_parameter, read_quality, write_quality
from foveal.codecs.learned.weights import Card
from foveal.container.alpha import read_alpha, write_alpha
from foveal.container.format import Container, Head, Unit
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.entropy.coder import BitCounter, SymbolSink, SymbolWriter
from foveal.limits import Limits
from foveal.media.padding import pad_to_multiple
from foveal.picture import Picture, Samples


def padded_pixels(picture: Picture, multiple: int) -> Tensor:
    """The picture as ``(1, 3, height, width)`` in 0..1, its sides filled up to multiples by repeating its edge."""
    samples = pad_to_multiple(picture.rgb(), multiple)
    return torch.from_numpy(samples).permute(2, 0, 1)[None].float() / 255


class OneBandPrepared(Prepared):
    """A picture after analysis; a subclass codes its symbols."""

    def __init__(self, info: CodecInfo, card: Card, picture: Picture) -> None:
        self._info, self._card, self._picture = info, card, picture
        self._alpha = None if picture.alpha is None else write_alpha(picture.alpha)

    @abstractmethod
    def _code(self, parameter: int, sink: SymbolSink) -> int:
        """Puts the symbols at a quality parameter, 0..65535; returns their CRC-32."""

    @final
    def encode(self, quality: float) -> bytes:
        parameter, writer = quality_parameter(self._info, quality), SymbolWriter()
        crc = self._code(parameter, writer)
        return self._file(parameter, Unit(0, crc, writer.finish()))

    @final
    def size(self, quality: float) -> int:
        parameter, counter = quality_parameter(self._info, quality), BitCounter()
        self._code(parameter, counter)
        return len(self._file(parameter, Unit(0, 0, b""))) + counter.size_bytes

    def _file(self, parameter: int, unit: Unit) -> bytes:
        picture = self._picture
        head = Head(
            self._info.id,
            bytes.fromhex(self._card.id),
            picture.width,
            picture.height,
            gray=picture.is_gray,
            alpha=picture.alpha is not None,
            parameters=write_quality(parameter),
        )
        return write_container(Container(head, (unit,), self._alpha, picture.icc, picture.exif))


@final
@dataclass(frozen=True)
class OneBandFile:
    """What such a file holds beside its symbols. parameter: the quality parameter, 0..65535; alpha: ``(height, width)``."""

    head: Head
    parameter: int
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
    alpha = None if container.alpha is None else read_alpha(container.alpha, head.width, head.height)
    return OneBandFile(head, parameter, container.units[0], alpha, container.icc, container.exif)
