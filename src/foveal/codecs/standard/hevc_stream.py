"""HEVC (H.265) as a file: the byte stream with start codes, or in MP4, whichever encoder wrote it."""

from __future__ import annotations

from typing import final

from foveal.codecs.standard.av_frames import stream_size
from foveal.codecs.standard.still_stream import StillStreamCodec, StreamHead, StreamKind
from foveal.codecs.standard.true_size import (
    Size,
    Unit,
    nal_units,
    read_nal_note,
    user_data_unit,
    with_nal_note,
    with_nal_unit,
)
from foveal.errors import DamagedError

_PARAMETER_SETS, _PREFIX_SEI, _FIRST_NON_SLICE = (32, 33, 34), 39, 32
_SEI_HEADER = b"\x4e\x01"


class HevcStreamCodec(StillStreamCodec):
    """A codec whose files are HEVC; each of them reads the files of all."""

    kind = StreamKind(decoder="hevc", demuxer="hevc", codec="hevc", mp4_tag="hvc1", split=True)

    @final
    def _head(self, stream: bytes) -> StreamHead:
        units = hevc_units(stream)
        sets = parameter_sets(stream, units)
        width, height, pixels = stream_size(self.kind.decoder, sets)
        return StreamHead(width, height, pixels.chroma, pixels.bit_depth, read_nal_note(units, _PREFIX_SEI))


def hevc_units(stream: bytes) -> list[Unit]:
    """The NAL units of a stream. Raises DamagedError if it has none."""
    return list(nal_units(stream, 0, 1, 63))


def parameter_sets(stream: bytes, units: list[Unit]) -> bytes:
    """The units that say what the picture is. Raises DamagedError: there are none."""
    sets = b"".join(stream[unit.start : unit.end] for unit in units if unit.kind in _PARAMETER_SETS)
    if not sets:
        raise DamagedError("no parameter sets in the stream; it is damaged, or no HEVC")
    return sets


def with_hevc_note(stream: bytes, size: Size | None) -> bytes:
    """The stream with a note of the true size of its picture, where there is one to make."""
    return stream if size is None else with_nal_note(stream, hevc_units(stream), _FIRST_NON_SLICE, _SEI_HEADER, size)


def with_hevc_user_data(stream: bytes, payload: bytes) -> bytes:
    """The stream with an SEI message of user data, a UUID and what belongs to it, before its first slice."""
    return with_nal_unit(stream, hevc_units(stream), _FIRST_NON_SLICE, user_data_unit(_SEI_HEADER, payload))
