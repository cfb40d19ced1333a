"""``hevc-blocks``: block up-sampling intra coding around x265, after Li et al. 2018 (arXiv 1702.06728), in files of its own.

::

    picture ─► planes ─┬─────────────► HEVC, full size ─┐
                       └─► halved ───► HEVC, half size ─┼─► kinds of blocks ─► file
    picture ◄─ planes ◄─ composed ◄─┬─ full layer ◄─────┤
                                    └─ doubled ◄────────┘  by interpolation or by networks

Each block of 64x64 is coded at the full size or at half of it, whichever costs less (``choice``). Theirs does so inside the coding loop
of HEVC, so that a block predicts from its neighbours whatever their size. No program that is here can be told of that, so here
the two sizes are two pictures, and each an HEVC stream that any decoder reads. What one layer does not hold has one colour there.

What that costs: prediction ends at the borders between sizes, and 170 bits go with each side of a block there (``choice``), half of what a
whole block takes at 0.1 bits a pixel. So blocks go over in large regions or not at all, and mostly a picture is all of one size. A layer
without blocks is left out. The encoder tries all full, all half, and both with the price of borders once and half; it measures each, size of the file and
error, and keeps the least of D + lambda R. So no file is worse in that than plain HEVC, whose stream is in it, and with all that stands around
it 45 bytes shorter (``payload``).

Another arrangement was tried and left: the half size of all blocks, and behind it the difference to the truth for some as a full-size picture
that is gray elsewhere. It has no borders, but in D + lambda R it was never better than the half size alone on six held-out photographs at crf 50, 47 and 44:
what is left of a block by a coarse copy costs nearly as much as the block.

The half-size layer is coded 6 crf finer: each of its samples stands for four. On held-out photographs 6 and 7 were best at crf 50 and 47, with interpolation and with the networks.

Exact until the layers and the kinds are decoded, which a check sum tells; interpolation and borders too. The networks are float arithmetic: where they are
used two machines may differ by 1 in a sample.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from foveal.codecs.around.blocks.choice import BORDER_BITS, block_sums, filled, least_cost, shared_bits, slope_at, squared_error
from foveal.codecs.around.blocks.composed import Planes, composed, grid_of
from foveal.codecs.around.blocks.kinds import BLOCK, FULL, LEARNED, PLAIN, Kinds, read_kinds, write_kinds
from foveal.codecs.around.blocks.layers import code_layer, decode_layer, plane_shapes
from foveal.codecs.around.blocks.payload import Payload, read_payload, write_payload
from foveal.codecs.around.blocks.resampling import doubled, halved
from foveal.codecs.around.blocks.upsampling import load_networks
from foveal.codecs.around.cards import card_for, card_named
from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.learned.symbols import PARAMETER_MAX, describe_learned, quality_parameter, read_quality, write_quality
from foveal.container.alpha import read_alpha, write_alpha
from foveal.container.format import Container, Head, Unit
from foveal.container.reader import read_container
from foveal.container.sums import short
from foveal.container.writer import write_container
from foveal.errors import DriftError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.color import Chroma, Matrix, YCbCr, to_samples, to_ycbcr
from foveal.picture import Picture, Samples

_COARSEST, _CRFS = 51, 47  # from quality 1 to quality 100
_CRF_ABOVE_QP = 3
_FINER: Final = 6  # crf of the half-size layer
_PRICES: Final = (0.5, 1.0)  # of borders, in what they cost; each is tried
_MAP_BITS: Final = 1.0  # of a border between two up-samplers
_LEAST_LEFT: Final = (
    0.4  # of what interpolation misses of a block that is not coded; networks left 0.4 to 0.5 of one in a hundred held-out blocks
)
_ROWS = 1024


def _crf(parameter: int) -> float:
    """In hundredths, so that a quality which means a whole one gives it: what is off by less would be shared out to blocks."""
    return round(_COARSEST - _CRFS * parameter / PARAMETER_MAX, 2)


def _qp(parameter: int) -> int:
    """Of the full-size layer, rounded to the nearest, in integers."""
    return (_COARSEST * PARAMETER_MAX - _CRFS * parameter + PARAMETER_MAX // 2) // PARAMETER_MAX - _CRF_ABOVE_QP


@final
@dataclass(frozen=True, eq=False)
class Coded:
    """A file, what it decodes to, the kinds of its blocks, and its cost: D + lambda R, in squared errors of pixels."""

    data: bytes
    samples: Samples
    kinds: Kinds
    cost: float


@final
@dataclass(frozen=True, eq=False)
class _Layer:
    """A stream, what it decodes to, and what that becomes at the full size, by interpolation and by networks or as it is."""

    stream: bytes
    decoded: Planes
    whole: tuple[Planes, ...]


@final
class BlocksPrepared(Prepared):
    """The planes of a picture at both sizes."""

    def __init__(self, info: CodecInfo, picture: Picture, settings: EncodeSettings) -> None:
        self._info, self._picture, self._settings = info, picture, settings
        self._card = card_for("upsample", "hevc")
        self._networks = load_networks(self._card)
        self._chroma: Chroma = "400" if picture.is_gray else "420"
        planes = to_ycbcr(picture.samples, self._chroma, matrix=Matrix.BT709, full_range=True)
        self._full, self._half = planes.planes, tuple(halved(plane) for plane in planes.planes)
        self._shapes = plane_shapes(picture.height, picture.width, self._chroma)
        self._least = block_sums(squared_error(picture.samples, self._samples(self._doubled(self._half))))
        self._alpha = None if picture.alpha is None else write_alpha(picture.alpha)

    def encode(self, quality: float) -> bytes:
        return min(self.candidates(quality), key=lambda coded: coded.cost).data

    def candidates(self, quality: float, *, kinds: tuple[int, ...] = (PLAIN, LEARNED)) -> Iterator[Coded]:
        """What the encoder chooses from. kinds: those of blocks at half the size, one or both."""
        parameter = quality_parameter(self._info, quality)
        crf = _crf(parameter)
        level = round(255 * min(1, (_COARSEST - crf + _FINER) / _CRFS))
        full = self._full_layer(self._full, crf)
        grid = grid_of(self._picture.height, self._picture.width)
        yield self._coded(parameter, level, full, None, np.full(grid, FULL, np.int32))
        slope, error = slope_at(crf), self._errors(full.whole)[0]
        full_cost = block_sums(error) + slope * shared_bits(full.decoded, 8 * len(full.stream), crf, BLOCK)
        if not least_cost(full_cost - _LEAST_LEFT * self._least, slope * BORDER_BITS * min(_PRICES)).any():
            return  # no region would be better at half the size if that took no bits
        half = self._half_layer(self._half, crf, level, kinds)
        errors = [block_sums(error) for error in self._errors(half.whole)]
        last = least_cost(errors[0] - errors[-1], slope * _MAP_BITS)
        best = np.where(last, kinds[-1], kinds[0]).astype(np.int32)
        yield self._coded(parameter, level, None, half, best, kinds)
        half_cost = np.where(last, errors[-1], errors[0]) + slope * shared_bits(
            half.decoded, 8 * len(half.stream), crf - _FINER, BLOCK // 2
        )
        tried: list[bytes] = []
        for price in _PRICES:
            is_half = least_cost(full_cost - half_cost, price * slope * BORDER_BITS)
            if is_half.all() or not is_half.any() or is_half.tobytes() in tried:
                continue
            tried.append(is_half.tobytes())
            some = self._full_layer(filled(self._full, ~is_half, BLOCK), crf)
            others = self._half_layer(filled(self._half, is_half, BLOCK // 2), crf, level, kinds)
            yield self._coded(parameter, level, some, others, np.where(is_half, best, FULL).astype(np.int32), kinds)

    def _full_layer(self, planes: Planes, crf: float) -> _Layer:
        stream = code_layer(self._ycbcr(planes), crf, self._preset, self._settings.threads)
        decoded = decode_layer(stream, self._shapes[0], self._chroma).planes
        return _Layer(stream, decoded, (decoded,))

    def _half_layer(self, planes: Planes, crf: float, level: int, kinds: tuple[int, ...]) -> _Layer:
        stream = code_layer(self._ycbcr(planes), max(0.0, crf - _FINER), self._preset, self._settings.threads)
        decoded = decode_layer(stream, planes[0].shape, self._chroma)
        whole = {PLAIN: self._doubled(decoded.planes)}
        if LEARNED in kinds:
            whole[LEARNED] = self._networks.doubled(decoded, self._shapes, level / 255, self._settings.threads)
        return _Layer(stream, decoded.planes, tuple(whole[kind] for kind in kinds))

    def _coded(
        self, parameter: int, level: int, full: _Layer | None, half: _Layer | None, kinds: Kinds, names: tuple[int, ...] = ()
    ) -> Coded:
        of_kind = {} if half is None else dict(zip(names, half.whole, strict=True))
        planes = composed(None if full is None else full.decoded, of_kind.get(PLAIN), of_kind.get(LEARNED), kinds, _qp(parameter))
        samples = self._samples(planes)
        coded_kinds = b"" if half is None else write_kinds(kinds, _allowed(full is not None))
        streams = None if full is None else full.stream, None if half is None else half.stream
        crc = layers_crc(
            None if half is None else kinds, None if full is None else full.decoded, None if half is None else half.decoded
        )
        data = self._file(parameter, Unit(0, crc, write_payload(Payload(*streams, level, coded_kinds))))
        cost = float(squared_error(self._picture.samples, samples).sum(dtype=np.float64)) + slope_at(_crf(parameter)) * 8 * len(
            data
        )
        return Coded(data, samples, kinds, cost)

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
            short_sums=True,
        )
        return write_container(Container(head, (unit,), self._alpha, picture.icc, picture.exif))

    @property
    def _preset(self) -> str:
        return self._settings.preset or self._info.presets[0]

    def _doubled(self, planes: Planes) -> Planes:
        return tuple(doubled(plane, *shape) for plane, shape in zip(planes, self._shapes, strict=True))

    def _ycbcr(self, planes: Planes) -> YCbCr:
        return YCbCr(planes, self._chroma, Matrix.BT709, True)

    def _samples(self, planes: Planes) -> Samples:
        return to_samples(self._ycbcr(planes))

    def _errors(self, whole: tuple[Planes, ...]) -> list[npt.NDArray[np.float32]]:
        return [squared_error(self._picture.samples, self._samples(planes)) for planes in whole]


@final
class BlocksCodec(Codec):
    """The codec ``hevc-blocks`` (docs/format.md, section 11). Quality is that of ``hevc``: crf 51 at 1, 4 at 100."""

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        return BlocksPrepared(self.info, picture, settings)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        container = read_container(data, limits, partial=settings.allow_partial)
        head, unit = container.head, container.units[0]
        parameter = read_quality(self.info, head)
        card = card_named("upsample", head.weights)
        payload = read_payload(unit.payload)
        chroma: Chroma = "400" if head.gray else "420"
        shapes = plane_shapes(head.height, head.width, chroma)
        has_full, kinds = payload.full is not None, np.zeros(grid_of(head.height, head.width), np.int32)
        full = decode_layer(payload.full, shapes[0], chroma).planes if payload.full is not None else None
        half, plain, learned = None, None, None
        if payload.half is not None:
            kinds = read_kinds(payload.kinds, *kinds.shape, _allowed(has_full))
            half = decode_layer(payload.half, (-(-head.height // 2), -(-head.width // 2)), chroma)
            if (kinds == PLAIN).any():
                plain = tuple(doubled(plane, *shape) for plane, shape in zip(half.planes, shapes, strict=True))
            if (kinds == LEARNED).any():
                learned = load_networks(card).doubled(half, shapes, payload.level / 255, settings.threads)
        crc = layers_crc(None if half is None else kinds, full, None if half is None else half.planes)
        if (found := short(crc, unit.sum_bytes)) != unit.symbols_crc:
            raise DriftError(f"the layers decoded to samples with CRC {found:x}; {unit.symbols_crc:x} were coded")
        planes = composed(full, plain, learned, kinds, _qp(parameter))
        samples = np.ascontiguousarray(to_samples(YCbCr(planes, chroma, Matrix.BT709, True)))
        alpha = None if container.alpha is None else read_alpha(container.alpha, head.width, head.height)
        return Picture(samples, alpha, container.icc, container.exif)

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        return describe_learned(self.info, data, limits)


def _allowed(has_full: bool) -> tuple[int, ...]:
    """The kinds that a map may hold."""
    return (FULL, PLAIN, LEARNED) if has_full else (PLAIN, LEARNED)


def layers_crc(kinds: Kinds | None, full: Planes | None, half: Planes | None) -> int:
    """The CRC-32 of the kinds, if there is a map, then of the layers' samples, the full size first, plane by plane: each as little-endian int32."""
    crc = 0
    for values in (*(() if kinds is None else (kinds,)), *(full or ()), *(half or ())):
        for top in range(0, len(values), _ROWS):
            crc = zlib.crc32(np.ascontiguousarray(values[top : top + _ROWS], "<i4").data.cast("B"), crc)
    return crc
