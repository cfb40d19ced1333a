"""A codec and the networks that read its latents as what is trained together: rate, distortion and tasks in one loss.

Batches of photographs, for rate and distortion alone, and of pictures of the tasks, for all three, come by turns.
Reference: a codec alone, then what analyses its representation on the frozen codec, then both, are the stages of Zhang et al., "Machine
perception-driven image compression: a layered generative approach", IEEE TCSVT 2025 (arXiv 2304.06896). Ours: one stream for people
and machines, the turns, and all rates at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast, final

import torch
from torch import Tensor, nn

from foveal.codecs.learned.frequency.model import FrequencyModel
from foveal.codecs.learned.frequency.networks import thaw
from foveal.codecs.learned.frequency.transforms import BANDS, FrequencyConfig
from foveal.codecs.learned.frequency.twin import float_twin, frequency_card
from foveal.codecs.learned.quality_levels import float_hats
from foveal.codecs.learned.weights import Card, WeightsCard, load_weights
from foveal.declared import build
from foveal.errors import RecipeError
from foveal.tasks.latent.network import LatentConfig, LatentNetwork
from foveal.tasks.latent.weights import LatentCard, latent_cards
from foveal.tasks.residual import unfold
from foveal.training.codec_subject import CodecSubject, PhotoLessons
from foveal.training.config import JointTraining
from foveal.training.curriculum import curriculum_of
from foveal.training.data import Pixels
from foveal.training.draws import draw_bands, draw_qualities, draws_of
from foveal.training.latent_teaching import Curriculum, Lesson, as_pixels
from foveal.training.losses import rate_distortion
from foveal.training.subject import Companion, Frozen, Lessons, Loss, Provenance, Subject, device_of, frozen_on_grid

PRESET: Final = "joint"
_CODEC, _HEADS = "codec.", "heads."
_MEASURED: Final = ((8.0, 3), (17.0, 3), (17.0, 1), (40.0, 3))
"""Qualities and bands that the tasks are measured at."""


@final
class JointModel(nn.Module):
    """A codec and the networks that read its latents.

    Of pixels ``(batch, 3, H, W)``, sides multiples of 64, and qualities as ``FrequencyModel`` takes them: bits ``(batch,)``, the picture of
    the first ``bands`` bands, and the features that heads read of them, if asked for. The codec computes in float32.
    """

    def __init__(self, codec: FrequencyModel, heads: LatentNetwork) -> None:
        super().__init__()
        self.codec, self.heads = codec, heads

    @property
    def config(self) -> FrequencyConfig:
        """The sizes of the codec, whose weights bear the run's name."""
        return self.codec.config

    def forward(self, x: Tensor, quality: Tensor, bands: int = BANDS, read: bool = False) -> tuple[Tensor, Tensor, Tensor | None]:
        with torch.autocast(x.device.type, enabled=False):
            bits, picture, latents = self.codec.with_latents(x, quality, bands)
        return bits, picture, self.read(latents, quality) if read else None

    def read(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        """The features of latents."""
        return self.heads([band.contiguous(memory_format=torch.channels_last) for band in latents], float_hats(quality))


@final
class JointLessons(Lessons[Pixels | Lesson]):
    """Batches of photographs, and of the teachings by turns between them."""

    def __init__(self, photos: PhotoLessons, curriculum: Curriculum) -> None:
        self._photos, self._curriculum = photos, curriculum
        self.summary = f"{photos.summary}; {curriculum.summary}"

    def batch(self, step: int) -> Pixels | Lesson:
        number, turn = divmod(step, 2)
        return self._curriculum.lesson(number) if turn else self._photos.batch(number)

    @torch.no_grad()
    def measure(self, model: nn.Module, device: torch.device) -> str:
        """Rate and PSNR of the photographs; what the heads score at some qualities, of some bands."""
        joint = cast(JointModel, model)

        def features(x: Tensor, quality: Tensor, bands: int) -> Tensor:
            return joint.read(joint.codec.latents(x, quality, bands), quality)

        tasks = self._curriculum.measure_at(_MEASURED, joint.heads, features, device)
        return f"{self._photos.measure(joint.codec, device)}; {tasks}"


@final
class JointSubject(Subject[JointTraining, Pixels | Lesson]):
    """Weights of ``frequency`` and a trunk with its heads, which a run begins with by ``--from``."""

    def __init__(self, config: JointTraining) -> None:
        if config.crop_rows % 64 or config.crop_columns % 64 or config.crop % 64 or config.mu < 0:
            sides = f"{config.crop_rows}x{config.crop_columns} and {config.crop}"
            raise RecipeError(f"crops of {sides} pixels and mu = {config.mu:g}; multiples of 64, and 0 or more, are needed")
        self.name, self.config = config.trains, config
        self._sizes = build(LatentConfig, config.model, "[model]")
        self._card, self._codec = frequency_card(config.reads), CodecSubject(config.of_codec)
        self._curriculum, self._begun = Curriculum([]), frozenset[str]()

    def build(self) -> JointModel:
        """The codec of the weights that the recipe names, and networks that begin with its synthesis, and random heads."""
        codec = float_twin(self._card)
        heads = LatentNetwork(self._sizes)
        heads.trunk.begin_as(codec)
        model = JointModel(codec, heads)

        def features(x: Tensor, quality: Tensor, bands: int) -> Tensor:
            return model.read(codec.latents(x, quality, bands), quality)

        self._begun = self._curriculum.begin(heads, features)
        return model

    def read(self, data: Path, seed: int) -> JointLessons:
        self._curriculum = curriculum_of(self._sizes, data, self.config, seed)
        return JointLessons(PhotoLessons(data, self.config.of_codec, seed), self._curriculum)

    def loss(self, shared: nn.Module, model: nn.Module, batch: Pixels | Lesson, step: int) -> Loss:
        if isinstance(batch, Lesson):
            return self._of_task(shared, cast(JointModel, model), batch, step)

        def codec_alone(x: Tensor, quality: Tensor, bands: int) -> tuple[Tensor, Tensor]:
            return shared(x, quality, bands)[:2]

        return Loss(self._codec.loss(cast(nn.Module, codec_alone), cast(JointModel, model).codec, batch, step).value, told=False)

    def _of_task(self, shared: nn.Module, model: JointModel, lesson: Lesson, step: int) -> Loss:
        config, device = self.config, device_of(model)
        x = as_pixels(lesson.pictures, device)
        chance = draws_of(config, step)
        quality, bands = draw_qualities(config, chance, len(x), device), draw_bands(config, chance)
        with self.mixed(device):
            bits, picture, features = shared(x, quality, bands, True)
        seen = rate_distortion(x, picture, bits.float(), quality, model.config, config.of_codec).loss
        task = self._curriculum.loss(model.heads, features, x, lesson, step, self.mixed(device))
        return Loss(seen + config.mu * task, told=bands == BANDS)

    def rate_factor(self, model: nn.Module, parameter: str) -> float:
        """What is trained already learns slower: the codec by its parts, and what begins as a part of a trained network."""
        if not parameter.startswith(_CODEC):
            own = parameter.removeprefix(_HEADS)
            return self.config.begun_rate_factor if own.startswith("trunk.") or own in self._begun else 1.0
        own = self._codec.rate_factor(cast(JointModel, model).codec, parameter.removeprefix(_CODEC))
        return self.config.codec_rate_factor * own

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of networks that read latents, as they ship or of a run, beside the codec of the recipe; or all of a run of this kind."""
        if any(name.startswith(_CODEC) for name in tensors):
            return tensors
        heads = unfold(tensors, LatentNetwork(self._sizes))
        return {_CODEC + name: t for name, t in self._shipped().items()} | {_HEADS + name: t for name, t in heads.items()}

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        """In the steps of what the codec started from, so that it may be stored as the difference (``--base``)."""
        return self._codec.freeze(cast(JointModel, model).codec, data, load_weights(self._card))

    def card(self, made: WeightsCard, provenance: Provenance) -> Card:
        fields: dict[str, Any] = asdict(made)
        return Card(**fields, codec="frequency", default=provenance.default, preset=provenance.preset or PRESET)

    def companion(self, model: nn.Module, card: WeightsCard) -> Companion:
        """The networks that read latents of the codec, ``latent-`` before its name: where it is stored as a difference, the difference
        to those of the same sizes that read what it started from.
        """
        network = cast(JointModel, model).heads
        sizes = asdict(network.config)
        known = [c for c in latent_cards() if c.reads == self._card.id and c.config == sizes] if card.base else []
        near, base = (load_weights(known[-1]), known[-1].name) if known else (None, None)
        names = [name for name, _ in cast(Any, network).named_children() if name != "trunk"]

        def own(made: WeightsCard) -> LatentCard:
            fields: dict[str, Any] = asdict(made)
            return LatentCard(**fields, reads=card.id, heads=",".join(names))

        return Companion(f"latent-{card.name}", sizes, frozen_on_grid(network, near, network.solved), own, base)

    def _shipped(self) -> dict[str, Tensor]:
        return thaw(load_weights(self._card))
