"""What the proxy is shown: squares cut from photographs, and the same squares after a codec."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from foveal.errors import RecipeError
from foveal.sources import PICTURE_SUFFIXES

SIDE: Final = 416
"""Pixels a side of a square, as the detector reads them."""
PART_SIDE: Final = SIDE // 4
NO_PART: Final = 11
"""The class of pixels that no road scene labels."""
_LEAST = 160  # pixels a side of the smallest squares, enlarged
_ROADS = 0.25
_CODECS: Final = ("JPEG", "WEBP", "AVIF")
_QUALITIES: Final = {"JPEG": (4, 60), "WEBP": (0, 60), "AVIF": (5, 50)}
_BLURRED = 0.2

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Source:
    """A photograph, and the mask of its road scene's classes where it has one."""

    picture: Path
    mask: Path | None = None


@final
@dataclass(frozen=True, eq=False)
class Pair:
    """A square ``(side, side, 3)``, the same after a codec whose quality changes inside it, and the classes of each 4x4 pixels."""

    clean: Pixels
    coded: Pixels
    parts: Pixels


def sources(photos: Sequence[Path], scenes: Path | None) -> tuple[list[Source], list[Source]]:
    """All pictures in folders of photographs, and those of CamVid's train part in ``scenes``.

    Raises:
        RecipeError: a folder holds none.
    """
    found: list[Source] = []
    for folder in photos:
        own = [Source(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in PICTURE_SUFFIXES]
        if not own:
            raise RecipeError(f"no pictures in {folder}; the proxy learns from photographs")
        found += own
    roads: list[Source] = []
    if scenes is not None:
        roads = [Source(path, scenes / "train_labels" / f"{path.stem}.png") for path in sorted((scenes / "train").glob("*.*"))]
        if not roads:
            raise RecipeError(f"no pictures in {scenes / 'train'}; CamVid's train and train_labels are needed")
    return found, roads


def draw(photos: Sequence[Source], roads: Sequence[Source], chance: np.random.Generator) -> Pair:
    """A random square of a random picture, one in four of a road scene, flipped at times.

    Raises:
        RecipeError: the picture or its mask cannot be read.
    """
    road = bool(roads) and chance.random() < _ROADS
    source = (roads if road else photos)[int(chance.integers(len(roads if road else photos)))]
    try:
        return _square(source, chance)
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"cannot read {source.picture} or its mask: {error}; take it out of what the proxy learns from"
        ) from error


def _square(source: Source, chance: np.random.Generator) -> Pair:
    with Image.open(source.picture) as file:
        image = file.convert("RGB")
    short = min(image.size)
    side = short if short <= _LEAST else math.exp(chance.uniform(math.log(_LEAST), math.log(short)))
    left, top = (float(chance.uniform(0, n - side)) for n in image.size)
    box = (left, top, left + side, top + side)
    clean: Any = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)
    parts = np.full((PART_SIDE, PART_SIDE), NO_PART, np.uint8)
    if source.mask is not None:
        with Image.open(source.mask) as mask:
            parts = np.asarray(mask.resize((PART_SIDE, PART_SIDE), Image.Resampling.NEAREST, box))
    if chance.random() < 0.5:
        clean, parts = clean.transpose(Image.Transpose.FLIP_LEFT_RIGHT), parts[:, ::-1]
    return Pair(np.asarray(clean), _coded(clean, chance), np.ascontiguousarray(parts))


def _coded(clean: Image.Image, chance: np.random.Generator) -> Pixels:
    """Two codings of different harm, each in some rectangles, so that harm has a place."""
    first, second = (np.asarray(_harmed(clean, chance)) for _ in range(2))
    out = first.copy()
    for _ in range(int(chance.integers(1, 5))):
        rows, columns = (np.sort(chance.integers(0, SIDE + 1, 2)) for _ in range(2))
        part = np.s_[rows[0] : rows[1], columns[0] : columns[1]]
        out[part] = second[part] if chance.random() < 0.7 else np.asarray(clean)[part]
    return out


def _harmed(clean: Image.Image, chance: np.random.Generator) -> Image.Image:
    if chance.random() < _BLURRED:
        return clean.filter(ImageFilter.GaussianBlur(float(chance.uniform(0.5, 3.0))))
    codec = _CODECS[int(chance.integers(len(_CODECS)))]
    low, high = _QUALITIES[codec]
    file = io.BytesIO()
    options: dict[str, Any] = {"speed": 9} if codec == "AVIF" else {}
    clean.save(file, codec, quality=int(low + (high - low) * chance.random() ** 1.5), **options)
    with Image.open(file) as coded:
        return coded.convert("RGB")
