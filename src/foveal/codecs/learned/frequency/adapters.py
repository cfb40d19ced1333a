"""Adapters: small networks between frozen ones, which turn a codec to another reader and leave it as it was without them.

::

    x ─┬─► enter ─► 5x5 ─►×─► relu ─► leave ────────────────────────────────────────┐
       ├─► gate ──────────┘                                                         │
       ├─► lines ─► DFT ─┬─────────────────────────────►×─► DFT^-1 ─► relu ─► leave_lines
       │                 └► size ─► 3x3 ─► relu ─► 1x1 ─┘ sigmoid                   │
       └────────────────────────────────────────────────────────────────────────────+─►

Reference: the spatial-frequency modulation adapter of Li et al., "Image compression for machine and human vision with spatial-frequency
adaptation" (Adapt-ICMH), ECCV 2024. Ours: the Fourier transform is one of windows of 64x64 pixels on the grid from the
picture's corner, so that pictures can be run in blocks; it is orthonormal, and two matrices.
"""

from __future__ import annotations

import math
from typing import Final, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

WINDOW_PIXELS: Final = 64
ADAPTER: Final = ".adapter_"
"""In the names of all tensors of adapters, and of no others."""


def adapter(channels: int, inner: int, stride: int) -> nn.Module:
    """An adapter of features that stand for ``stride`` pixels a side; what passes all through, without tensors, if ``inner`` is 0."""
    return SpatialFrequencyAdapter(channels, inner, WINDOW_PIXELS // stride) if inner else nn.Identity()


@final
class SpatialFrequencyAdapter(nn.Module):
    """``(batch, channels, h, w)`` to the same. inner: channels of its own networks. side: of its windows, of which ``h`` and ``w`` are
    multiples. The layers that leave start at zero, so that a new adapter changes no bit.
    """

    def __init__(self, channels: int, inner: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.enter = nn.Conv2d(channels, inner, 1)
        self.gate = nn.Conv2d(channels, inner, 1)
        self.depth = nn.Conv2d(inner, inner, 5, padding=2, groups=inner)
        self.leave = nn.Conv2d(inner, channels, 1)
        self.lines = nn.Conv2d(channels, inner, 1)
        self.depth_lines = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.gate_lines = nn.Conv2d(inner, inner, 1)
        self.leave_lines = nn.Conv2d(inner, channels, 1)
        for last in (self.leave, self.leave_lines):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.forth: Tensor
        self.back: Tensor
        forth, back = dft(side)
        self.register_buffer("forth", forth, persistent=False)
        self.register_buffer("back", back, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        near = self.leave(functional.relu(self.depth(self.enter(x)) * self.gate(x)))
        return x + near + self.leave_lines(functional.relu(self._filtered(self.lines(x))))

    def _filtered(self, x: Tensor) -> Tensor:
        """Each window's lines multiplied by 0..1, for which the sizes of all its lines tell; phases stay."""
        (batch, inner, height, width), side = x.shape, self.side
        rows, columns, half = height // side, width // side, side // 2 + 1
        x = x.reshape(batch, inner, rows, side, columns, side).permute(0, 2, 4, 1, 3, 5)
        lines = (x.reshape(-1, inner, side * side) @ self.forth).reshape(-1, inner, 2, side, half)
        size = cast(Tensor, torch.linalg.vector_norm(lines, dim=2))  # unlike a root of squares it has a gradient at 0
        kept = torch.sigmoid(self.gate_lines(functional.relu(self.depth_lines(size))))
        x = (lines * kept[:, :, None]).flatten(2) @ self.back
        x = x.reshape(batch, rows, columns, inner, side, side).permute(0, 3, 1, 4, 2, 5)
        return x.reshape(batch, inner, height, width)


def dft(side: int) -> tuple[Tensor, Tensor]:
    """The orthonormal Fourier transform of real ``side x side`` windows and its inverse, as matrices.

    Forth ``(side^2, 2 side (side/2 + 1))`` gives real parts, then imaginary ones, of the lines that ``torch.fft.rfft2`` gives; back is
    its ``irfft2``, also of lines of which no window is the source.
    """
    places, half = torch.arange(side, dtype=torch.float64), side // 2 + 1
    turns = places[:, None, None, None] * places[:, None] + places[None, :, None, None] * places[:half]
    angles = (2 * math.pi / side * turns).reshape(side * side, side * half)
    twice = torch.full((half,), 2.0, dtype=torch.float64)
    twice[0], twice[side // 2] = 1, 1
    forth = torch.cat([angles.cos(), -angles.sin()], 1) / side
    return forth.float(), (forth * twice.repeat(2 * side)).T.contiguous().float()
