"""The segmenter that comes with foveal as what is trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.learned.frequency.twin import float_twin, frequency_card
from foveal.codecs.learned.weights import WeightsCard
from foveal.declared import build
from foveal.errors import RecipeError
from foveal.tasks.builtin import NetworkCard
from foveal.tasks.camvid_segment.learning import class_weights, confusion, overlaps, segment_loss
from foveal.tasks.camvid_segment.network import Segmenter, SegmenterConfig
from foveal.tasks.camvid_segment.scenes import Scene, SceneCrops, load_scenes
from foveal.tasks.residual import unfold
from foveal.training.config import NetworkConfig
from foveal.training.draws import draw_qualities, draws_of
from foveal.training.subject import Frozen, Lessons, Loss, Provenance, Subject, device_of, frozen_on_grid

_STEP: Final = 64
_HELD_OUT_QUALITY: Final = 17.0


@final
class Coded:
    """Pictures as a codec gives them back, at qualities that the number of a step decides."""

    def __init__(self, config: NetworkConfig) -> None:
        if config.crop_rows % _STEP or config.crop_columns % _STEP:
            raise RecipeError(f"crops of {config.crop_rows}x{config.crop_columns} pixels; coded ones are multiples of {_STEP}")
        self._config, self._codec = config, float_twin(frequency_card(config.through)).eval().requires_grad_(False)

    @torch.no_grad()
    def batch(self, x: Tensor, step: int) -> Tensor:
        """Of ``(batch, 3, H, W)`` in 0..1, sides multiples of 64."""
        quality = draw_qualities(self._config, draws_of(self._config, step), len(x), x.device)
        return self._codec.to(x.device)(x, quality)[1].clamp(0, 1)

    @torch.no_grad()
    def scene(self, scene: Scene) -> Scene:
        """A held-out scene at a middle quality."""
        height, width = scene.classes.shape
        x = torch.from_numpy(scene.picture.copy()).permute(2, 0, 1)[None].float() / 255
        x = functional.pad(x, (0, -width % _STEP, 0, -height % _STEP), mode="replicate")
        decoded = self._codec(x, torch.tensor([_HELD_OUT_QUALITY]))[1][0, :, :height, :width].clamp(0, 1)
        return Scene((255 * decoded).round().byte().permute(1, 2, 0).contiguous().numpy(), scene.classes)


@final
class SceneLessons(Lessons[Scene]):
    """Crops of CamVid's train part; its val part is held out."""

    def __init__(self, data: Path, config: NetworkConfig, seed: int, coded: Coded | None) -> None:
        scenes, self._held_out = load_scenes(data, "train"), load_scenes(data, "val")
        if coded is not None:
            self._held_out = [coded.scene(scene) for scene in self._held_out]
        self._crops = SceneCrops(scenes, batch=config.batch, rows=config.crop_rows, columns=config.crop_columns, seed=seed)
        self.summary = f"{len(scenes)} scenes, {len(self._held_out)} held out"

    def batch(self, step: int) -> Scene:
        return self._crops.at(step)

    def measure(self, model: nn.Module, device: torch.device) -> str:
        """Mean intersection over union and pixel accuracy of the whole of the scenes, and what each class has, in percent."""
        counts = confusion(cast(Segmenter, model), self._held_out, device)
        each = overlaps(counts)
        return (
            f"{np.nanmean(each):.2f} % mIoU, {100 * np.trace(counts) / counts.sum():.2f} % of the pixels; "
            f"by class {' '.join(f'{value:.0f}' for value in each)}"
        )


@final
class SegmenterSubject(Subject[NetworkConfig, Scene]):
    """``camvid-segment``, on pictures as they are or on decoded ones."""

    def __init__(self, config: NetworkConfig) -> None:
        self.name = config.network
        self.config = config
        self._coded = Coded(config) if config.through else None
        self._weights = class_weights()

    def build(self) -> Segmenter:
        return Segmenter(build(SegmenterConfig, self.config.model, "[model]"))

    def read(self, data: Path, seed: int) -> SceneLessons:
        return SceneLessons(data, self.config, seed, self._coded)

    def loss(self, shared: nn.Module, model: nn.Module, batch: Scene, step: int) -> Loss:
        device = device_of(model)
        x = torch.from_numpy(batch.picture).to(device).permute(0, 3, 1, 2).float() / 255
        classes = torch.from_numpy(batch.classes).to(device)
        if self._coded is not None:
            x = self._coded.batch(x, step)
        with self.mixed(device):
            logits = shared(x)
        return Loss(segment_loss(logits, classes, self._weights.to(device), step))

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return unfold(tensors, self.build())

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        return frozen_on_grid(model)

    def card(self, made: WeightsCard, provenance: Provenance) -> NetworkCard:
        fields: dict[str, Any] = asdict(made)
        return NetworkCard(**fields, network=self.config.network)
