"""``.fvl`` files through Pillow: ``Image.open("x.fvl")`` and ``im.save("x.fvl", quality=40)``."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import IO, Any, final

import numpy as np
from PIL import Image, ImageFile

from foveal.codecs.base import EncodeSettings
from foveal.codecs.guide import asked_guide
from foveal.codecs.registry import DEFAULT_CODEC, codec_by_name
from foveal.codecs.sniff import codec_of
from foveal.container.format import SIGNATURE
from foveal.container.reader import read_container
from foveal.errors import FovealError
from foveal.limits import DEFAULT_LIMITS
from foveal.media.image_io import read_picture
from foveal.picture import Picture

FORMAT, SUFFIX = "FVL", ".fvl"
_OPTIONS = ("quality", "preset", "threads", "tile")


def register_pillow() -> None:
    """Teaches Pillow to open and save .fvl files. Opening reads the container alone; torch is loaded when samples are asked for.

    ``save`` takes ``codec`` (a learned one), ``icc_profile``, ``exif``, and of ``EncodeSettings`` ``quality``, ``preset``, ``threads``,
    ``guide`` and ``tile``; in place of a guide ``importance`` and ``hold_rate``, as ``foveal.encode``.
    """
    Image.register_open(FORMAT, FvlImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, SUFFIX)
    Image.register_mime(FORMAT, "image/x-fvl")


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(SIGNATURE)


@final
class FvlImageFile(ImageFile.ImageFile):
    """A .fvl file that is decoded when its samples are first needed."""

    format = FORMAT
    format_description = "Foveal"

    def _open(self) -> None:
        assert self.fp is not None
        self._data = self.fp.read()
        try:
            container = read_container(self._data, DEFAULT_LIMITS)
        except FovealError as error:
            raise SyntaxError(str(error)) from error
        head = container.head
        self._mode, self._size = ("L" if head.gray else "RGB") + ("A" if head.alpha else ""), (head.width, head.height)
        self.info |= {k: v for k, v in (("icc_profile", container.icc), ("exif", container.exif)) if v is not None}
        self.tile = []
        self._pending = True

    def load(self) -> Image.core.PixelAccess | None:
        """Decodes the samples once.

        Raises:
            OSError: the file is damaged; Pillow's callers expect that type.
        """
        if self._pending:
            try:
                picture = codec_of(self._data).decode(self._data)
            except FovealError as error:
                raise OSError(str(error)) from error
            self.im = _to_pillow(picture).im
            self._pending, self._data = False, b""
        return super().load()


def _to_pillow(picture: Picture) -> Image.Image:
    planes = picture.samples if picture.alpha is None else np.dstack([picture.samples, picture.alpha])
    return Image.fromarray(planes[:, :, 0] if planes.shape[2] == 1 else planes)


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    options: dict[str, Any] = image.encoderinfo
    metadata = {"icc_profile": options.get("icc_profile", image.info.get("icc_profile")), "exif": image.getexif()}
    plain = io.BytesIO()
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGB")
    image.save(plain, "PNG", **metadata)
    codec = codec_by_name(options.get("codec", DEFAULT_CODEC))
    if SUFFIX not in codec.info.suffixes:
        raise OSError(f"{codec.info.name} does not write {SUFFIX}; leave codec out, or save under its own suffix")
    try:
        guide = asked_guide(options.get("importance"), hold_rate=options.get("hold_rate", False), guide=options.get("guide"))
        settings = replace(EncodeSettings(**{name: options[name] for name in _OPTIONS if name in options}), guide=guide)
        file.write(codec.encode(read_picture(plain.getvalue()), settings))
    except FovealError as error:
        raise OSError(str(error)) from error
