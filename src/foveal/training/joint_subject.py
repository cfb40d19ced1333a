"""A codec and the networks that read its latents as what is trained together: rate, distortion and tasks in one loss.

Batches of photographs, for rate and distortion alone, and of pictures of the tasks, for all three, come by turns, those of each
network apart; it has a trunk of its own.
Reference: a codec alone, then what analyses its representation on the frozen codec, then both, are the stages of Zhang et al., "Machine
perception-driven image compression: a layered generative approach", IEEE TCSVT 2025 (arXiv 2304.06896). Ours: one stream for people
and machines, the turns, and all rates at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, cast, final

import torch
from torch import Tensor, nn

from foveal.codecs.learned.frequency.model import FrequencyModel
from foveal.codecs.learned.frequency.transforms import BANDS, FrequencyConfig
from foveal.codecs.learned.frequency.twin import float_twin, frequency_card
from foveal.codecs.learned.quality_levels import float_hats
from foveal.codecs.learned.short_weights import widened
from foveal.codecs.learned.weights import Card, WeightsCard, load_weights
from foveal.errors import RecipeError
from foveal.tasks.latent.network import LatentConfig, LatentNetwork, TrunkFeatures
from foveal.tasks.latent.weights import LatentCard, latent_card
from foveal.training.codec_subject import CodecSubject, PhotoLessons
from foveal.training.config import JointTraining
from foveal.training.curriculum import curriculum_of
from foveal.training.data import Pixels
from foveal.training.draws import draw_bands, draw_qualities, draws_of
from foveal.training.latent_teaching import Curriculum, Lesson, as_pixels
from foveal.training.losses import rate_distortion
from foveal.training.subject import Companion, Frozen, Lessons, Loss, Provenance, Subject, device_of, frozen_on_grid

PRESET: Final = "joint"
_CODEC, _NETWORKS = "codec.", "networks."
_MEASURED: Final = ((8.0, 3), (17.0, 3), (17.0, 1), (40.0, 3))
"""Qualities and bands that the tasks are measured at."""


@final
class JointModel(nn.Module):
    """A codec and the networks that read its latents, by the names of the weights that they began with.

    Of pixels ``(batch, 3, H, W)``, sides multiples of 64, and qualities as ``FrequencyModel`` takes them: bits ``(batch,)``, the picture of
    the first ``bands`` bands, and the features that the heads of ``reader`` read of them, if one is named. The codec computes in float32.
    """

    def __init__(self, codec: FrequencyModel, networks: Mapping[str, LatentNetwork]) -> None:
        super().__init__()
        self.codec, self.networks = codec, nn.ModuleDict(dict(networks))

    @property
    def config(self) -> FrequencyConfig:
        """The sizes of the codec, whose weights bear the run's name."""
        return self.codec.config

    def forward(
        self, x: Tensor, quality: Tensor, bands: int = BANDS, reader: str | None = None
    ) -> tuple[Tensor, Tensor, TrunkFeatures | None]:
        with torch.autocast(x.device.type, enabled=False):
            bits, picture, latents = self.codec.with_latents(x, quality, bands)
        return bits, picture, None if reader is None else self.read(reader, latents, quality)

    def read(self, reader: str, latents: Sequence[Tensor], quality: Tensor) -> TrunkFeatures:
        """The features of latents that a network's heads read."""
        return self.network(reader)([band.contiguous(memory_format=torch.channels_last) for band in latents], float_hats(quality))

    def network(self, reader: str) -> LatentNetwork:
        """The one of a name."""
        return cast(LatentNetwork, self.networks[reader])


@dataclass(frozen=True, eq=False)
class Task:
    """A lesson for the heads of a network."""

    reader: str
    lesson: Lesson


@final
class JointLessons(Lessons[Pixels | Task]):
    """Batches of photographs, and of each network's teachings, by turns."""

    def __init__(self, photos: PhotoLessons, curricula: Mapping[str, Curriculum]) -> None:
        self._photos, self._curricula = photos, curricula
        self.summary = "; ".join([photos.summary, *(curriculum.summary for curriculum in curricula.values())])

    def batch(self, step: int) -> Pixels | Task:
        number, turn = divmod(step, 1 + len(self._curricula))
        if not turn:
            return self._photos.batch(number)
        reader = [*self._curricula][turn - 1]
        return Task(reader, self._curricula[reader].lesson(number))

    @torch.no_grad()
    def measure(self, model: nn.Module, device: torch.device) -> str:
        """Rate and PSNR of the photographs; what the heads score at some qualities, of some bands."""
        joint = cast(JointModel, model)

        def tasks(reader: str, curriculum: Curriculum) -> str:
            def features(x: Tensor, quality: Tensor, bands: int) -> TrunkFeatures:
                return joint.read(reader, joint.codec.latents(x, quality, bands), quality)

            return curriculum.measure_at(_MEASURED, joint.network(reader), features, device)

        return "; ".join([self._photos.measure(joint.codec, device), *(tasks(*one) for one in self._curricula.items())])


@final
class JointSubject(Subject[JointTraining, Pixels | Task]):
    """Weights of ``frequency`` and the networks that read their latents, which ship already: each was trained by itself before."""

    def __init__(self, config: JointTraining) -> None:
        if config.crop_rows % 64 or config.crop_columns % 64 or config.crop % 64 or config.mu < 0:
            sides = f"{config.crop_rows}x{config.crop_columns} and {config.crop}"
            raise RecipeError(f"crops of {sides} pixels and mu = {config.mu:g}; multiples of 64, and 0 or more, are needed")
        if config.model:
            raise RecipeError("[model]: heads names weights, whose sizes these networks have; leave it out")
        if config.trunk or config.keep or config.coded:
            raise RecipeError(
                "trunk, keep, coded: heads names what the networks begin with, and the codec changes; leave them out"
            )
        self.name, self.config = config.trains, config
        self._card, self._codec = frequency_card(config.reads), CodecSubject(config.of_codec)
        self._heads = {name.strip(): latent_card(name.strip(), self._card) for name in config.heads.split(",")}
        for card in self._heads.values():
            if by_way := LatentConfig(**card.config).by_way:  # type: ignore[arg-type]
                raise RecipeError(
                    f"heads: {card.name} feeds {', '.join(by_way)} by way of its own layers, which pass nothing back to the codec; name weights that feed its first filters, as latent-networks-1 does"
                )
        self._curricula: dict[str, Curriculum] = {}

    def build(self) -> JointModel:
        """The codec and the networks of the weights that the recipe names."""
        return JointModel(float_twin(self._card), {name: _network(card) for name, card in self._heads.items()})

    def read(self, data: Path, seed: int) -> JointLessons:
        for name, card in self._heads.items():
            config = replace(self.config, model=card.config)
            self._curricula[name] = curriculum_of(LatentConfig(**card.config), data, config, seed)  # type: ignore[arg-type]
        return JointLessons(PhotoLessons(data, self.config.of_codec, seed), self._curricula)

    def loss(self, shared: nn.Module, model: nn.Module, batch: Pixels | Task, step: int) -> Loss:
        if isinstance(batch, Task):
            return self._of_task(shared, cast(JointModel, model), batch, step)

        def codec_alone(x: Tensor, quality: Tensor, bands: int) -> tuple[Tensor, Tensor]:
            return shared(x, quality, bands)[:2]

        return Loss(self._codec.loss(cast(nn.Module, codec_alone), cast(JointModel, model).codec, batch, step).value, told=False)

    def _of_task(self, shared: nn.Module, model: JointModel, task: Task, step: int) -> Loss:
        config, device = self.config, device_of(model)
        x = as_pixels(task.lesson.pictures, device)
        chance = draws_of(config, step)
        quality, bands = draw_qualities(config, chance, len(x), device), draw_bands(config, chance)
        with self.mixed(device):
            bits, picture, features = shared(x, quality, bands, task.reader)
        seen = rate_distortion(x, picture, bits.float(), quality, model.config, config.of_codec).loss
        network, curriculum = model.network(task.reader), self._curricula[task.reader]
        wrong = curriculum.loss(network, features, x, task.lesson, step, self.mixed(device))
        return Loss(seen + config.mu * wrong, told=bands == BANDS)

    def rate_factor(self, model: nn.Module, parameter: str) -> float:
        """The codec learns slower by its parts, and of each network the trunk, and what was solved for."""
        joint = cast(JointModel, model)
        if parameter.startswith(_CODEC):
            return self.config.codec_rate_factor * self._codec.rate_factor(joint.codec, parameter.removeprefix(_CODEC))
        reader, own = parameter.removeprefix(_NETWORKS).split(".", 1)
        slow = own.startswith("trunk.") or own in joint.network(reader).solved
        return self.config.begun_rate_factor if slow else 1.0

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """All of a run of this kind; what it starts from else, the recipe names. Raises KeyError: other tensors."""
        if not any(name.startswith(_CODEC) for name in tensors):
            raise KeyError("no codec and networks together, as a run of this recipe has them")
        return tensors

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        """In the steps of what the codec started from, so that it may be stored as the difference (``--base``)."""
        return self._codec.freeze(cast(JointModel, model).codec, data, load_weights(self._card))

    def card(self, made: WeightsCard, provenance: Provenance) -> Card:
        fields: dict[str, Any] = asdict(made)
        return Card(**fields, codec="frequency", default=provenance.default, preset=provenance.preset or PRESET)

    def companions(self, model: nn.Module, card: WeightsCard) -> list[Companion]:
        """The networks that read latents of the codec, stored as the difference to what they started from where it is: each by the name
        of that, without its number, and the codec's.
        """
        return [self._companion(cast(JointModel, model).network(name), own, card) for name, own in self._heads.items()]

    def _companion(self, network: LatentNetwork, begun: LatentCard, card: WeightsCard) -> Companion:
        base = begun.name if card.base else None
        near = load_weights(begun) if card.base else None

        def own(made: WeightsCard) -> LatentCard:
            fields: dict[str, Any] = asdict(made)
            return LatentCard(**fields, reads=card.id, heads=begun.heads, least_bands=begun.least_bands)

        name = f"{begun.name.rpartition('-')[0]}-{card.name}"
        return Companion(name, dict(begun.config), frozen_on_grid(network, near, network.solved), own, base)


def _network(card: LatentCard) -> LatentNetwork:
    """To train on without batch norms, which became part of its convolutions: such as begin anew would make another network of it."""
    network = LatentNetwork(LatentConfig(**card.config), folded=True)  # type: ignore[arg-type]
    network.load_state_dict(widened(load_weights(card)))
    return network
