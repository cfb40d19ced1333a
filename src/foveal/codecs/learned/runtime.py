"""How networks run inside a codec: whatever the caller has set, in blocks, with memory bounded."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn

from foveal.codecs.learned.short_weights import widened
from foveal.threads import thread_limit

_BLOCK = 2048  # pixels a side that one pass of a network sees, without its margin


@contextmanager
def inference(threads: int | None = None) -> Generator[None]:
    """Runs networks in float32 without gradients, autocast shut out, with ``threads`` if given; restores all of it."""
    with thread_limit(threads), torch.inference_mode(), torch.autocast("cpu", enabled=False):
        yield


def ready(net: nn.Module, weights: dict[str, Tensor], prefix: str) -> nn.Module:
    """Puts the weights under ``prefix``, as they ship, in the place of a network's own, in float32 and channels_last."""
    own = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    laid_out = {
        name: t.contiguous(memory_format=torch.channels_last if t.ndim == 4 else torch.contiguous_format)
        for name, t in widened(own).items()
    }
    net.load_state_dict(laid_out, assign=True)
    return net.eval().requires_grad_(False)


@dataclass(frozen=True)
class Reach:
    """How a convolutional network maps places: ``scale`` output samples for each input sample, ``margin`` input
    samples on each side that a block needs to be right up to its edge, ``step`` to which input blocks are aligned.
    """

    scale: Fraction
    margin: int
    step: int


def run_in_blocks(net: nn.Module, x: Tensor, reach: Reach, pixels_per_sample: int) -> Tensor:
    """``net(x)`` for ``x`` ``(1, channels, height, width)``, block by block where the picture is large.

    ``pixels_per_sample``: how many picture pixels one input sample stands for, along a side.
    """
    height, width = x.shape[2:]
    block = _BLOCK // pixels_per_sample // reach.step * reach.step
    if height <= block and width <= block:
        return net(x.contiguous(memory_format=torch.channels_last))
    rows = [_run_row(net, x, top, min(top + block, height), block, reach) for top in range(0, height, block)]
    return torch.cat(rows, 2)


def _run_row(net: nn.Module, x: Tensor, top: int, bottom: int, block: int, reach: Reach) -> Tensor:
    height, width = x.shape[2:]
    parts: list[Tensor] = []
    above, below = max(0, top - reach.margin), min(height, bottom + reach.margin)
    for left in range(0, width, block):
        right = min(left + block, width)
        before, after = max(0, left - reach.margin), min(width, right + reach.margin)
        out = net(x[:, :, above:below, before:after].contiguous(memory_format=torch.channels_last))
        y0, y1, x0, x1 = (int(n * reach.scale) for n in (top - above, bottom - above, left - before, right - before))
        parts.append(out[:, :, y0:y1, x0:x1])
    return torch.cat(parts, 3)
