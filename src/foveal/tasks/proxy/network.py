"""The proxy: a residual encoder to 1/32, a way back to 1/4, and a head for each thing that it learned.

Plain 3x3 convolutions, as in the segmenter, and no layer whose gradient is rough: its gradients are what it is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.tasks.residual import Block, Normed, double, ready

STEP: Final = 32
"""Pictures are padded inside to a multiple of this."""
STRIDES: Final = (8, 16, 32)
"""Pixels between the places of the maps of features and of objects."""
OBJECT_CHANNELS: Final = 85
"""Of a map of objects: offsets x and y in strides, logarithms of width and height in strides, objectness, COCO's 80 classes."""
HEADS: Final = ("features", "objects", "person", "classes", "parts", "faces")
"""What importance can be asked of; ``scales`` has a factor for each that brings its mean score over the lessons to 1."""
_CENTRE, _SPREAD = 0.45, 0.27
_LEAST_VARIANCE: Final = 1e-4
"""Of normalised samples, under the logarithm."""


@dataclass(frozen=True)
class ProxyConfig:
    """Channels at 1/2 (stem), 1/4 (fine), 1/8 to 1/32 and residual blocks at these three; channels of what the heads give.

    features: of each map of features. scene_coarse, scene_whole: of those at 1/16 and 1/32 that were learned from a classifier.
    classes: a classifier's. parts: those of a road scene. harm: inside the head of harm; tasks: what it speaks of.
    """

    stem: int = 24
    fine: int = 32
    middle: int = 64
    coarse: int = 128
    whole: int = 192
    middle_blocks: int = 1
    coarse_blocks: int = 2
    whole_blocks: int = 2
    features: int = 64
    scene_coarse: int = 96
    scene_whole: int = 320
    classes: int = 1001
    parts: int = 11
    harm: int = 64
    tasks: int = 4


@final
@dataclass(frozen=True, eq=False)
class Seen:
    """What the proxy sees in pictures ``(batch, 3, height, width)``, padded to multiples of 32.

    features, objects: at each of ``STRIDES``, ``(batch, channels, rows, columns)``. scene: a classifier's features at 1/16 and 1/32.
    classes: logits ``(batch, classes)``. parts: logits of road scenes at 1/4. faces: logits ``(batch, 1, rows, columns)`` at 1/8.
    harm: at 1/8, ``(batch, tasks, rows, columns)``, logarithms of the root of what an error there harms each task, up to a constant.
    """

    features: tuple[Tensor, Tensor, Tensor]
    objects: tuple[Tensor, Tensor, Tensor]
    scene: tuple[Tensor, Tensor]
    classes: Tensor
    parts: Tensor
    faces: Tensor
    harm: Tensor


@final
class Harm(nn.Module):
    """How much an error harms each task at each 8 pixels, from maps at 1/4 and 1/8 and from how busy the picture itself is there."""

    def __init__(self, fine: int, middle: int, inside: int, tasks: int) -> None:
        super().__init__()
        self.of_fine = nn.Conv2d(fine, inside, 3, stride=2, padding=1)
        self.of_middle = nn.Conv2d(middle, inside, 1)
        self.of_texture = nn.Conv2d(1, inside, 1)
        self.between = nn.Conv2d(inside, inside, 3, padding=1)
        self.last = nn.Conv2d(inside, tasks, 1)

    def forward(self, x: Tensor, fine: Tensor, middle: Tensor) -> Tensor:
        gray = x.mean(1, keepdim=True)
        variance = functional.avg_pool2d(gray * gray, STRIDES[0]) - functional.avg_pool2d(gray, STRIDES[0]).square()
        texture = 0.25 * (variance.clamp_min(0) + _LEAST_VARIANCE).log() + 1
        seen = (self.of_fine(fine) + self.of_middle(middle) + self.of_texture(texture)).relu()
        return self.last(seen + self.between(seen).relu())


@final
class Proxy(nn.Module):
    """Maps pictures ``(batch, 3, height, width)`` in 0..1 to ``Seen``.

    folded: batch norm is part of the convolutions, as in weights that ship. scales: a factor of each of ``HEADS``.
    """

    scales: Tensor

    def __init__(self, config: ProxyConfig, *, folded: bool = False) -> None:
        super().__init__()
        self.config = c = config
        self.stem = Normed(3, c.stem, stride=2, folded=folded)
        self.to_fine = Normed(c.stem, c.fine, stride=2, folded=folded)
        self.to_middle = Normed(c.fine, c.middle, stride=2, folded=folded)
        self.middle = nn.Sequential(*(Block(c.middle, folded=folded) for _ in range(c.middle_blocks)))
        self.to_coarse = Normed(c.middle, c.coarse, stride=2, folded=folded)
        self.coarse = nn.Sequential(*(Block(c.coarse, folded=folded) for _ in range(c.coarse_blocks)))
        self.to_whole = Normed(c.coarse, c.whole, stride=2, folded=folded)
        self.whole = nn.Sequential(*(Block(c.whole, folded=folded) for _ in range(c.whole_blocks)))
        self.from_whole = Normed(c.whole, c.coarse, size=1, folded=folded)
        self.from_coarse = Normed(c.coarse, c.middle, size=1, folded=folded)
        self.join_middle = Normed(c.middle, c.middle, folded=folded)
        self.from_middle = Normed(c.middle, c.fine, size=1, folded=folded)
        widths = (c.middle, c.coarse, c.whole)
        self.features = nn.ModuleList(nn.Conv2d(n, c.features, 1) for n in widths)
        self.objects = nn.ModuleList(nn.Conv2d(n, OBJECT_CHANNELS, 1) for n in widths)
        self.scene = nn.ModuleList(nn.Conv2d(n, m, 1) for n, m in zip(widths[1:], (c.scene_coarse, c.scene_whole), strict=True))
        self.classes = nn.Linear(c.whole, c.classes)
        self.parts = nn.Conv2d(c.fine, c.parts, 3, padding=1)
        self.faces = nn.Conv2d(c.middle, 1, 1)
        self.harms = Harm(c.fine, c.middle, c.harm, c.tasks)
        self.register_buffer("scales", torch.ones(len(HEADS)))

    def forward(self, x: Tensor) -> Seen:
        x, (fine, *maps) = self._maps(x)
        middle, _, whole = maps
        f8, f16, f32 = (head(x) for head, x in zip(self.features, maps, strict=True))
        o8, o16, o32 = (head(x) for head, x in zip(self.objects, maps, strict=True))
        s16, s32 = (head(x) for head, x in zip(self.scene, maps[1:], strict=True))
        classes, parts, faces = self.classes(whole.mean((2, 3))), self.parts(fine), self.faces(middle)
        return Seen((f8, f16, f32), (o8, o16, o32), (s16, s32), classes, parts, faces, self.harms(x, fine, middle))

    def harm(self, x: Tensor) -> Tensor:
        """``Seen.harm`` alone, in less time."""
        x, (fine, middle, _, _) = self._maps(x)
        return self.harms(x, fine, middle)

    def _maps(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
        """The pictures, padded and normalised, and their maps at 1/4 to 1/32."""
        height, width = x.shape[2:]
        x = functional.pad((x - _CENTRE) / _SPREAD, (0, -width % STEP, 0, -height % STEP), mode="replicate")
        fine = self.to_fine(self.stem(x).relu()).relu()
        middle = self.middle(self.to_middle(fine).relu())
        coarse = self.coarse(self.to_coarse(middle).relu())
        whole = self.whole(self.to_whole(coarse).relu())
        coarse = (coarse + double(self.from_whole(whole))).relu()
        middle = self.join_middle((middle + double(self.from_coarse(coarse))).relu()).relu()
        fine = (fine + double(self.from_middle(middle))).relu()
        return x, (fine, middle, coarse, whole)


def load_frozen(tensors: dict[str, Tensor], config: ProxyConfig) -> Proxy:
    """The network that runs: float32 and channels_last, without gradients of the weights. Raises RuntimeError: other sizes."""
    model = Proxy(config, folded=True)
    ready(model, tensors)
    return model
