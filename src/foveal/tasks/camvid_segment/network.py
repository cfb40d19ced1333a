"""The network of ``builtin:camvid-segment``: a small residual encoder to 1/16, and a decoder back to 1/2 of the picture.

Plain 3x3 convolutions: at these sizes a processor runs them at ten times the speed per operation of depthwise ones (measured),
so fewer and denser layers read a picture sooner than the networks that were made small by counting operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

STEP: Final = 16
"""Pictures are padded inside to a multiple of this."""
_DILATIONS: Final = (1, 2, 4, 2)
_CENTRE, _SPREAD = 0.45, 0.27


@dataclass(frozen=True)
class SegmenterConfig:
    """Channels at 1/2 (stem), 1/4 (fine), 1/8 (middle) and 1/16 (coarse), residual blocks at each, and channels of the decoder."""

    stem: int = 24
    fine: int = 32
    middle: int = 64
    coarse: int = 128
    fine_blocks: int = 2
    middle_blocks: int = 3
    coarse_blocks: int = 3
    decoder: int = 32
    classes: int = 11
    dropout: float = 0.1


@final
class Normed(nn.Module):
    """A convolution that keeps the size, or divides it by ``stride``; then batch norm, or the bias that it became."""

    def __init__(self, into: int, out: int, *, size: int = 3, stride: int = 1, dilation: int = 1, folded: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, size, stride, dilation * (size // 2), dilation, bias=folded)
        self.norm = nn.Identity() if folded else nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


@final
class Block(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int, *, dilation: int = 1, folded: bool) -> None:
        super().__init__()
        self.first = Normed(channels, channels, dilation=dilation, folded=folded)
        self.second = Normed(channels, channels, folded=folded)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(functional.relu(self.first(x))))


@final
class Segmenter(nn.Module):
    """Logits ``(batch, classes, height / 2, width / 2)``, rounded up, of pictures ``(batch, 3, height, width)`` in 0..1.

    folded: batch norm is part of the convolutions, as in weights that ship.
    """

    def __init__(self, config: SegmenterConfig, *, folded: bool = False) -> None:
        super().__init__()
        self.config = c = config
        self.stem = Normed(3, c.stem, stride=2, folded=folded)
        self.to_fine = Normed(c.stem, c.fine, stride=2, folded=folded)
        self.fine = nn.Sequential(*(Block(c.fine, folded=folded) for _ in range(c.fine_blocks)))
        self.to_middle = Normed(c.fine, c.middle, stride=2, folded=folded)
        self.middle = nn.Sequential(*(Block(c.middle, folded=folded) for _ in range(c.middle_blocks)))
        self.to_coarse = Normed(c.middle, c.coarse, stride=2, folded=folded)
        dilations = [_DILATIONS[number % len(_DILATIONS)] for number in range(c.coarse_blocks)]
        self.coarse = nn.Sequential(*(Block(c.coarse, dilation=d, folded=folded) for d in dilations))
        self.whole = nn.Conv2d(c.coarse, c.coarse, 1)
        self.from_coarse = Normed(c.coarse, c.middle, size=1, folded=folded)
        self.join_middle = Normed(c.middle, c.middle, folded=folded)
        self.from_middle = Normed(c.middle, c.decoder, size=1, folded=folded)
        self.from_fine = Normed(c.fine, c.decoder, size=1, folded=folded)
        self.join_fine = Normed(c.decoder, c.decoder, folded=folded)
        self.dropout = nn.Dropout2d(c.dropout)
        self.head = nn.Conv2d(c.decoder, 4 * c.classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        x = functional.pad((x - _CENTRE) / _SPREAD, (0, -width % STEP, 0, -height % STEP), mode="replicate")
        fine = self.fine(functional.relu(self.to_fine(functional.relu(self.stem(x)))))
        middle = self.middle(functional.relu(self.to_middle(fine)))
        coarse = self.coarse(functional.relu(self.to_coarse(middle)))
        coarse = coarse * torch.sigmoid(self.whole(coarse.mean((2, 3), keepdim=True)))
        middle = self.join_middle(functional.relu(middle + _double(self.from_coarse(coarse)))).relu()
        fine = self.join_fine(functional.relu(self.from_fine(fine) + _double(self.from_middle(middle)))).relu()
        logits = functional.pixel_shuffle(self.head(self.dropout(fine)), 2)
        return logits[:, :, : -(-height // 2), : -(-width // 2)]


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def full_size(logits: Tensor, height: int, width: int) -> Tensor:
    """Logits at every pixel of a picture, from those at half its size (rounded up)."""
    doubled = _double(logits.float())
    return doubled[:, :, :height, :width]


@torch.no_grad()
def freeze(model: Segmenter) -> dict[str, Tensor]:
    """The tensors that ship: batch norm folded into the convolutions, in float16."""
    tensors = {name: t for name, t in model.state_dict().items() if ".norm." not in name}
    for name, module in _normed(model):
        if isinstance(norm := module.norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            factor = norm.weight / (norm.running_var + norm.eps).sqrt()
            tensors[f"{name}.conv.weight"] = module.conv.weight * factor[:, None, None, None]
            tensors[f"{name}.conv.bias"] = norm.bias - norm.running_mean * factor
    return {name: t.half() for name, t in tensors.items()}


def thaw(tensors: dict[str, Tensor], config: SegmenterConfig) -> dict[str, Tensor]:
    """A state to train on from tensors that ship: batch norms that begin by adding what had become a bias."""
    state = Segmenter(config).state_dict()
    for name, module in _normed(Segmenter(config)):
        assert isinstance(module.norm, nn.BatchNorm2d)
        state[f"{name}.norm.bias"] = tensors[f"{name}.conv.bias"].float()
        state[f"{name}.norm.running_var"] = torch.full_like(state[f"{name}.norm.running_var"], 1 - module.norm.eps)
    return state | {name: t.float() for name, t in tensors.items() if name in state}


def _normed(model: Segmenter) -> list[tuple[str, Normed]]:
    modules = cast("Iterator[tuple[str, nn.Module]]", model.named_modules())
    return [(name, module) for name, module in modules if isinstance(module, Normed)]


def load_frozen(tensors: dict[str, Tensor], config: SegmenterConfig) -> Segmenter:
    """The network that runs: float32 and channels_last, without gradients. Raises RuntimeError: tensors of other sizes."""
    model = Segmenter(config, folded=True)
    model.load_state_dict({name: t.float() for name, t in tensors.items()})
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (the overload is missing in torch)
    return model.eval().requires_grad_(False)
