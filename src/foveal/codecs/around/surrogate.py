"""Stand-ins of standard codecs that gradients go through: a picture and a quality in, the decoded picture and its bits out.

NPP (Lu et al., arXiv 2206.05650) trains its networks through a learned copy of the codec. A network that has only learned what
a codec does can be fooled: another one that is trained through it finds pictures that it takes for cheap and the codec does not.
So this model is ours: the codec's own structure, with few numbers that are learned.

1. Luma and halved chroma, as the host gets them.
2. Blocks of several sizes, each predicted from pixels above and to the left: along the direction that fits best, as an encoder searches for it.
   The search has no gradient. What is read around a block is a draft of the decoded picture, for at coarse qualities a decoder knows little
   of what the original has there. The decoded picture has a gradient by way of it, as if the draft were the original; bits have none (``BlockCoder``).
3. A DCT of what is left; bits and shrinkage of each coefficient in steps of the codec's own law of quality.
4. A tree chooses between sizes by rate and distortion, softly. Its choice has no gradient: of a least cost, the gradient is that of the chosen.
5. What loop filters do, by a small network with a short way past it, on the decoded planes.
   JPEG has neither prediction nor choice, and coefficients come back as whole steps, as in the file, with the slope of the shrinkage, which is
   learned where nothing is rounded: in training mode.
6. Bits are corrected by a factor between a half and two, from what stands around in the tree; it has no gradient either.

How much of a small change arrives in the decoded picture is told as x265 has it: of noise blurred by 0, 1, 3 and 8 pixels, at qualities 15, 35, 55 and 80,
6 to 100 % arrived, and what gradients said was within 3 points, but for unblurred noise at 35 (26 and 31 %). Of VVenC
3 to 98 % arrived, and what gradients said was within 9 points (four held-out crops each, by hand).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.around.cards import AroundCard
from foveal.codecs.around.conditioning import QualityScale
from foveal.codecs.around.plane_coder import REGION, CodedPlanes, PlaneCoder
from foveal.codecs.around.planes import Planes, to_picture, to_planes
from foveal.codecs.around.surrogate_config import SurrogateConfig as SurrogateConfig
from foveal.codecs.learned.weights import load_weights

STRIDE: Final = 64
"""What sides of pictures are multiples of."""


@final
@dataclass(frozen=True, eq=False)
class Approximation:
    """picture: ``(n, 3, height, width)``, about 0..1. bits: ``(n,)``, as ``Host`` counts them."""

    picture: Tensor
    bits: Tensor


@final
class _LoopFilter(nn.Module):
    """What is added to decoded planes: luma as four planes of half its size, beside chroma. Starts at nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(6, channels, 3, padding=1), nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, 6, 3, padding=1)
        self.by_quality = QualityScale(channels)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, planes: Planes, step: Tensor, level: Tensor) -> Planes:
        """step: ``(n,)``."""
        unit = step[:, None, None, None]
        halved = torch.cat([functional.pixel_unshuffle(planes.luma, 2), planes.chroma], 1)
        detail = torch.tanh((halved - functional.avg_pool2d(halved, 5, 1, 2, count_include_pad=False)) / (2 * unit))
        x = self.by_quality(torch.relu(self.first(detail)), level)
        added = unit * self.last(torch.relu(self.second(x)))
        return Planes(planes.luma + functional.pixel_shuffle(added[:, :4], 2), planes.chroma + added[:, 4:])


@final
class _RateContext(nn.Module):
    """The factor of each region's bits, between a half and two. Starts at 1."""

    def __init__(self, given: int, channels: int = 16) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(given, channels, 3, padding=1), nn.Conv2d(channels, channels, 1)
        self.last = nn.Conv2d(channels, 1, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, seen: Tensor) -> Tensor:
        x = functional.silu(self.second(functional.silu(self.first(seen))))
        return torch.exp2(torch.tanh(self.last(x)))[:, 0]


@final
class Surrogate(nn.Module):
    """Called with ``(n, 3, height, width)`` RGB in 0..1, sides multiples of ``STRIDE``, and ``(n,)`` levels, 0..1."""

    def __init__(self, config: SurrogateConfig) -> None:
        super().__init__()
        self.config = config
        self.luma, self.chroma = PlaneCoder(config, luma=True), PlaneCoder(config, luma=False)
        self.loop = _LoopFilter(config.channels) if config.channels else None
        self.context = _RateContext(5 + len(self.luma.sides) + len(self.chroma.sides))

    def forward(self, picture: Tensor, level: Tensor) -> Approximation:
        config = self.config
        planes = to_planes(picture, config.matrix, centred=bool(config.centred))
        luma, chroma = self.luma(planes.luma, level), self.chroma(planes.chroma, level)
        step = config.log_step(level, 8, luma=True).flatten(1).mean(1).exp()
        back = Planes(luma.plane.view_as(planes.luma), chroma.plane.view_as(planes.chroma))
        if self.loop is not None:
            back = self.loop(back, step, level)
        factor = self.context(_seen(luma, chroma, step, level))
        bits = ((luma.bits + chroma.bits) * factor).sum((1, 2))
        return Approximation(to_picture(back, config.matrix, centred=bool(config.centred)), bits)


def _seen(luma: CodedPlanes, chroma: CodedPlanes, step: Tensor, level: Tensor) -> Tensor:
    """What the factor of bits is found from, ``(n, values, rows, columns)``."""
    area = step.square()[:, None, None] * REGION**2
    values = [(1 + x).log() / 4 for x in (luma.bits, chroma.bits)] + [
        (1e-3 + x / area).log() / 4 for x in (luma.harm, chroma.harm)
    ]
    values.append((2 * level - 1)[:, None, None].expand_as(luma.bits))
    return torch.cat([torch.stack(values, 1), luma.sizes, chroma.sizes], 1).detach()


def load_surrogate(card: AroundCard) -> Surrogate:
    """The surrogate of a card, ready to carry gradients and itself without any.

    Raises:
        UnknownWeightsError: its file is not here, or is another.
    """
    surrogate = Surrogate(SurrogateConfig(**card.config))  # type: ignore[arg-type]
    surrogate.load_state_dict({name: tensor.float() for name, tensor in load_weights(card).items()})
    return surrogate.requires_grad_(False).eval()
