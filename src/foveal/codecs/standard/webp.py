"""WebP (lossy VP8) by libwebp, through Pillow."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.standard.pillow_file import check_sides, describe_image
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.image_io import image_bytes, read_picture, to_image
from foveal.media.profile import to_srgb
from foveal.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE = 16_383


@final
class WebpCodec(Codec):
    """Always 4:2:0; alpha is lossless, and left out where all of it is opaque; ICC and Exif travel. Gray comes back as RGB.

    ``preset`` is libwebp's method, 0 (fast) to 6 (small).
    """

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        check_sides(picture, self.info, _SIDE)
        # A gray profile cannot describe the RGB samples that gray becomes here.
        return _PreparedWebp(self.info, to_srgb(picture) if picture.is_gray else picture, settings)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        """As ``Codec.decode``; lossless files too, and the first frame of a moving one."""
        return read_picture(bytes(data), limits, ("WEBP",))

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        """As ``Codec.describe``; a lossless file has no chroma format."""
        return describe_image(data, limits, self.info, "WEBP")[0]


@final
class _PreparedWebp(Prepared):
    def __init__(self, info: CodecInfo, picture: Picture, settings: EncodeSettings) -> None:
        self._info = info
        self._image: Image = to_image(picture, gray=False)
        self._icc, self._exif = picture.icc, picture.exif
        self._method = int(settings.preset or 4)

    def encode(self, quality: float) -> bytes:
        return image_bytes(
            self._image,
            "WEBP",
            quality=int(self._info.scale.native(quality)),
            alpha_quality=100,
            method=self._method,
            icc_profile=self._icc,
            exif=self._exif,
        )
