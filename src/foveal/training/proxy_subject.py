"""The proxy that guides codecs as what is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foveal.codecs.learned.weights import WeightsCard
from foveal.declared import build
from foveal.tasks.builtin import NetworkCard
from foveal.tasks.proxy import TASKS
from foveal.tasks.proxy.harm_lessons import HarmLessons
from foveal.tasks.proxy.learning import Harmed, Shown, as_shown, explained, harm_explained, harm_loss, losses
from foveal.tasks.proxy.lessons import Lessons as Told
from foveal.tasks.proxy.network import HEADS, Proxy, ProxyConfig, Seen, load_frozen
from foveal.tasks.proxy.surprise import head_scales
from foveal.tasks.residual import unfold
from foveal.training.config import NetworkConfig
from foveal.training.subject import Frozen, Lessons, Loss, Provenance, Subject, device_of, frozen_on_grid

_MEASURED_PAIRS = 8  # at a time
_HARM_SQUARES = 2  # of a batch for each of its squares; they are smaller
_FRESH_RATE = 3.0  # of the head of harm, over that of the rest, which another run may have taught already
_SCALED_SQUARES = 24
_HARM = "harms."


@final
@dataclass(frozen=True, eq=False)
class Taught:
    """What a step sees: pairs, and squares with harm where there are lessons of it."""

    pairs: Shown
    harmed: Harmed | None


@final
class ProxyLessons(Lessons[Taught]):
    """Pairs of squares that ``foveal.tasks.proxy.lessons`` made, and in folders ``harm-*`` beside them what ``harm_lessons`` made;
    the last ones of each are held out.
    """

    def __init__(self, data: Path, batch: int, seed: int) -> None:
        self._told, self._batch, self._seed = Told.read(data), batch, seed
        self._harm = HarmLessons.read(sorted(data.glob("harm-*")))
        taught = sum(len(some.squares) - some.held_out for some in self._harm)
        self.summary = f"{self._told.pairs} pairs, {self._told.held_out} held out; {taught} squares with harm"

    @property
    def spread(self) -> dict[str, Tensor]:
        """Mean and deviation of the teachers' features."""
        return {name: torch.from_numpy(values) for name, values in self._told.spread.items()}

    def batch(self, step: int) -> Taught:
        chance = np.random.default_rng((self._seed, step))
        pairs = self._shown(chance.integers(self._told.pairs, size=self._batch // 2).tolist())
        if not self._harm:
            return Taught(pairs, None)
        some = self._harm[int(chance.integers(len(self._harm)))]
        rows = chance.integers(len(some.squares) - some.held_out, size=_HARM_SQUARES * self._batch)
        harmed = _harmed(some, rows)
        return Taught(pairs, Harmed(harmed.x.flip(3), harmed.harm.flip(3)) if chance.random() < 0.5 else harmed)

    def measure(self, model: nn.Module, device: torch.device) -> str:
        """How much of the teachers' features, and of how a codec changes them, the proxy explains, in percent; and parts of the loss."""
        spread = {name: t.to(device) for name, t in self.spread.items()}
        explained_of: dict[str, list[float]] = {}
        losses_of: dict[str, list[float]] = {}
        held_out = range(self._told.pairs, self._told.pairs + self._told.held_out)
        for start in range(0, len(held_out), _MEASURED_PAIRS):
            shown = self._shown(held_out[start : start + _MEASURED_PAIRS]).on(device)
            with torch.no_grad():
                seen = cast(Proxy, model)(shown.x.contiguous(memory_format=torch.channels_last))
            for name, value in explained(seen, shown.told, spread).items():
                explained_of.setdefault(name, []).append(value)
            for name, value in losses(seen, shown.told, spread).items():
                losses_of.setdefault(name, []).append(float(value))
        for task, value in self._harm_explained(cast(Proxy, model), device).items():
            explained_of[f"harm of {task}"] = [value]
        told = [f"{name} {100 * np.mean(values):.1f} %" for name, values in explained_of.items()]
        return ", ".join([*told, *(f"loss {name} {np.mean(values):.3f}" for name, values in losses_of.items())])

    def _harm_explained(self, model: Proxy, device: torch.device) -> dict[str, float]:
        """By task, over all squares that are held out."""
        if not self._harm:
            return {}
        own, told = list[Tensor](), list[Tensor]()
        for some in self._harm:
            held_out = _harmed(some, np.arange(len(some.squares) - some.held_out, len(some.squares))).on(device)
            with torch.no_grad():
                own.append(model.harm(held_out.x.contiguous(memory_format=torch.channels_last)))
            told.append(held_out.harm)
        return dict(zip(TASKS, harm_explained(torch.cat(own), torch.cat(told)), strict=True))

    def held_out_squares(self, most: int) -> Tensor:
        """At most that many squares ``(n, 3, side, side)`` in 0..1, as they were before a codec."""
        pairs = range(self._told.pairs, self._told.pairs + min(most, self._told.held_out))
        return self._shown(pairs).x[::2].contiguous(memory_format=torch.channels_last)

    def _shown(self, pairs: Sequence[int]) -> Shown:
        rows = np.array([row for pair in pairs for row in (2 * pair, 2 * pair + 1)])
        arrays = {name: np.asarray(a[rows]) for name, a in self._told.arrays.items()}
        return as_shown(arrays.pop("squares"), arrays)


def _harmed(some: HarmLessons, rows: npt.NDArray[np.int64]) -> Harmed:
    x = torch.from_numpy(some.squares[rows]).permute(0, 3, 1, 2).float() / 255
    return Harmed(x, torch.from_numpy(some.harm[rows].astype(np.float32)))


@final
class ProxySubject(Subject[NetworkConfig, Taught]):
    """``proxy``."""

    def __init__(self, config: NetworkConfig) -> None:
        self.name = config.network
        self.config = config
        self._spread: dict[str, Tensor] = {}

    def build(self) -> Proxy:
        return Proxy(build(ProxyConfig, self.config.model, "[model]"))

    def read(self, data: Path, seed: int) -> ProxyLessons:
        lessons = ProxyLessons(data, self.config.batch, seed)
        self._spread = lessons.spread
        return lessons

    def loss(self, shared: nn.Module, model: nn.Module, batch: Taught, step: int) -> Loss:
        device = device_of(model)
        shown = batch.pairs.on(device)
        with self.mixed(device):
            seen: Seen = shared(shown.x.contiguous(memory_format=torch.channels_last))
        parts = [*losses(seen, shown.told, {name: t.to(device) for name, t in self._spread.items()}).values()]
        if batch.harmed is None:
            parts.append(0 * seen.harm.float().sum())  # processes that train together wait for gradients of all weights
        else:
            harmed = batch.harmed.on(device)
            with self.mixed(device):
                own: Seen = shared(harmed.x.contiguous(memory_format=torch.channels_last))
            parts.append(harm_loss(own.harm, harmed.harm))
        return Loss(torch.stack(parts).sum())

    def rate_factor(self, model: nn.Module, parameter: str) -> float:
        return _FRESH_RATE if parameter.startswith(_HARM) else 1.0

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights from before there was a head of harm get one that has learned nothing."""
        fresh = self.build()
        own = {name: t for name, t in fresh.state_dict().items() if name.startswith(_HARM)}
        return own | unfold(tensors, fresh)

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        """With factors of the heads, by their mean scores over squares that are held out; all 1 without ``data``."""
        frozen = frozen_on_grid(model)
        tensors = frozen.tensors
        tensors["scales"] = torch.ones(len(HEADS))
        if data is None:
            return Frozen(tensors, f"{frozen.note}; scales not measured")
        proxy = load_frozen(tensors, build(ProxyConfig, self.config.model, "[model]"))
        squares = ProxyLessons(data, self.config.batch, self.config.seed).held_out_squares(_SCALED_SQUARES)
        tensors["scales"] = head_scales(proxy, squares)
        return Frozen(tensors, f"{frozen.note}; scales by {len(squares)} squares held out")

    def card(self, made: WeightsCard, provenance: Provenance) -> NetworkCard:
        fields: dict[str, Any] = asdict(made)
        return NetworkCard(**fields, network=self.config.network)
