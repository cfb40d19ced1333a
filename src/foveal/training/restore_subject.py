"""Compact-and-restore, and restoration alone, as what is trained, around a real codec that codes every crop online.

In turns, as Jiang et al. 2017 (arXiv 1708.00838) train: for ``restore_steps`` the network behind the codec learns on what the codec
makes of pictures that the other one halved; then for ``compact_steps`` the one before it learns through the first, which rests. Theirs
learns with the codec left out, so nothing keeps it from detail that is dear to code. Here the codec stays in, with
gradients through its surrogate, and its bits count, by the slope that the curve of rate and squared error has at each quality when interpolation alone restores.

Each crop's loss is divided by the square root of the error that interpolation alone would leave, so that no quality drowns the others.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from foveal.codecs.around.cards import AroundCard, Part
from foveal.codecs.around.conditioning import level_of
from foveal.codecs.around.note import NOTED_HOSTS
from foveal.codecs.around.restoration import RestoreConfig, RestoreModel, Turn, doubled
from foveal.codecs.around.surrogate import STRIDE
from foveal.codecs.learned.weights import WeightsCard
from foveal.declared import build
from foveal.errors import RecipeError
from foveal.training.config import AroundConfig
from foveal.training.data import Pixels, RandomCrops, load_photos
from foveal.training.middle import Middle, Passed, code_through
from foveal.training.subject import Frozen, Lessons, Loss, Provenance, Subject, device_of

_MEASURED = 8  # photographs at most
_MEASURE_AT = (0.1, 0.35, 0.6, 0.85)  # of the trained qualities
_LEAST_ERROR = 1e-4  # 40 dB; what is nearer than that counts no more


@final
@dataclass(frozen=True)
class RestoreLearning(RestoreConfig):
    """The sizes, and how they learn.

    restore_steps, compact_steps: how long each turn is. coarse_slope, fine_slope: how much squared error, of samples in 0..1, a bit a pixel
    is worth at quality 1 and 100; it goes by equal factors between.
    """

    restore_steps: int = 1200
    compact_steps: int = 400
    coarse_slope: float = 0.034
    fine_slope: float = 0.00063

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.restore_steps < 1 or self.compact_steps < 0:
            raise RecipeError(f"turns of {self.restore_steps} and {self.compact_steps} steps; 1 or more and 0 or more are needed")
        if not self.coarse_slope >= self.fine_slope > 0:
            raise RecipeError(
                f"slopes {self.coarse_slope:g} to {self.fine_slope:g}; above 0 are needed, the coarse one not below the fine one"
            )

    def turn(self, step: int) -> Turn:
        """Whose turn a training step is."""
        resting = self.full or step % (self.restore_steps + self.compact_steps) < self.restore_steps
        return "restore" if resting else "compact"

    def slope(self, level: Tensor) -> Tensor:
        """What a bit a pixel is worth, at levels 0..1."""
        return self.coarse_slope * torch.exp(level * math.log(self.fine_slope / self.coarse_slope))


@final
@dataclass(frozen=True, eq=False)
class Drawn:
    """Crops, uint8 ``(n, side, side, 3)``, and the quality that each is coded with."""

    crops: Pixels
    qualities: list[float]


@final
class RestoreLessons(Lessons[Drawn]):
    """Random crops of photographs, and whole qualities for them, one out of each n-th of the range for n crops."""

    def __init__(self, data: Path, config: AroundConfig, learning: RestoreLearning, middle: Middle, seed: int) -> None:
        photos, held_out = load_photos(data, config.data, least_side=config.crop)
        self._crops = RandomCrops(photos, batch=config.batch, crop=config.crop, seed=seed)
        self._held_out, self._learning, self._host = held_out[-_MEASURED:], learning, middle.host
        self._batch, self._seed = config.batch, seed
        self.summary = f"{len(photos)} photographs, {len(held_out)} held out"

    def batch(self, step: int) -> Drawn:
        chance = np.random.default_rng((self._seed, step, 1))
        low, high = self._learning.coarsest, self._learning.finest
        shares = (np.arange(self._batch) + chance.random(self._batch)) / self._batch
        return Drawn(self._crops.at(step), np.round(low + (high - low) * shares).tolist())

    @torch.no_grad()
    def measure(self, model: nn.Module, device: torch.device) -> str:
        """Bits a pixel and mean PSNR in dB of held-out photographs, and what interpolation alone would give, at a few qualities."""
        own, parts = cast(RestoreModel, model), list[str]()
        for share in _MEASURE_AT:
            quality = round(self._learning.coarsest + share * (self._learning.finest - self._learning.coarsest))
            level, found = torch.tensor([level_of(quality)], device=device), list[tuple[float, float, float]]()
            for photo in self._held_out:
                height, width = (side // 2 * 2 for side in photo.shape[:2])
                x = torch.from_numpy(photo[:height, :width].copy()).to(device).permute(2, 0, 1)[None].float() / 255
                passed = list[Passed]()

                def through(compacted: Tensor, quality: float = quality, passed: list[Passed] = passed) -> Tensor:
                    passed.append(code_through(self._host, compacted, [quality]))
                    return passed[0].decoded

                _, restored = own(x, level, through)
                plain = passed[0].decoded if own.compact is None else doubled(passed[0].decoded)
                found.append((float(passed[0].bits) / (height * width), _psnr_db(x, restored), _psnr_db(x, plain)))
            bpp, psnr_db, plain_db = np.mean(found, 0)
            parts.append(f"q{quality} {bpp:.3f} bpp {psnr_db:.2f} dB ({psnr_db - plain_db:+.2f})")
        return ", ".join(parts)


def _psnr_db(x: Tensor, y: Tensor) -> float:
    return -10 * math.log10(max(1e-10, float((x - y.clamp(0, 1)).square().mean())))


@final
class RestoreSubject(Subject[AroundConfig, Drawn]):
    """``compact``: both networks. ``restore``: the one behind the codec alone, at full size."""

    def __init__(self, config: AroundConfig) -> None:
        self.name = config.trains
        self.config = config
        self._learning = build(RestoreLearning, {"full": int(config.part == "restore"), **config.model}, "[model]")
        if self._learning.full != (config.part == "restore"):
            raise RecipeError(f"part = {config.part!r} with full = {self._learning.full}; leave full out, the part says it")
        if config.host not in NOTED_HOSTS:
            raise RecipeError(f"host = {config.host!r}; its files have no place for a note: {', '.join(NOTED_HOSTS)} do")
        coded = 1 if self._learning.full else 2
        if config.crop % (coded * STRIDE):
            raise RecipeError(f"crop = {config.crop}; a multiple of {coded * STRIDE} is needed")
        self._middle = Middle(config.host)

    def build(self) -> RestoreModel:
        return RestoreModel(self._learning)

    def read(self, data: Path, seed: int) -> RestoreLessons:
        return RestoreLessons(data, self.config, self._learning, self._middle, seed)

    def loss(self, shared: nn.Module, model: nn.Module, batch: Drawn, step: int) -> Loss:
        device, turn = device_of(model), self._learning.turn(step)
        x = torch.from_numpy(batch.crops).to(device).permute(0, 3, 1, 2).float() / 255
        x = x.contiguous(memory_format=torch.channels_last)
        level = torch.tensor([level_of(quality) for quality in batch.qualities], device=device)
        passed = list[Passed]()

        def through(compacted: Tensor) -> Tensor:
            compacted, middle = compacted.float(), self._middle
            learns = turn == "compact"
            passed.append(
                middle.through(compacted, batch.qualities) if learns else code_through(middle.host, compacted, batch.qualities)
            )
            return passed[0].decoded

        with self.mixed(device):
            _, restored = shared(x, level, through, turn)
        error = (restored.float() - x).square().mean((1, 2, 3))
        with torch.no_grad():
            plain = passed[0].decoded if self._learning.full else doubled(passed[0].decoded)
            balance = ((plain - x).square().mean((1, 2, 3)) + _LEAST_ERROR).sqrt()
        if turn == "compact":
            bpp = passed[0].bits / (x.shape[2] * x.shape[3])
            error = error + self._learning.slope(level) * bpp
        return Loss(100 * (error / balance).mean(), told=turn == "restore")

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.float() for name, tensor in tensors.items()}

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        return Frozen({name: tensor.half() for name, tensor in model.state_dict().items()}, "float16")

    def card(self, made: WeightsCard, provenance: Provenance) -> AroundCard:
        fields: dict[str, Any] = asdict(made)
        fields["config"] = {name: fields["config"][name] for name in RestoreConfig.__dataclass_fields__}
        return AroundCard(**fields, part=cast(Part, self.config.part), host=self.config.host, default=provenance.default)
