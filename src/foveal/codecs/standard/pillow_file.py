"""What the codecs that stand on Pillow share: what they refuse, and what their files say of themselves."""

from __future__ import annotations

from foveal.codecs.base import Chroma, CodecInfo, FileInfo
from foveal.errors import PictureError
from foveal.limits import Limits
from foveal.media.image_io import OpenImage, open_image
from foveal.picture import Picture

_CHROMA: dict[str, Chroma] = {"400": "400", "420": "420", "422": "422", "444": "444"}
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)


def check_sides(picture: Picture, info: CodecInfo, side: int, pixels: int | None = None) -> None:
    """Raises PictureError if a side is longer, or the picture larger, than the format or its library can hold."""
    size = f"{picture.width}x{picture.height}"
    if max(picture.width, picture.height) > side:
        raise PictureError(f"{size}: {info.name} holds sides up to {side}; make the picture smaller, or use jxl or jpeg2000")
    if pixels is not None and picture.width * picture.height > pixels:
        raise PictureError(f"{size}: {info.name} holds up to {pixels} pixels; make the picture smaller, or use jxl or jpeg2000")


def check_exif(exif: bytes | None, info: CodecInfo, most: int) -> None:
    """Raises PictureError if an Exif block is longer than the format can hold."""
    if exif is not None and len(exif) > most:
        raise PictureError(f"an Exif block of {len(exif)} bytes; {info.name} holds up to {most}, so remove it or its preview")


def describe_image(data: bytes, limits: Limits, info: CodecInfo, kind: str) -> tuple[FileInfo, OpenImage]:
    """What the head of a file of Pillow's format ``kind`` says, as ``read_picture`` would give it; and the opened image.

    Chroma and bit depth are filled in where foveal reads the header itself. Raises as ``read_picture``.
    """
    opened = open_image(data, limits, (kind,))
    image, header = opened.image, opened.header
    width, height = image.size
    try:
        turned = image.getexif().get(_ORIENTATION, 1) in _TURNED
    except Exception:  # a broken Exif block: read_picture leaves it out too
        turned = False
    chroma = None if header is None or header.chroma is None else _CHROMA[header.chroma]
    gray = image.mode in ("1", "L", "LA", "I;16") or (chroma == "400" and image.mode in ("RGB", "RGBA"))
    icc = image.info.get("icc_profile") or (header.icc if header else None) or b""
    found = FileInfo(
        codec=info.name,
        bytes=len(data),
        width=height if turned else width,
        height=width if turned else height,
        channels=1 if gray else 3,
        alpha=image.has_transparency_data,
        chroma=chroma,
        bit_depth=header.bit_depth if header else 8,
        icc_bytes=len(icc),
        exif_bytes=len((image.info.get("exif") or b"").removeprefix(b"Exif\0\0")),
    )
    return found, opened
