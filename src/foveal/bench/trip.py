"""One picture through one codec at one quality, by way of a real file, and the figures of that."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from foveal.bench.plan import CodecRun
from foveal.codecs.base import Codec, DecodeSettings, EncodeSettings
from foveal.errors import InputError
from foveal.metrics.psnr import psnr_rgb_db, psnr_y_db
from foveal.metrics.rate import bpp, file_bytes
from foveal.metrics.ssim import MS_SSIM_LEAST_SIDE, SSIM_LEAST_SIDE, ms_ssim, ssim
from foveal.picture import Picture


@dataclass(frozen=True, eq=False)
class Trip:
    """What came back. data: the file; size: its bytes on disk; encode_s, decode_s: wall time, encode_s None if the file was at hand."""

    data: bytes
    size: int
    decoded: Picture
    encode_s: float | None
    decode_s: float


@dataclass(frozen=True)
class Measurement:
    """The figures of one row. ssim, ms_ssim: None where the picture is too small or they were not asked for."""

    bytes: int
    bpp: float
    psnr_rgb_db: float
    psnr_y_db: float
    ssim: float | None
    ms_ssim: float | None
    encode_s: float
    decode_s: float


def settings_of(run: CodecRun, quality: float, threads: int | None) -> EncodeSettings:
    """The settings of one point of a curve."""
    plain = EncodeSettings(quality, run.chroma, run.preset, threads=threads)
    return plain if run.variant is None else run.variant.settings(plain)


def send(
    codec: Codec, picture: Picture, settings: EncodeSettings, file: Path, *, bands: int | None = None, data: bytes | None = None
) -> Trip:
    """Codes a picture into ``file``, reads it back and decodes it. ``data``: the file, where it was coded before.

    With ``bands`` the file is cut after so many of its bands, and what is left is decoded.

    Raises:
        FovealError: whatever the codec refuses, or a file that cannot be written.
    """
    encode_s = None
    if data is None:
        begin = time.perf_counter()
        data = codec.encode(picture, settings)
        encode_s = time.perf_counter() - begin
        if bands is not None:
            data = data[: len(data) - sum(band.bytes for band in codec.describe(data).bands[bands:])]
    size, data = _through_disk(file, data)
    begin = time.perf_counter()
    decoded = codec.decode(data, settings=DecodeSettings(allow_partial=bands is not None))
    return Trip(data, size, decoded, encode_s, time.perf_counter() - begin)


def measure(picture: Picture, trip: Trip, *, with_ssim: bool) -> Measurement:
    """Compares what came back of a picture with it. The trip must be one that coded it."""
    assert trip.encode_s is not None, "a file that was at hand has no time of encoding"
    side = min(picture.width, picture.height)
    return Measurement(
        bytes=trip.size,
        bpp=bpp(trip.size, picture.width, picture.height),
        psnr_rgb_db=psnr_rgb_db(picture, trip.decoded),
        psnr_y_db=psnr_y_db(picture, trip.decoded),
        ssim=ssim(picture, trip.decoded) if with_ssim and side >= SSIM_LEAST_SIDE else None,
        ms_ssim=ms_ssim(picture, trip.decoded) if with_ssim and side >= MS_SSIM_LEAST_SIDE else None,
        encode_s=trip.encode_s,
        decode_s=trip.decode_s,
    )


def _through_disk(file: Path, data: bytes) -> tuple[int, bytes]:
    try:
        file.write_bytes(data)
        return file_bytes(file), file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from error
