"""AV1: one still picture by SVT-AV1, as a low-overhead OBU stream or in MP4.

4:2:0 of 8 bits alone: SVT-AV1 has no other chroma, so a gray picture gets neutral chroma and comes back as RGB with three
equal channels. Odd sides are held as they are; below 4 pixels a side is padded, with a note of the true size.
The encoder takes up to 16384x8704.
"""

from __future__ import annotations

import os
from typing import final

from foveal.codecs.base import EncodeSettings
from foveal.codecs.standard.av_frames import encode_frame, stream_size
from foveal.codecs.standard.still_stream import PreparedStill, StillStreamCodec, StreamHead, StreamKind, note_for
from foveal.codecs.standard.true_size import obus, read_obu_note, with_obu_note
from foveal.errors import DamagedError
from foveal.media.padding import pad_to_multiple
from foveal.picture import Picture

_LEAST_SIDE, _THREADED_SIDE = 4, 64
_LARGEST = 16_384, 8_704
_MOST_PARALLEL = 6
_SEQUENCE_HEADER, _TEMPORAL_DELIMITER = 1, b"\x12\x00"
_QUIET = "0"  # SVT-AV1 writes its settings to standard error unless this variable says not to, and has no other switch


@final
class Av1Codec(StillStreamCodec):
    """SVT-AV1 in its mode for stills, tuned for PSNR. The parameter counts quarters of crf, about 1.7 % of the size each."""

    kind = StreamKind(decoder="libdav1d", demuxer="obu", codec="av1", mp4_tag="av01", split=False)

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> PreparedStill:
        flat = self._flat(picture, *_LARGEST)
        samples = pad_to_multiple(flat.samples, 1, least=_LEAST_SIDE)
        planes, size = self._planes(samples, "420", 8), note_for(flat, samples)
        # SVT-AV1 waits for ever, with more than one thread, when a side is below 32. The threads do not change the stream.
        threads = 1 if min(planes.planes[0].shape) < _THREADED_SIDE else settings.threads
        parallel = "" if threads is None else f":lp={min(threads, _MOST_PARALLEL)}"

        def encode(quarters: float) -> bytes:
            os.environ.setdefault("SVT_LOG", _QUIET)
            options = {"preset": settings.preset or "2", "svtav1-params": f"avif=1:tune=1:crf={quarters / 4:g}{parallel}"}
            stream = encode_frame("libsvtav1", planes, options)
            return stream if size is None else with_obu_note(stream, size)

        return self._still(settings, encode)

    def _head(self, stream: bytes) -> StreamHead:
        units = list(obus(stream))
        header = next((unit for unit in units if unit.kind == _SEQUENCE_HEADER), None)
        if header is None:
            raise DamagedError("no sequence header in the stream; it is damaged, or no AV1")
        width, height, pixels = stream_size(self.kind.decoder, stream[header.start : header.end])
        return StreamHead(width, height, pixels.chroma, pixels.bit_depth, read_obu_note(units))

    def _from_mp4(self, configuration: bytes, packets: bytes) -> bytes:
        """The packets, behind the sequence header that the configuration holds after its four bytes."""
        return _TEMPORAL_DELIMITER + configuration[4:] + packets
