"""What machines lose by a codec: how far the features and the answers of a detector and of a classifier move. No labels are needed.

Both are third-party networks, frozen, the files of which are the user's (docs/tasks.md). They read crops at several sizes, for a network
seldom reads a picture as large as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import torch
from torch import Tensor
from torch.nn import functional

from foveal.tasks.proxy.onnx_graph import OnnxGraph
from foveal.tasks.proxy.teachers import CLASSIFIER, DETECTOR

PARTS: Final = ("detector's features", "detector's answers", "classifier's features", "classifier's answers")
_DETECTED: Final = ("input.599", "input.671", "input.743")  # what YOLOX's heads read, at 1/8, 1/16 and 1/32
_OBJECTS: Final = (
    "onnx::Shape_1066",
    "onnx::Shape_1108",
    "output.1",
)  # what they say: boxes, whether there is an object, classes
_SCENE: Final = ("/n/Conv_38_output_0", "/n/Conv_50_output_0")  # the last linear bottlenecks at 1/16 and 1/32
_LOGITS: Final = "/n/Conv_52_output_0"
_STRIDE: Final = 32
_SURE: Final = 1e-4
_BOX: Final = 4
_SPREAD_ADDED: Final = 1e-3


def sides_of(crop: int) -> tuple[int, ...]:
    """The sizes at which crops are read, pixels a side: a half of their own, five eighths, three quarters, and their own."""
    return tuple(dict.fromkeys(max(_STRIDE, round(crop * part / _STRIDE) * _STRIDE) for part in (0.5, 0.625, 0.75, 1.0)))


@final
@dataclass(frozen=True, eq=False)
class Reading:
    """features: channels first, each of a layer. objects: ``(n, 85, rows, columns)`` at three scales, probabilities but for the first
    four, which are boxes in cells and logarithms of them. classes: logarithms of probabilities ``(n, classes)``.
    """

    detected: tuple[Tensor, ...]
    objects: tuple[Tensor, ...]
    scene: tuple[Tensor, ...]
    classes: Tensor


@final
class Readers:
    """The two networks of a folder. They run on the CPU, wherever the rest does.

    Raises:
        MissingDependencyError, NetworkError: as ``OnnxGraph``.
    """

    def __init__(self, folder: Path) -> None:
        self._detector = OnnxGraph(folder / DETECTOR, [*_DETECTED, *_OBJECTS])
        self._classifier = OnnxGraph(folder / CLASSIFIER, [*_SCENE, _LOGITS])

    def read(self, x: Tensor, side: int) -> Reading:
        """What they see in ``(n, 3, crop, crop)``, RGB 0..1, made ``side`` pixels large."""
        x = x.cpu()
        if x.shape[-1] != side:
            x = functional.interpolate(x, (side, side), mode="bilinear", antialias=True)
        x = x.contiguous(memory_format=torch.channels_last)
        told = self._detector(255 * x.flip(1))
        *scene, logits = self._classifier(x)
        return Reading(tuple(told[:3]), tuple(told[3:]), tuple(scene), logits.flatten(1).log_softmax(1))


@final
@dataclass(frozen=True, eq=False)
class Spread:
    """The variance of each channel of each layer of features, over crops as they are: ``(channels, 1, 1)``."""

    detected: tuple[Tensor, ...]
    scene: tuple[Tensor, ...]

    @staticmethod
    def of(readings: Sequence[Reading]) -> Spread:
        """Over readings of some crops."""
        return Spread(
            *(
                tuple(
                    torch.cat([layer.transpose(0, 1).flatten(1) for layer in layers], 1).var(1)[:, None, None] + _SPREAD_ADDED
                    for layers in zip(*seen, strict=True)
                )
                for seen in ([r.detected for r in readings], [r.scene for r in readings])
            )
        )


def losses(plain: Reading, coded: Reading, spread: Spread) -> Tensor:
    """How far each of ``PARTS`` moved, ``(n, 4)``: features by their squared distance in variances, answers by their divergence.

    The detector's is that of whether there is an object, a mean over places, and where there is one of its classes; and the squared distance
    of its box.
    """
    return torch.stack(
        (
            _distance(plain.detected, coded.detected, spread.detected),
            torch.stack([_moved(a, b) for a, b in zip(plain.objects, coded.objects, strict=True)]).sum(0),
            _distance(plain.scene, coded.scene, spread.scene),
            (plain.classes.exp() * (plain.classes - coded.classes)).sum(1),
        ),
        1,
    )


def _distance(plain: tuple[Tensor, ...], coded: tuple[Tensor, ...], spread: tuple[Tensor, ...]) -> Tensor:
    parts = [((b - a).square() / s).mean((1, 2, 3)) for a, b, s in zip(plain, coded, spread, strict=True)]
    return torch.stack(parts).mean(0)


def _moved(plain: Tensor, coded: Tensor) -> Tensor:
    there = plain[:, _BOX : _BOX + 1]
    sure, other = plain[:, _BOX:].clamp(_SURE, 1 - _SURE), coded[:, _BOX:].clamp(_SURE, 1 - _SURE)
    divergence = sure * (sure / other).log() + (1 - sure) * ((1 - sure) / (1 - other)).log()
    boxes = (coded[:, :_BOX] - plain[:, :_BOX]).square().sum(1, keepdim=True)
    of_objects = divergence[:, 1:].sum(1, keepdim=True) + boxes
    return (divergence[:, :1] + there * of_objects).mean((1, 2, 3))
