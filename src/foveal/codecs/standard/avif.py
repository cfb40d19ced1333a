"""AVIF stills (AV1 intra) by libavif and libaom, through Pillow: full range, BT.601 matrix, sRGB transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.standard.pillow_file import check_sides, describe_image
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.image_io import image_bytes, read_picture, to_image
from foveal.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

# Where libavif, by default, stops decoding.
_SIDE = 32_768
_PIXELS = 16_384 * 16_384


@final
class AvifCodec(Codec):
    """Gray is coded as 4:0:0; alpha is lossless, and left out where all of it is opaque; ICC and Exif travel.

    The parameter is libavif's quality, of which some neighbours give the same file. ``preset`` is the speed, 0 (small) to 10
    (fast). The number of threads does not change the file.
    """

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        check_sides(picture, self.info, _SIDE, _PIXELS)
        return _PreparedAvif(self.info, picture, settings)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        """As ``Codec.decode``; the first frame of a moving file."""
        return read_picture(bytes(data), limits, ("AVIF",))

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        """As ``Codec.describe``; of a grid or a sequence the chroma format is not said."""
        return describe_image(data, limits, self.info, "AVIF")[0]


@final
class _PreparedAvif(Prepared):
    def __init__(self, info: CodecInfo, picture: Picture, settings: EncodeSettings) -> None:
        self._info = info
        self._image: Image = to_image(picture)
        self._icc, self._exif = picture.icc, picture.exif
        self._sampling = "4:0:0" if picture.is_gray else ":".join(settings.chroma or "420")
        self._speed = int(settings.preset or 6)
        self._threads = settings.threads
        # libaom writes another file for one thread than for more unless rows are left to one thread; tiles use the others.
        self._options = {"row-mt": "0"}
        if picture.alpha is not None:  # it would get the quality of the colours; "a:" begins an option for alpha alone
            self._options["a:lossless"] = "1"

    def encode(self, quality: float) -> bytes:
        return image_bytes(
            self._image,
            "AVIF",
            quality=int(self._info.scale.native(quality)),
            subsampling=self._sampling,
            range="full",
            codec="aom",
            speed=self._speed,
            max_threads=self._threads,
            icc_profile=self._icc,
            exif=self._exif,
            advanced=self._options,
        )
