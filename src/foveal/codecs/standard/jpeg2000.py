"""JPEG 2000 by OpenJPEG, through Pillow: a .jp2 file, irreversible 9/7 wavelet, one quality layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

import numpy as np

from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.standard.pillow_file import describe_image
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.image_io import image_bytes, read_picture, to_image
from foveal.media.profile import to_srgb
from foveal.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

# OpenJPEG's rate control misjudges thin and tiny pictures, by 25 dB and more: so many pixels are checked after coding.
_TINY = 1 << 14
_MISSED_DB = 3


@final
class Jpeg2000Codec(Codec):
    """Gray and alpha are kept, alpha at the quality of the colours; Pillow writes no ICC and no Exif, so samples become sRGB.

    The parameter is the PSNR in dB that OpenJPEG aims at. A file ends after a whole coding pass of a block of 64x64,
    so below some 4 kB the sizes lie several percent apart.
    """

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        return _PreparedJpeg2000(self.info, to_srgb(picture))

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        """As ``Codec.decode``; bare codestreams too."""
        return read_picture(bytes(data), limits, ("JPEG2000",))

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        """As ``Codec.describe``."""
        return describe_image(data, limits, self.info, "JPEG2000")[0]


@final
class _PreparedJpeg2000(Prepared):
    def __init__(self, info: CodecInfo, picture: Picture) -> None:
        self._info = info
        self._image: Image = to_image(picture)
        self._transform = 0 if picture.is_gray else 1  # without it, colours cost some 60 % more bytes

    def encode(self, quality: float) -> bytes:
        wanted_db = self._info.scale.native(quality)
        data = self._write(wanted_db)
        if self._image.width * self._image.height > _TINY:
            return data
        for more_db in (6, 12, 24, 48):
            if self._psnr_db(data) >= wanted_db - _MISSED_DB:
                return data
            data = self._write(wanted_db + more_db)
        return data if self._psnr_db(data) >= wanted_db - _MISSED_DB else self._write(None)

    def _write(self, psnr_db: float | None) -> bytes:
        """A file of about this PSNR, or of everything that was coded."""
        return image_bytes(
            self._image,
            "JPEG2000",
            quality_mode="dB",
            quality_layers=None if psnr_db is None else [psnr_db],
            irreversible=True,
            mct=self._transform,
        )

    def _psnr_db(self, data: bytes) -> float:
        back = np.asarray(to_image(read_picture(data, formats=("JPEG2000",))), np.float64)
        error = float(np.mean((back - np.asarray(self._image)) ** 2))
        return 10 * math.log10(255**2 / max(error, 1e-9))
