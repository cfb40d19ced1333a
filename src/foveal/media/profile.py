"""ICC profiles: samples converted to sRGB where a format cannot carry the profile."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.errors import PictureError
from foveal.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image


def to_srgb(picture: Picture) -> Picture:
    """The picture with its samples in sRGB and no profile; gray stays gray. Without a profile it is returned as it is.

    Raises:
        PictureError: the profile is broken, or describes other channels than the picture has.
    """
    from PIL import Image

    if picture.icc is None:
        return picture
    if picture.is_gray and picture.icc[16:20] == b"GRAY":
        image = Image.fromarray(picture.samples[:, :, 0])
    else:
        image = Image.fromarray(picture.rgb())
    samples = np.asarray(image_to_srgb(image, picture.icc))
    if picture.is_gray:
        samples = np.ascontiguousarray(samples[:, :, 1:2])
    return replace(picture, samples=samples, icc=None)


def image_to_srgb(image: Image, icc: bytes | None) -> Image:
    """An image of mode L, RGB, CMYK or LAB as RGB in sRGB, through its profile; without one CMYK is plain ink on white.

    Raises:
        PictureError: the profile is broken, or describes other channels than the image has.
    """
    from PIL import ImageCms

    made: Callable[..., Any] = vars(ImageCms)["createProfile"]  # typed in part only
    if icc is None and image.mode != "LAB":
        return image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(made("LAB") if icc is None else io.BytesIO(icc))
        converted = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.ImageCmsProfile(made("sRGB")),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except Exception as error:
        size = 0 if icc is None else len(icc)
        raise PictureError(
            f"the ICC profile of {size} bytes does not convert {image.mode} to sRGB ({error}); remove it"
        ) from error
    if converted is None:
        raise PictureError(f"the ICC profile does not convert {image.mode} to sRGB; remove it")
    return converted
