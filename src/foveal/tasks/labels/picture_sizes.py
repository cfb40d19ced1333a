"""The size of a picture, upright, from its head."""

from __future__ import annotations

from pathlib import Path

from foveal.errors import FovealError, LabelError, LimitError
from foveal.limits import Limits
from foveal.media.image_io import open_image

_ORIENTATION = 0x0112


def picture_size(path: Path, limits: Limits) -> tuple[int, int]:
    """Width and height in pixels as ``read_picture`` gives them. Raises LabelError: the picture cannot be opened. LimitError."""
    try:
        limits.check_payload(path.stat().st_size)
        image = open_image(path.read_bytes(), limits).image
        turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except LimitError:
        raise
    except (OSError, SyntaxError, ValueError, FovealError) as error:
        raise LabelError(f"labels of {path} are in parts of its size, and it cannot be opened: {error}") from error
    return (image.height, image.width) if turned else (image.width, image.height)
