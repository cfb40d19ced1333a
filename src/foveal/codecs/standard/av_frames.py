"""PyAV, as far as a still needs it: one frame into an encoder, the first frame out of a decoder, and MP4 around a stream."""

from __future__ import annotations

import io
import itertools
import os
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.errors import BackendError, DamagedError, LimitError, MissingDependencyError, UnsupportedError
from foveal.media.color import Chroma, Matrix, Plane, YCbCr

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

_RATE = Fraction(25)  # a still has no rate; players and MP4 want one
_SRGB_TRANSFER, _SRGB_PRIMARIES = 13, 1  # CICP
_LIMITED, _FULL = 1, 2  # AVColorRange
_UNSPECIFIED = 2  # CICP
_MATRICES = {0: Matrix.IDENTITY, 1: Matrix.BT709, 5: Matrix.BT601, 6: Matrix.BT601, 9: Matrix.BT2020_NCL}
_FORMAT = re.compile(r"(?:(yuvj?)(420|422|444)p|(gbr)p|gray)(10|12)?(?:le)?")
_PACKETS = 8  # of a clip, decoded at most until its first frame appears
_REGIONS_AT_ONCE = 100  # a filter graph takes longer than its filters are many
_QP_UNIT = 118  # FF_QP2LAMBDA
_MARGIN = 128  # a coded side exceeds the shown one by less than a block of 128


@dataclass(frozen=True)
class PixelFormat:
    """What the name of a pixel format says."""

    chroma: Chroma
    bit_depth: int
    is_rgb: bool
    full_range: bool


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels whose quantiser is ``offset`` above that of the rest (HEVC only); of those that overlap, the first counts."""

    x: int
    y: int
    width: int
    height: int
    offset: float


def load_av() -> ModuleType:
    """The module ``av``. Raises MissingDependencyError if it is not installed."""
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError("the codec needs PyAV; pip install av") from error
    return av


def pixel_format(name: str | None) -> PixelFormat:
    """Reads the name of a pixel format.

    Raises:
        UnsupportedError: neither planar YCbCr, planar RGB nor gray of 8, 10 or 12 bits.
    """
    match = _FORMAT.fullmatch(name or "")
    if match is None:
        raise UnsupportedError(
            f"pixel format {name!r}; planar yuv420p, yuv422p, yuv444p, gbrp and gray of 8, 10 and 12 bits are read"
        )
    chroma: Chroma = "444" if match[3] else "400"
    for known in ("420", "422", "444"):
        chroma = known if match[2] == known else chroma
    return PixelFormat(chroma, int(match[4] or 8), bool(match[3]), match[1] == "yuvj" or bool(match[3]))


def encode_frame(
    encoder: str, picture: YCbCr, options: Mapping[str, str], threads: int | None = None, regions: Sequence[Region] = ()
) -> bytes:
    """The stream that ``encoder`` makes of one picture, its colours declared as sRGB primaries and transfer.

    Raises:
        MissingDependencyError: this PyAV has no such encoder. BackendError: it failed.
    """
    return b"".join(map(bytes, _packets(encoder, picture, options, threads, regions)))


def encode_frame_telling_qp(
    encoder: str, picture: YCbCr, options: Mapping[str, str], regions: Sequence[Region] = ()
) -> tuple[bytes, float]:
    """The same, and the mean QP that the encoder says it coded, cut to a hundredth.

    Raises:
        MissingDependencyError: as above, or the PyAV is older than 16. BackendError: it failed, or did not say.
    """
    packets = _packets(encoder, picture, options, None, regions)
    if not hasattr(packets[0], "get_sidedata"):
        raise MissingDependencyError("a guide needs PyAV 16 or newer; pip install --upgrade av")
    told = bytes(packets[0].get_sidedata("quality_stats"))
    if len(told) < 4:
        raise BackendError(
            f"{encoder} does not say with which QP it coded, so its use of a guide cannot be seen; leave the guide out"
        )
    return b"".join(map(bytes, packets)), int.from_bytes(told[:4], "little") / _QP_UNIT


def _packets(
    encoder: str, picture: YCbCr, options: Mapping[str, str], threads: int | None, regions: Sequence[Region]
) -> list[Any]:
    av = load_av()
    try:
        context: VideoCodecContext = av.CodecContext.create(encoder, "w")
    except ValueError as error:
        raise MissingDependencyError(f"this PyAV has no {encoder}; pip install --upgrade av") from error
    context.height, context.width = picture.planes[0].shape
    context.pix_fmt = _format_name(picture)
    context.framerate, context.time_base = _RATE, 1 / _RATE
    context.options = dict(options)
    if threads is not None:
        context.thread_count = threads
    _declare_colour(context, picture)
    with backend_errors(encoder):
        frame = attach_regions(_frame(picture), regions)
        return [*context.encode(frame), *context.encode(None)]


def stream_size(decoder: str, head: bytes) -> tuple[int, int, PixelFormat]:
    """Width, height and pixel format that the parameter sets (or the sequence header) in ``head`` announce.

    Raises:
        DamagedError: they cannot be read. UnsupportedError: no such pixel format is read.
    """
    context = _decoder(decoder)
    context.extradata = head
    with reading_errors():
        context.open(strict=False)
    if not (context.width > 0 and context.height > 0):
        raise DamagedError("no size in the stream's head; the file is damaged or cut off")
    return context.width, context.height, pixel_format(context.pix_fmt)


def decode_frame(decoder: str, data: bytes, width: int, height: int, *, split: bool) -> YCbCr:
    """The first frame, of a stream whose head announces this size. ``split``: cut the stream into packets first.

    Raises:
        DamagedError: it cannot be decoded. UnsupportedError: a pixel format, colour matrix or coding tool that is not read.
    """
    av = load_av()
    context = _decoder(decoder)
    context.options = {"max_pixels": str((width + _MARGIN) * (height + _MARGIN)), "err_detect": "explode"}
    context.thread_type = "SLICE"
    # With more threads the VVC decoder gives a wrong picture now and then, of narrow pictures above all.
    context.thread_count = 1 if decoder == "vvc" else min(4, os.cpu_count() or 1)
    with reading_errors():
        packets: list[Any] = [*context.parse(data), *context.parse(None)] if split else [av.Packet(data)]
        for packet in [*packets[:_PACKETS], None]:
            for frame in context.decode(packet):
                return _planes(frame)
    raise DamagedError("the stream holds no whole picture; the file is damaged or cut off")


def wrap_mp4(stream: bytes, demuxer: str, tag: str) -> bytes:
    """An MP4 file around a stream of one picture. Raises BackendError if the muxer fails."""
    av = load_av()
    target = io.BytesIO()
    with backend_errors("the MP4 muxer"), av.open(io.BytesIO(stream), format=demuxer) as source:
        with av.open(target, "w", format="mp4", container_options={"fflags": "+bitexact"}) as sink:
            into = sink.add_stream_from_template(source.streams.video[0], opaque=True)
            into.codec_tag = tag
            for packet in source.demux(video=0):
                if packet.size:
                    packet.pts, packet.dts, packet.stream = 0, 0, into
                    sink.mux(packet)
        return target.getvalue()


def unwrap_mp4(data: bytes, codec: str, pixels: int) -> tuple[bytes, bytes]:
    """The codec's own configuration, and the first packets, of the first video track; no samples are decoded.

    Raises:
        DamagedError: no MP4, or none with pictures. UnsupportedError: it holds another codec.
    """
    av = load_av()
    with reading_errors(), av.open(io.BytesIO(data), format="mp4", options={"max_pixels": str(pixels)}) as source:
        if not source.streams.video:
            raise DamagedError("the MP4 file has no video track")
        track = source.streams.video[0]
        if track.codec_context is None:
            raise UnsupportedError("the MP4 file holds a kind of video that this PyAV does not know; it may be damaged")
        if track.codec_context.codec.canonical_name != codec:
            raise UnsupportedError(f"the MP4 file holds {track.codec_context.codec.canonical_name}, not {codec}")
        extradata = bytes(track.codec_context.extradata or b"")
        filters = None if codec == "av1" else av.bitstream.BitStreamFilterContext(f"{codec}_mp4toannexb", track)
        parts: list[bytes] = []
        for packet in itertools.islice(source.demux(track), _PACKETS):
            if packet.size:
                parts += [bytes(part) for part in (filters.filter(packet) if filters else [packet])]
        if parts:
            return extradata, b"".join(parts)
    raise DamagedError("the MP4 file holds no picture; it is damaged or cut off")


@contextmanager
def backend_errors(what: str) -> Generator[None]:
    """Turns the failures of a library at work on sound input into BackendError."""
    try:
        yield
    except (load_av().FFmpegError, MemoryError, ValueError) as error:
        raise BackendError(f"{what} failed: {error}") from error


@contextmanager
def reading_errors() -> Generator[None]:
    """Turns the failures of a library that reads a file into our own."""
    av = load_av()
    try:
        yield
    except av.error.PatchWelcomeError as error:
        raise UnsupportedError(f"the stream uses what this PyAV cannot decode: {error}") from error
    except MemoryError as error:
        raise LimitError(f"the decoder ran out of memory: {error}") from error
    except (av.FFmpegError, ValueError, EOFError) as error:
        raise DamagedError(f"the stream cannot be decoded: {error}; the file is damaged or of another kind") from error


def _decoder(name: str) -> VideoCodecContext:
    try:
        return load_av().CodecContext.create(name, "r")
    except ValueError as error:
        raise MissingDependencyError(f"this PyAV has no decoder {name}; pip install --upgrade av") from error


def _format_name(picture: YCbCr) -> str:
    name = "gray" if picture.chroma == "400" else f"yuv{picture.chroma}p"
    return name if picture.bit_depth == 8 else f"{name}{picture.bit_depth}le"


def _declare_colour(target: VideoCodecContext | VideoFrame, picture: YCbCr) -> None:
    target.colorspace = int(picture.matrix)
    target.color_range = _FULL if picture.full_range else _LIMITED
    target.color_trc, target.color_primaries = _SRGB_TRANSFER, _SRGB_PRIMARIES


def _frame(picture: YCbCr) -> VideoFrame:
    height, width = picture.planes[0].shape
    frame: VideoFrame = load_av().VideoFrame(width, height, _format_name(picture))
    for target, plane in zip(frame.planes, picture.planes, strict=True):
        lines = np.zeros((plane.shape[0], target.line_size // plane.itemsize), plane.dtype)
        lines[:, : plane.shape[1]] = plane
        target.update(lines.tobytes())
    frame.pts, frame.time_base = 0, 1 / _RATE
    _declare_colour(frame, picture)
    return frame


def attach_regions(frame: VideoFrame, regions: Sequence[Region]) -> VideoFrame:
    """The frame with regions attached, which only a filter can do."""
    for at in range(0, len(regions), _REGIONS_AT_ONCE):
        frame = _with_regions(frame, regions[at : at + _REGIONS_AT_ONCE])
    return frame


def _with_regions(frame: VideoFrame, regions: Sequence[Region]) -> VideoFrame:
    """The frame with regions attached behind those that it has."""
    graph = load_av().filter.Graph()
    source = last = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=1 / _RATE)
    for r in regions:
        node = graph.add("addroi", f"x={r.x}:y={r.y}:w={r.width}:h={r.height}:qoffset={r.offset / 51:.9f}")
        last.link_to(node)
        last = node
    sink = graph.add("buffersink")
    last.link_to(sink)
    graph.configure()
    source.push(frame)
    return sink.pull()


def _planes(frame: VideoFrame) -> YCbCr:
    kind = pixel_format(frame.format.name)
    # What says nothing was mostly made by ffmpeg, which takes RGB to BT.601 then.
    declared = int(frame.colorspace)
    matrix = Matrix.IDENTITY if kind.is_rgb else Matrix.BT601 if declared == _UNSPECIFIED else _MATRICES.get(declared)
    if matrix is None or (matrix is Matrix.IDENTITY and not kind.is_rgb):
        raise UnsupportedError(f"colour matrix {declared} (CICP) in {frame.format.name}; 1, 2, 5, 6 and 9 are read")
    full = frame.color_range == _FULL or (kind.full_range and frame.color_range != _LIMITED)
    dtype = np.uint8 if kind.bit_depth == 8 else np.uint16
    planes: list[Plane] = []
    for plane in frame.planes:
        lines: Plane = np.frombuffer(memoryview(plane), dtype).reshape(-1, plane.line_size // np.dtype(dtype).itemsize)  # pyright: ignore[reportArgumentType] - a buffer
        planes.append(lines[: plane.height, : plane.width])
    return YCbCr(tuple(planes), kind.chroma, matrix, full, kind.bit_depth)
