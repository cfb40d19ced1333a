"""JPEG XL by libjxl, through imagecodecs: a bare codestream, VarDCT in XYB."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import final

import numpy as np
import numpy.typing as npt

from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.standard.jxl_header import JxlHeader, read_jxl_header
from foveal.errors import BackendError, DamagedError, MissingDependencyError, PrecisionWarning, TruncatedError, UnsupportedError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.profile import to_srgb
from foveal.picture import Picture, Samples


@final
class JxlCodec(Codec):
    """Gray stays gray and alpha is lossless; imagecodecs writes no ICC and no Exif, so samples become sRGB.

    The parameter is the quality of libjxl's own tools (90 is butteraugli distance 1), bounded by distance 0.1.
    ``preset`` is the effort, 1 (fast) to 9 (small).
    """

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        _library()
        return _PreparedJxl(self.info, to_srgb(picture), settings)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        """As ``Codec.decode``; files in a container too, and the first frame of a moving one."""
        data, library = bytes(data), _library()
        header = _header(data, limits)
        if not header.srgb or header.floating or header.premultiplied or header.other_channels:
            raise UnsupportedError(f"JPEG XL: {_foreign_parts(header)}; convert the file with djxl first")
        if header.animated:
            warnings.warn("a JPEG XL file of several frames: the first is taken", UserWarning, stacklevel=2)
        try:
            array = library.jpegxl_decode(data, index=0)
        except Exception as error:
            wrong = TruncatedError if "NEED_MORE_INPUT" in str(error) else DamagedError
            raise wrong(f"JPEG XL: {error}") from error
        if header.bit_depth > 8:
            warnings.warn("JPEG XL of more than 8 bits a sample: brought to 8", PrecisionWarning, stacklevel=2)
        return _picture(array, header)

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        """As ``Codec.describe``; imagecodecs is not needed."""
        header = _header(data, limits)
        return FileInfo(
            codec=self.info.name,
            bytes=len(data),
            width=header.upright_width,
            height=header.upright_height,
            channels=header.channels,
            alpha=header.alpha,
            chroma="400" if header.channels == 1 else "444",
            bit_depth=header.bit_depth,
            exif_bytes=header.exif_bytes,
        )


@final
class _PreparedJxl(Prepared):
    def __init__(self, info: CodecInfo, picture: Picture, settings: EncodeSettings) -> None:
        self._info = info
        alpha = [] if picture.alpha is None else [picture.alpha]
        array: Samples = np.dstack([picture.samples, *alpha])
        self._array = array[:, :, 0] if array.shape[2] == 1 else array
        self._effort = int(settings.preset or 7)
        self._threads = settings.threads

    def encode(self, quality: float) -> bytes:
        distance = _distance(self._info.scale.native(quality))
        try:
            return bytes(_library().jpegxl_encode(self._array, effort=self._effort, distance=distance, numthreads=self._threads))
        except Exception as error:
            raise BackendError(f"libjxl could not write {self._array.shape} at distance {distance:.2f}: {error}") from error


def _distance(quality: float) -> float:
    """Butteraugli distance, 0.1 to 25: JxlEncoderDistanceFromQuality of libjxl, but never lossless."""
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return 53 / 3000 * quality**2 - 23 / 20 * quality + 25


def _header(data: bytes, limits: Limits) -> JxlHeader:
    limits.check_payload(len(data))
    header = read_jxl_header(data)
    limits.check_size(header.width, header.height)
    return header


def _foreign_parts(header: JxlHeader) -> str:
    parts = {
        "colours other than sRGB": not header.srgb,
        "samples in floating point": header.floating,
        "premultiplied alpha": header.premultiplied,
        f"{header.other_channels} further channels": header.other_channels > 0,
    }
    return " and ".join(part for part, there in parts.items() if there)


def _picture(array: npt.NDArray[np.generic], header: JxlHeader) -> Picture:
    """8-bit samples out of what libjxl gave."""
    expected = (header.upright_height, header.upright_width, header.channels + header.alpha)
    whole = np.atleast_3d(array)
    if whole.shape != expected or whole.dtype.kind != "u":
        raise DamagedError(f"JPEG XL: the header says {expected}, the samples are {whole.shape} {whole.dtype}")
    if header.bit_depth > 8:
        top = (1 << header.bit_depth) - 1
        whole = (whole.astype(np.int64) * 255 + top // 2) // top
    samples = np.ascontiguousarray(whole.astype(np.uint8)[:, :, : header.channels])
    alpha = np.ascontiguousarray(whole.astype(np.uint8)[:, :, -1]) if header.alpha else None
    return Picture(samples, alpha)


def _library() -> ModuleType:
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingDependencyError("jxl needs imagecodecs: pip install imagecodecs") from error
    return imagecodecs
