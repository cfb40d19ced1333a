"""Tasks that read latents of a file and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, final
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from foveal.codecs.learned.frequency.latents import Latents
from foveal.codecs.learned.frequency.tiling import padded
from foveal.codecs.learned.runtime import inference
from foveal.errors import NetworkError
from foveal.tasks.base import Scoring, Task
from foveal.tasks.latent.network import LatentNetwork, TrunkFeatures
from foveal.tasks.latent.tensor_heads import FEATURE_STRIDE
from foveal.tasks.latent.weights import LatentCard
from foveal.tasks.results import ClassMap, ClassScores, Result
from foveal.tasks.vocabulary import Vocabulary, vocabulary

_HALF = 2


@dataclass(frozen=True, eq=False)
class PreparedLatents:
    """A batch of one, ready for the trunk; width and height of the picture in pixels. source: what they were made of."""

    source: Latents
    bands: tuple[Tensor, ...]
    quality: Tensor
    width: int
    height: int


@final
class LatentTask(Task[Latents, PreparedLatents]):
    """A head of a set of weights that reads latents. The network is shared by the tasks of one set.

    task: which head. threads: how many a run may use; torch's own choice if left out.
    """

    def __init__(self, network: LatentNetwork, card: LatentCard, task: str, threads: int | None = None) -> None:
        self.label, self.card, self.task = f"latent:{card.name}", card, task
        self.classes: Vocabulary = vocabulary(HEADS[task])
        self._network, self._threads = network, threads

    @property
    def identity(self) -> str:
        """The id of the weights."""
        return self.card.id

    @cached_property
    def scoring(self) -> Scoring[Any, Any, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How its results are scored."""
        from foveal.tasks.scorings import scoring
        from foveal.tasks.things import Things

        if self.task == "things":
            return Things()
        return scoring(self.task, self.classes)

    def prepare(self, source: Latents) -> PreparedLatents:
        """Raises NetworkError: latents of other weights, or of fewer bands, than the head was trained for."""
        return ready_latents(source, self.card, self.label)

    def predict(self, prepared: PreparedLatents) -> Result:
        with inference(self._threads):
            features = trunk_features(self._network, prepared)
            if self.task == "things":
                return seen_things(self._network, features.shared, prepared.width, prepared.height)
            assert self._network.segment is not None
            logits = self._network.segment(features.segment)
        return class_map(logits, prepared.width, prepared.height)


def ready_latents(source: Latents, card: LatentCard, label: str) -> PreparedLatents:
    """Latents for the trunk of a card's weights.

    Raises:
        NetworkError: they are of other weights, or of fewer bands, than the trunk was trained for.
    """
    if source.weights != card.reads:
        raise NetworkError(
            f"{label} reads latents of weights {card.reads}; these are of {source.weights}: decode the file, or train a head for it"
        )
    if len(source.bands) < card.least_bands:
        raise NetworkError(
            f"{label} needs {card.least_bands} bands or more; there are {len(source.bands)}: read more, or decode the file"
        )
    bands = [torch.from_numpy(band)[None].contiguous(memory_format=torch.channels_last) for band in source.bands]
    quality = torch.from_numpy(np.ascontiguousarray(source.quality))[None]
    return PreparedLatents(source, tuple(bands), quality, source.width, source.height)


_KEPT: WeakKeyDictionary[Latents, tuple[LatentNetwork, TrunkFeatures]] = WeakKeyDictionary()


def trunk_features(network: LatentNetwork, prepared: PreparedLatents) -> TrunkFeatures:
    """The trunk's features of a batch of one: computed once for all heads of a network that read the same latents, and kept as long as
    these are.
    """
    known = _KEPT.get(prepared.source)
    if known is None or known[0] is not network:
        known = _KEPT[prepared.source] = network, network(prepared.bands, prepared.quality)
    return known[1]


def seen_things(network: LatentNetwork, features: Tensor, width: int, height: int) -> ClassScores:
    """How sure it is, 0..1, that each thing is in a picture, of the trunk's features ``(1, spectrum, h, w)`` of it and its padding."""
    assert network.things is not None
    return ClassScores(torch.sigmoid(network.things(in_picture(features, width, height)).float())[0].cpu().numpy())


def in_picture(features: Tensor, width: int, height: int) -> Tensor:
    """Those of the trunk's features ``(batch, spectrum, h, w)`` that lie on pictures of this size, not on their padding alone."""
    return features[:, :, : -(-height // FEATURE_STRIDE), : -(-width // FEATURE_STRIDE)]


def class_map(logits: Tensor, width: int, height: int) -> ClassMap:
    """The class of each pixel of a picture, of logits ``(1, classes, h, w)`` at half of its padded sides."""
    bounds = padded(width, height)
    full = functional.interpolate(logits, size=(bounds.height, bounds.width), mode="bilinear", align_corners=False)
    assert full.shape[2] == _HALF * logits.shape[2]
    return ClassMap(full[0, :, :height, :width].argmax(0).numpy().astype(np.int16))


HEADS = {"segment": "camvid-11", "things": "coco-80"}
"""The tasks that heads answer by themselves, and the vocabulary of each."""
