"""HEVC by x265, in PyAV: one intra frame, as a byte stream with start codes or in MP4.

Chroma 4:2:0, 4:2:2, 4:4:4 of 8 bits; a gray picture is always 4:0:0. Sides: 16 or more (32 beside one above 4096); even
where chroma is halved. Others are padded, with a note of the true size (``true_size``); 4:4:4 and gray hold odd sides.

x265 cuts crf to an integer, which moves the size by 8 to 12 %. The fraction is made up by area: that share of the
16x16 blocks, from the top, is coded one step coarser. Adaptive quantisation has to be on for this, at a strength of 0.001
that changes nothing itself; it costs no bits that could be measured (within 0.2 %). A small picture has few blocks to share
out, so there sizes are less even.

``adaptive`` is x265's own adaptive quantisation as it ships it, in place of that of a strength that changes nothing: mode 2,
strength 1.0, in groups of 32 pixels, at every preset, also at those that leave it out. The fraction of crf is made up as before:
x265 adds the map to what it finds itself, and on a photograph of 512x512 sizes fell with every quarter of a crf.

A guide gives each block of 16x16 pixels a QP of its own, 6 to the octave, within 1..51; each of 32x32 above 2.2 Mpixel, where the
standard's level asks for such. Where the guide is sharp, larger blocks are not allowed: x265 gives them the mean QP of what they cover,
and finds that cheap, because it compares costs that were weighed by unequal QPs. So maps are blurred that are finer than 64 pixels, and
one of edges was worse than none. At equal error of luma, weighted as the guide says, on six photographs, blocks of 16 without
wavefronts against blocks of 64: for a smooth map 1.2 % more bits, cells of 32 pixels 2.1 % more, a box 0.9 % less, small discs
2.5 % less, edges 9.4 % less. ``qg-size=8`` took 0.1 to 0.5 % more than 16.

x265 ignores a map without a word where its adaptive quantisation is off or FFmpeg hands none on. So a guided file
counts only if the map is seen in it. FFmpeg's decoder tells no QPs of HEVC, but the stream says whether blocks may have
their own, and which is that of all others, and the encoder says the mean of those that it coded. The QP of all others is
set one below that of every block, so a mean that equals it shows that the map was lost. Where the encoder has next to nothing to
code (a picture of one colour, or of some pixels), a map has no effect that could be seen; there the last part of the check is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

import numpy as np

from foveal.codecs.base import EncodeSettings
from foveal.codecs.guide import Guide
from foveal.codecs.standard.av_frames import encode_frame, encode_frame_telling_qp
from foveal.codecs.standard.hevc_heads import quantiser_heads, slice_bytes
from foveal.codecs.standard.hevc_stream import HevcStreamCodec, hevc_units, with_hevc_note
from foveal.codecs.standard.qp_map import QP_PER_OCTAVE, Offsets, block_offsets, blocks, held, regions_of, shared_out
from foveal.codecs.standard.still_stream import PreparedStill, note_for
from foveal.errors import BackendError
from foveal.media.color import SHIFTS, Chroma, YCbCr
from foveal.media.padding import pad_to_multiple
from foveal.picture import Picture

_LEAST_SIDE = 16
_LONG_SIDE, _LEAST_BESIDE_LONG = 4096, 32  # from level 5 on, blocks of 16 are not allowed
_BLOCK: Final = 16
_LARGE, _LARGE_BLOCK = 2_228_224, 32  # pixels of level 4.1
_COARSEST: Final = 51
_CRF_ABOVE_QP: Final = 3  # what x265 takes off crf for an only frame
_FINEST_GUIDED, _COARSEST_BLOCK = 1 + _CRF_ABOVE_QP, 51 + _CRF_ABOVE_QP  # of blocks, as crf
_EVEN: Final = {"aq-mode": 1, "aq-strength": 0.001, "qg-size": 16}
_ADAPTIVE: Final = {"aq-mode": 2, "aq-strength": 1.0, "qg-size": 32}  # the defaults of x265
_SEEN = 0.02  # QP that the mean differs by where a map arrived
_BARE_BYTES, _BARE_BYTES_A_PIXEL = 64, 0.004  # a picture of one colour takes at most 0.0026 a pixel


@final
class HevcCodec(HevcStreamCodec):
    """x265, tuned for PSNR. The parameter is crf, continuous: the quantiser of an only frame is 3 below it.

    A guide that holds its rate makes a file within 1 % of one without it. In a picture of few blocks, where steps of size are
    larger than that, and where nearly all blocks are at an end of the scale, it is as near as can be.
    """

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> PreparedStill:
        flat = self._flat(picture)
        chroma: Chroma = "400" if flat.is_gray else settings.chroma or "420"
        samples = pad_to_multiple(flat.samples, 2 if any(SHIFTS[chroma]) else 1, least=_least_side(flat.height, flat.width))
        planes, size = self._planes(samples, chroma, 8), note_for(flat, samples)
        x265, guide = X265(planes, settings.preset or "slow", settings.threads, adaptive=settings.adaptive), settings.guide
        even = np.zeros((1, 1))
        offsets = even if guide is None else block_offsets(guide, flat.width, flat.height, planes, x265.block)

        def encode(crf: float) -> bytes:
            if guide is None or not guide.hold_rate:
                stream = x265.code(crf + offsets, guide)
            else:
                moved, size_to_hold = offsets - offsets.mean(), len(x265.code(crf + even))
                stream = held(lambda at: x265.code(at + moved, guide), crf, size_to_hold)
            return stream if size is None else with_hevc_note(stream, size)

        return self._still(settings, encode)


def padded_size(height: int, width: int, chroma: Chroma) -> tuple[int, int]:
    """The height and width that a picture is padded to."""
    multiple, least = 2 if any(SHIFTS[chroma]) else 1, _least_side(height, width)
    return max(least, -(-height // multiple) * multiple), max(least, -(-width // multiple) * multiple)


def _least_side(height: int, width: int) -> int:
    return _LEAST_SIDE if max(width, height) <= _LONG_SIDE else _LEAST_BESIDE_LONG


@final
class X265:
    """The encoder, with a picture to code, padded to ``padded_size``. ``block``: pixels a side of what has a QP of its own in a guided file."""

    def __init__(self, planes: YCbCr, preset: str, threads: int | None, *, adaptive: bool = False) -> None:
        self._planes, self._preset, self._threads = planes, preset, threads
        self._quantisation = _ADAPTIVE if adaptive else _EVEN
        self._height, self._width = planes.planes[0].shape
        large = self._height * self._width > _LARGE or max(self._height, self._width) > _LONG_SIDE
        self.block = _LARGE_BLOCK if large else _BLOCK

    def code(self, wanted: Offsets, guide: Guide | None = None) -> bytes:
        """The stream with such a crf, which may have a fraction, for each block; or with one for all. The rest is as the guide says.

        Raises:
            BackendError: they differ, and the encoder ignored that; or it failed.
        """
        wanted = np.clip(np.round(wanted, 6), 0, _COARSEST_BLOCK)  # of a quality, that is near a whole crf and means it
        if wanted.min() == wanted.max():
            return self._uniform(float(wanted[0, 0]), guide)
        steps = np.maximum(shared_out(wanted), _FINEST_GUIDED)
        base = min(int(steps.min()) - 1, _COARSEST)
        sharp = guide is None or guide.sharp
        more = {"ctu": self.block, **({"wpp": 0} if self.block == _BLOCK else {})} if sharp else {}
        options = self._options(base, guide, more)
        regions = regions_of(steps - base, self.block, self._width, self._height)
        stream, mean_qp = encode_frame_telling_qp("libx265", self._planes, options, regions)
        self._check(stream, mean_qp, options)
        return stream

    def _uniform(self, crf: float, guide: Guide | None) -> bytes:
        base = min(int(crf), _COARSEST)
        steps = shared_out(np.full(blocks(self._planes, _BLOCK), crf - base))
        options = self._options(base, guide, {})
        return encode_frame("libx265", self._planes, options, regions=regions_of(steps, _BLOCK, self._width, self._height))

    def _check(self, stream: bytes, mean_qp: float, options: dict[str, str]) -> None:
        units = hevc_units(stream)
        heads = quantiser_heads(units)
        if heads.varies:
            bare = slice_bytes(units) <= _BARE_BYTES + _BARE_BYTES_A_PIXEL * self._height * self._width
            if bare or abs(mean_qp - heads.slice_qp) > _SEEN or encode_frame("libx265", self._planes, options) != stream:
                return
        raise BackendError(
            f"x265 ignored the guide: it coded all blocks with a QP of {heads.slice_qp}; leave the guide out, or try another PyAV"
        )

    def _options(self, base: int, guide: Guide | None, more: Mapping[str, int]) -> dict[str, str]:
        parameters: dict[str, object] = {
            "log-level": "none", "info": 0, "keyint": 1, "frame-threads": 1, "range": "full",
            **self._quantisation, **more,
        }  # fmt: skip
        if self._threads is not None:
            parameters["pools"] = self._threads
        if guide is not None:
            if chroma := round(QP_PER_OCTAVE * guide.chroma_octaves):
                parameters["cbqpoffs"] = parameters["crqpoffs"] = chroma
            if guide.matrices:
                parameters["scaling-list"] = "default"
        return {
            "crf": str(min(base + 0.5, _COARSEST)),  # half way, so that no rounding turns it into its neighbour
            "preset": self._preset,
            "tune": "psnr",
            "x265-params": ":".join(f"{key}={value}" for key, value in parameters.items()),
        }
