"""Pictures that heads learn from: photographs, COCO's train2017 and CamVid's train part, cropped at many sizes and scales."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import numpy.typing as npt
from PIL import Image

from foveal.errors import RecipeError
from foveal.training.data import Pixels, picture_files

PHOTOS_EVERY: Final = 40
"""Every so many of the photographs is held out."""
COCO_EVERY: Final = 8
COCO: Final = "coco/images/train2017"
SCENES: Final = "camvid/train"
_SCENE_ODDS: Final = 0.25
"""How often a road scene is drawn beside a photograph: all of them show much the same."""
_FACTORS: Final = (0.75, 1.0, 1.0, 1.25, 1.5, 2.0)
"""Sides of batches over those of the recipe; a batch holds so many pictures that its pixels stay as many."""
_PORTRAIT: Final = 0.25
_LARGEST: Final = 1.5
"""How far a picture is enlarged at most, if it is not smaller than the batch."""
_RAGGED: Final = 0.5
"""The part of the batches whose sides are no multiples of 64, and padded."""
_STEP: Final = 64


@dataclass(frozen=True, eq=False)
class Source:
    """A picture ``(height, width, 3)`` and its file."""

    path: Path
    pixels: Pixels


@dataclass(frozen=True)
class Window:
    """The part ``box`` (x0, y0, x1, y1, in pixels) of a source, that became a picture; ``flipped`` afterwards."""

    source: int
    box: tuple[float, float, float, float]
    flipped: bool


@dataclass(frozen=True, eq=False)
class Crops:
    """Pictures ``(batch, H, W, 3)``, whose sides are multiples of 64: from ``height`` and ``width`` on they repeat their edge."""

    pictures: Pixels
    width: int
    height: int
    windows: tuple[Window, ...]


@dataclass(frozen=True, eq=False)
class LatentPictures:
    """What is learned from, how often each is drawn, and what is held out."""

    training: list[Source]
    odds: npt.NDArray[np.float64]
    held_out: list[Source]

    @property
    def summary(self) -> str:
        """How much there is, for the log."""
        return f"{len(self.training)} pictures, {len(self.held_out)} held out"


def load_pictures(data: Path) -> LatentPictures:
    """What a data folder has of ``photos``, ``coco/images/train2017`` and ``camvid/train``; of the first two some are held out.

    Raises:
        RecipeError: there are no photographs and nothing of COCO.
    """
    photos, coco, scenes = (_load(data / name) for name in ("photos", COCO, SCENES))
    held_out = [*photos[::PHOTOS_EVERY], *coco[::COCO_EVERY]]
    kept = [s for sources, every in ((photos, PHOTOS_EVERY), (coco, COCO_EVERY)) for i, s in enumerate(sources) if i % every]
    if not kept:
        raise RecipeError(f"{data} holds too few pictures in photos/ or {COCO}/; two of one of them are the least")
    odds = np.concatenate([np.ones(len(kept)), np.full(len(scenes), _SCENE_ODDS)])
    return LatentPictures([*kept, *scenes], odds / odds.sum(), held_out)


def _load(folder: Path) -> list[Source]:
    with ThreadPoolExecutor() as pool:
        return [source for source in pool.map(_open, picture_files(folder, "*")) if min(source.pixels.shape[:2]) >= _STEP]


def _open(path: Path) -> Source:
    with Image.open(path) as image:
        return Source(path, np.asarray(image.convert("RGB")))


def padded_picture(picture: Pixels) -> Pixels:
    """With its last rows and columns repeated up to multiples of 64, as the codec pads it."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, -height % _STEP), (0, -width % _STEP), (0, 0)), mode="edge")


@final
class ScaledCrops:
    """Batches of windows of one size, each decided by its number: sizes from 0.75 to twice the recipe's, scales up to 1.5, flips."""

    def __init__(self, pictures: LatentPictures, *, batch: int, rows: int, columns: int, seed: int) -> None:
        self.summary = pictures.summary
        self._sources, self._odds = pictures.training, pictures.odds
        self._batch, self._rows, self._columns, self._seed = batch, rows, columns, seed
        self._sides = np.array([source.pixels.shape[:2] for source in pictures.training], np.float64)

    def at(self, number: int) -> Crops:
        chance = np.random.default_rng((self._seed, number))
        factor = float(chance.choice(_FACTORS))
        height, width = (_STEP * max(1, round(factor * side / _STEP)) for side in (self._rows, self._columns))
        if chance.random() < _PORTRAIT:
            height, width = width, height
        if chance.random() < _RAGGED:
            height, width = height - int(chance.integers(_STEP)), width - int(chance.integers(_STEP))
            height, width = max(height, _STEP // 2), max(width, _STEP // 2)
        count = max(1, round(self._batch / factor**2))
        large = (self._sides * _LARGEST >= (height, width)).all(1)
        odds = self._odds * large if large.any() else self._odds
        chosen: list[int] = chance.choice(len(self._sources), count, p=odds / odds.sum()).tolist()
        windows = tuple(self._window(i, height, width, chance) for i in chosen)
        return Crops(np.stack([padded_picture(self._cut(w, height, width)) for w in windows]), width, height, windows)

    def _window(self, source: int, height: int, width: int, chance: np.random.Generator) -> Window:
        rows, columns = float(self._sides[source, 0]), float(self._sides[source, 1])
        smallest = max(height / rows, width / columns)
        scale = math.exp(chance.uniform(math.log(smallest), math.log(max(_LARGEST, smallest))))
        high, wide = min(rows, height / scale), min(columns, width / scale)
        top, left = float(chance.uniform(0, rows - high)), float(chance.uniform(0, columns - wide))
        return Window(source, (left, top, left + wide, top + high), bool(chance.random() < 0.5))

    def _cut(self, window: Window, height: int, width: int) -> Pixels:
        image = Image.fromarray(self._sources[window.source].pixels)
        cut = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, box=window.box))
        return cut[:, ::-1] if window.flipped else cut
