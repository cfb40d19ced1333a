"""A picture with its importance drawn over it, for a person to look at."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from foveal.guidance.allocation import BLOCK
from foveal.guidance.importance import Importance
from foveal.picture import Picture

OCTAVES: Final = 4.0
"""The colours end at so many doublings above and below the mean score."""
_COLORS: Final = (
    (0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 140, 10), (249, 201, 50), (252, 255, 164),
)  # fmt: skip
"""Of matplotlib's map inferno (CC0), whose lightness rises evenly from end to end."""
_FAINTEST, _STRONGEST = 0.35, 0.75  # how much of the colours lies over the gray picture
_OUTLINE: Final = (90, 230, 255)
_LEAST: Final = 480  # a smaller picture is enlarged
_INK, _PAPER = (240, 240, 240), (24, 24, 24)
_TICKS: Final = (("1/16", -4), ("1/4", -2), ("1", 0), ("4", 2), ("16", 4))


def draw_importance(picture: Picture, importance: Importance, tasks: tuple[str, ...]) -> Picture:
    """The picture in gray, enlarged if it is small, under the score in colours by its logarithm, with the blocks of 16 pixels of
    the region of interest outlined, and a scale below.
    """
    factor = max(1.0, _LEAST / max(picture.width, picture.height))
    size = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    image = _under_colors(picture, importance, size)
    region = importance.region(-(-picture.height // BLOCK), -(-picture.width // BLOCK))
    outline = _borders(region, size, thickness=max(1, round(min(size) / 300)))
    image.paste(_OUTLINE, mask=outline)
    return Picture(np.array(_with_scale(image, tasks, float(region.mean()))))


def colors_of(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Colours ``(..., 3)`` in 0..255 of shares in 0..1."""
    knots = np.linspace(0, 1, len(_COLORS))
    return np.stack([np.interp(share, knots, channel) for channel in zip(*_COLORS, strict=True)], -1)


def _under_colors(picture: Picture, importance: Importance, size: tuple[int, int]) -> Image.Image:
    logs = Image.fromarray(np.log2(importance.score)).resize(size, Image.Resampling.BILINEAR)
    share = np.clip(0.5 + np.asarray(logs, np.float64) / (2 * OCTAVES), 0, 1)
    gray = Image.fromarray(picture.rgb()).convert("L").resize(size, Image.Resampling.BICUBIC)
    strength = (_FAINTEST + (_STRONGEST - _FAINTEST) * share)[:, :, None]
    mixed = (1 - strength) * np.asarray(gray, np.float64)[:, :, None] + strength * colors_of(share)
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def _borders(region: npt.NDArray[np.bool_], size: tuple[int, int], thickness: int) -> Image.Image:
    """A mask of the region's borders, inside it; where it ends with the picture there is none."""
    inside = Image.fromarray(255 * region.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    core = inside.filter(ImageFilter.MinFilter(2 * thickness + 1))
    return Image.fromarray(np.asarray(inside) - np.asarray(core))


def _with_scale(image: Image.Image, tasks: tuple[str, ...], share: float) -> Image.Image:
    """The image over two lines of text and a bar of the colours."""
    points = max(13, min(image.size) / 36)
    font, pen = ImageFont.load_default(points), ImageDraw.Draw(image)
    lines = (f"score for {', '.join(tasks)}, over its mean", f"outlined: the region of interest, {share:.0%} of the blocks")
    unit, line = round(points / 2), round(1.6 * points)
    width = max(image.width, *(round(pen.textlength(text, font)) + 2 * unit for text in lines))
    sheet = Image.new("RGB", (width, image.height + 4 * line + unit), _PAPER)
    sheet.paste(image)
    pen = ImageDraw.Draw(sheet)
    left, right, top = 3 * unit, width - 3 * unit, image.height + unit + line
    bar = np.broadcast_to(colors_of(np.linspace(0, 1, right - left)), (line // 2, right - left, 3))
    pen.text((unit, image.height + unit // 2), lines[0], _INK, font)
    sheet.paste(Image.fromarray(np.rint(bar).astype(np.uint8)), (left, top))
    for text, octaves in _TICKS:
        x = left + (right - left) * (octaves + OCTAVES) / (2 * OCTAVES)
        pen.text((x, top + line // 2), text, _INK, font, anchor="ma")
    pen.text((unit, top + 2 * line - unit // 2), lines[1], _OUTLINE, font)
    return sheet
