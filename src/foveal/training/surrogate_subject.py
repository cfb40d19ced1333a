"""Surrogates of standard codecs as what is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foveal.codecs.around.cards import AroundCard
from foveal.codecs.around.conditioning import level_of
from foveal.codecs.around.surrogate import Approximation, Surrogate, SurrogateConfig
from foveal.codecs.learned.weights import WeightsCard
from foveal.declared import build
from foveal.errors import RecipeError
from foveal.training.config import AroundConfig
from foveal.training.subject import Frozen, Lessons, Loss, Provenance, Subject, device_of
from foveal.training.surrogate_lessons import KIN, SurrogateLessons

_FEW_BITS: Final = 100  # added to bits before logarithms are compared: what stands in a file of next to nothing is chance
_RATE_WEIGHT: Final = 20.0  # of squared differences of natural logarithms
_KIN_WEIGHT: Final = 10.0
_CONV_RATE: Final = 0.3  # of networks, over that of tables
_MEASURED_AT_ONCE: Final = 6
_BANDS: Final = (1, 20, 40, 60, 80, 101)
_LEAST_ERROR: Final = 1e-6  # squared, of samples in 0..1


@final
@dataclass(frozen=True, eq=False)
class Shown:
    """picture and decoded ``(n, 3, side, side)`` in 0..1, level and bits ``(n,)``; of the first ``2 * kin`` each other one is the one before, altered."""

    picture: Tensor
    level: Tensor
    decoded: Tensor
    bits: Tensor
    kin: int

    def on(self, device: torch.device) -> Shown:
        """The same, there."""
        picture, level, decoded, bits = (t.to(device) for t in (self.picture, self.level, self.decoded, self.bits))
        return Shown(picture, level, decoded, bits, self.kin)


@final
@dataclass(frozen=True)
class Fidelity:
    """How near a surrogate comes to its codec, over crops and qualities.

    rate_error_percent: the mean absolute difference of bits. correlation: of logarithms of bits. psnr_db: of its picture against the decoded one.
    idle_psnr_db: what the picture that was coded has against it. change_correlation, change_slope: of how the logarithm of bits changes where a
    crop is altered, told over true; None where fewer than two crops were.
    """

    rate_error_percent: float
    correlation: float
    psnr_db: float
    idle_psnr_db: float
    change_correlation: float | None = None
    change_slope: float | None = None

    def __str__(self) -> str:
        told = (
            f"rate error {self.rate_error_percent:.1f} %, log bits correlate {self.correlation:.4f}, "
            f"{self.psnr_db:.2f} dB where the input has {self.idle_psnr_db:.2f} dB"
        )
        if self.change_correlation is None:
            return told
        return f"{told}, changes of log bits correlate {self.change_correlation:.3f} with slope {self.change_slope:.2f}"


@final
class CodedLessons(Lessons[Shown]):
    """What ``surrogate_lessons`` made. Half of a batch are crops beside themselves altered, at the same quality."""

    def __init__(self, data: Path, config: AroundConfig, seed: int) -> None:
        self._told = SurrogateLessons.read(data, config.host)
        self._batch, self._seed = config.batch, seed
        coded = self._told.qualities.size
        held_out = self._told.held_out * self._told.qualities.shape[1]
        self.summary = f"{coded - held_out} coded crops, {held_out} held out"

    def batch(self, step: int) -> Shown:
        chance = np.random.default_rng((self._seed, step))
        kin, each = self._batch // 4, self._told.qualities.shape[1]
        threes = chance.integers((len(self._told.crops) - self._told.held_out) // KIN, size=self._batch - kin)
        crops = list[int]()
        for i, three in enumerate((KIN * threes).tolist()):
            crops += [three + 1, three + 2] if i < kin else [three + int(chance.integers(KIN))]
        coded = chance.integers(each, size=len(crops))
        coded[1 : 2 * kin : 2] = coded[0 : 2 * kin : 2]
        return self._shown(crops, coded.tolist(), kin)

    def measure(self, model: nn.Module, device: torch.device) -> str:
        """Over all that is held out, and the same in parts of the range of quality."""
        parts = [self.fidelity(cast(Surrogate, model), device, low, high) for low, high in pairwise(_BANDS)]
        bands = [
            f"q{low}- {part.rate_error_percent:.1f} % {part.psnr_db:.2f} dB ({part.idle_psnr_db:.2f})"
            for low, part in zip(_BANDS, parts, strict=False)
            if part is not None
        ]
        return f"{self.fidelity(cast(Surrogate, model), device)}; {', '.join(bands)}"

    @torch.no_grad()
    def fidelity(self, model: Surrogate, device: torch.device, low: float = 1, high: float = 101) -> Fidelity | None:
        """Of what is held out, at qualities from ``low`` to below ``high``; None where there is none."""
        start = len(self._told.crops) - self._told.held_out
        qualities = self._told.qualities[start:]
        chosen = np.argwhere((qualities >= low) & (qualities < high))
        if not len(chosen):
            return None
        bits, psnr_db, idle = list[float](), list[float](), list[float]()
        for first in range(0, len(chosen), _MEASURED_AT_ONCE):
            some = chosen[first : first + _MEASURED_AT_ONCE]
            shown = self._shown((start + some[:, 0]).tolist(), some[:, 1].tolist(), 0).on(device)
            told: Approximation = model(shown.picture, shown.level)
            bits += told.bits.tolist()
            psnr_db += _psnr_db(told.picture.clamp(0, 1), shown.decoded)
            idle += _psnr_db(shown.picture, shown.decoded)
        true = self._told.bits[start:][chosen[:, 0], chosen[:, 1]].astype(np.float64)
        return _fidelity(np.array(bits), true, np.mean(psnr_db), np.mean(idle), chosen)

    def _shown(self, crops: Sequence[int], coded: Sequence[int], kin: int) -> Shown:
        told, rows = self._told, list(zip(crops, coded, strict=True))

        def pictures(found: list[npt.NDArray[np.uint8]]) -> Tensor:
            return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255

        level = [level_of(float(told.qualities[row])) for row in rows]
        bits = [float(told.bits[row]) for row in rows]
        decoded = pictures([told.decoded[row] for row in rows])
        return Shown(pictures([told.crops[i] for i in crops]), torch.tensor(level), decoded, torch.tensor(bits), kin)


def _psnr_db(told: Tensor, true: Tensor) -> list[float]:
    errors = (told - true).square().mean((1, 2, 3)) + _LEAST_ERROR
    return [-10 * math.log10(float(error)) for error in errors]


def _fidelity(
    told: npt.NDArray[np.float64], true: npt.NDArray[np.float64], psnr_db: Any, idle: Any, chosen: npt.NDArray[np.intp]
) -> Fidelity:
    """chosen: crop and quality of each, by their numbers."""
    logs = np.log(told + _FEW_BITS), np.log(true + _FEW_BITS)
    place = {(int(crop), int(coded)): i for i, (crop, coded) in enumerate(chosen)}
    kin = [(place[crop - 1, coded], i) for (crop, coded), i in place.items() if crop % KIN == KIN - 1]
    error = 100 * float(np.mean(np.abs(told - true) / (true + _FEW_BITS)))
    correlation = float(np.corrcoef(*logs)[0, 1]) if len(true) > 1 else 1.0
    if len(kin) < 2:
        return Fidelity(error, correlation, float(psnr_db), float(idle))
    own, real = (np.array([log[after] - log[before] for before, after in kin]) for log in logs)
    slope = float((own * real).sum() / max(1e-12, float((real * real).sum())))
    return Fidelity(error, correlation, float(psnr_db), float(idle), float(np.corrcoef(own, real)[0, 1]), slope)


@final
class SurrogateSubject(Subject[AroundConfig, Shown]):
    """``surrogate``, of the recipe's host."""

    def __init__(self, config: AroundConfig) -> None:
        if config.batch < 4:
            raise RecipeError(f"batch = {config.batch}; 4 or more are needed, for a crop and itself altered are a part of it")
        self.name = config.trains
        self.config = config

    def build(self) -> Surrogate:
        return Surrogate(build(SurrogateConfig, self.config.model, "[model]"))

    def read(self, data: Path, seed: int) -> CodedLessons:
        return CodedLessons(data, self.config, seed)

    def loss(self, shared: nn.Module, model: nn.Module, batch: Shown, step: int) -> Loss:
        """The error of the picture in parts of the codec's own, and of logarithms of bits, once more for how they change."""
        shown = batch.on(device_of(model))
        told: Approximation = shared(shown.picture, shown.level)
        own = (shown.picture - shown.decoded).square().mean((1, 2, 3))
        error = (told.picture - shown.decoded).square().mean((1, 2, 3)) / (own + _LEAST_ERROR)
        rate = ((told.bits + _FEW_BITS) / (shown.bits + _FEW_BITS)).log()
        change = rate[1 : 2 * shown.kin : 2] - rate[0 : 2 * shown.kin : 2]
        return Loss(error.mean() + _RATE_WEIGHT * rate.square().mean() + _KIN_WEIGHT * change.square().mean())

    def rate_factor(self, model: nn.Module, parameter: str) -> float:
        """Tables and thresholds may move fast."""
        return 1.0 if ".coders." in parameter else _CONV_RATE

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.float() for name, tensor in tensors.items()}

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        return Frozen({name: t.half() for name, t in model.state_dict().items()}, "float16")

    def card(self, made: WeightsCard, provenance: Provenance) -> AroundCard:
        fields: dict[str, Any] = asdict(made)
        return AroundCard(**fields, part="surrogate", host=self.config.host, default=provenance.default)
