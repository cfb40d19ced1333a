"""JPEG by libjpeg-turbo, through Pillow: progressive, with Huffman tables made for the picture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, final

from foveal.codecs.base import Chroma, Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.guide import Guide
from foveal.codecs.guided.jpeg_blocks import thin_blocks
from foveal.codecs.guided.steered import Steered
from foveal.codecs.standard.pillow_file import check_exif, check_sides, describe_image
from foveal.errors import BackendError, PictureError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.image_io import image_bytes, read_picture, to_image
from foveal.picture import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE = 65_500  # libjpeg's own bound, a little under the format's 65,535
_EXIF = 65_527  # a marker segment less its length and the prefix
_ICC = 255 * 65_519
_SMALL = 1 << 16  # below so many pixels a progressive file is not always the shorter one
_SAMPLING: dict[tuple[int, ...], Chroma] = {
    (1, 1, 1, 1, 1, 1): "444",
    (2, 1, 1, 1, 1, 1): "422",
    (2, 2, 1, 1, 1, 1): "420",
}
# The luminance table of the standard's annex K; its sum tells the quality that libjpeg scaled it by.
_ANNEX_K = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


@final
class JpegCodec(Codec):
    """Files that everything opens. Gray stays gray; ICC and Exif travel; no alpha."""

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        if picture.alpha is not None:
            raise PictureError("jpeg holds no alpha; flatten the picture first (--background)")
        check_sides(picture, self.info, _SIDE)
        check_exif(picture.exif, self.info, _EXIF)
        if picture.icc is not None and len(picture.icc) > _ICC:
            raise PictureError(
                f"an ICC profile of {len(picture.icc)} bytes; jpeg holds up to {_ICC}, so convert the picture to sRGB"
            )
        if settings.guide is None:
            return _PreparedJpeg(self.info, picture, settings)

        def thinned(given: Picture, guide: Guide, quality: float) -> Picture:
            return thin_blocks(given, guide, int(self.info.scale.native(quality)), settings.chroma or "420")

        return Steered(self, picture, settings, filtered=thinned)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        """As ``Codec.decode``; a file with CMYK samples becomes sRGB."""
        return read_picture(bytes(data), limits, ("JPEG",))

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        """As ``Codec.describe``; the quality is named where the tables are libjpeg's own."""
        found, opened = describe_image(data, limits, self.info, "JPEG")
        layers: list[tuple[int, ...]] = getattr(opened.image, "layer", [])
        factors = tuple(factor for layer in layers for factor in layer[1:3])
        chroma = "400" if len(layers) == 1 else _SAMPLING.get(factors)
        tables: dict[int, list[int]] = getattr(opened.image, "quantization", {})
        return replace(found, chroma=chroma, parameter=_quality(tables.get(0, [])))


@final
class _PreparedJpeg(Prepared):
    def __init__(self, info: CodecInfo, picture: Picture, settings: EncodeSettings) -> None:
        self._info = info
        self._image: Image = to_image(picture)
        self._icc = picture.icc
        self._exif = None if picture.exif is None else b"Exif\0\0" + picture.exif
        self._sampling = None if picture.is_gray else ":".join(settings.chroma or "420")

    def encode(self, quality: float) -> bytes:
        native = int(self._info.scale.native(quality))
        try:
            progressive = self._write(native, progressive=True, optimize=True)
        except BackendError:
            # Pillow gives libjpeg room for 8 or 16 bits a pixel, too little for noise; a plain file needs no such room.
            return self._write(native, progressive=False, optimize=False)
        if self._image.width * self._image.height >= _SMALL:
            return progressive
        return min(progressive, self._write(native, progressive=False, optimize=True), key=len)

    def _write(self, native: int, *, progressive: bool, optimize: bool) -> bytes:
        return image_bytes(
            self._image,
            "JPEG",
            quality=native,
            subsampling=self._sampling,
            progressive=progressive,
            optimize=optimize,
            icc_profile=self._icc,
            exif=self._exif,
        )


def _quality(table: list[int]) -> str | None:
    """The quality that libjpeg made this luminance table for, if it made it."""
    for quality in range(1, 101):
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        if [min(255, max(1, (base * scale + 50) // 100)) for base in _ANNEX_K] == list(table):
            return f"quality {quality}"
    return None
