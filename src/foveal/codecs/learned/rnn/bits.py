"""How likely each bit is: a network of exact integers that sees the bits before it, in iterations, in channels and in space.

The bits of an iteration are a grid ``(bits, rows, columns)``. They are coded in eight steps: quarters of the channels, and of
each quarter first the places of one colour of a chessboard, then those of the other. A step sees all bits of the two
iterations before and those of the steps before, each as -1 or 1, and what is not known yet as 0. One network serves all
steps of all iterations; which iteration it is comes as a bias, which step shows in what is known.

Reference: ours, in the place of the paper's BinaryRNN (Toderici et al., CVPR 2017, section 3), whose float recurrence no two
machines need agree on; the chessboard is of He et al., "Checkerboard context model for efficient learned image
compression", CVPR 2021.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.learned.exact import ACTIVATION_MAX, UNIT, ExactConv2d, exact_arithmetic, rectify
from foveal.entropy.coder import SymbolReader, Symbols, SymbolSink
from foveal.entropy.tables import TABLE_TOTAL, Table, Tables
from foveal.errors import DamagedError

STEPS = 8
PAST = 2
"""How many iterations before this one are seen."""
LEVELS = 64
_LEVEL = UNIT // 4
"""A level of the logit, in units of ``exact.UNIT``: a quarter. Tables are made for 64 of them, from -8 to 7.75."""
Bits = npt.NDArray[np.int8]
"""The bits of an iteration as -1 and 1, ``(bits, rows, columns)``."""


def step_masks(channels: int, rows: int, columns: int, device: torch.device | None = None) -> Tensor:
    """Which bits each step codes: bool ``(STEPS, channels, rows, columns)``, every bit in one step."""
    quarter = torch.arange(channels, device=device) * (STEPS // 2) // channels
    colour = (torch.arange(rows, device=device)[:, None] + torch.arange(columns, device=device)) % 2
    step = 2 * quarter[:, None, None] + colour
    return step[None] == torch.arange(STEPS, device=device)[:, None, None, None]


@final
class BitContext(nn.Module):
    """Logits of the bits being 1, in units of ``exact.UNIT``: ``(batch, (1 + PAST) * bits, h, w)`` to ``(batch, bits, h, w)``.

    ``known``: this iteration's bits, then those of the one before and of the one before that; unknown ones are 0.
    """

    def __init__(self, bits: int, width: int, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations
        self.time = ExactConv2d(iterations, width)
        self.enter = ExactConv2d((1 + PAST) * bits, width, 3)
        self.middle = ExactConv2d(width, width, 3)
        self.join = ExactConv2d(width, width)
        self.leave = ExactConv2d(width, bits, gain=0.1)

    def forward(self, known: Tensor, iteration: int) -> Tensor:
        return self._after(self.enter(known * UNIT) + self._time(iteration, known))

    def _time(self, iteration: int, like: Tensor) -> Tensor:
        clock = like.new_zeros(1, self.iterations, 1, 1)
        clock[:, iteration] = UNIT
        return self.time(clock)

    def _after(self, x: Tensor) -> Tensor:
        x = rectify(x)
        x = rectify(x + self.join(rectify(self.middle(x))))
        return self.leave(x).clamp(-ACTIVATION_MAX, ACTIVATION_MAX)

    def stepwise(self, older: Tensor, iteration: int) -> Callable[[Tensor], Tensor]:
        """The settled network of one iteration: the logits by what is known of it, ``(1, bits, h, w)``.

        older: the bits of the iterations before, ``(1, PAST * bits, h, w)``. Their part of the first sums is added up once; sums and
        parts of them are exact, so it is the same network.
        """
        assert self.enter.settled
        weight, bits = self.enter.weight, self.enter.weight.shape[1] // (1 + PAST)
        padding = self.enter.padding
        before = functional.conv2d(older * UNIT, weight[:, bits:], self.enter.bias, padding=padding)
        own, time = weight[:, :bits].contiguous(memory_format=torch.channels_last), self._time(iteration, older)
        return lambda newest: self._after((functional.conv2d(newest * UNIT, own, padding=padding) + before).floor_() + time)


class Exchange(ABC):
    """The far end of a step: gives the bits as symbols 0 and 1, by looking at them or by reading them."""

    @abstractmethod
    def take(self, places: npt.NDArray[np.bool_], index: npt.NDArray[np.uint8]) -> Symbols:
        """The bits at ``places`` ``(bits, rows, columns)``, in the order of the array; ``index`` names the table of each."""


@final
class BitsPut(Exchange):
    """An encoder's: the bits are there, and go into a sink."""

    def __init__(self, bits: Bits, tables: Tables, sink: SymbolSink) -> None:
        self._bits, self._tables, self._sink = bits, tables, sink

    def take(self, places: npt.NDArray[np.bool_], index: npt.NDArray[np.uint8]) -> Symbols:
        symbols = (self._bits[places] > 0).astype(np.int32)
        self._sink.put(symbols, self._tables, index)
        return symbols


@final
class BitsRead(Exchange):
    """A decoder's: the bits come out of a payload."""

    def __init__(self, tables: Tables, reader: SymbolReader) -> None:
        self._tables, self._reader = tables, reader

    def take(self, places: npt.NDArray[np.bool_], index: npt.NDArray[np.uint8]) -> Symbols:
        symbols = self._reader.take(self._tables, index.shape, index)
        if symbols.size and not 0 <= symbols.min() <= symbols.max() <= 1:
            raise DamagedError(f"a bit of {int(symbols[(symbols < 0) | (symbols > 1)][0])}; 0 and 1 are allowed")
        return symbols


def walk_bits(context: BitContext, past: Sequence[Bits], shape: tuple[int, int, int], far: Exchange) -> Bits:
    """Codes the bits of an iteration, step by step; encoder and decoder differ only in ``far``.

    past: the bits of all iterations before, the first first. shape: ``(bits, rows, columns)``. Everything here is exact.
    """
    older = [torch.from_numpy(bits.astype(np.float32)) for bits in reversed(past[-PAST:])]
    older += [torch.zeros(shape, dtype=torch.float32)] * (PAST - len(older))
    newest = torch.zeros(1, *shape, dtype=torch.float32).contiguous(memory_format=torch.channels_last)
    with exact_arithmetic():
        logits = context.stepwise(torch.cat(older)[None].contiguous(memory_format=torch.channels_last), len(past))
        for mask in step_masks(*shape):
            logit = logits(newest)[0]
            level = ((logit + _LEVEL * (LEVELS // 2)) / _LEVEL).floor().clamp(0, LEVELS - 1).to(torch.uint8)
            symbols = far.take(mask.numpy(), level[mask].numpy())
            newest[0, mask] = torch.from_numpy(symbols).float() * 2 - 1
    return newest[0].contiguous().numpy().astype(np.int8)


def frozen_ones() -> npt.NDArray[np.int32]:
    """How often a bit of each level is 1, out of ``TABLE_TOTAL`` less the escape's share. Export only: it uses exponentials."""
    logit = (np.arange(LEVELS) + 0.5) * _LEVEL / UNIT - LEVELS * _LEVEL / UNIT / 2
    return np.round((TABLE_TOTAL - 1) / (1 + np.exp(-logit))).astype(np.int32)


def bit_tables(ones: npt.NDArray[np.int32]) -> Tables:
    """The coding tables of the levels."""
    return tuple(Table(0, np.array([TABLE_TOTAL - 1 - one, one, 1], np.int64)) for one in ones.tolist())
