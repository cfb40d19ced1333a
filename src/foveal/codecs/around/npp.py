"""NPP: the network that prepares a picture for a standard codec where a machine reads the file (Lu et al., arXiv 2206.05650).

A pixel branch of two 1x1 convolutions and a U-Net, the semantic branch, are added up; layers that scale channels by quality make one
network serve all qualities. As published but for:

- 16, 32, 48 and 64 channels in place of 32, 64, 128 and 256, and as many inside the up blocks as come out in place of twice as many:
  0.57 million parameters in all, 29 thousand products a pixel, for the sake of processors without a GPU.
- No batch norm: batches are small, and what a batch's statistics do is not what is used later.
- Both branches change the picture, and begin by changing nothing: the sum is picture + branches, without a last ReLU. Theirs make the
  picture anew out of two sums of a ReLU, which cannot take away and have no gradient where they are at 0.
- A third branch takes away detail, or adds to it: fine and less fine, of brightness and of colour. How much of each is a small network's answer, in each
  place, to the quality, to what the semantic branch says of the place, and to what the proxy foresees that an error there harms (``tasks/proxy``). Without it
  the network has to learn, out of sums of random features, what a low-pass does.
- A fourth works on the coefficients that a codec codes (``transform_branch``).
- The semantic branch sees the foreseen harm too, as channels beside those of the picture.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.around.cards import AroundCard
from foveal.codecs.around.conditioning import QualityScale
from foveal.codecs.around.transform_branch import TransformBranch
from foveal.codecs.learned.runtime import Reach, inference, run_in_blocks
from foveal.codecs.learned.weights import load_weights
from foveal.declared import build
from foveal.errors import RecipeError, UnknownWeightsError
from foveal.media.padding import pad_to_multiple
from foveal.picture import Picture, Samples
from foveal.tasks.proxy import TASKS
from foveal.tasks.proxy.network import Proxy
from foveal.tasks.proxy.reading import as_read, foreseen, shipped_proxy

STEP: Final = 16
"""Pixels of which the sides that the network takes are multiples."""
REACH: Final = Reach(Fraction(1), 192, STEP)
"""An output pixel depends on 137 pixels to each side of what the first three branches make, and on 48 of these."""
_HIDDEN: Final = 32
_SEEN: Final = 8  # what the semantic branch tells the detail branch
_APART: Final = (1, 2)  # pixels; what is less fine than both is 1.6 pixels wide
_DETAILS: Final = 4  # fine ones of brightness and of colour, then those that are less fine
_LUMA: Final = (0.299, 0.587, 0.114)
_KNOWN: Final = 1 + len(TASKS) + _SEEN


@dataclass(frozen=True)
class NppConfig:
    """Channels at 1/1, 1/2, 1/4 and 1/8, and the coarsest and finest quality that the network learns for.

    Raises:
        RecipeError: no channels, or qualities that are no range inside 1..100.
    """

    full: int = 16
    half: int = 32
    quarter: int = 48
    eighth: int = 64
    coarse: float = 5.0
    fine: float = 70.0

    def __post_init__(self) -> None:
        if min(self.full, self.half, self.quarter, self.eighth) < 1:
            raise RecipeError(f"{self}: one channel at least is needed everywhere")
        if not 1 <= self.coarse < self.fine <= 100:
            raise RecipeError(f"coarse = {self.coarse:g}, fine = {self.fine:g}; a range inside 1..100 is needed")


@final
class Npp(nn.Module):
    """Called with ``x`` ``(n, 3, rows, columns)``, RGB 0..1, both sides multiples of 16, ``level`` ``(n,)``, quality 1..100 as 0..1, and
    ``harm`` ``(n, 4, rows, columns)``, as ``foreseen`` has it.

    Returns the picture to code, in 0..1 and of the same shape. Fresh weights return the picture as it is. semantic: without that branch,
    whose turn in training comes late; a fresh one says nothing.
    """

    def __init__(self, config: NppConfig = NppConfig()) -> None:
        super().__init__()
        self.config = config
        self.pixel, self.semantic, self.detail = _PixelBranch(), _SemanticBranch(config), _DetailBranch()
        self.transform = TransformBranch()

    def forward(self, x: Tensor, level: Tensor, harm: Tensor, semantic: bool = True) -> Tensor:
        n, _, *size = x.shape
        seen = self.semantic(torch.cat((x - 0.5, harm), 1), level) if semantic else x.new_zeros(n, 3 + _SEEN, *size)
        known = torch.cat(((2 * level - 1)[:, None, None, None].expand_as(x[:, :1]), harm, seen[:, 3:]), 1)
        x = x + self.pixel(x, level) + seen[:, :3] - self.detail(x, known)
        return (x + self.transform(x, level, harm)).clamp(0, 1)


@final
class _PixelBranch(nn.Module):
    """Colours, whatever is beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.scale, self.second = nn.Conv2d(3, 3, 1), QualityScale(3), nn.Conv2d(3, 3, 1)
        with torch.no_grad():
            self.first.weight.copy_(torch.eye(3)[:, :, None, None])
        nn.init.zeros_(self.first.bias)  # pyright: ignore[reportArgumentType]  (it has one)
        _silence(self.second)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        return self.second(self.scale(torch.relu(self.first(x)), level))


@final
class _DetailBranch(nn.Module):
    """What is taken away of each of ``_DETAILS``, by what is ``known`` ``(n, channels, rows, columns)`` of the place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = (
            nn.Conv2d(_KNOWN, _HIDDEN, 1),
            nn.Conv2d(_HIDDEN, _HIDDEN, 1),
            nn.Conv2d(_HIDDEN, _DETAILS, 1),
        )
        _silence(self.last)

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        share = self.last(torch.relu(self.second(torch.relu(self.first(known)))))
        out, finer = torch.zeros_like(x), x
        for i, apart in enumerate(_APART):
            coarser = _smooth(finer, apart)
            detail = finer - coarser
            luma = (detail * detail.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)
            out = out + share[:, 2 * i : 2 * i + 1] * luma + share[:, 2 * i + 1 : 2 * i + 2] * (detail - luma)
            finer = coarser
        return out


def _smooth(x: Tensor, apart: int) -> Tensor:
    """Binomial of rows and of columns ``apart``: 0.7 pixels wide for each, and edges repeated."""
    x = functional.pad(x, (apart,) * 4, mode="replicate")
    x = (x[:, :, : -2 * apart] + 2 * x[:, :, apart:-apart] + x[:, :, 2 * apart :]) / 4
    return (x[..., : -2 * apart] + 2 * x[..., apart:-apart] + x[..., 2 * apart :]) / 4


@final
class _SemanticBranch(nn.Module):
    """The U-Net: what is added to the picture, then what the detail branch is told."""

    def __init__(self, config: NppConfig) -> None:
        super().__init__()
        sizes = (config.full, config.half, config.quarter, config.eighth)
        self.downs = nn.ModuleList(_Pair(into, out) for into, out in zip((3 + len(TASKS), *sizes), sizes, strict=False))
        self.halves = nn.ModuleList(_conv(out, out, stride=2) for out in sizes)
        self.down_scales = nn.ModuleList(QualityScale(out) for out in sizes[:3])
        self.deepest = _Pair(sizes[3], sizes[3])
        self.doubles = nn.ModuleList(_double(out) for out in reversed(sizes))
        joins = zip(reversed(sizes), (*reversed(sizes[:3]), sizes[0]), strict=True)
        self.ups = nn.ModuleList(_Pair(2 * into, out) for into, out in joins)
        self.up_scales = nn.ModuleList(QualityScale(out) for out in reversed(sizes[:3]))
        self.last = nn.Conv2d(sizes[0], 3 + _SEEN, 1)
        _silence(self.last)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for i, (down, halve) in enumerate(zip(self.downs, self.halves, strict=True)):
            x = down(x)
            skips.append(x)
            x = torch.relu(halve(x))
            if i < len(self.down_scales):
                x = self.down_scales[i](x, level)
        x = self.deepest(x)
        for i, (up, double) in enumerate(zip(self.ups, self.doubles, strict=True)):
            x = torch.relu(double(x))
            if i:
                x = self.up_scales[i - 1](x, level)
            x = up(torch.cat((x, skips.pop()), 1))
        return self.last(x)


@final
class _Pair(nn.Module):
    """Two convolutions."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.first, self.second = _conv(into, out), _conv(out, out)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))))


def _conv(into: int, out: int, stride: int = 1) -> nn.Conv2d:
    layer = nn.Conv2d(into, out, 3, stride, 1)
    _randomise(layer, 9 * into)
    return layer


def _double(channels: int) -> nn.ConvTranspose2d:
    layer = nn.ConvTranspose2d(channels, channels, 3, 2, 1, 1)
    _randomise(layer, 9 * channels // 4)
    return layer


def _randomise(layer: nn.Conv2d | nn.ConvTranspose2d, reads: int) -> None:
    """Weights that keep the variance through a ReLU, where each output reads so many inputs (He et al. 2015)."""
    nn.init.normal_(layer.weight, std=(2 / reads) ** 0.5)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


def _silence(layer: nn.Conv2d) -> None:
    for tensor in layer.parameters():
        nn.init.zeros_(tensor)


@final
class Preprocessor:
    """The network in use, with the proxy that it reads."""

    def __init__(self, net: Npp, proxy: Proxy) -> None:
        self.config = net.config
        self._net, self._proxy = net, proxy

    def process(self, samples: Samples, level: float, *, threads: int | None = None) -> Samples:
        """The samples ``(height, width, 3 or 1)`` as the network would have them coded, of any size; gray ones as three equal channels,
        and the mean of what comes out.
        """
        height, width, channels = samples.shape
        padded = pad_to_multiple(samples if channels == 3 else np.repeat(samples, 3, 2), STEP)
        with inference(threads):
            harm = foreseen(self._proxy, as_read(Picture(samples)), (height, width))
            harm = functional.pad(harm, (0, padded.shape[1] - width, 0, padded.shape[0] - height), mode="replicate")
            x = torch.cat((torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255, harm), 1)
            out = run_in_blocks(_At(self._net, level), x, REACH, 1)[0, :, :height, :width]
            out = out if channels == 3 else out.mean(0, keepdim=True)
            return np.ascontiguousarray((255 * out).round().to(torch.uint8).permute(1, 2, 0).numpy())


@final
class _At(nn.Module):
    """The network at one quality, on pictures with their harm behind the colours."""

    def __init__(self, net: Npp, level: float) -> None:
        super().__init__()
        self._net, self._level = net, level

    def forward(self, x: Tensor) -> Tensor:
        return self._net(x[:, :3], torch.full((len(x),), self._level), x[:, 3:])


@functools.cache
def load_npp(card: AroundCard) -> Preprocessor:
    """The network of a card, frozen: float32, channels_last.

    Raises:
        UnknownWeightsError: the card is of another kind of network, or its weights are missing or do not fit it.
        NetworkError: the weights of the proxy that it reads are missing or damaged.
    """
    if card.part != "preprocess":
        raise UnknownWeightsError(f"{card.name} is a {card.part} network for {card.host}; one that preprocesses is needed")
    sizes: dict[str, Any] = dict(card.config)
    try:
        net = Npp(build(NppConfig, sizes, card.name))
        net.load_state_dict({name: t.float() for name, t in load_weights(card).items()})
    except (RecipeError, RuntimeError) as error:
        raise UnknownWeightsError(f"{card.path} is not what its card says: {error}; install foveal again") from error
    net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (the overload is missing in torch)
    return Preprocessor(net.eval().requires_grad_(False), shipped_proxy(card.reads))
