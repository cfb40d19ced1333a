"""The networks that double a decoded layer of half the size: one for luma, one for chroma, on top of interpolation.

After Li et al. 2018 (arXiv 1702.06728, section III). What differs, and why:

- Theirs begins with a deconvolution and goes on at the full size. Here all layers see the half size, where the same width costs a quarter
  and reaches twice as far, and the last one's channels are the 2x2 samples (Shi et al., arXiv 1609.05158).
- What comes out is added to the interpolated plane, and starts at nothing.
- One set of weights for all qualities, which scale features; theirs has one for each of four QPs.
- As theirs, chroma reads luma beside itself; here as 2x2 samples of the half-size luma in one place.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import cast, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.around.blocks.resampling import doubled
from foveal.codecs.around.cards import AroundCard
from foveal.codecs.around.conditioning import AtLevel
from foveal.codecs.around.residual import ResidualBlock, conv3x3, zeroed
from foveal.codecs.learned.runtime import Reach, inference, ready, run_in_blocks
from foveal.codecs.learned.weights import load_weights
from foveal.errors import RecipeError
from foveal.media.color import Plane, YCbCr


@dataclass(frozen=True)
class UpsampleConfig:
    """Sizes of both networks, and the levels of the half-size layer that they saw: outside of them they do as at the nearest."""

    luma_channels: int = 40
    luma_blocks: int = 2
    chroma_channels: int = 32
    chroma_blocks: int = 1
    coarsest: float = 0.0
    finest: float = 0.6

    def __post_init__(self) -> None:
        if min(self.luma_channels, self.chroma_channels) < 1 or min(self.luma_blocks, self.chroma_blocks) < 0:
            raise RecipeError(f"{self}: channels of 1 or more are needed, and blocks of 0 or more")
        if not 0 <= self.coarsest < self.finest <= 1:
            raise RecipeError(f"levels {self.coarsest:g} to {self.finest:g}; 0 to 1 are allowed, the coarsest first")


@final
class _Doubler(nn.Module):
    """``(n, inputs, rows, columns)`` in -0.5..0.5 and ``level`` ``(n,)`` to what is added to ``outputs`` doubled planes, in 0..1."""

    def __init__(self, inputs: int, outputs: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.head = conv3x3(inputs, channels)
        self.blocks = nn.ModuleList(ResidualBlock(channels) for _ in range(blocks))
        self.tail = zeroed(conv3x3(channels, 4 * outputs))
        self.reach = 2 + 2 * blocks

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        x = torch.relu(self.head(x))
        for block in self.blocks:
            x = block(x, level)
        return functional.pixel_shuffle(self.tail(torch.relu(x)), 2)


@final
class UpsampleModel(nn.Module):
    """Called with luma ``(n, 1, rows, columns)`` of even sides, chroma ``(n, 2, rows / 2, columns / 2)``, both 0..1, and ``level`` ``(n,)``.

    Gives what is added to both, doubled.
    """

    def __init__(self, config: UpsampleConfig) -> None:
        super().__init__()
        self.config = config
        self.luma = _Doubler(1, 1, config.luma_channels, config.luma_blocks)
        self.chroma = _Doubler(6, 2, config.chroma_channels, config.chroma_blocks)

    def forward(self, luma: Tensor, chroma: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        luma, chroma = luma - 0.5, chroma - 0.5
        return self.luma(luma, level), self.chroma(torch.cat([chroma, functional.pixel_unshuffle(luma, 2)], 1), level)


@final
class UpsampleNetworks:
    """The networks of a card, in use: planes in, planes out."""

    def __init__(self, model: UpsampleModel) -> None:
        self._model = model

    def doubled(self, layer: YCbCr, shapes: list[tuple[int, int]], level: float, threads: int | None = None) -> tuple[Plane, ...]:
        """The planes of a half-size layer, coded at a level, in these shapes; see ``resampling.doubled``."""
        plain = [doubled(plane, *shape) for plane, shape in zip(layer.planes, shapes, strict=True)]
        config = self._model.config
        level = min(max(level, config.coarsest), config.finest)
        with inference(threads):
            luma = _tensor(layer.planes[:1])
            added = list(_run(self._model.luma, luma, level, 1))
            if len(plain) > 1:
                chroma = _tensor(layer.planes[1:])
                rows, columns = (2 * side for side in chroma.shape[2:])
                even = functional.pad(luma, (0, columns - luma.shape[3], 0, rows - luma.shape[2]), mode="replicate")
                added += _run(self._model.chroma, torch.cat([chroma, functional.pixel_unshuffle(even, 2)], 1), level, 2)
            return tuple(_sum(plane, more) for plane, more in zip(plain, added, strict=True))


def _run(net: nn.Module, x: Tensor, level: float, pixels_per_sample: int) -> Tensor:
    reach = Reach(Fraction(2), cast(_Doubler, net).reach, 1)
    return run_in_blocks(AtLevel(net, level), x, reach, 2 * pixels_per_sample)[0]


def _tensor(planes: tuple[Plane, ...]) -> Tensor:
    """``(1, planes, rows, columns)``, -0.5..0.5."""
    return torch.from_numpy(np.stack(planes))[None].float() / 255 - 0.5


def _sum(plain: Plane, added: Tensor) -> Plane:
    whole = torch.from_numpy(plain).float() + 255 * added[: plain.shape[0], : plain.shape[1]]
    return whole.round_().clamp_(0, 255).byte().numpy()


@functools.lru_cache(maxsize=2)
def load_networks(card: AroundCard) -> UpsampleNetworks:
    """The networks of a card. Raises as ``load_weights``."""
    with torch.random.fork_rng(devices=[]):
        model = UpsampleModel(UpsampleConfig(**card.config))  # type: ignore[arg-type]
    ready(model, load_weights(card), "")
    return UpsampleNetworks(model)
