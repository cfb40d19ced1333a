"""VVC (H.266): one intra frame by VVenC, in the ffmpeg program, as a byte stream with start codes or in MP4.

4:2:0 of 10 bits alone: that is all VVenC takes through ffmpeg, so a gray picture gets neutral chroma and comes back as RGB
with three equal channels. Sides: even, 32 or more; others are padded, with a note of the true size (``true_size``).
Decoding is done in process, by PyAV.
"""

from __future__ import annotations

from typing import final

from foveal.codecs.base import Chroma, EncodeSettings
from foveal.codecs.standard.bits import Bits
from foveal.codecs.standard.process import ffmpeg_program, run_program
from foveal.codecs.standard.still_stream import PreparedStill, StillStreamCodec, StreamHead, StreamKind, note_for
from foveal.codecs.standard.true_size import Unit, nal_units, read_nal_note, unescaped, with_nal_note
from foveal.errors import BackendError, DamagedError, UnsupportedError
from foveal.media.color import YCbCr
from foveal.media.padding import pad_to_multiple
from foveal.picture import Picture

_LEAST_SIDE = 32
_PREFIX_SEI, _SPS, _FIRST_NON_SLICE = 23, 15, 12
_SEI_HEADER = bytes([0, _PREFIX_SEI << 3 | 1])
_PATIENCE_S, _PATIENCE_S_PER_PIXEL = 120, 0.002  # a hundred times what preset medium takes
_CHROMA: tuple[Chroma, ...] = ("400", "420", "422", "444")
# ffmpeg hands the range to VVenC in a form that it drops; these names reach it.
_DECLARED = "MatrixCoefficients=1:ColourPrimaries=1:TransferCharacteristics=13:VideoFullRange=1"


@final
class VvcCodec(StillStreamCodec):
    """VVenC at a constant quantiser, without its perceptual adaptation. The parameter is qp, an integer."""

    kind = StreamKind(decoder="vvc", demuxer="vvc", codec="vvc", mp4_tag="vvc1", split=True)

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> PreparedStill:
        flat = self._flat(picture)
        samples = pad_to_multiple(flat.samples, 2, least=_LEAST_SIDE)
        planes, size = self._planes(samples, "420", 10), note_for(flat, samples)

        def encode(qp: float) -> bytes:
            stream = _encode(planes, int(qp), settings.preset or "medium", settings.threads)
            return stream if size is None else with_nal_note(stream, _units(stream), _FIRST_NON_SLICE, _SEI_HEADER, size)

        return self._still(settings, encode)

    def _head(self, stream: bytes) -> StreamHead:
        units = _units(stream)
        sps = next((unit for unit in units if unit.kind == _SPS), None)
        if sps is None:
            raise DamagedError("no sequence parameter set in the stream; it is damaged, or no VVC")
        width, height, chroma, bit_depth = _read_sps(unescaped(sps.payload))
        return StreamHead(width, height, chroma, bit_depth, read_nal_note(units, _PREFIX_SEI))


def _encode(planes: YCbCr, qp: int, preset: str, threads: int | None) -> bytes:
    height, width = planes.planes[0].shape
    arguments = [
        ffmpeg_program(), "-hide_banner", "-loglevel", "error",
        "-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", f"{width}x{height}", "-framerate", "25", "-i", "pipe:0",
        "-frames:v", "1", "-c:v", "libvvenc", "-preset", preset, "-qp", str(qp), "-qpa", "0", "-vvenc-params", _DECLARED,
        *(() if threads is None else ("-threads", str(threads))), "-f", "vvc", "pipe:1",
    ]  # fmt: skip
    raw = b"".join(plane.astype("<u2").tobytes() for plane in planes.planes)
    try:
        return run_program(arguments, stdin=raw, timeout_s=_PATIENCE_S + _PATIENCE_S_PER_PIXEL * width * height)
    except BackendError as error:
        hint = "ffmpeg leaves VVenC room for 8 bits a pixel, so what is mostly noise needs a lower quality"
        raise BackendError(f"{width}x{height} at qp {qp}: {error}; {hint}") from error


def _units(stream: bytes) -> list[Unit]:
    return list(nal_units(stream, 1, 3, 31))


def _read_sps(payload: bytes) -> tuple[int, int, Chroma, int]:
    """Width, height, chroma and bit depth of a sequence parameter set (ITU-T H.266, 7.3.2.4)."""
    bits = Bits(payload, "sequence parameter set")
    bits.take(8)  # ids of this set and of the video parameter set
    sublayers = bits.take(3)
    chroma = _CHROMA[bits.take(2)]
    bits.take(2)  # size of the coding tree units
    if bits.take(1):
        _skip_profile(bits, sublayers)
    bits.take(1)  # gradual refresh
    if bits.take(1):
        bits.take(1)  # resampling of references
    width, height = bits.take_ue(), bits.take_ue()
    if bits.take(1):
        across, down = (1 if chroma in ("444", "400") else 2), (2 if chroma == "420" else 1)
        left, right, top, bottom = (bits.take_ue() for _ in range(4))
        width, height = width - across * (left + right), height - down * (top + bottom)
    if width < 1 or height < 1:
        raise DamagedError(f"a size of {width}x{height} in the sequence parameter set; the file is damaged")
    if bits.take(1):
        raise UnsupportedError("a VVC stream with subpictures; they are not read")
    return width, height, chroma, 8 + bits.take_ue()


def _skip_profile(bits: Bits, sublayers: int) -> None:
    """profile_tier_level (7.3.3.1)."""
    bits.take(18)  # profile, tier, level, two flags
    if bits.take(1):
        bits.take(71)
        bits.take(bits.take(8))
    bits.align()
    present = [bits.take(1) for _ in range(sublayers)]
    bits.align()
    bits.take(8 * sum(present))
    bits.take(32 * bits.take(8))
