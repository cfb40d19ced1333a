"""A branch of NPP that scales the cosine transform's coefficients of blocks of 8x8, each by what is in its block and beside it. Ours.

A codec spends its bits on coefficients, and most of them on small ones that the quantiser just lets live. What a recogniser loses by such a
coefficient depends on its frequency, on its size beside the quantiser's step, and on the place. Convolutions over pixels would have to learn the
transform first.
"""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.around.intra import cosines
from foveal.codecs.around.planes import Planes, to_picture, to_planes
from foveal.tasks.proxy import TASKS

SIDE: Final = 16
"""Pixels a side of what a block of chroma covers; sides of pictures are multiples of it."""
REACH: Final = 48
"""Pixels to each side that an output pixel depends on, at most."""
_BLOCK: Final = 8
_HIDDEN: Final = 64
_BT601: Final = 6
_GRAY: Final = 128 / 255  # what planes of zeros are


@final
class TransformBranch(nn.Module):
    """Called with ``x`` ``(n, 3, rows, columns)``, RGB about 0..1, ``level`` ``(n,)`` and ``harm`` ``(n, tasks, rows, columns)``. Returns
    what is to be added to ``x``; fresh weights, nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.luma, self.chroma = _Coefficients(1, 0), _Coefficients(2, _HIDDEN)

    def forward(self, x: Tensor, level: Tensor, harm: Tensor) -> Tensor:
        planes = to_planes(x, _BT601, centred=True)
        known = torch.cat(((2 * level - 1)[:, None, None, None].expand_as(harm[:, :1]), harm), 1)
        luma, seen = self.luma(planes.luma, functional.avg_pool2d(known, _BLOCK))
        beside = torch.cat((functional.avg_pool2d(known, SIDE), functional.avg_pool2d(seen, 2)), 1)
        chroma, _ = self.chroma(planes.chroma, beside)
        return to_picture(Planes(luma, chroma), _BT601, centred=True) - _GRAY


@final
class _Coefficients(nn.Module):
    """``planes`` planes of one size: how much each coefficient changes. told: channels of what else is known of a block."""

    basis: Tensor

    def __init__(self, planes: int, told: int) -> None:
        super().__init__()
        count = planes * _BLOCK**2
        self.first = nn.Conv2d(count + 1 + len(TASKS) + told, _HIDDEN, 1)
        self.second, self.last = nn.Conv2d(_HIDDEN, _HIDDEN, 3, padding=1), nn.Conv2d(_HIDDEN, count, 1)
        for tensor in self.last.parameters():
            nn.init.zeros_(tensor)
        one = cosines(_BLOCK)
        basis = torch.einsum("ij,kl->ikjl", one, one).reshape(_BLOCK**2, 1, _BLOCK, _BLOCK)
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, planes: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """The change of the planes, and the features that it was made of, one place a block."""
        n, _, rows, columns = planes.shape
        flat = planes.reshape(-1, 1, rows, columns)
        found = functional.conv2d(flat, self.basis, stride=_BLOCK).reshape(n, -1, rows // _BLOCK, columns // _BLOCK)
        sizes = torch.log2(found.abs() / 4 + 0.3) / 4
        seen = torch.relu(self.second(torch.relu(self.first(torch.cat((sizes, known), 1)))))
        change = (found * self.last(seen)).reshape(-1, _BLOCK**2, rows // _BLOCK, columns // _BLOCK)
        return functional.conv_transpose2d(change, self.basis, stride=_BLOCK).reshape(planes.shape), seen
