"""What all heads share: from the latents of ``frequency`` to features at 1/8 of the picture.

::

    y_0 ─► 1/64 ─► 1/32 ─┐
    y_1 ───────► 1/32 ─► + ─► block ─► 1/16 ─┐
    y_2 ────┬──────────────────────► 1/16 ─► + ─► x quality ─► blocks ─► 1/8 ─► + ─► x quality ─► features
            └─────────────────────────────────────────────────────────► 1/8 ────┘

The layers are the first of the codec's synthesis, without its attention and most of its blocks, and begin with its weights. What latents
mean is thus known before the first step, and heads learn much sooner (ours; docs/latent.md has figures).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.learned.frequency.model import FrequencyModel
from foveal.codecs.learned.frequency.transforms import BANDS, DepthBlock, QualityScale
from foveal.codecs.learned.frequency.twin import float_twin, frequency_card
from foveal.errors import RecipeError

_AT_8: Final = ("from_middle.", "past.", "scale_fine.")
"""What makes the features at 1/8, of which the first are kept: they lie lowest in frequency."""


@final
class Trunk(nn.Module):
    """Features ``(batch, spectrum, 2 h, 2 w)`` at 1/8 of latents as ``frequency.latents.Latents`` has them, one batch a band.

    Bands: one to three, the coarsest first; their sides are those of a picture padded to multiples of 64, ``(h, w)`` for the finest.
    Quality: ``(batch, nodes, 1, 1)``, or one for each place at 1/32. latents: channels of each band. coarse, middle: channels at 1/64 and
    1/32, and at 1/16. blocks: at 1/16.
    """

    def __init__(self, latents: Sequence[int], *, coarse: int, middle: int, spectrum: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.ModuleList([nn.Conv2d(m, c, 1) for c, m in zip((coarse, coarse, middle), latents, strict=True)])
        self.missing = nn.Parameter(torch.zeros(BANDS, coarse))
        self.from_64 = nn.Conv2d(coarse, 4 * coarse, 1)
        self.at_32 = DepthBlock(coarse)
        self.from_32 = nn.Conv2d(coarse, 4 * middle, 1)
        self.scale_middle = QualityScale(middle)
        self.middle = nn.Sequential(*(DepthBlock(middle) for _ in range(blocks)))
        self.from_middle = nn.Conv2d(middle, 4 * spectrum, 1)
        self.past = nn.Conv2d(latents[-1], 4 * spectrum, 1)
        self.scale_fine = QualityScale(spectrum)

    def forward(self, bands: Sequence[Tensor], quality: Tensor) -> Tensor:
        return self.at_8(self.at_16(bands, quality), bands, quality)

    def at_16(self, bands: Sequence[Tensor], quality: Tensor) -> Tensor:
        """What is known at 1/16, ``(batch, middle, h, w)``."""
        held = [net(band) for net, band in zip(self.enter, bands, strict=False)]
        h = functional.pixel_shuffle(self.from_64(held[0]), 2) + self.missing[len(bands) - 1][:, None, None]
        h = self.at_32(h + held[1] if len(held) > 1 else h)
        h = functional.pixel_shuffle(self.from_32(h), 2)
        return self.middle(self.scale_middle(h + held[2] if len(held) > 2 else h, quality))

    def at_8(self, h: Tensor, bands: Sequence[Tensor], quality: Tensor) -> Tensor:
        """The features of what is known at 1/16, and of the finest band once more."""
        return _at_8(self, h, bands, quality)

    @torch.no_grad()
    def begin_as(self, codec: FrequencyModel) -> None:
        """Takes the weights of a codec's synthesis. Raises RecipeError: it has other widths, or fewer blocks."""
        known = codec.synthesis.state_dict()
        for band, quantiser in enumerate(codec.quantisers):
            scale = torch.exp2(cast(Tensor, quantiser.exponent))[:, None, None]
            for name in (f"enter.{band}.weight", *(["past.weight"] if band == BANDS - 1 else [])):
                known[name] = known[name] * scale
        own = {name: tensor for name, tensor in self.state_dict().items() if name != "missing"}
        for name, tensor in own.items():
            given = known.get(name)
            if given is not None and name.startswith(_AT_8):
                given = given[: len(tensor)]
            if given is None or given.shape != tensor.shape:
                has = "nothing" if given is None else f"{tuple(given.shape)}"
                raise RecipeError(
                    f"[model] trunk.{name} is {tuple(tensor.shape)}, and the codec has {has}: take the widths of its weights, and no more blocks"
                )
            tensor.copy_(given)


@final
class OwnFeatures(nn.Module):
    """Features at 1/8 for one head alone, ``(batch, spectrum, 2 h, 2 w)`` of what the trunk knows at 1/16: made as the trunk makes those for all.

    latents: channels of the finest band. middle: the trunk's at 1/16.
    """

    def __init__(self, latents: int, *, middle: int, spectrum: int) -> None:
        super().__init__()
        self.from_middle = nn.Conv2d(middle, 4 * spectrum, 1)
        self.past = nn.Conv2d(latents, 4 * spectrum, 1)
        self.scale_fine = QualityScale(spectrum)

    def forward(self, h: Tensor, bands: Sequence[Tensor], quality: Tensor) -> Tensor:
        return _at_8(self, h, bands, quality)

    @torch.no_grad()
    def begin_as(self, trunk: Trunk) -> None:
        """Takes the trunk's weights. Raises RuntimeError: it makes other features."""
        self.load_state_dict({name: tensor for name, tensor in trunk.state_dict().items() if name.startswith(_AT_8)})


def _at_8(layers: Trunk | OwnFeatures, h: Tensor, bands: Sequence[Tensor], quality: Tensor) -> Tensor:
    h = layers.from_middle(h)
    h = h + layers.past(bands[BANDS - 1]) if len(bands) == BANDS else h
    return layers.scale_fine(functional.pixel_shuffle(h, 2), quality)


def begun_trunk(weights: str, *, spectrum: int = 96, blocks: int = 1) -> Trunk:
    """A trunk for latents of the named weights of ``frequency``, with what their synthesis knows and no training: for heads of one's own.

    Raises:
        RecipeError: no such weights, or more channels or blocks than their synthesis has.
    """
    codec = float_twin(frequency_card(weights))
    sizes = codec.config
    trunk = Trunk(sizes.latents, coarse=sizes.coarse, middle=sizes.middle, spectrum=spectrum, blocks=blocks)
    trunk.begin_as(codec)
    return trunk
