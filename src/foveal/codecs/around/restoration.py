"""The networks of compact-and-restore: a picture to half its size before a standard codec, and back behind it.

After ComCNN and RecCNN (Jiang et al., arXiv 1708.00838): three convolutions before the codec, the second with stride 2, and a residual
network behind it. What differs, and why:

- RecCNN works on the picture that was scaled up again: 20 layers of 64 channels at full size take seconds on one core. Here the layers
  see the half-size picture, where the same width costs a quarter and reaches twice as far, and the last one's channels are
  the 2x2 pixels (Shi et al., arXiv 1609.05158). The network alone, around a codec that codes the full size, sees 2x2 pixels as channels.
- All three channels in place of luma.
- Both networks start as interpolation: a fixed filter halves, a fixed one doubles, and the last layers start at zero.
- One set of weights for all qualities: features are scaled by quality (``conditioning``).
- No batch normalisation: residual blocks of five times two layers do not need it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call  # pyright: ignore[reportPrivateImportUsage]
from torch.nn import functional

from foveal.codecs.around.cards import AroundCard
from foveal.codecs.around.conditioning import AtLevel, QualityScale, level_of
from foveal.codecs.around.residual import ResidualBlock, conv3x3, zeroed
from foveal.codecs.learned.runtime import Reach, inference, ready, run_in_blocks
from foveal.codecs.learned.weights import load_weights
from foveal.errors import RecipeError
from foveal.media.padding import pad_to_multiple
from foveal.picture import Samples

Turn = Literal["restore", "compact"]


@dataclass(frozen=True)
class RestoreConfig:
    """Sizes, and the qualities that the networks saw, 1..100: outside of them they do as at the nearest.

    full: 1 if the picture between them has its full size, so that there is nothing before the codec. compact_channels: of the network there.
    """

    channels: int = 48
    blocks: int = 5
    compact_channels: int = 32
    full: int = 0
    coarsest: float = 5.0
    finest: float = 95.0

    def __post_init__(self) -> None:
        if self.channels < 1 or self.blocks < 1 or self.compact_channels < 1 or self.full not in (0, 1):
            raise RecipeError(f"{self}: channels and blocks of 1 or more are needed, and full is 0 or 1")
        if not 1 <= self.coarsest < self.finest <= 100:
            raise RecipeError(f"qualities {self.coarsest:g} to {self.finest:g}; 1 to 100 are allowed, the coarsest first")


def halved(x: Tensor) -> Tensor:
    """``(n, c, height, width)`` of even sides to half of each, by a cubic filter as wide as what it takes off."""
    if x.shape[3] == 2:  # torch reads the wrong rows where what comes out is a single column (seen in 2.13)
        return _halved(x.transpose(2, 3).contiguous()).transpose(2, 3)
    return _halved(x)


def _halved(x: Tensor) -> Tensor:
    size = x.shape[2] // 2, x.shape[3] // 2
    return functional.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False)


def doubled(x: Tensor) -> Tensor:
    """``(n, c, height, width)`` to twice each side, by cubic interpolation."""
    size = 2 * x.shape[2], 2 * x.shape[3]
    return functional.interpolate(x, size, mode="bicubic", align_corners=False)


@final
class Compactor(nn.Module):
    """RGB ``(n, 3, height, width)`` in 0..1, of even sides, and ``level`` ``(n,)`` to half the sides."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = conv3x3(3, channels), conv3x3(channels, channels, stride=2)
        self.scale, self.third = QualityScale(channels), zeroed(conv3x3(channels, 3))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        features = torch.relu(self.second(torch.relu(self.first(x - 0.5))))
        return halved(x) + self.third(self.scale(features, level))


@final
class Restorer(nn.Module):
    """RGB ``(n, 3, height, width)`` in 0..1 as decoded, and ``level`` ``(n,)``, to twice the sides; if ``full`` to the same, even ones."""

    def __init__(self, config: RestoreConfig) -> None:
        super().__init__()
        self.full = bool(config.full)
        self.head = conv3x3(12 if config.full else 3, config.channels)
        self.blocks = nn.ModuleList(ResidualBlock(config.channels) for _ in range(config.blocks))
        self.tail = zeroed(conv3x3(config.channels, 12))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        features = self.head((functional.pixel_unshuffle(x, 2) if self.full else x) - 0.5)
        for block in self.blocks:
            features = block(features, level)
        residual = functional.pixel_shuffle(self.tail(features), 2)
        return (x if self.full else doubled(x)) + residual


@final
class RestoreModel(nn.Module):
    """Both networks, as they are trained; of ``full`` ones the second alone.

    Called with ``x`` ``(n, 3, height, width)`` in 0..1, of even sides, ``level`` ``(n,)``, ``through``, which is what the codec makes of
    pictures, and whose turn it is to learn. Returns what the codec was given, and ``x`` restored. Gradients reach the weights of one
    network alone: those of ``compact`` go through the other one as it is.
    """

    def __init__(self, config: RestoreConfig) -> None:
        super().__init__()
        self.config = config
        self.restore = Restorer(config)
        self.compact = None if config.full else Compactor(config.compact_channels)

    def forward(
        self, x: Tensor, level: Tensor, through: Callable[[Tensor], Tensor], turn: Turn = "restore"
    ) -> tuple[Tensor, Tensor]:
        with torch.set_grad_enabled(torch.is_grad_enabled() and turn == "compact"):
            compacted = x if self.compact is None else self.compact(x, level).clamp(0, 1)
        if turn == "restore":
            return compacted, self.restore(through(compacted), level)
        frozen = {name: parameter.detach() for name, parameter in self.restore.named_parameters()}
        return compacted, functional_call(self.restore, frozen, (through(compacted), level))


@final
class RestoreNetworks:
    """The networks of a card, in use: samples in, samples out."""

    def __init__(self, config: RestoreConfig, model: RestoreModel) -> None:
        self.config, self._model = config, model
        reach = 2 + 2 * config.blocks
        self._restore = Reach(Fraction(1), 2 * reach, 2) if config.full else Reach(Fraction(2), reach + 2, 1)

    def compacted(self, samples: Samples, quality: float, threads: int | None = None) -> Samples:
        """uint8 ``(height, width, 1 or 3)`` to half the sides, rounded up. An odd side is padded with its edge."""
        even = pad_to_multiple(samples, 2)
        return self._run(self._model.compact, even, quality, Reach(Fraction(1, 2), 8, 2), 1, threads)

    def restored(self, samples: Samples, quality: float, width: int, height: int, threads: int | None = None) -> Samples:
        """uint8 ``(rows, columns, 1 or 3)``, as decoded, to ``(height, width, 1 or 3)``."""
        even = pad_to_multiple(samples, 2) if self.config.full else samples
        whole = self._run(self._model.restore, even, quality, self._restore, 1 if self.config.full else 2, threads)
        return np.ascontiguousarray(whole[:height, :width])

    def _run(
        self, net: nn.Module | None, samples: Samples, quality: float, reach: Reach, pixels_per_sample: int, threads: int | None
    ) -> Samples:
        """Gray goes in as RGB of equal channels, and their mean comes out."""
        assert net is not None
        level = level_of(min(max(quality, self.config.coarsest), self.config.finest))
        with inference(threads):
            x = torch.from_numpy(samples).permute(2, 0, 1)[None].float() / 255  # pyright: ignore[reportUnknownMemberType]
            x = x.expand(-1, 3, -1, -1)
            y = run_in_blocks(AtLevel(net, level), x, reach, pixels_per_sample)[0]
            y = y.mean(0, keepdim=True) if samples.shape[2] == 1 else y
            return (y * 255).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy()


@functools.lru_cache(maxsize=4)
def load_networks(card: AroundCard) -> RestoreNetworks:
    """The networks of a card. Raises as ``load_weights``."""
    config = RestoreConfig(**card.config)  # type: ignore[arg-type]
    model = RestoreModel(config)
    ready(model, load_weights(card), "")
    return RestoreNetworks(config, model)
