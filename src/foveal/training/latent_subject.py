"""The networks that read latents as what is trained, on latents that a codec's own weights make of each batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, cast, final

import torch
from torch import Tensor, nn

from foveal.codecs.learned.frequency.twin import float_twin, frequency_card
from foveal.codecs.learned.quality_levels import float_hats
from foveal.codecs.learned.short_weights import widened
from foveal.codecs.learned.weights import WeightsCard, load_weights
from foveal.declared import build
from foveal.errors import RecipeError
from foveal.tasks.latent.cuts import cut_of
from foveal.tasks.latent.network import FED, LatentConfig, LatentNetwork, TrunkFeatures
from foveal.tasks.latent.running import HEADS
from foveal.tasks.latent.trunk import Trunk
from foveal.tasks.latent.weights import LatentCard, latent_card
from foveal.tasks.residual import fold, unfold
from foveal.training.config import LatentTraining
from foveal.training.curriculum import curriculum_of
from foveal.training.draws import draw_bands, draw_qualities, draws_of
from foveal.training.latent_teaching import Curriculum, Lesson, as_pixels
from foveal.training.subject import Frozen, Lessons, Loss, Provenance, Subject, device_of, frozen_on_grid

_MEASURED: Final = ((8.0, 3), (17.0, 3), (17.0, 2), (17.0, 1), (40.0, 3))
"""Qualities and bands that progress is measured at."""


@final
class LatentReader:
    """Makes latents of pixels, as a file of the codec's weights holds them, with its float twin."""

    def __init__(self, weights: str) -> None:
        card = frequency_card(weights)
        self.id, self._codec = card.id, float_twin(card)
        self._codec.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def begin(self, trunk: Trunk) -> None:
        """Gives a trunk what the codec's synthesis knows. Raises RecipeError: it has other widths."""
        trunk.begin_as(self._codec)

    @torch.no_grad()
    def latents(self, x: Tensor, quality: Tensor, bands: int) -> tuple[list[Tensor], Tensor]:
        """What the trunk is given: of pixels ``(batch, 3, H, W)``, sides multiples of 64, and qualities ``(batch,)``."""
        with torch.autocast(x.device.type, enabled=False):
            made = self._codec.to(x.device).latents(x, quality, bands)
        return [band.contiguous(memory_format=torch.channels_last) for band in made], float_hats(quality)


@final
class LatentLessons(Lessons[Lesson]):
    """Batches of a curriculum. coded: how many there are, after which they come again, each the same object; 0 for no end."""

    def __init__(self, curriculum: Curriculum, reader: LatentReader, coded: int) -> None:
        self._curriculum, self._reader, self._coded = curriculum, reader, coded
        self._held = dict[int, Lesson]()
        self.summary = curriculum.summary + (f"; {coded} batches by turns" if coded else "")

    def batch(self, step: int) -> Lesson:
        if not self._coded:
            return self._curriculum.lesson(step)
        number = step % self._coded
        if number not in self._held:
            self._held[number] = self._curriculum.lesson(number)
        return self._held[number]

    def measure(self, model: nn.Module, device: torch.device) -> str:
        network = cast(LatentNetwork, model)

        def features(x: Tensor, quality: Tensor, bands: int) -> TrunkFeatures:
            return network(*self._reader.latents(x, quality, bands))

        return self._curriculum.measure_at(_MEASURED, network, features, device)


@final
class LatentSubject(Subject[LatentTraining, Lesson]):
    """Trunk and heads over frozen weights of ``frequency``."""

    def __init__(self, config: LatentTraining) -> None:
        self.name = config.trains
        self.config = config
        self._sizes = build(LatentConfig, config.model, "[model]")
        self._reader = LatentReader(config.reads)
        self._curriculum, self._begun = Curriculum([]), frozenset[str]()
        if config.coded < 0:
            raise RecipeError(f"coded = {config.coded}; a number of batches is needed, or 0 for each step its own")
        if config.keep and not config.trunk:
            raise RecipeError(
                'keep = true, and no trunk; name the weights whose trunk and heads are kept: trunk = "latent-networks-1"'
            )
        near = latent_card(config.trunk, frequency_card(config.reads) if config.keep else None) if config.trunk else None
        self._near = load_weights(near) if near else None
        self._kept = _kept_parts(self._sizes, near) if near and config.keep else []
        for head in self._sizes.by_way:
            if not {head, f"{head}.heads"} & {*self._kept}:
                raise RecipeError(
                    f"[model] {head} = {getattr(self._sizes, head)} corrects what first filters lead to, and trunk = {config.trunk!r}, keep = {str(config.keep).lower()} "
                    f'keeps none; take trunk = "latent-networks-1", keep = true, or a cut by way of nothing (tasks/latent/cuts.py)'
                )
        self._coded = dict[int, tuple[list[Tensor], Tensor]]()

    def build(self) -> LatentNetwork:
        if self.config.crop_rows % 64 or self.config.crop_columns % 64:
            raise RecipeError(f"crops of {self.config.crop_rows}x{self.config.crop_columns} pixels; multiples of 64 are needed")
        network = LatentNetwork(self._sizes)
        if self._near is None:
            self._reader.begin(network.trunk)
        else:
            self._take(network, self._near)
        self._begin_heads(network)
        return network

    def _take(self, network: LatentNetwork, near: dict[str, Tensor]) -> None:
        """Begins with the trunk of other weights; and keeps it and their heads, if that is asked for. Raises RecipeError: other sizes."""
        known, parts, sizes = widened(near), ("trunk", *self._kept), fold(network)
        for name in sorted({*sizes, *known}):
            own, has = (f"{tuple(of[name].shape)}" if name in of else "none" for of in (sizes, known))
            if own != has and _is_of(name, parts):
                raise RecipeError(
                    f"[model] {name} is {own}, and {self.config.trunk} has {has}: take the sizes of its card for what is taken of it"
                )
        known = unfold(sizes | known, network)
        for name in parts:
            part = network.get_submodule(name)
            part.load_state_dict({own: known[f"{name}.{own}"] for own in part.state_dict()})
            part.requires_grad_(not self.config.keep)

    def _begin_heads(self, network: LatentNetwork) -> None:
        def features(x: Tensor, quality: Tensor, bands: int) -> TrunkFeatures:
            return network(*self._reader.latents(x, quality, bands))

        self._begun = self._curriculum.begin(network, features)

    def read(self, data: Path, seed: int) -> LatentLessons:
        begun = {head: 0 for head in (*HEADS, *FED) if self._is_kept(head)}
        learned = replace(self._sizes, **begun)
        if begun and not any(getattr(learned, head) for head in (*HEADS, *FED)):
            raise RecipeError(
                f"[model] asks for {', '.join(begun)}, and all are kept of {self.config.trunk}; ask for a further head, or keep what weights have that lack one of these"
            )
        self._curriculum = curriculum_of(learned, data, self.config, seed)
        lessons = LatentLessons(self._curriculum, self._reader, self.config.coded)
        if self.config.keep:
            lessons.summary += f"; kept of {self.config.trunk}: {', '.join(('trunk', *self._kept))}"
        return lessons

    def _is_kept(self, head: str) -> bool:
        """Whether nothing of a head is left to learn."""
        return head in self._kept or (f"{head}.heads" in self._kept and head not in self._sizes.by_way)

    def loss(self, shared: nn.Module, model: nn.Module, batch: Lesson, step: int) -> Loss:
        device = device_of(model)
        x = as_pixels(batch.pictures, device)
        latents, hats = self._code(batch, x)
        with self.mixed(device):
            features = shared(latents, hats)
        return Loss(self._curriculum.loss(cast(LatentNetwork, model), features, x, batch, step, self.mixed(device)))

    def _code(self, batch: Lesson, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """What the trunk is given of a batch; kept for when it comes again."""
        config, known = self.config, self._coded.get(batch.number)
        if known is not None:
            return known
        chance = draws_of(config, batch.number)
        quality, bands = draw_qualities(config, chance, len(x), x.device), draw_bands(config, chance)
        made = self._reader.latents(x, quality, bands)
        if config.coded:
            self._coded[batch.number] = made
        return made

    def rate_factor(self, model: nn.Module, parameter: str) -> float:
        """What begins as a part of a trained network learns slower."""
        return self.config.begun_rate_factor if parameter.startswith("trunk.") or parameter in self._begun else 1.0

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Heads that the tensors lack begin anew, over the trunk, which has to be theirs; those that are not wanted are left out.

        Raises RecipeError: a head of theirs reads features of its own, which the recipe does not ask for.
        """
        if self._sizes.segment and not self._sizes.segment_own and any(name.startswith("segment.own.") for name in tensors):
            raise RecipeError("the head of road scenes reads features of its own there; write segment_own = true in [model]")
        tensors, fresh = widened(tensors), LatentNetwork(self._sizes)
        _go_on(fresh.trunk, tensors)
        if self._near is not None and self.config.keep:
            self._take(fresh, self._near)
        self._begin_heads(fresh)
        lacking = fresh.state_dict() if any(".norm." in name for name in tensors) else fold(fresh)
        state = unfold({name: tensors.get(name, own) for name, own in lacking.items()}, fresh)
        kept = ("trunk", *self._kept) if self.config.keep else ()
        return state | {name: own for name, own in fresh.state_dict().items() if _is_of(name, kept)}

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        """Where the run began with another trunk, in the steps of its weights, so that they may be stored as the difference (``--base``)."""
        network = cast(LatentNetwork, model)
        return frozen_on_grid(network, self._near, network.solved)

    def card(self, made: WeightsCard, provenance: Provenance) -> LatentCard:
        fields: dict[str, Any] = asdict(made)
        heads = ",".join(
            name
            for name, module in cast(Any, LatentNetwork(self._sizes)).named_children()
            if name != "trunk" and module is not None
        )
        return LatentCard(**fields, reads=self._reader.id, heads=heads)


def _kept_parts(sizes: LatentConfig, near: LatentCard) -> list[str]:
    """Heads that a network has like other weights, and of those that go on from the same first filters what makes these."""
    kept: list[str] = []
    for head in near.heads.split(","):
        own, known = getattr(sizes, head), cast(Any, near.config[head])
        if own == known:
            kept.append(head)
        elif head in FED and own and cut_of(head, own).made == cut_of(head, known).made:
            kept.append(f"{head}.heads")
    return kept


def _is_of(name: str, parts: Sequence[str]) -> bool:
    """Whether a tensor is one of these parts'."""
    return any(name.startswith(f"{part}.") for part in parts)


def _go_on(trunk: Trunk, known: Mapping[str, Tensor]) -> None:
    """Gives a trunk what that of other weights knows. Raises KeyError, RuntimeError: it has other widths."""
    trunk.load_state_dict({name: known[f"trunk.{name}"].float() for name in trunk.state_dict()})
