"""Random crops of a folder of photographs, held in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import final

import numpy as np
import numpy.typing as npt
from PIL import Image

from foveal.errors import RecipeError
from foveal.training.config import DataConfig

Pixels = npt.NDArray[np.uint8]
_SUFFIXES = {".avif", ".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def load_photos(folder: Path, config: DataConfig, *, least_side: int) -> tuple[list[Pixels], list[Pixels]]:
    """Returns the photographs for training and those held out, each ``(height, width, 3)``.

    Raises:
        RecipeError: the folder holds too few pictures of at least ``least_side`` pixels a side.
    """
    paths = picture_files(folder, config.pattern)
    with ThreadPoolExecutor() as pool:
        photos = [p for p in pool.map(_load, paths) if min(p.shape[:2]) >= least_side]
    held_out = photos[:: config.held_out_every]
    training = [p for i, p in enumerate(photos) if i % config.held_out_every]
    if not training:
        raise RecipeError(
            f"{folder} holds {len(photos)} pictures {config.pattern!r} of {least_side} pixels a side or more; at least 2 are needed (the recipe's [data] pattern chooses files)"
        )
    return training, held_out


def picture_files(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder that match, or match one of several patterns with ``|`` between them, and are pictures by their suffix,
    sorted; none of a folder that is not there.
    """
    found = {p for part in pattern.split("|") for p in folder.glob(part)}
    return sorted(p for p in found if p.suffix.lower() in _SUFFIXES)


def _load(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@final
class RandomCrops:
    """Batches of square crops, each decided by its number: photographs by area, random place, flips, sometimes halved in size."""

    def __init__(self, photos: list[Pixels], *, batch: int, crop: int, seed: int) -> None:
        area = np.array([p.shape[0] * p.shape[1] for p in photos], np.float64)
        self._photos, self._odds = photos, area / area.sum()
        self._batch, self._crop, self._seed = batch, crop, seed

    def at(self, number: int) -> Pixels:
        """Returns ``(batch, crop, crop, 3)``."""
        chance = np.random.default_rng((self._seed, number))
        chosen: list[int] = chance.choice(len(self._photos), self._batch, p=self._odds).tolist()
        return np.stack([self._cut(self._photos[i], chance) for i in chosen])

    def _cut(self, photo: Pixels, chance: np.random.Generator) -> Pixels:
        """Half-size pictures have no trace of the compression that the originals went through."""
        halve = min(photo.shape[:2]) >= 2 * self._crop and chance.random() < 0.3
        side = self._crop * (2 if halve else 1)
        top, left = chance.integers(0, [photo.shape[0] - side + 1, photo.shape[1] - side + 1]).tolist()
        cut = photo[top : top + side, left : left + side]
        if halve:
            quads = cut.reshape(self._crop, 2, self._crop, 2, 3).astype(np.uint16).sum((1, 3))
            cut = ((quads + 2) >> 2).astype(np.uint8)
        return cut[:, ::-1] if chance.random() < 0.5 else cut
