"""The networks of ``hevc-blocks`` as what is trained: a half-size layer of HEVC back to the full size. Every crop is coded online.

A crop's error is that of RGB, as far as planes tell it: BT.709's matrix makes 3, 3.48 and 2.70 of squared errors of Y, Cb and Cr, and a sample of
chroma stands for four pixels. It is divided by the error that interpolation alone would leave. So smooth crops, which are what is
coded at half the size in the end, count as much as those full of detail.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import torch
from torch import Tensor, nn

from foveal.codecs.around.blocks.layers import code_layer, decode_layer
from foveal.codecs.around.blocks.resampling import doubled, halved
from foveal.codecs.around.blocks.upsampling import UpsampleConfig, UpsampleModel
from foveal.codecs.around.cards import AroundCard, Part
from foveal.codecs.learned.weights import WeightsCard
from foveal.codecs.registry import codec_by_name
from foveal.declared import build
from foveal.errors import RecipeError
from foveal.media.color import Matrix, Plane, YCbCr, to_ycbcr
from foveal.training.config import AroundConfig
from foveal.training.data import Pixels, RandomCrops, load_photos
from foveal.training.host import HOSTS
from foveal.training.subject import Frozen, Lessons, Loss, Provenance, Subject, device_of

_HOST, _MULTIPLE = "hevc", 8
_MEASURED = 8  # photographs at most
_MEASURE_AT = (0.1, 0.35, 0.6, 0.85)  # of the trained levels
_LEAST_ERROR = 1e-5  # 50 dB; what is nearer than that counts no more
_CHROMA = (3.48 / 3, 2.70 / 3)  # of Cb and Cr beside Y


@final
@dataclass(frozen=True, eq=False)
class Doubled:
    """A half-size layer as decoded, and what it stands for: planes in 0..1, ``(n, 1, ...)`` of luma and ``(n, 2, ...)`` of chroma.

    half: as decoded. plain: as interpolation doubles it. whole: the truth. level: ``(n,)``.
    """

    half: tuple[Tensor, Tensor]
    plain: tuple[Tensor, Tensor]
    whole: tuple[Tensor, Tensor]
    level: Tensor

    def error(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """Of RGB, of each picture ``(n,)``."""
        own = (luma - self.whole[0]).square().mean((1, 2, 3))
        weights = torch.tensor(_CHROMA, device=chroma.device)
        return own + ((chroma - self.whole[1]).square().mean((2, 3)) * weights).sum(1)


def code_halved(pixels: list[Pixels], levels: list[float], device: torch.device) -> Doubled:
    """Halves RGB pictures of one size, ``(height, width, 3)``, multiples of 4, and codes each at its level."""
    scale, preset = codec_by_name(_HOST).info.scale, HOSTS[_HOST]
    assert preset is not None
    found: list[tuple[tuple[Plane, ...], ...]] = []
    for one, level in zip(pixels, levels, strict=True):
        whole = to_ycbcr(one, "420", matrix=Matrix.BT709, full_range=True)
        half = YCbCr(tuple(halved(plane) for plane in whole.planes), "420", Matrix.BT709, True)
        coded = code_layer(half, scale.native(1 + 99 * level), preset, threads=1)
        decoded = decode_layer(coded, half.planes[0].shape, "420").planes
        plain = tuple(doubled(plane, *truth.shape) for plane, truth in zip(decoded, whole.planes, strict=True))
        found.append((decoded, plain, whole.planes))
    half, plain, whole = (_stacked([one[i] for one in found], device) for i in range(3))
    return Doubled(half, plain, whole, torch.tensor(levels, device=device))


def _stacked(pictures: list[tuple[Plane, ...]], device: torch.device) -> tuple[Tensor, Tensor]:
    parts = (np.stack([np.stack(planes[own]) for planes in pictures]) for own in (slice(1), slice(1, 3)))
    luma, chroma = (torch.from_numpy(part).to(device).float() / 255 for part in parts)
    return luma, chroma


@final
@dataclass(frozen=True, eq=False)
class Drawn:
    """Crops, uint8 ``(n, side, side, 3)``, and the level that the half of each is coded at."""

    crops: Pixels
    levels: list[float]


@final
class UpsampleLessons(Lessons[Drawn]):
    """Random crops of photographs, and levels for them, one out of each n-th of the range for n crops."""

    def __init__(self, data: Path, config: AroundConfig, sizes: UpsampleConfig, seed: int) -> None:
        photos, held_out = load_photos(data, config.data, least_side=config.crop)
        self._crops = RandomCrops(photos, batch=config.batch, crop=config.crop, seed=seed)
        self._held_out, self._sizes = held_out[-_MEASURED:], sizes
        self._batch, self._seed = config.batch, seed
        self.summary = f"{len(photos)} photographs, {len(held_out)} held out"

    def batch(self, step: int) -> Drawn:
        chance = np.random.default_rng((self._seed, step, 1))
        shares = (np.arange(self._batch) + chance.random(self._batch)) / self._batch
        return Drawn(self._crops.at(step), (self._sizes.coarsest + (self._sizes.finest - self._sizes.coarsest) * shares).tolist())

    @torch.no_grad()
    def measure(self, model: nn.Module, device: torch.device) -> str:
        """Mean PSNR in dB of held-out photographs, and what interpolation alone would give, at a few levels."""
        parts: list[str] = []
        for share in _MEASURE_AT:
            level, found = self._sizes.coarsest + share * (self._sizes.finest - self._sizes.coarsest), list[tuple[float, float]]()
            for photo in self._held_out:
                height, width = (side // _MULTIPLE * _MULTIPLE for side in photo.shape[:2])
                x = code_halved([photo[:height, :width]], [level], device)
                luma, chroma = model(*x.half, x.level)
                with_network = x.error((x.plain[0] + luma).clamp(0, 1), (x.plain[1] + chroma).clamp(0, 1))
                found.append((_psnr_db(with_network), _psnr_db(x.error(*x.plain))))
            psnr_db, plain_db = np.mean(found, 0)
            parts.append(f"level {level:.2f} {psnr_db:.2f} dB ({psnr_db - plain_db:+.2f})")
        return ", ".join(parts)


def _psnr_db(error: Tensor) -> float:
    return -10 * math.log10(max(1e-10, float(error)))


@final
class UpsampleSubject(Subject[AroundConfig, Drawn]):
    """Both networks at once; they share nothing."""

    def __init__(self, config: AroundConfig) -> None:
        self.name, self.config = config.trains, config
        self._sizes = build(UpsampleConfig, config.model, "[model]")
        if config.host != _HOST:
            raise RecipeError(f"host = {config.host!r}; {_HOST} alone has layers of half the size")
        if config.crop % _MULTIPLE:
            raise RecipeError(f"crop = {config.crop}; a multiple of {_MULTIPLE} is needed")

    def build(self) -> UpsampleModel:
        return UpsampleModel(self._sizes)

    def read(self, data: Path, seed: int) -> UpsampleLessons:
        return UpsampleLessons(data, self.config, self._sizes, seed)

    def loss(self, shared: nn.Module, model: nn.Module, batch: Drawn, step: int) -> Loss:
        device = device_of(model)
        x = code_halved(list(batch.crops), batch.levels, device)
        with self.mixed(device):
            luma, chroma = shared(*x.half, x.level)
        error = x.error(x.plain[0] + luma.float(), x.plain[1] + chroma.float())
        return Loss((error / (x.error(*x.plain) + _LEAST_ERROR)).mean())

    def thaw(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.float() for name, tensor in tensors.items()}

    def freeze(self, model: nn.Module, data: Path | None) -> Frozen:
        return Frozen({name: tensor.half() for name, tensor in model.state_dict().items()}, "float16")

    def card(self, made: WeightsCard, provenance: Provenance) -> AroundCard:
        fields: dict[str, Any] = asdict(made)
        return AroundCard(**fields, part=cast(Part, self.config.part), host=self.config.host, default=provenance.default)
