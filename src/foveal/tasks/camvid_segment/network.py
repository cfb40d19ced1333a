"""The network of ``builtin:camvid-segment``: a small residual encoder to 1/16, and a decoder back to 1/2 of the picture.

Plain 3x3 convolutions: at these sizes a processor runs them at ten times the speed per operation of depthwise ones (measured),
so fewer and denser layers read a picture sooner than the networks that were made small by counting operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.tasks.residual import Block, Normed, double, ready

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


class SegmenterTail(nn.Module):
    """What makes logits of features at 1/4 and 1/8, by way of 1/16. An abstract base: where its features come from is a subclass's own.

    folded: batch norm is part of the convolutions, as in weights that ship.
    """

    def __init__(self, config: SegmenterConfig, *, folded: bool) -> None:
        super().__init__()
        self.config = c = config
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

    def logits(self, fine: Tensor, middle: Tensor) -> Tensor:
        """``(batch, classes, 8 h, 8 w)`` of ``fine (batch, fine, 4 h, 4 w)`` and ``middle (batch, middle, 2 h, 2 w)``."""
        coarse = self.coarse(functional.relu(self.to_coarse(middle)))
        coarse = coarse * torch.sigmoid(self.whole(coarse.mean((2, 3), keepdim=True)))
        middle = self.join_middle(functional.relu(middle + double(self.from_coarse(coarse)))).relu()
        fine = self.join_fine(functional.relu(self.from_fine(fine) + double(self.from_middle(middle)))).relu()
        return functional.pixel_shuffle(self.head(self.dropout(fine)), 2)


@final
class Segmenter(SegmenterTail):
    """Logits ``(batch, classes, height / 2, width / 2)``, rounded up, of pictures ``(batch, 3, height, width)`` in 0..1."""

    def __init__(self, config: SegmenterConfig, *, folded: bool = False) -> None:
        super().__init__(config, folded=folded)
        c = config
        self.stem = Normed(3, c.stem, stride=2, folded=folded)
        self.to_fine = Normed(c.stem, c.fine, stride=2, folded=folded)
        self.fine = nn.Sequential(*(Block(c.fine, folded=folded) for _ in range(c.fine_blocks)))
        self.to_middle = Normed(c.fine, c.middle, stride=2, folded=folded)
        self.middle = nn.Sequential(*(Block(c.middle, folded=folded) for _ in range(c.middle_blocks)))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        return self.logits(*self.features(x))[:, :, : -(-height // 2), : -(-width // 2)]

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the tail reads, at 1/4 and 1/8 of the picture padded to a multiple of 16."""
        height, width = x.shape[2:]
        x = functional.pad((x - _CENTRE) / _SPREAD, (0, -width % STEP, 0, -height % STEP), mode="replicate")
        fine = self.fine(functional.relu(self.to_fine(functional.relu(self.stem(x)))))
        return fine, self.middle(functional.relu(self.to_middle(fine)))


def full_size(logits: Tensor, height: int, width: int) -> Tensor:
    """Logits at every pixel of a picture, from those at half its size (rounded up)."""
    doubled = double(logits.float())
    return doubled[:, :, :height, :width]


def load_frozen(tensors: dict[str, Tensor], config: SegmenterConfig) -> Segmenter:
    """The network that runs: float32 and channels_last, without gradients. Raises RuntimeError: tensors of other sizes."""
    model = Segmenter(config, folded=True)
    ready(model, tensors)
    return model
