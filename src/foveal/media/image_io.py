"""Files of samples, read and written by Pillow: PNG, JPEG, WebP, TIFF, BMP, PPM and what else it reads."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from foveal.errors import (
    BackendError,
    DamagedError,
    FovealError,
    InputError,
    LimitError,
    MissingDependencyError,
    NotFovealError,
    PictureError,
    PrecisionWarning,
    TruncatedError,
    UnsupportedError,
)
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.headers import StillHeader, header_of
from foveal.media.output import write_whole
from foveal.media.profile import image_to_srgb, to_srgb
from foveal.picture import Picture, Samples

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

# Pillow reads more, but not by signature, or by starting programs (EPS).
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF", "JPEG2000", "AVIF", "QOI")
_PLUGINS = {"JPEG2000": "Jpeg2KImagePlugin", "WEBP": "WebPImagePlugin"}
_TRUNCATED = ("truncated", "ends too early", "but only got", "not enough data", "outside file", "unexpected end")
_UNSUPPORTED = ("unsupported", "not available", "not supported", "not installed", "unrecognized image mode")


@dataclass(frozen=True)
class OpenImage:
    """An image whose head is read and allowed, and whose samples are not decoded yet."""

    image: ImageFile
    header: StillHeader | None


def read_picture(source: str | Path | bytes, limits: Limits = DEFAULT_LIMITS, formats: tuple[str, ...] = FORMATS) -> Picture:
    """Reads the (first) picture of a file: upright, gray stays gray, alpha and ICC are kept, CMYK and Lab become sRGB.

    Warns with PrecisionWarning where more than 8 bits become 8, and with UserWarning where further frames or a
    broken Exif block are left out. ``formats`` are Pillow's names.

    Raises:
        InputError: no such file, or not readable. FormatError: damaged, truncated, or of no known format.
        LimitError: larger than ``limits`` allow. PictureError: floating-point samples, or a broken CMYK profile.
        UnsupportedError: a kind of samples that Pillow does not read, or reads wrongly.
    """
    opened = open_image(_bytes_of(source, limits), limits, formats)
    image = opened.image
    cut = _cuts_bits(opened)
    if getattr(image, "is_animated", False):
        warnings.warn(f"a {image.format} file of several frames: the first is taken", UserWarning, stacklevel=2)
    top = 4095 if any(arg == "I;12" for arg in _tile_args(image)) else 65_535
    with _foreign(f"{image.format} samples"):
        image.load()
    if cut and isinstance(image.info.get("transparency"), tuple):  # Pillow keeps 16 bits here, 8 in the samples
        key = cast("tuple[int, ...]", image.info["transparency"])
        image.info["transparency"] = tuple(value >> 8 for value in key)
    exif = _turn_upright(image)
    picture, narrowed = _picture(image, exif, opened.header, top)
    if cut or narrowed:
        warnings.warn(f"{image.format} of more than 8 bits a sample: brought to 8", PrecisionWarning, stacklevel=2)
    return picture


def open_image(data: bytes, limits: Limits = DEFAULT_LIMITS, formats: tuple[str, ...] = FORMATS) -> OpenImage:
    """Reads the head of a file, without its samples, and checks the size. Raises as ``read_picture``.

    ``PIL.Image.open`` is passed by: its guard against large images is a global, and a warning.
    """
    from PIL import Image

    limits.check_payload(len(data))
    for name in formats:
        importlib.import_module("PIL." + _PLUGINS.get(name, name.capitalize() + "ImagePlugin"))
        factory, accept = Image.OPEN[name]
        accepted = accept is None or accept(data[:16])
        if isinstance(accepted, str):
            raise MissingDependencyError(f"{accepted}; install a Pillow that has it: pip install --upgrade Pillow")
        if not accepted:
            continue
        if (header := header_of(data, name)) is not None:
            limits.check_size(header.width, header.height)
        with _foreign(f"{name} head"):
            image = factory(io.BytesIO(data), "")
        limits.check_size(*image.size)
        for key, what in (("icc_profile", "an ICC profile"), ("exif", "an Exif block")):
            limits.check_metadata(len(image.info.get(key) or b""), what)
        return OpenImage(image, header)
    begin = data[:8].hex(" ") or "nothing"
    raise NotFovealError(f"a file that begins with {begin} is none of {', '.join(formats)}")


def to_image(picture: Picture, *, gray: bool = True) -> Image:
    """An image of mode L, LA, RGB or RGBA; without ``gray`` only the last two."""
    from PIL import Image

    samples = picture.samples if gray else picture.rgb()
    if picture.alpha is not None:
        samples = np.dstack([samples, picture.alpha])
    if samples.shape[2] == 1:
        samples = samples[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(samples))


def image_bytes(image: Image, kind: str, **options: Any) -> bytes:
    """The file that Pillow's format ``kind`` makes of an image, with that plugin's own options. Raises BackendError."""
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind, **{name: value for name, value in options.items() if value is not None})
    except Exception as error:
        raise BackendError(f"Pillow could not write {image.width}x{image.height} {image.mode} as {kind}: {error}") from error
    return buffer.getvalue()


@dataclass(frozen=True)
class _Kind:
    """What a format of Pillow can hold."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()
    alpha: bool = True
    metadata: bool = True
    side: int = 1 << 31


_JPEG = _Kind("JPEG", (("quality", 95), ("subsampling", 0)), alpha=False, side=65_500)
_TIFF = _Kind("TIFF", (("compression", "tiff_adobe_deflate"),))
_PNM = _Kind("PPM", alpha=False, metadata=False)
_KINDS = {
    ".png": _Kind("PNG"), ".jpg": _JPEG, ".jpeg": _JPEG, ".tif": _TIFF, ".tiff": _TIFF,
    ".webp": _Kind("WEBP", (("lossless", True), ("exact", True)), side=16_383),
    ".bmp": _Kind("BMP", alpha=False, metadata=False, side=65_535), ".ppm": _PNM, ".pnm": _PNM, ".pgm": _PNM,
}  # fmt: skip


def picture_bytes(picture: Picture, suffix: str) -> bytes:
    """The file that ``suffix`` names: lossless but for JPEG (quality 95, 4:4:4). A format without ICC gets sRGB samples.

    TIFF, BMP and PPM leave the Exif block out.

    Raises:
        InputError: no such format. PictureError: alpha, colour or a side that the format cannot hold.
    """
    kind = _KINDS.get(suffix.lower())
    if kind is None:
        raise InputError(f"pictures are not written as {suffix or 'a file without suffix'!r}; use one of {' '.join(_KINDS)}")
    if picture.alpha is not None and not kind.alpha:
        raise PictureError(f"{suffix} holds no alpha; write .png or another format that does")
    if suffix.lower() == ".pgm" and not picture.is_gray:
        raise PictureError(".pgm holds gray alone; write .ppm")
    if max(picture.width, picture.height) > kind.side:
        raise PictureError(f"{picture.width}x{picture.height}: {suffix} holds sides up to {kind.side}; write .png")
    if not kind.metadata or (kind.name == "WEBP" and picture.is_gray):
        picture = to_srgb(picture)
    exif = picture.exif if kind.metadata and kind is not _TIFF else None
    image = to_image(picture, gray=kind.name != "WEBP")
    return image_bytes(image, kind.name, icc_profile=picture.icc, exif=exif and b"Exif\0\0" + exif, **dict(kind.options))


def write_picture(picture: Picture, path: str | Path) -> None:
    """Writes ``picture_bytes`` of the path's suffix, whole or not at all. Raises as ``picture_bytes`` and ``write_whole``."""
    write_whole(Path(path), picture_bytes(picture, Path(path).suffix))


def _bytes_of(source: str | Path | bytes, limits: Limits) -> bytes:
    if isinstance(source, bytes):
        return source
    path = Path(source)
    try:
        limits.check_payload(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}") from error


@contextlib.contextmanager
def _foreign(what: str) -> Generator[None]:
    """Whatever Pillow raises on bad bytes, as an error of foveal."""
    from PIL import Image

    try:
        yield
    except FovealError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise LimitError(f"{what}: {error or 'out of memory'}") from error
    except Exception as error:
        text = str(error).lower()
        if isinstance(error, EOFError) or any(word in text for word in _TRUNCATED):
            raise TruncatedError(f"{what}: {error}") from error
        if any(word in text for word in _UNSUPPORTED):
            raise UnsupportedError(f"{what}: {error}") from error
        raise DamagedError(f"{what}: {error or type(error).__name__}") from error


def _cuts_bits(opened: OpenImage) -> bool:
    """Whether Pillow itself will bring more than 8 bits to 8, of which it says nothing. Raises UnsupportedError."""
    image = opened.image
    if image.mode.startswith(("I", "F")):
        return False
    depth = opened.header.bit_depth if opened.header else 8
    if image.format == "JPEG2000" and depth > 8:
        raise UnsupportedError(
            f"JPEG 2000 in colour of {depth} bits a sample, whose white Pillow makes black; convert it to 8 bits first"
        )
    args = _tile_args(image)
    if any(isinstance(arg, str) and (";16" in arg or ";12" in arg) for arg in args):
        return True
    if image.format == "PPM" and any(isinstance(arg, int) and arg > 255 for arg in args):
        return True
    return depth > 8


def _tile_args(image: ImageFile) -> tuple[Any, ...]:
    """What Pillow will tell its decoder; the layout of the samples in the file among it."""
    args: Any = image.tile[0].args if image.tile else None
    return tuple(cast("tuple[Any, ...]", args)) if isinstance(args, tuple) else (args,)


def _turn_upright(image: Image) -> bytes | None:
    """Applies the orientation in place; the Exif block without it and without its prefix."""
    from PIL import ImageOps

    try:
        ImageOps.exif_transpose(image, in_place=True)
        block: bytes | None = image.info.get("exif")
        if block is None and "Raw profile type exif" in image.info:
            block = image.getexif().tobytes()
        block = (block or b"").removeprefix(b"Exif\0\0") or None
        if block is not None and block[:4] not in (b"II*\0", b"MM\0*"):
            raise SyntaxError("no TIFF head")  # Pillow says so only at its first look
    except Exception as error:
        warnings.warn(f"the Exif block cannot be read ({error}): left out", UserWarning, stacklevel=3)
        return None
    return block


def _picture(image: Image, exif: bytes | None, header: StillHeader | None, top: int) -> tuple[Picture, bool]:
    """The picture, and whether samples of 0..``top`` became 8 bits."""
    icc = image.info.get("icc_profile") or (header.icc if header else None)
    if image.mode == "F":
        raise PictureError("samples in floating point; write them as 8 or 16 bits a sample first")
    if image.mode.startswith("I"):
        samples, alpha = _from_16_bits(image, top)
        return Picture(samples, alpha, icc, exif), True
    plain = image.mode in ("1", "L", "LA", "La")
    gray = plain or (image.mode in ("RGB", "RGBA") and header is not None and header.chroma == "400")
    with _foreign(f"{image.mode} samples"):
        if image.mode in ("CMYK", "LAB"):
            image, icc = image_to_srgb(image, icc), None
        elif image.has_transparency_data:
            image = image.convert("LA" if plain else "RGBA")
        else:
            image = image.convert("L" if plain else "RGB")
        array = np.atleast_3d(np.array(image))
    channels = 1 if gray else 3
    alpha = np.ascontiguousarray(array[:, :, -1]) if array.shape[2] in (2, 4) else None
    return Picture(np.ascontiguousarray(array[:, :, :channels]), alpha, icc, exif), False


def _from_16_bits(image: Image, top: int) -> tuple[Samples, Samples | None]:
    """Gray samples, 0..``top`` to 0..255 by rounding; a transparent value becomes alpha."""
    wide: npt.NDArray[np.int64] = np.asarray(image).astype(np.int64)
    if wide.min() < 0 or wide.max() > top:
        raise PictureError(f"integer samples of {wide.min()}..{wide.max()}; 0..{top} is read, so scale them first")
    key = image.info.get("transparency")
    alpha = np.where(wide == key, 0, 255).astype(np.uint8) if isinstance(key, int) else None
    return ((wide[:, :, None] * 255 + top // 2) // top).astype(np.uint8), alpha


__all__ = [
    "FORMATS",
    "OpenImage",
    "image_bytes",
    "open_image",
    "picture_bytes",
    "read_picture",
    "to_image",
    "to_srgb",
    "write_picture",
]
