"""CamVid as SegNet's tutorial lays it out: pictures in ``train`` and ``val``, masks of the same names beside them."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from foveal.errors import RecipeError

Pixels = npt.NDArray[np.uint8]
VOID_LABEL: Final = 11
"""How CamVid's masks write pixels that count nowhere; larger values are damage."""
_LARGEST = 1.75
_SQUEEZE = 0.1
_BLURRED, _COMPRESSED = 0.08, 0.08


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture ``(height, width, 3)`` and the class of each pixel ``(height, width)``."""

    picture: Pixels
    classes: Pixels


def load_scenes(folder: Path, part: str) -> list[Scene]:
    """The scenes of ``train``, ``val`` or ``test``, sorted by name.

    Raises:
        RecipeError: there are none, a mask is missing, or a mask is not of its picture's size or holds another value than 0 to 11.
    """
    paths = sorted(path for path in (folder / part).glob("*") if path.is_file())
    if not paths:
        raise RecipeError(f"{folder} holds no pictures in {part}/; CamVid's train, train_labels, val and val_labels are needed")
    return [_load(path, folder / f"{part}_labels" / f"{path.stem}.png") for path in paths]


def _load(path: Path, mask: Path) -> Scene:
    try:
        with Image.open(path) as image, Image.open(mask) as labels:
            scene = Scene(np.asarray(image.convert("RGB")), np.asarray(labels))
    except OSError as error:
        raise RecipeError(f"{path} and its mask {mask} are needed: {error}") from error
    if scene.classes.dtype != np.uint8 or scene.classes.shape != scene.picture.shape[:2] or scene.classes.max() > VOID_LABEL:
        raise RecipeError(f"{mask} is no mask of {path}: one value of 0 to {VOID_LABEL} for each of its pixels is needed")
    return scene


@final
class SceneCrops:
    """Batches of crops ``rows`` x ``columns``, whatever was drawn before: the number of the batch decides.

    Each is a random part of a random scene, scaled by 0.67 (nearly the whole) to 1.75, squeezed by up to a tenth, flipped at times,
    in other light and colours; one in twelve is blurred and one in twelve went through JPEG.
    """

    def __init__(self, scenes: list[Scene], *, batch: int, rows: int, columns: int, seed: int) -> None:
        self._scenes, self._batch, self._rows, self._columns, self._seed = scenes, batch, rows, columns, seed

    def at(self, number: int) -> Scene:
        """Pictures ``(batch, rows, columns, 3)`` and classes ``(batch, rows, columns)``."""
        chance = np.random.default_rng((self._seed, number))
        crops = [self._cut(self._scenes[int(chance.integers(len(self._scenes)))], chance) for _ in range(self._batch)]
        return Scene(np.stack([crop.picture for crop in crops]), np.stack([crop.classes for crop in crops]))

    def _cut(self, scene: Scene, chance: np.random.Generator) -> Scene:
        height, width = int(scene.classes.shape[0]), int(scene.classes.shape[1])
        smallest = max(self._rows / height, self._columns / width)
        scale = math.exp(chance.uniform(math.log(smallest), math.log(max(_LARGEST, smallest))))
        squeeze = math.exp(chance.uniform(-_SQUEEZE, _SQUEEZE))
        rows, columns = min(height, self._rows / scale * squeeze), min(width, self._columns / scale / squeeze)
        top, left = float(chance.uniform(0, height - rows)), float(chance.uniform(0, width - columns))
        box, size = (left, top, left + columns, top + rows), (self._columns, self._rows)
        image = Image.fromarray(scene.picture).resize(size, Image.Resampling.BILINEAR, box)
        classes = np.asarray(Image.fromarray(scene.classes).resize(size, Image.Resampling.NEAREST, box))
        picture = _other_light(np.asarray(_degraded(image, chance)), chance)
        return Scene(picture[:, ::-1], classes[:, ::-1]) if chance.random() < 0.5 else Scene(picture, classes)


def _degraded(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    if chance.random() < _BLURRED:
        image = image.filter(ImageFilter.GaussianBlur(float(chance.uniform(0.3, 1.5))))
    if chance.random() < _COMPRESSED:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(chance.integers(20, 90)))
        image = Image.open(file).convert("RGB")
    return image


def _other_light(picture: Pixels, chance: np.random.Generator) -> Pixels:
    """Brightness, contrast, saturation and a tint, in one linear map of the colours."""
    grey = np.full((3, 3), 1 / 3)
    mixing = grey + chance.uniform(0.6, 1.4) * (np.eye(3) - grey)
    mixing = mixing * chance.uniform(0.9, 1.1, (3, 1)) * chance.uniform(0.7, 1.35)
    shift = chance.uniform(-20, 20)
    return np.clip(picture @ mixing.T.astype(np.float32) + np.float32(shift), 0, 255).astype(np.uint8)
