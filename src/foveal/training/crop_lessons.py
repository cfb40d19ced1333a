"""Random crops of photographs as lessons, for whatever learns from nothing else."""

from __future__ import annotations

from pathlib import Path

from foveal.training.config import CodecConfig, RecurrentConfig
from foveal.training.data import Pixels, RandomCrops, load_photos
from foveal.training.subject import Lessons


class CropLessons(Lessons[Pixels]):
    """Random crops of photographs, uint8 ``(batch, crop, crop, 3)``. Subclasses are final, and measure on ``held_out``, whole photographs."""

    def __init__(self, data: Path, config: CodecConfig | RecurrentConfig, seed: int) -> None:
        photos, self.held_out = load_photos(data, config.data, least_side=config.crop)
        self._crops = RandomCrops(photos, batch=config.batch, crop=config.crop, seed=seed)
        self.summary = f"{len(photos)} photographs, {len(self.held_out)} held out"

    def batch(self, step: int) -> Pixels:
        return self._crops.at(step)
