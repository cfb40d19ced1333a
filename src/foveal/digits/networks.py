"""The networks of the experiment: the codec's transforms, the frozen classifier and the held-out one of another architecture."""

from __future__ import annotations

from torch import nn

from foveal.digits.data import CLASSES, SIDE
from foveal.digits.recipe import CodecSizes


def analysis_transform(sizes: CodecSizes) -> nn.Sequential:
    """``(batch, 1, 28, 28)`` in 0..1 to latents ``(batch, latents)`` in units of the rounding step."""
    fine, coarse = sizes.channels, 2 * sizes.channels
    return nn.Sequential(
        nn.Conv2d(1, fine, 5, 2, 2),
        nn.ReLU(),
        nn.Conv2d(fine, coarse, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(coarse * (SIDE // 4) ** 2, sizes.latents),
    )


def synthesis_transform(sizes: CodecSizes) -> nn.Sequential:
    """Rounded latents ``(batch, latents)`` to ``(batch, 1, 28, 28)`` in 0..1."""
    fine, coarse = sizes.channels, 2 * sizes.channels
    return nn.Sequential(
        nn.Linear(sizes.latents, coarse * (SIDE // 4) ** 2),
        nn.ReLU(),
        nn.Unflatten(1, (coarse, SIDE // 4, SIDE // 4)),
        nn.ConvTranspose2d(coarse, fine, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(fine, 1, 4, 2, 1),
        nn.Sigmoid(),
    )


def frozen_classifier() -> nn.Sequential:
    """A convolutional net that sees strokes: ``(batch, 1, 28, 28)`` in 0..1 to ``(batch, 10)`` logits."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, 2, 2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 5, 2, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(32 * (SIDE // 4) ** 2, CLASSES),
    )


def held_out_classifier() -> nn.Sequential:
    """A perceptron, which sees all pixels at once and has no convolution: shapes as ``frozen_classifier``."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(SIDE * SIDE, 512),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(256, CLASSES),
    )
