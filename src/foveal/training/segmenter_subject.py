"""The segmenter that comes with foveal as what is trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from foveal.codecs.learned.weights import WeightsCard
from foveal.declared import build
from foveal.tasks.builtin import NetworkCard
from foveal.tasks.camvid_segment.learning import class_weights, confusion, overlaps, segment_loss
from foveal.tasks.camvid_segment.network import Segmenter, SegmenterConfig
from foveal.tasks.camvid_segment.scenes import Scene, SceneCrops, load_scenes
from foveal.tasks.residual import fold, unfold
from foveal.training.config import NetworkConfig
from foveal.training.subject import Frozen, Lessons, Loss, Provenance, Subject, device_of


@final
class SceneLessons(Lessons[Scene]):
    """Crops of CamVid's train part; its val part is held out."""

    def __init__(self, data: Path, config: NetworkConfig, seed: int) -> None:
        scenes, self._held_out = load_scenes(data, "train"), load_scenes(data, "val")
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
    """``camvid-segment``."""

    def __init__(self, config: NetworkConfig) -> None:
        self.name = config.network
        self.config = config
        self._weights = class_weights()

    def build(self) -> Segmenter:
        return Segmenter(build(SegmenterConfig, self.config.model, "[model]"))

    def read(self, data: Path, seed: int) -> SceneLessons:
        return SceneLessons(data, self.config, seed)

    def loss(self, shared: nn.Module, model: nn.Module, batch: Scene, step: int) -> Loss:
        device = device_of(model)
        x = torch.from_numpy(batch.picture).to(device).permute(0, 3, 1, 2).float() / 255
        classes = torch.from_numpy(batch.classes).to(device)
        with self.mixed(device):
            logits = shared(x)
        return Loss(segment_loss(logits, classes, self._weights.to(device), step))

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return unfold(tensors, self.build())

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        return Frozen(fold(model), "batch norm folded, float16")

    def card(self, made: WeightsCard, provenance: Provenance) -> NetworkCard:
        fields: dict[str, Any] = asdict(made)
        return NetworkCard(**fields, network=self.config.network)
