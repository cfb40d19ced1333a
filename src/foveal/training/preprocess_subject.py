"""NPP as what is trained: fewer bits of a standard codec at equal loss for machines.

The loss is rate, what machines lose, and how far the picture is from what it was. Rate and picture are those of the real codec, which
is run on each crop; their gradients go through its surrogate, which is frozen (Lu et al., arXiv 2206.05650, section III).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.around.cards import AroundCard
from foveal.codecs.around.conditioning import level_of
from foveal.codecs.around.npp import Npp, NppConfig
from foveal.codecs.around.surrogate import STRIDE
from foveal.codecs.learned.weights import WeightsCard
from foveal.declared import build
from foveal.errors import RecipeError
from foveal.tasks.builtin import GUIDING
from foveal.tasks.proxy.reading import foreseen, shipped_proxy
from foveal.tasks.residual import shortened
from foveal.training.config import AroundConfig
from foveal.training.data import Pixels, RandomCrops, load_photos
from foveal.training.middle import Middle, Passed
from foveal.training.preprocess_curves import Curves, Measured, Values, measure, saved
from foveal.training.preprocess_task import PARTS, Readers, Spread, losses, sides_of
from foveal.training.subject import Frozen, Lessons, Loss, Provenance, Subject, device_of

NETWORKS: Final = "networks"
"""The folder of the networks that read, in that of the data."""
_NATURAL: Final = 10.0
"""What the mean squared change of a picture in 0..1 costs, where 1 is all that the codec takes: 1 % at 30 dB. The paper's 0.5 is beside
bits that are not divided by anything. At 4 the picture came to 27.4 dB in place of 28.9, and nothing more was saved."""
_CALIBRATED: Final = 24  # crops
_CURVE_POINTS: Final = 8
_HELD_OUT_CROPS: Final = 24
_MEASURED_POINTS: Final = (1, 2, 4, 6)  # of those of the curve, so that a network that changes nothing saves nothing
_MANTISSA_BITS: Final = 6
_SEMANTIC_RATE: Final = 0.3
_READ_AT: Final = 1  # of the sides, for what is held out: five eighths, as the proxy reads a picture of 512 pixels


@final
@dataclass(frozen=True)
class NppLearning(NppConfig):
    """The sizes, and from which step on the semantic branch learns too: with what the others have found by then, and not against them.

    Raises:
        RecipeError: a step below 0; as ``NppConfig``.
    """

    semantic_from: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.semantic_from < 0:
            raise RecipeError(f"semantic_from = {self.semantic_from}; 0 or more is needed")


@final
@dataclass(frozen=True, eq=False)
class Shown:
    """What a step sees: pixels ``(n, crop, crop, 3)``, the quality of each, and which of the sides networks read them at."""

    pixels: Pixels
    qualities: Sequence[float]
    side: int


@final
class PreprocessLessons(Lessons[Shown]):
    """Random crops of photographs at random qualities; beside them, in ``networks``, the two networks that read.

    What the codec alone takes and loses at all qualities is measured at the start, on some crops that are trained on.
    """

    def __init__(self, data: Path, config: AroundConfig, seed: int) -> None:
        photos, held_out = load_photos(data, config.data, least_side=config.crop)
        self._config, self._seed = config, seed
        self._model = build(NppLearning, config.model, "[model]")
        self._crops = RandomCrops(photos, batch=config.batch, crop=config.crop, seed=seed)
        self._held_out = [middle_of(photo, config.crop) for photo in held_out[:_HELD_OUT_CROPS]]
        self.sides = sides_of(config.crop)
        self.middle, self.readers, self.proxy = Middle(config.host), Readers(data / NETWORKS), shipped_proxy()
        some = as_pictures(RandomCrops(photos, batch=_CALIBRATED, crop=config.crop, seed=config.seed).at(0))
        with torch.no_grad():
            self.spread = Spread.of([self.readers.read(one[None], config.crop) for one in some])
        codec_alone = self._measured(some)
        self.curves = Curves(codec_alone)
        self._base: Measured | None = None
        rates = ", ".join(f"{rate:.2f}" for rate in np.exp(codec_alone.rate))
        self.summary = (
            f"{len(photos)} photographs, {len(held_out)} held out; {config.host} alone takes {rates} bpp, "
            f"at an exchange of {self._exchanges()}{'' if self.middle.runs else '; it cannot be run here, so its surrogate stands for it'}"
        )

    def batch(self, step: int) -> Shown:
        """Every batch sees the whole range of qualities, evenly in the logarithm of the rate."""
        chance = np.random.default_rng((self._seed, step, 1))
        parts = (np.arange(self._config.batch) + chance.random(self._config.batch)) / self._config.batch
        qualities = [self.middle.host.nearest(1 + 99 * self.curves.level(part)) for part in parts.tolist()]
        return Shown(self._crops.at(step), qualities, int(chance.integers(len(self.sides))))

    @torch.no_grad()
    def measure(self, model: nn.Module, device: torch.device) -> str:
        """The bits that the network saves at equal loss, in percent, the mean over what networks lose; by quality, and by what it is. At the
        end how near the picture that is coded is to what it was, in dB of PSNR.
        """
        net, plain = cast(Npp, model), as_pictures(np.stack(self._held_out)).to(device)
        self._base = self._base or self._measured(plain)
        changed: list[float] = []

        def code(x: Tensor, quality: float) -> Passed:
            level = torch.full((len(x),), level_of(quality), device=device)
            shown = net(x.contiguous(memory_format=torch.channels_last), level, self.harm(x, self.sides[_READ_AT]))
            changed.append(float((shown - x).square().mean()))
            return self.middle.code(shown, quality)

        qualities = [self._points[i] for i in _MEASURED_POINTS]
        other = measure(code, plain, self.readers.read, self.spread, qualities, self.sides)
        logs = saved(self._base, other)
        by_quality = [f"q{q:.0f} {percent(one)}" for q, one in zip(qualities, logs, strict=True)]
        by_part = [f"{part} {percent(logs[..., i])}" for i, part in enumerate(PARTS)]
        psnr_db = -10 * np.log10(np.mean(changed) + 1e-10)
        return f"saves {percent(logs)} ({', '.join(by_quality)}; {', '.join(by_part)}), {psnr_db:.1f} dB before the codec"

    def harm(self, x: Tensor, side: int) -> Tensor:
        """What an error harms, ``(n, tasks, crop, crop)``, as the proxy foresees it that reads crops ``side`` pixels large."""
        read = functional.interpolate(x, (side, side), mode="bilinear", antialias=True) if side < x.shape[-1] else x
        with torch.no_grad():
            return foreseen(self.proxy.to(x.device), read.contiguous(memory_format=torch.channels_last), (x.shape[2], x.shape[3]))

    def _measured(self, x: Tensor) -> Measured:
        """The codec alone."""
        return measure(self.middle.code, x, self.readers.read, self.spread, self._points, self.sides)

    @property
    def _points(self) -> list[float]:
        """Qualities over the whole range, nearer to each other where it is coarse and JPEG's rate rises fast."""
        coarse, fine = self._model.coarse, self._model.fine
        parts = (i / (_CURVE_POINTS - 1) for i in range(_CURVE_POINTS))
        return [self.middle.host.nearest(coarse + (fine - coarse) * part**1.5) for part in parts]

    def _exchanges(self) -> str:
        """For the log, the mean over sides: of each part at the coarsest, a middle and the finest quality."""
        levels = [self.curves.level(part) for part in (0.0, 0.5, 1.0)]
        found = torch.stack([self.curves.at(levels, i).exchange for i in range(len(self.sides))]).mean(0)
        return ", ".join(f"{part} {'/'.join(f'{v:.2f}' for v in found[:, i])}" for i, part in enumerate(PARTS))


@final
class PreprocessSubject(Subject[AroundConfig, Shown]):
    """``preprocess``, of any codec that has a surrogate."""

    def __init__(self, config: AroundConfig) -> None:
        if config.crop % STRIDE:
            raise RecipeError(f"crop = {config.crop}; a multiple of {STRIDE} is needed")
        self.name = config.trains
        self.config = config
        self._learning = build(NppLearning, config.model, "[model]")
        self._lessons: PreprocessLessons | None = None

    def build(self) -> Npp:
        return Npp(self._learning)

    def read(self, data: Path, seed: int) -> PreprocessLessons:
        self._lessons = PreprocessLessons(data, self.config, seed)
        return self._lessons

    def loss(self, shared: nn.Module, model: nn.Module, batch: Shown, step: int) -> Loss:
        lessons, device = self._lessons, device_of(model)
        assert lessons is not None
        levels = [level_of(quality) for quality in batch.qualities]
        x = as_pictures(batch.pixels).to(device)
        side, trade = lessons.sides[batch.side], lessons.curves.at(levels, batch.side)
        harm = lessons.harm(x, side)
        with self.mixed(device):
            shown: Tensor = shared(x, torch.tensor(levels, device=device), harm, step >= self._learning.semantic_from)
        shown = shown.float()
        passed = lessons.middle.through(shown, batch.qualities)
        with torch.no_grad():
            plain = lessons.readers.read(x, side)
        lost = losses(plain, lessons.readers.read(passed.decoded, side), lessons.spread)
        rate = passed.bits.cpu() / x[0, 0].numel() / trade.rate
        # The crop's own loss below the line keeps the few that lose most from being all that is learned from.
        task = (trade.exchange * 2 * lost / (trade.lost + lost.detach())).mean(1)
        return Loss((rate + task).mean() + _NATURAL * (shown - x).square().mean().cpu())

    def rate_factor(self, model: nn.Module, parameter: str) -> float:
        """The semantic branch learns slowly: as fast as the others, which begin with what codecs do, it moves at random."""
        return _SEMANTIC_RATE if parameter.startswith("semantic.") else 1.0

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: t.float() for name, t in tensors.items()}

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        tensors = {name: t.half() for name, t in model.state_dict().items()}
        return Frozen(shortened(tensors, _MANTISSA_BITS), f"float16 of {_MANTISSA_BITS} bits of mantissa")

    def card(self, made: WeightsCard, provenance: Provenance) -> AroundCard:
        fields: dict[str, Any] = asdict(made)
        fields["config"] = {name: fields["config"][name] for name in NppConfig.__dataclass_fields__}
        return AroundCard(**fields, part="preprocess", host=self.config.host, default=provenance.default, reads=GUIDING["proxy"])


def middle_of(photo: Pixels, side: int) -> Pixels:
    """``(side, side, 3)`` from the middle of a photograph."""
    top, left = ((n - side) // 2 for n in photo.shape[:2])
    return photo[top : top + side, left : left + side]


def as_pictures(pixels: Pixels) -> Tensor:
    """``(n, 3, rows, columns)`` in 0..1 of ``(n, rows, columns, 3)`` in 0..255."""
    pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return pictures.contiguous(memory_format=torch.channels_last)


def percent(logs: Values) -> str:
    """What logarithms of rates over others come to, as what is saved."""
    return f"{100 * (1 - math.exp(float(logs.mean()))):.1f} %"
