"""Encoder, binariser and decoder of one iteration, in the proportions of the paper at any width.

Reference: Toderici et al., CVPR 2017 (arXiv 1608.05148), section 2 and figure 1: ``width`` 512 is the paper's size. Ours are a
gain for each iteration, which brings its residual to about the size of the first one, in the place of the paper's gain by
block; and for each iteration layers of its own into the binariser and out of it, in the place of shared ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.learned.rnn.cells import Cell, ConvGRU, ConvLSTM, State
from foveal.errors import RecipeError

STRIDE = 16
BLOCK = 1024
"""Pixels a side of what is run at once; a multiple of every tile."""
CELLS: dict[str, type[ConvLSTM] | type[ConvGRU]] = {"lstm": ConvLSTM, "gru": ConvGRU}
RECONSTRUCTIONS = ("additive", "one-shot")


@dataclass(frozen=True)
class RnnConfig:
    """Sizes of the networks; they are stored with the weights.

    cell: ``lstm`` or ``gru``. reconstruction: ``additive``, where an iteration gives what is to be added to the picture so far, or
    ``one-shot``, where it gives the whole picture anew. tile: the side in pixels of the tiles that are coded each for itself, 0 for none.
    width: channels of the widest layers, a multiple of 32. bits: of an iteration for each 16x16 pixels. iterations: the most that a
    file has. context: channels of the entropy coder's network.
    """

    cell: str = "lstm"
    reconstruction: str = "additive"
    tile: int = 0
    width: int = 96
    bits: int = 32
    iterations: int = 16
    context: int = 64

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise RecipeError(f"[model] cell = {self.cell!r}; choose from {', '.join(CELLS)}")
        if self.reconstruction not in RECONSTRUCTIONS:
            raise RecipeError(f"[model] reconstruction = {self.reconstruction!r}; choose from {', '.join(RECONSTRUCTIONS)}")
        if self.tile < 0 or self.tile % STRIDE or BLOCK % max(self.tile, 1):
            raise RecipeError(
                f"[model] tile = {self.tile}; 16, 32, 64 or another power of 2 up to {BLOCK}, or 0 for none, is needed"
            )
        if self.width < 32 or self.width % 32:
            raise RecipeError(f"[model] width = {self.width}; a multiple of 32 is needed")
        if not 1 <= self.iterations <= 16 or not 4 <= self.bits <= 64 or self.bits % 4 or self.context < 1:
            raise RecipeError(
                f"[model] iterations = {self.iterations}, bits = {self.bits}, context = {self.context}; "
                "1 to 16 iterations, 4 to 64 bits in fours and 1 or more channels of context are needed"
            )


@final
class Encoder(nn.Module):
    """A residual ``(batch, 3, 16 h, 16 w)`` to what the binariser takes the signs of, ``(batch, bits, h, w)`` in -1..1."""

    def __init__(self, config: RnnConfig) -> None:
        super().__init__()
        w, cell = config.width, CELLS[config.cell]
        self.log_gain = nn.Parameter(torch.zeros(config.iterations))
        self.stem = nn.Conv2d(3, w // 8, 3, 2, 1)
        self.cells = nn.ModuleList([cell(w // 8, w // 2, stride=2), cell(w // 2, w, stride=2), cell(w, w, stride=2)])
        self.leave = nn.ModuleList([nn.Conv2d(w, config.bits, 1) for _ in range(config.iterations)])

    def forward(self, residual: Tensor, states: tuple[State, ...], iteration: int) -> tuple[Tensor, tuple[State, ...]]:
        x = self.stem(residual * self.log_gain[iteration].exp())
        x, states = _through(self.cells, x, states, shuffle=False)
        return self.leave[iteration](x).tanh(), states


@final
class Decoder(nn.Module):
    """Bits as -1 and 1, ``(batch, bits, h, w)``, to a picture or what is added to it, ``(batch, 3, 16 h, 16 w)`` in -1/2..1/2."""

    def __init__(self, config: RnnConfig) -> None:
        super().__init__()
        w, cell = config.width, CELLS[config.cell]
        self.log_gain = nn.Parameter(torch.zeros(config.iterations))
        self.enter = nn.ModuleList([nn.Conv2d(config.bits, w, 1) for _ in range(config.iterations)])
        self.cells = nn.ModuleList([cell(w, w), cell(w // 4, w), cell(w // 4, w // 2, hidden=3), cell(w // 8, w // 4, hidden=3)])
        self.leave = nn.Conv2d(w // 16, 3, 1)

    def forward(self, bits: Tensor, states: tuple[State, ...], iteration: int) -> tuple[Tensor, tuple[State, ...]]:
        x, states = _through(self.cells, self.enter[iteration](bits), states, shuffle=True)
        return self.leave(x).tanh() / (2 * self.log_gain[iteration].exp()), states


def _through(cells: nn.ModuleList, x: Tensor, states: tuple[State, ...], *, shuffle: bool) -> tuple[Tensor, tuple[State, ...]]:
    """Through a stack of cells, the resolution doubled after each if ``shuffle``; no states stand for the first iteration."""
    after: list[State] = []
    for cell, state in zip(cells, states or ((),) * len(cells), strict=True):
        assert isinstance(cell, Cell)
        x, state = cell(x, state)
        after.append(state)
        x = functional.pixel_shuffle(x, 2) if shuffle else x
    return x, tuple(after)
