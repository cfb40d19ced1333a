"""What a recipe trains, a codec or a task's network: all that the loop, checkpoints and export ask of it."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import torch
from torch import Tensor, nn

from foveal.codecs.learned.short_weights import in_steps_of, on_grid
from foveal.codecs.learned.weights import WeightsCard
from foveal.tasks.residual import fold
from foveal.training.config import TrainConfig

_PARTS: Final = 8

B = TypeVar("B")
C = TypeVar("C", bound=TrainConfig)


@dataclass(frozen=True)
class Provenance:
    """What a card says beside what the run itself knows.

    name: the file's, without suffix. recipe_note: what the recipe does not say of this run, such as where it departed from it.
    figures: what the weights score. default, preset: whether ``encode`` takes these weights of a codec, and for which preset.
    base: weights that ship, of the same sizes, to store the difference to, which is smaller where a run went on from them.
    """

    name: str
    data: str
    data_terms: str
    recipe: str
    figures: str = "not measured yet"
    licence: str = "Apache-2.0"
    default: bool = True
    preset: str | None = None
    recipe_note: str = ""
    base: str | None = None


@dataclass(frozen=True, eq=False)
class Loss:
    """What a step minimises. told: whether it compares with those of other steps; the log leaves out the rest."""

    value: Tensor
    told: bool = True


@dataclass(frozen=True, eq=False)
class Frozen:
    """The tensors that ship, and what a card says of how they were made of the run's. extends: the weights that they are added to."""

    tensors: dict[str, Tensor]
    note: str = ""
    extends: str | None = None


def frozen_on_grid(model: nn.Module, near: Mapping[str, Tensor] | None = None, apart: Collection[str] = ()) -> Frozen:
    """A network with batch norms, as it ships where it need not compute exactly: its values are few, so that it packs small.

    near: tensors of weights that it went on from, in whose steps it then is, as far as it is of their sizes. apart: names of those that stay float16.
    """
    tensors = fold(model)
    kept = {name: tensors.pop(name) for name in apart}
    went_on = {name: t for name, t in tensors.items() if near and f"{name}.row" in near and near[name].shape == t.shape}
    own = {name: t for name, t in tensors.items() if name not in went_on}
    made, note = on_grid(own, _PARTS), f"in steps of 1/{_PARTS} of each output's spread"
    if near and went_on:
        made, note = made | in_steps_of(near, went_on, 1), "in steps of the weights that it went on from"
    return Frozen(made | kept, f"batch norm folded, {note}{', what was solved for in float16' if kept else ''}")


@dataclass(frozen=True, eq=False)
class Companion:
    """Weights that a run made beside those that bear its name. config: sizes of the network. card: with what only such weights have.

    base: weights that ship, to store the difference to.
    """

    name: str
    config: dict[str, int | float | str]
    frozen: Frozen
    card: Callable[[WeightsCard], WeightsCard]
    base: str | None = None


class Lessons(ABC, Generic[B]):
    """What a run learns from. summary: of how much it learns and what is held out, for the log."""

    summary: str

    @abstractmethod
    def batch(self, step: int) -> B:
        """What a step sees. The step and the seed alone decide, so a run that stopped goes on as if it had not."""

    @abstractmethod
    def measure(self, model: nn.Module, device: torch.device) -> str:
        """What the averaged weights score on what is held out, as a line for the log."""


class Subject(ABC, Generic[C, B]):
    """What is trained. name: as in the recipe."""

    name: str
    config: C

    @abstractmethod
    def build(self) -> nn.Module:
        """The model, with random weights. Raises RecipeError: sizes that it does not know."""

    @abstractmethod
    def read(self, data: Path, seed: int) -> Lessons[B]:
        """Reads the data. Raises RecipeError: the folder does not serve."""

    @abstractmethod
    def loss(self, shared: nn.Module, model: nn.Module, batch: B, step: int) -> Loss:
        """The loss of one batch. shared: the model, or what averages its gradients over several processes; it is what is called."""

    def rate_factor(self, model: nn.Module, parameter: str) -> float:
        """How much faster a parameter learns than the recipe's rate."""
        return 1.0

    @abstractmethod
    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """A state to train on from tensors that ship, or from those of a run. Raises KeyError: tensors of something else."""

    @abstractmethod
    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        """The tensors that ship. data: what the run learned from, where it is at hand."""

    @abstractmethod
    def card(self, made: WeightsCard, provenance: Provenance) -> WeightsCard:
        """The card with what only such weights have."""

    def companions(self, model: nn.Module, card: WeightsCard) -> list[Companion]:
        """What else ships of the model, beside the weights of ``card``."""
        return []

    def mixed(self, device: torch.device) -> torch.autocast:
        """In which networks compute in bfloat16, where the recipe has it so and the device does it in hardware."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.config.bfloat16 and has_bfloat16(device.type))


@functools.cache
def has_bfloat16(device: str) -> bool:
    """Whether a device computes in bfloat16. Processors that do not emulate it, at a sixth of the speed of float32 or less."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is not None and bool(supported())


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights are."""
    return next(model.parameters()).device


AnySubject = Subject[Any, Any]
