"""HEVC (H.265): one intra frame by x265, as a byte stream with start codes or in MP4.

Chroma 4:2:0, 4:2:2, 4:4:4 of 8 bits; a gray picture is always 4:0:0. Sides: 16 or more (32 beside one above 4096); even
where chroma is halved. Others are padded, with a note of the true size (``true_size``); 4:4:4 and gray hold odd sides.

x265 cuts crf to an integer, which moves the size by 8 to 12 %. The fraction is made up by area: that share of the
16x16 blocks, from the top, is coded one step coarser. Adaptive quantisation has to be on for this, at a strength of 0.001
that changes nothing itself; it costs no bits that could be measured (within 0.2 %). A small picture has few blocks to share
out, so there sizes are less even.
"""

from __future__ import annotations

from typing import final

from foveal.codecs.base import EncodeSettings
from foveal.codecs.standard.av_frames import Region, encode_frame, stream_size
from foveal.codecs.standard.still_stream import PreparedStill, StillStreamCodec, StreamHead, StreamKind, note_for
from foveal.codecs.standard.true_size import Unit, nal_units, read_nal_note, with_nal_note
from foveal.errors import DamagedError
from foveal.media.color import SHIFTS, Chroma, YCbCr
from foveal.media.padding import pad_to_multiple
from foveal.picture import Picture

_LEAST_SIDE = 16
_LONG_SIDE, _LEAST_BESIDE_LONG = 4096, 32  # from level 5 on, blocks of 16 are not allowed
_BLOCK = 16
_COARSEST = 51
_PARAMETER_SETS, _PREFIX_SEI, _FIRST_NON_SLICE = (32, 33, 34), 39, 32
_SEI_HEADER = b"\x4e\x01"


@final
class HevcCodec(StillStreamCodec):
    """x265, tuned for PSNR. The parameter is crf: equal to the quantiser of an only frame, and continuous."""

    kind = StreamKind(decoder="hevc", demuxer="hevc", codec="hevc", mp4_tag="hvc1", split=True)

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> PreparedStill:
        flat = self._flat(picture)
        chroma: Chroma = "400" if flat.is_gray else settings.chroma or "420"
        across, down = SHIFTS[chroma]
        least = _LEAST_SIDE if max(flat.width, flat.height) <= _LONG_SIDE else _LEAST_BESIDE_LONG
        samples = pad_to_multiple(flat.samples, 2 if across or down else 1, least=least)
        planes, size = self._planes(samples, chroma, 8), note_for(flat, samples)

        def encode(crf: float) -> bytes:
            stream = _encode(planes, crf, settings.preset or "slow", settings.threads)
            return stream if size is None else with_nal_note(stream, _units(stream), _FIRST_NON_SLICE, _SEI_HEADER, size)

        return self._still(settings, encode)

    def _head(self, stream: bytes) -> StreamHead:
        units = list(_units(stream))
        sets = b"".join(stream[unit.start : unit.end] for unit in units if unit.kind in _PARAMETER_SETS)
        if not sets:
            raise DamagedError("no parameter sets in the stream; it is damaged, or no HEVC")
        width, height, pixels = stream_size(self.kind.decoder, sets)
        return StreamHead(width, height, pixels.chroma, pixels.bit_depth, read_nal_note(units, _PREFIX_SEI))


def _encode(planes: YCbCr, crf: float, preset: str, threads: int | None) -> bytes:
    whole = min(int(crf), _COARSEST)
    parameters = {
        "log-level": "none", "info": 0, "keyint": 1, "frame-threads": 1, "range": "full",
        "aq-mode": 1, "aq-strength": 0.001, "qg-size": 16,
    }  # fmt: skip
    if threads is not None:
        parameters["pools"] = threads
    options = {
        "crf": str(min(whole + 0.5, _COARSEST)),  # half way, so that no rounding turns it into its neighbour
        "preset": preset,
        "tune": "psnr",
        "x265-params": ":".join(f"{key}={value}" for key, value in parameters.items()),
    }
    return encode_frame("libx265", planes, options, regions=_coarser(planes, crf - whole))


def _coarser(planes: YCbCr, share: float) -> tuple[Region, ...]:
    """That share of the 16x16 blocks, row by row from the top: whole rows, then a part of one."""
    height, width = planes.planes[0].shape
    columns, rows = -(-width // _BLOCK), -(-height // _BLOCK)
    full, rest = divmod(round(share * columns * rows), columns)
    top = full * _BLOCK
    regions = (
        Region(0, 0, width, min(top, height), 1),
        Region(0, top, min(rest * _BLOCK, width), min(_BLOCK, height - top), 1),
    )
    return tuple(region for region in regions if region.width > 0 and region.height > 0)


def _units(stream: bytes) -> list[Unit]:
    return list(nal_units(stream, 0, 1, 63))
