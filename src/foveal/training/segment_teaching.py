"""The head that tells the class of each pixel, taught on CamVid by labels and by the segmenter that reads pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from foveal.codecs.learned.weights import load_weights
from foveal.tasks.builtin import network_card
from foveal.tasks.camvid_segment.learning import class_weights, overlaps, segment_loss
from foveal.tasks.camvid_segment.network import Segmenter, SegmenterConfig, load_frozen
from foveal.tasks.camvid_segment.scenes import VOID_LABEL, Pixels, Scene, SceneCrops, load_scenes
from foveal.tasks.latent.network import LatentNetwork, TrunkFeatures
from foveal.tasks.latent.running import class_map
from foveal.training.config import LatentTraining
from foveal.training.latent_teaching import Features, Teaching

_TEACHER = "camvid-segment"
_LEAST_VARIANCE: Final = 1e-3
_TURNS: Final = 4
"""Steps between two of one head at most: photographs and tasks take turns, and so do the sources of pictures."""
_EVERY = 2
"""Every second scene of the val part measures progress."""


@dataclass(frozen=True, eq=False)
class ShownScenes:
    """A batch of crops, and the class of each pixel: uint8 ``(batch, H, W)``."""

    pictures: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.uint8]


@final
class SceneSource:
    """Crops of CamVid's train part, and of other pictures, whose pixels are void: what the segmenter says of them is all there is to learn.

    unlabelled: these. Of a batch ``config.unlabelled`` are theirs.
    """

    def __init__(self, data: Path, config: LatentTraining, seed: int, unlabelled: Sequence[Pixels] = ()) -> None:
        scenes = load_scenes(data, "train")
        others = [Scene(picture, np.full(picture.shape[:2], VOID_LABEL, np.uint8)) for picture in unlabelled]
        few = round(config.unlabelled * config.batch) if others else 0
        self.summary = f"{len(scenes)} scenes" + (f" and {len(others)} other pictures" if few else "")
        self._crops = [
            SceneCrops(of, batch=count, rows=config.crop_rows, columns=config.crop_columns, seed=seed)
            for of, count in ((scenes, config.batch - few), (others, few))
            if count
        ]

    def at(self, number: int) -> ShownScenes:
        shown = [crops.at(number) for crops in self._crops]
        return ShownScenes(np.concatenate([scene.picture for scene in shown]), np.concatenate([scene.classes for scene in shown]))


@final
class SegmentTeaching(Teaching):
    """By what the segmenter that reads pictures has inside; then by its answers and by labels besides.

    data: CamVid's folder. unlabelled: other pictures, from which the segmenter alone teaches.
    """

    head = "segment"

    def __init__(self, data: Path, config: LatentTraining, seed: int, unlabelled: Sequence[Pixels] = ()) -> None:
        self.source, self._held_out = SceneSource(data, config, seed, unlabelled), load_scenes(data, "val")[::_EVERY]
        self._weights, self._distil, self._answers_from = class_weights(), config.distil, config.answers_from * config.steps
        self._teacher = _teacher()

    def begin(self, network: LatentNetwork) -> frozenset[str]:
        """The head's tail starts as the segmenter's, and what it makes for itself of the trunk's as what the trunk makes for all."""
        assert network.segment is not None
        tail = {name: t for name, t in self._teacher.state_dict().items() if name in network.segment.state_dict()}
        network.segment.load_state_dict(tail, strict=False)
        known = list(tail)
        if (own := network.segment.own) is not None:
            own.begin_as(network.trunk)
            known += [f"own.{name}" for name in own.state_dict()]
        return frozenset(f"segment.{name}" for name in known)

    def told(self, shown: ShownScenes) -> npt.NDArray[np.uint8]:
        return shown.classes

    def loss(
        self,
        network: LatentNetwork,
        features: TrunkFeatures,
        x: Tensor,
        told: npt.NDArray[np.uint8],
        step: int,
        mixed: torch.autocast,
    ) -> Tensor:
        head = network.segment
        assert head is not None
        teacher = self._teacher.to(x.device)
        with mixed:
            fine, middle = head.features(features.segment)
        with torch.no_grad(), mixed:
            known = teacher.features(x)
        unlike = torch.stack([_unexplained(own, its) for own, its in zip((fine, middle), known, strict=True)]).mean()
        if step < self._answers_from:
            return unlike
        with mixed:
            logits = head.logits(fine, middle).float()
        with torch.no_grad(), mixed:
            taught = teacher.logits(*known).float().softmax(1)
        apart = functional.kl_div(logits.log_softmax(1), taught, reduction="none").sum(1).mean()
        # Not the step itself: where sources take turns, a head sees steps of one parity, and so the same pixel of each 2x2.
        labelled = segment_loss(logits, torch.from_numpy(told).to(x.device), self._weights.to(x.device), step // _TURNS)
        return labelled + self._distil * (apart + unlike)

    def measure(self, network: LatentNetwork, features: Features, device: torch.device) -> str:
        """Mean intersection over union, in percent, of scenes padded to multiples of 64."""
        assert network.segment is not None
        classes = network.config.segment
        counts = np.zeros((classes, classes), np.int64)
        for scene in self._held_out:
            height, width = scene.classes.shape
            found = class_map(network.segment(features(_padded(scene, device)).segment).float().cpu(), width, height).classes
            known = scene.classes != VOID_LABEL
            both = scene.classes[known].astype(np.int64) * classes + found[known]
            counts += np.bincount(both, minlength=classes**2).reshape(classes, classes)
        return f"{np.nanmean(overlaps(counts)):.2f} % mIoU"


def _teacher() -> Segmenter:
    card = network_card(_TEACHER)
    sizes: dict[str, Any] = card.config
    return load_frozen(load_weights(card), SegmenterConfig(**sizes))


def _unexplained(own: Tensor, taught: Tensor) -> Tensor:
    """The part of the variance of features that others like them leave, the mean over channels."""
    taught = taught.float()
    return ((own.float() - taught).square().mean((0, 2, 3)) / (taught.var((0, 2, 3)) + _LEAST_VARIANCE)).mean()


def _padded(scene: Scene, device: torch.device) -> Tensor:
    x = torch.from_numpy(scene.picture.copy()).to(device).permute(2, 0, 1)[None].float() / 255
    height, width = x.shape[2:]
    return functional.pad(x, (0, -width % 64, 0, -height % 64), mode="replicate").contiguous(memory_format=torch.channels_last)
