"""Pictures as luma and halved chroma, differentiable: what ``media/color`` and libjpeg do, in torch and without rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor
from torch.nn import functional

_LUMA: Final = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}
"""What red and blue weigh in luma, by CICP's MatrixCoefficients."""


@final
@dataclass(frozen=True, eq=False)
class Planes:
    """luma ``(n, 1, height, width)`` and chroma ``(n, 2, height / 2, width / 2)``, in levels of 8 bits less 128, full range."""

    luma: Tensor
    chroma: Tensor


def to_planes(picture: Tensor, matrix: int, *, centred: bool) -> Planes:
    """Of ``(n, 3, height, width)`` RGB in 0..1, of even sides.

    matrix: CICP's 1 (BT.709) or 6 (BT.601). centred: whether a chroma sample lies between four pixels, the mean of which it then is, as
    in JPEG; else on the left two of them, with the filter of ``media/color``.
    """
    forward = _forward(matrix, picture)
    mixed = 255 * torch.einsum("ij,njhw->nihw", forward, picture)
    n, _, height, width = picture.shape
    colour = mixed[:, 1:].reshape(2 * n, 1, height, width)
    if centred:
        colour = functional.avg_pool2d(colour, 2)
    else:
        across, down = colour.new_tensor([-1, 2, 6, 2, -1]) / 8, colour.new_tensor([-1, 5, 5, -1]) / 8
        padded = functional.pad(colour, (2, 2, 1, 1), mode="replicate")
        colour = functional.conv2d(padded, torch.outer(down, across)[None, None], stride=2)
    return Planes(mixed[:, :1] - 128, colour.view(n, 2, height // 2, width // 2))


def to_picture(planes: Planes, matrix: int, *, centred: bool) -> Tensor:
    """RGB ``(n, 3, height, width)``, about 0..1 but not clamped."""
    tall = functional.interpolate(planes.chroma, scale_factor=(2, 1), mode="bilinear", align_corners=False)
    if centred:
        colour = functional.interpolate(tall, scale_factor=(1, 2), mode="bilinear", align_corners=False)
    else:
        following = torch.cat([tall[..., 1:], tall[..., -1:]], 3)
        colour = torch.stack([tall, (tall + following) / 2], 4).flatten(3)
    backward = _forward(matrix, planes.luma).double().inverse().to(planes.luma.dtype)
    return torch.einsum("ij,njhw->nihw", backward, torch.cat([planes.luma + 128, colour], 1)) / 255


def _forward(matrix: int, like: Tensor) -> Tensor:
    """RGB to Y in 0..1, Cb and Cr in -0.5..0.5."""
    red, blue = _LUMA[matrix]
    luma = like.new_tensor([red, 1 - red - blue, blue])
    of_blue = (like.new_tensor([0, 0, 1]) - luma) / (2 - 2 * blue)
    of_red = (like.new_tensor([1, 0, 0]) - luma) / (2 - 2 * red)
    return torch.stack([luma, of_blue, of_red])
