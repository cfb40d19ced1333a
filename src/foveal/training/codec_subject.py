"""Learned codecs as what is trained: rate and distortion over the whole range of qualities, on crops of photographs."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.learned.scale_tables import counted_cdf
from foveal.codecs.learned.short_weights import PICTURE_ERROR_DB
from foveal.codecs.learned.weights import Card, WeightsCard
from foveal.errors import RecipeError
from foveal.training.config import CodecConfig
from foveal.training.crop_lessons import CropLessons
from foveal.training.data import Pixels, load_photos
from foveal.training.losses import rate_distortion
from foveal.training.models import TrainableCodec, build_model, trainable
from foveal.training.subject import Frozen, Loss, Provenance, Subject, device_of

_MEASURE_AT = (10.0, 40.0, 70.0, 95.0)
_COUNTED_PHOTOS = 24
_SHORT = f"rounded for an error of {PICTURE_ERROR_DB:.0f} dB"
_NEAR = "in steps of the weights that it went on from"
_MEASURED_PHOTOS = 128


@final
class PhotoLessons(CropLessons):
    """What a codec of continuous quality scores."""

    @torch.no_grad()
    def measure(self, model: nn.Module, device: torch.device) -> str:
        """Estimated bpp and PSNR in dB of the held-out photographs at a few qualities."""
        parts: list[str] = []
        for quality in _MEASURE_AT:
            bpp: list[float] = []
            psnr_db: list[float] = []
            for photo in self.held_out:
                height, width = (s // 64 * 64 for s in photo.shape[:2])
                x = torch.from_numpy(photo[:height, :width].copy()).to(device).permute(2, 0, 1)[None].float() / 255
                bits, reconstruction = model(x, torch.full((1,), quality, device=device), model.bands)  # type: ignore[arg-type]
                bpp.append(float(bits) / (height * width))
                psnr_db.append(-10 * math.log10(float((x - reconstruction.clamp(0, 1)).square().mean())))
            parts.append(f"q{quality:.0f} {np.mean(bpp):.3f} bpp {np.mean(psnr_db):.2f} dB")
        return ", ".join(parts)


@final
class CodecSubject(Subject[CodecConfig, Pixels]):
    """A codec of the table in ``models``."""

    def __init__(self, config: CodecConfig) -> None:
        self.name = config.codec
        self.config = config

    def build(self) -> nn.Module:
        return build_model(self.config.codec, self.config.model)

    def read(self, data: Path, seed: int) -> PhotoLessons:
        return PhotoLessons(data, self.config, seed)

    def loss(self, shared: nn.Module, model: nn.Module, batch: Pixels, step: int) -> Loss:
        config, device = self.config, device_of(model)
        x = torch.from_numpy(batch).to(device).permute(0, 3, 1, 2).float() / 255
        quality = draw_qualities(model, x, config).to(device)  # type: ignore[arg-type]
        bands: int = model.bands  # type: ignore[assignment]
        chance = random.Random(config.seed << 32 | step)  # the same in all processes
        if bands > 1 and chance.random() < config.band_dropout:
            bands = chance.randint(1, bands - 1)
        with self.mixed(device):
            bits, reconstruction = shared(x, quality, bands)
        result = rate_distortion(x, reconstruction, bits.float(), quality, model.config, config)  # type: ignore[arg-type]
        return Loss(result.loss, told=bands == model.bands)

    def rate_factor(self, model: nn.Module, parameter: str) -> float:
        """Entropy models may move fast, transforms that start good must not (their noise is error)."""
        if re.match(getattr(model, "started", "(?!)"), parameter):
            return self.config.started_rate_factor
        return self.config.prior_rate_factor if parameter.startswith("prior.") else 1.0

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        shipped = any(name.startswith("tables.") for name in tensors)
        return trainable(self.config.codec).thaw(tensors) if shipped else tensors

    def freeze(self, model: nn.Module, data: Path | None, near: Mapping[str, Tensor] | None = None) -> Frozen:
        """A codec with tables by scale counts its symbols on some of the photographs in ``data``; others measure what they need on more.

        near: tensors of the weights that a run went on from, in whose steps those that ship are; of ``frequency`` alone.

        Raises:
            RecipeError: a codec that has to measure, and no data.
        """
        row, short = trainable(self.config.codec), _SHORT if near is None else _NEAR
        tensors = row.freeze(model) if near is None else row.freeze(model, near)
        if row.measure is not None:
            if data is None:
                raise RecipeError(f"{self.config.codec} is exported with what photographs say of it; give them as --data")
            photos = self._photos(data, _MEASURED_PHOTOS)
            return Frozen(tensors | row.measure(model, photos), f"axes and tables measured on {len(photos)} of the photographs")
        if data is None or not hasattr(model, "expected"):
            return Frozen(tensors, short)
        counted = counted_cdf(model, self._photos(data, _COUNTED_PHOTOS))  # type: ignore[arg-type]
        tensors["tables.cdf"] = torch.from_numpy(counted.astype(np.int32))
        return Frozen(tensors, f"tables counted on {_COUNTED_PHOTOS} of the photographs; {short}")

    def card(self, made: WeightsCard, provenance: Provenance) -> Card:
        fields: dict[str, Any] = asdict(made)
        return Card(**fields, codec=self.config.codec, default=provenance.default, preset=provenance.preset)

    def _photos(self, data: Path, count: int) -> list[Tensor]:
        """So many of the photographs for training, sides cut to multiples of 64."""
        photos, _ = load_photos(data, self.config.data, least_side=self.config.crop)
        chosen = photos[:: max(1, len(photos) // count)][:count]
        cut = [photo[: photo.shape[0] // 64 * 64, : photo.shape[1] // 64 * 64] for photo in chosen]
        return [torch.from_numpy(photo.copy()).permute(2, 0, 1).float() / 255 for photo in cut]


def draw_qualities(model: TrainableCodec, x: Tensor, config: CodecConfig) -> Tensor:
    """One quality from each n-th of the range for n pictures, so that every batch sees the whole of it.

    Some pictures have smooth changes of quality inside them, if the model takes such: then ``(batch, 1, rows, columns)``.
    """
    n = len(x)
    quality = 1 + 99 * (torch.arange(n) + torch.rand(n)) / n
    if not model.quality_cell or not config.spatial_quality:
        return quality
    rows, columns = (side // model.quality_cell for side in x.shape[2:])
    change = functional.interpolate(torch.randn(n, 1, 4, 4), (rows, columns), mode="bilinear")
    change = change * (30 * (torch.rand(n) < config.spatial_quality))[:, None, None, None]
    return (quality[:, None, None, None] + change).clamp(1, 100)
