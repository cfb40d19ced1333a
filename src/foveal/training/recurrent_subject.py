"""The progressive recurrent codecs as what is trained: residuals of all iterations, and the odds of the bits."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from foveal.codecs.learned.rnn.frozen import freeze, thaw
from foveal.codecs.learned.rnn.model import RnnModel
from foveal.codecs.learned.rnn.networks import STRIDE, RnnConfig
from foveal.codecs.learned.weights import Card, WeightsCard
from foveal.declared import build
from foveal.errors import RecipeError
from foveal.training.config import RecurrentConfig
from foveal.training.crop_lessons import CropLessons
from foveal.training.data import Pixels
from foveal.training.subject import Frozen, Loss, Provenance, Subject, device_of

_MEASURE_AT = (1, 2, 4, 8, 12, 16)
_MEASURED_PIXELS = 512
_BITS_WEIGHT = 0.02
"""Of the bits' part of the loss; the networks of the two parts share no weight, so it only tells how far clipping reaches."""


@final
class RecurrentLessons(CropLessons):
    """What a codec of iterations scores."""

    @torch.no_grad()
    def measure(self, model: nn.Module, device: torch.device) -> str:
        """PSNR in dB and bpp, coded, of the middle of the held-out photographs after some iterations."""
        assert isinstance(model, RnnModel)
        torch.manual_seed(0)
        psnr: list[list[float]] = []
        coded: list[list[float]] = []
        for photo in self.held_out:
            x = _tiles(torch.from_numpy(_middle(photo)).to(device), model.config.tile)
            done = model(x, model.config.iterations)
            psnr.append([-10 * math.log10(float(squared.mean())) for squared in done.squared])
            coded.append([float(bits) for bits in done.bits])
        rate = model.config.bits / STRIDE**2
        bpp = rate * np.mean(coded, 0).cumsum()
        at = [n for n in _MEASURE_AT if n <= model.config.iterations]
        return ", ".join(f"{n}: {bpp[n - 1]:.3f} of {rate * n:.3f} bpp {np.mean(psnr, 0)[n - 1]:.2f} dB" for n in at)


def _middle(photo: Pixels) -> Pixels:
    height, width = (min(side // 32 * 32, _MEASURED_PIXELS) for side in photo.shape[:2])
    top, left = (photo.shape[0] - height) // 2, (photo.shape[1] - width) // 2
    return photo[top : top + height, left : left + width].copy()


def _tiles(samples: Tensor, tile: int) -> Tensor:
    """Samples ``(height, width, 3)`` as pictures ``(batch, 3, h, w)`` in 0..1: one, or tiles of that side."""
    x = samples.permute(2, 0, 1)[None].float() / 255
    if tile:
        height, width = x.shape[2:]
        x = x.reshape(3, height // tile, tile, width // tile, tile).permute(1, 3, 0, 2, 4).reshape(-1, 3, tile, tile)
    return x.contiguous(memory_format=torch.channels_last)


@final
class RecurrentSubject(Subject[RecurrentConfig, Pixels]):
    """``rnn-2015`` or ``rnn-2017``."""

    def __init__(self, config: RecurrentConfig) -> None:
        self.name = config.codec
        self.config = config

    def build(self) -> RnnModel:
        sizes = build(RnnConfig, self.config.model, "[model]")
        tiled = self.config.codec == "rnn-2015"
        if tiled != (sizes.tile > 0) or (tiled and sizes.cell != "lstm"):
            wanted = 'cell = "lstm" and a tile, such as 32' if tiled else "tile = 0"
            raise RecipeError(f"[model] has cell = {sizes.cell!r} and tile = {sizes.tile}; {self.config.codec} has {wanted}")
        if self.config.crop % (sizes.tile or STRIDE):
            raise RecipeError(f"crop = {self.config.crop}; a multiple of {sizes.tile or STRIDE} is needed")
        return RnnModel(sizes)

    def read(self, data: Path, seed: int) -> RecurrentLessons:
        return RecurrentLessons(data, self.config, seed)

    def loss(self, shared: nn.Module, model: nn.Module, batch: Pixels, step: int) -> Loss:
        """The mean absolute residual over pictures and iterations, as the papers have it, beside the bits' own."""
        config, device = self.config, device_of(model)
        assert isinstance(model, RnnModel)
        x = torch.from_numpy(batch).to(device).permute(0, 3, 1, 2).float() / 255
        x = x.contiguous(memory_format=torch.channels_last)
        stochastic = step < config.stochastic_until * config.steps
        done = shared(x, model.config.iterations, stochastic=stochastic, mixed=self.mixed(device))
        return Loss(torch.stack(done.error).mean() + _BITS_WEIGHT * torch.stack(done.bits).mean())

    def rate_factor(self, model: nn.Module, parameter: str) -> float:
        return self.config.prior_rate_factor if parameter.startswith("prior.") else 1.0

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return thaw(tensors)

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        assert isinstance(model, RnnModel)
        return Frozen(freeze(model))

    def card(self, made: WeightsCard, provenance: Provenance) -> Card:
        fields: dict[str, Any] = asdict(made)
        return Card(**fields, codec=self.config.codec, default=provenance.default, preset=provenance.preset)
