"""Convolutional recurrent cells: a long short-term memory and a gated recurrent unit whose products are convolutions.

Reference: Toderici et al., "Full resolution image compression with recurrent neural networks", CVPR 2017 (arXiv 1608.05148),
section 2.1; Shi et al., NeurIPS 2015 (convolutional LSTM); Ballas et al., ICLR 2016 (convolutional GRU).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

_OPEN, _KEPT, _LOST, _FAINT = 2.0, 7.0, -2.5, 0.02
"""Where the biases of gates start that let through, keep or lose, and what weights of the state are faded to."""
State = tuple[Tensor, ...]
"""What a cell remembers, each ``(batch, channels, h, w)``; empty before the first iteration, which stands for zeros."""


class Cell(nn.Module, ABC):
    """One recurrent layer: ``(batch, c_in, h, w)`` to ``(batch, c_out, h / stride, w / stride)``, the new state beside it.

    passes: how much of a small candidate comes out after ``start_open``.
    """

    passes: float

    @property
    @abstractmethod
    def candidate_weight(self) -> Tensor:
        """The weights ``(c_out, c_in, 3, 3)`` that make the candidate of the input."""

    @abstractmethod
    def start_open(self, *, keeps: bool = False) -> None:
        """Opens the gates that let the candidate through; with ``keeps`` what it gives adds up over the iterations, else nothing stays."""

    @abstractmethod
    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One iteration."""


@final
class ConvLSTM(Cell):
    """Input, forget, candidate and output gates of 3x3 convolutions of the input, and of ``hidden`` x ``hidden`` ones of the state."""

    def __init__(self, c_in: int, c_out: int, *, stride: int = 1, hidden: int = 1) -> None:
        super().__init__()
        self.enter = nn.Conv2d(c_in, 4 * c_out, 3, stride, 1)
        self.recur = nn.Conv2d(c_out, 4 * c_out, hidden, padding=hidden // 2, bias=False)
        self.channels = c_out
        self.passes = float(torch.tensor(_OPEN).sigmoid()) ** 2
        self.slopes: Tensor
        slopes = torch.tensor([1.0, 1.0, 2.0, 1.0], dtype=torch.float32).repeat_interleave(c_out)
        self.register_buffer("slopes", slopes[:, None, None], persistent=False)

    @property
    def candidate_weight(self) -> Tensor:
        return self.enter.weight[2 * self.channels : 3 * self.channels]

    @torch.no_grad()
    def start_open(self, *, keeps: bool = False) -> None:
        assert self.enter.bias is not None
        take, keep, candidate, show = self.enter.bias.chunk(4)
        for bias, value in ((take, _OPEN), (keep, _KEPT if keeps else _LOST), (candidate, 0.0), (show, _OPEN)):
            bias.fill_(value)
        self.recur.weight *= _FAINT

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        gates = self.enter(x)
        if state:
            gates = gates + self.recur(state[0])
        # tanh(v) = 2 sigmoid(2 v) - 1, and one pass over all channels takes a third of the time of four over a quarter each.
        take, keep, candidate, show = (gates * self.slopes).sigmoid().chunk(4, 1)
        memory = take * (2 * candidate - 1)
        if state:
            memory = memory + keep * state[1]
        output = show * memory.tanh()
        return output, (output, memory)


@final
class ConvGRU(Cell):
    """Update and reset gates, and a candidate; its state is its output."""

    def __init__(self, c_in: int, c_out: int, *, stride: int = 1, hidden: int = 1) -> None:
        super().__init__()
        self.channels = c_out
        self.enter = nn.Conv2d(c_in, 3 * c_out, 3, stride, 1)
        self.recur = nn.Conv2d(c_out, 2 * c_out, hidden, padding=hidden // 2, bias=False)
        self.candidate = nn.Conv2d(c_out, c_out, hidden, padding=hidden // 2, bias=False)
        self.passes = float(torch.tensor(_KEPT).sigmoid())

    @property
    def candidate_weight(self) -> Tensor:
        return self.enter.weight[2 * self.channels :]

    @torch.no_grad()
    def start_open(self, *, keeps: bool = False) -> None:
        assert self.enter.bias is not None
        update, reset, candidate = self.enter.bias.chunk(3)
        for bias, value in ((update, _KEPT), (reset, _KEPT if keeps else 0.0), (candidate, 0.0)):
            bias.fill_(value)
        self.recur.weight *= _FAINT
        self.candidate.weight *= _FAINT
        if keeps:
            middle = self.candidate.weight.shape[2] // 2
            self.candidate.weight[:, :, middle, middle] += torch.eye(self.channels) / self.passes

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        entered = self.enter(x)
        gates, candidate = entered[:, : 2 * self.channels], entered[:, 2 * self.channels :]
        if not state:
            output = gates[:, : self.channels].sigmoid() * candidate.tanh()
            return output, (output,)
        (past,) = state
        update, reset = (gates + self.recur(past)).sigmoid().chunk(2, 1)
        candidate = (candidate + self.candidate(reset * past)).tanh()
        output = torch.lerp(past, candidate, update)
        return output, (output,)
