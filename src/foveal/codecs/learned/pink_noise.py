"""Noise that has the spectrum and the colours of photographs, to start networks with."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

_SIDE = 256


def pink_noise() -> Tensor:
    """Pictures ``(4, 3, 256, 256)`` about 0.5 with a 1/f amplitude spectrum (Field, JOSA A 1987) and a quarter of the
    contrast in colour; the same on every call.
    """
    generator = torch.Generator().manual_seed(0)
    f = cast(Tensor, torch.fft.fftfreq(_SIDE)) * _SIDE
    amplitude = 1 / (f[:, None].square() + f[None, :].square()).sqrt().clamp_min(1)
    spectrum = cast(Tensor, torch.fft.fft2(torch.randn(4, 3, _SIDE, _SIDE, generator=generator))) * amplitude
    noise = cast(Tensor, torch.fft.ifft2(spectrum)).real
    noise = noise / noise.std() * torch.tensor([0.22, 0.06, 0.06])[:, None, None]
    colours = torch.tensor([[1.0, 1.0, 0.5], [1.0, 0.0, -1.0], [1.0, -1.0, 0.5]])
    return 0.5 + torch.einsum("ij,bjhw->bihw", colours, noise)
