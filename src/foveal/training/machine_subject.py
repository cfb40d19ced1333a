"""Adapters that turn weights of ``frequency`` to machines, as what is trained; the codec around them does not change.

The loss is rate, what machines lose (``preprocess_task``, for which no labels are needed) and a little of what people lose. What one is
worth in the other is taken from the codec itself, at each quality (``preprocess_curves``): adapters learn to do better than
another quality would.

Reference: a frozen codec, adapters that alone learn, and the distance of a network's features as the distortion are of Li et al. (Adapt-ICMH),
ECCV 2024. Ours: one set of adapters for all rates, several networks, and the exchange.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from foveal.codecs.around.conditioning import level_of
from foveal.codecs.learned.frequency.adapters import ADAPTER
from foveal.codecs.learned.frequency.model import FrequencyModel
from foveal.codecs.learned.frequency.networks import adapters_of, thaw
from foveal.codecs.learned.frequency.tiling import STRIDE
from foveal.codecs.learned.frequency.transforms import FrequencyConfig
from foveal.codecs.learned.frequency.twin import frequency_card
from foveal.codecs.learned.gains import rate_weight
from foveal.codecs.learned.weights import Card, WeightsCard, load_weights
from foveal.errors import RecipeError
from foveal.training.config import MachineTraining
from foveal.training.data import RandomCrops, load_photos
from foveal.training.middle import Passed
from foveal.training.preprocess_curves import Code, Curves, Measured, measure, saved
from foveal.training.preprocess_subject import NETWORKS, Shown, as_pictures, middle_of, percent
from foveal.training.preprocess_task import PARTS, Readers, Spread, losses, sides_of
from foveal.training.subject import Frozen, Lessons, Loss, Provenance, Subject, device_of

PRESET: Final = "icm"
"""Image coding for machines, as the field calls it; ``machine`` is what benches call the guide of any codec."""
_CALIBRATED: Final = 16  # crops
_HELD_OUT_CROPS: Final = 16
_CURVE_POINTS: Final = 8
_MEASURED_POINTS: Final = (1, 3, 5)  # of those of the curve, so that adapters that change nothing save nothing
_READ_AT: Final = 1  # of the sides, where what is held out is measured at one: five eighths


def adapted_model(card: Card, inner: int) -> FrequencyModel:
    """The codec of a card with new adapters, of which ``inner`` is the size; these alone may learn."""
    sizes: dict[str, Any] = {**card.config, "adapters": inner}
    model = FrequencyModel(FrequencyConfig(**sizes))
    model.load_state_dict(model.state_dict() | thaw(load_weights(card)))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(ADAPTER in name)
    return model


def coding(model: FrequencyModel) -> Code:
    """What a model makes of crops, as files would."""

    @torch.no_grad()
    def code(x: Tensor, quality: float) -> Passed:
        bits, picture = model(x, torch.full((len(x),), quality, device=x.device))
        return Passed(picture.clamp(0, 1), bits)

    return code


@final
class MachineLessons(Lessons[Shown]):
    """Random crops of photographs at random qualities; beside them, in ``networks``, the two networks that read.

    What the codec takes and loses without adapters is measured at the start, on some crops that are trained on.
    """

    def __init__(self, data: Path, config: MachineTraining, card: Card, seed: int) -> None:
        photos, held_out = load_photos(data, config.data, least_side=config.crop)
        self._config, self._seed = config, seed
        self._crops = RandomCrops(photos, batch=config.batch, crop=config.crop, seed=seed)
        self._held_out = [middle_of(photo, config.crop) for photo in held_out[:_HELD_OUT_CROPS]]
        self.sides, self.readers = sides_of(config.crop), Readers(data / NETWORKS)
        self._plain = adapted_model(card, 0).eval().requires_grad_(False)
        some = as_pictures(RandomCrops(photos, batch=_CALIBRATED, crop=config.crop, seed=config.seed).at(0))
        with torch.no_grad():
            self.spread = Spread.of([self.readers.read(one[None], config.crop) for one in some])
        self.curves = Curves(measure(coding(self._plain), some, self.readers.read, self.spread, self._points, self.sides))
        self._base: Measured | None = None
        self.summary = f"{len(photos)} photographs, {len(held_out)} held out; {card.name} is adapted"

    def batch(self, step: int) -> Shown:
        """Every batch sees the whole range of qualities, evenly in the logarithm of the rate."""
        chance = np.random.default_rng((self._seed, step, 1))
        parts = (np.arange(self._config.batch) + chance.random(self._config.batch)) / self._config.batch
        qualities = [1 + 99 * self.curves.level(part) for part in parts.tolist()]
        return Shown(self._crops.at(step), qualities, int(chance.integers(len(self.sides))))

    @torch.no_grad()
    def measure(self, model: nn.Module, device: torch.device) -> str:
        """The bits that adapters save at equal loss for machines, in percent, the mean over what networks lose; by quality, and by what it is.
        At the end what they take from people, in dB of PSNR at equal quality.
        """
        x, sides = as_pictures(np.stack(self._held_out)).to(device), self.sides[_READ_AT : _READ_AT + 1]
        plain, qualities = self._plain.to(device), [self._points[i] for i in _MEASURED_POINTS]

        def measured(net: FrequencyModel, points: list[float]) -> Measured:
            return measure(coding(net), x, self.readers.read, self.spread, points, sides)

        self._base = self._base or measured(plain, self._points)
        own = cast(FrequencyModel, model)
        logs = saved(self._base, measured(own, qualities))
        by_quality = [f"q{q:.0f} {percent(one)}" for q, one in zip(qualities, logs, strict=True)]
        by_part = [f"{part} {percent(logs[..., i])}" for i, part in enumerate(PARTS)]
        lost_db = np.mean([_psnr_db(plain, x, q) - _psnr_db(own, x, q) for q in qualities])
        return f"saves {percent(logs)} ({', '.join(by_quality)}; {', '.join(by_part)}), {lost_db:.2f} dB lost for people"

    @property
    def _points(self) -> list[float]:
        """Qualities over the whole range, nearer to each other where it is coarse."""
        coarse, fine = self._config.coarsest, self._config.finest
        return [coarse + (fine - coarse) * (i / (_CURVE_POINTS - 1)) ** 1.5 for i in range(_CURVE_POINTS)]


@final
class MachineSubject(Subject[MachineTraining, Shown]):
    """Adapters of one set of weights."""

    def __init__(self, config: MachineTraining) -> None:
        if config.crop % STRIDE or not 1 <= config.coarsest < config.finest <= 100:
            raise RecipeError(
                f"crop = {config.crop}, qualities {config.coarsest:g} to {config.finest:g}; a multiple of {STRIDE} and two from 1 to 100 are needed"
            )
        inner = config.model.get("adapters", 0)
        if set(config.model) != {"adapters"} or type(inner) is not int or inner < 1:
            raise RecipeError(
                f"[model] is {config.model}; adapters = 48, or another number of channels, and nothing else is needed"
            )
        self.name, self.config = config.trains, config
        self._card, self._inner = frequency_card(config.adapts), inner
        self._lessons: MachineLessons | None = None

    def build(self) -> FrequencyModel:
        """The weights that are adapted, with adapters that change nothing yet."""
        return adapted_model(self._card, self._inner)

    def read(self, data: Path, seed: int) -> MachineLessons:
        self._lessons = MachineLessons(data, self.config, self._card, seed)
        return self._lessons

    def loss(self, shared: nn.Module, model: nn.Module, batch: Shown, step: int) -> Loss:
        lessons, device = self._lessons, device_of(model)
        assert lessons is not None
        x = as_pictures(batch.pixels).to(device)
        quality = torch.tensor(batch.qualities, dtype=torch.float32, device=device)
        side = lessons.sides[batch.side]
        trade = lessons.curves.at([level_of(one) for one in batch.qualities], batch.side)
        with self.mixed(device):
            bits, picture = shared(x, quality)
        picture = picture.float()
        with torch.no_grad():
            plain = lessons.readers.read(x, side)
        lost = losses(plain, lessons.readers.read(picture.clamp(0, 1), side), lessons.spread)
        # The crop's own loss below the line keeps the few that lose most from being all that is learned from.
        task = (trade.exchange * 2 * lost / (trade.lost + lost.detach())).mean(1)
        sizes = cast(FrequencyModel, model).config
        weight = rate_weight(quality, sizes.coarse_lambda, sizes.fine_lambda)
        seen = self.config.picture * weight * 255.0**2 * (x - picture).square().mean((1, 2, 3))
        rate = (bits.float() / x[0, 0].numel() + seen).cpu() / trade.rate
        return Loss((rate + task).mean())

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        shipped = any(name.startswith("tables.") for name in tensors)
        return thaw(tensors) if shipped else tensors

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        return Frozen(adapters_of(cast(FrequencyModel, model)), "adapters alone, float16", extends=self.config.adapts)

    def card(self, made: WeightsCard, provenance: Provenance) -> Card:
        fields: dict[str, Any] = asdict(made)
        return Card(**fields, codec="frequency", default=provenance.default, preset=provenance.preset or PRESET)


def _psnr_db(model: FrequencyModel, x: Tensor, quality: float) -> float:
    return -10 * math.log10(float((x - coding(model)(x, quality).decoded).square().mean()))
