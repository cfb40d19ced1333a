"""The proxy that guides codecs as what is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from foveal.codecs.learned.weights import WeightsCard
from foveal.declared import build
from foveal.tasks.builtin import NetworkCard
from foveal.tasks.proxy.learning import Shown, as_shown, explained, losses
from foveal.tasks.proxy.lessons import Lessons as Told
from foveal.tasks.proxy.network import HEADS, Proxy, ProxyConfig, Seen, load_frozen
from foveal.tasks.proxy.surprise import head_scales
from foveal.tasks.residual import fold, shortened, unfold
from foveal.training.config import NetworkConfig
from foveal.training.subject import Frozen, Lessons, Loss, Provenance, Subject, device_of

_MEASURED_PAIRS = 8  # at a time
_SCALED_SQUARES = 24
_MANTISSA_BITS = 5
_FROZEN = f"batch norm folded, float16 of {_MANTISSA_BITS} bits of mantissa"


@final
class ProxyLessons(Lessons[Shown]):
    """Pairs of squares that ``foveal.tasks.proxy.lessons`` made; the last ones are held out."""

    def __init__(self, data: Path, batch: int, seed: int) -> None:
        self._told, self._batch, self._seed = Told.read(data), batch, seed
        self.summary = f"{self._told.pairs} pairs, {self._told.held_out} held out"

    @property
    def spread(self) -> dict[str, Tensor]:
        """Mean and deviation of the teachers' features."""
        return {name: torch.from_numpy(values) for name, values in self._told.spread.items()}

    def batch(self, step: int) -> Shown:
        chance = np.random.default_rng((self._seed, step))
        return self._shown(chance.integers(self._told.pairs, size=self._batch // 2).tolist())

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
        told = [f"{name} {100 * np.mean(values):.1f} %" for name, values in explained_of.items()]
        return ", ".join([*told, *(f"loss {name} {np.mean(values):.3f}" for name, values in losses_of.items())])

    def held_out_squares(self, most: int) -> Tensor:
        """At most that many squares ``(n, 3, side, side)`` in 0..1, as they were before a codec."""
        pairs = range(self._told.pairs, self._told.pairs + min(most, self._told.held_out))
        return self._shown(pairs).x[::2].contiguous(memory_format=torch.channels_last)

    def _shown(self, pairs: Sequence[int]) -> Shown:
        rows = np.array([row for pair in pairs for row in (2 * pair, 2 * pair + 1)])
        arrays = {name: np.asarray(a[rows]) for name, a in self._told.arrays.items()}
        return as_shown(arrays.pop("squares"), arrays)


@final
class ProxySubject(Subject[NetworkConfig, Shown]):
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

    def loss(self, shared: nn.Module, model: nn.Module, batch: Shown, step: int) -> Loss:
        device = device_of(model)
        shown = batch.on(device)
        with self.mixed(device):
            seen: Seen = shared(shown.x.contiguous(memory_format=torch.channels_last))
        parts = losses(seen, shown.told, {name: t.to(device) for name, t in self._spread.items()})
        return Loss(torch.stack([*parts.values()]).sum())

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return unfold(tensors, self.build())

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        """With factors of the heads, by their mean scores over squares that are held out; all 1 without ``data``."""
        tensors = shortened({n: t for n, t in fold(model).items() if n != "scales"}, _MANTISSA_BITS)
        tensors["scales"] = torch.ones(len(HEADS))
        if data is None:
            return Frozen(tensors, f"{_FROZEN}; scales not measured")
        proxy = load_frozen(tensors, build(ProxyConfig, self.config.model, "[model]"))
        squares = ProxyLessons(data, self.config.batch, self.config.seed).held_out_squares(_SCALED_SQUARES)
        tensors["scales"] = head_scales(proxy, squares)
        return Frozen(tensors, f"{_FROZEN}; scales by {len(squares)} squares held out")

    def card(self, made: WeightsCard, provenance: Provenance) -> NetworkCard:
        fields: dict[str, Any] = asdict(made)
        return NetworkCard(**fields, network=self.config.network)
