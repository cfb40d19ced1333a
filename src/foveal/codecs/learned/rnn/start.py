"""The recurrent codecs start as a progressive transform coder: Walsh-Hadamard transform, sign bits, a schedule of bits.

Each strided layer of the encoder starts as one stage of the transform of 16x16 pixels, two samples a side at a time, and the
decoder's cells as its inverse; gates start open, so that cells pass what comes. Iteration ``t`` starts with the signs of the
coefficients in which a model of photographs expects the largest errors by then, and the decoder adds to each what it is
expected to be. All of it is then trained. Without it iterations after the fourth added next to nothing after 1,000 steps.

Reference: ours. The model is a separable Markov process, as transform coding has it (Jain, "Fundamentals of digital image
processing", 1989, chapter 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from foveal.codecs.learned.rnn.cells import Cell
from foveal.codecs.learned.rnn.networks import Decoder, Encoder, RnnConfig

_CORRELATION = 0.95
_COLOURS = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [0.5, 0.0, -0.5], [-0.25, 0.5, -0.25]])
"""Luma and two differences of RGB."""
_COLOUR_SIZES = (0.23, 0.06, 0.03)
_AFTER_A_BIT, _MEAN_SIZE = 0.4, 0.75
"""What is left of the variance of a coefficient after one more sign, and its mean size by its standard deviation."""
_SCALE = 0.25
"""Of the decoder's signals, so that the bounded functions hardly bend them."""
_NOISE = 0.1


@dataclass(frozen=True)
class Channel:
    """A coefficient: its colour, and for each stage which of the four of a 2x2 square it is (vertical, horizontal)."""

    colour: int
    path: tuple[tuple[int, int], ...] = ()

    @property
    def variance(self) -> float:
        """Of the coefficient, whose filters sum to 1 in size, in samples of 0..1 squared."""
        rows, columns = (_line_variance([step[axis] for step in self.path]) for axis in (0, 1))
        return _COLOUR_SIZES[self.colour] ** 2 * rows * columns

    def children(self) -> list[Channel]:
        """The four of the next stage."""
        return [Channel(self.colour, (*self.path, (u, v))) for u in (0, 1) for v in (0, 1)]


def _line_variance(path: list[int]) -> float:
    basis = torch.ones(1)
    for odd in path:  # the finest stage is first, so it alternates fastest
        basis = torch.cat([basis, -basis if odd else basis]) / 2
    at = torch.arange(len(basis))
    return float(basis @ _CORRELATION ** (at[:, None] - at).abs() @ basis)


def _largest(channels: list[Channel], count: int) -> list[Channel]:
    return sorted(channels, key=lambda channel: -channel.variance)[:count]


@torch.no_grad()
def start_as_transform(encoder: Encoder, decoder: Decoder, config: RnnConfig) -> None:
    """Sets both."""
    width, additive = config.width, config.reconstruction == "additive"
    levels = [_largest([Channel(c) for c in range(3)], min(3, width // 16))]
    for count in (width // 8, width // 4, width // 4, width):
        levels.append(_largest([child for channel in levels[-1] for child in channel.children()], count))
    _start_analysis(encoder, levels)
    _start_synthesis(decoder, levels, additive=additive)
    _start_bits(encoder, decoder, levels[-1], additive=additive)


def _start_analysis(encoder: Encoder, levels: list[list[Channel]]) -> None:
    colours = torch.stack([_COLOURS[channel.colour] for channel in levels[0]])
    stem = torch.einsum("kcuv,ci->kiuv", stage_filters(levels[0], levels[1]), colours)
    _set(encoder.stem.weight, stem, 1)
    _zero(encoder.stem.bias)
    for cell, above, below in zip(encoder.cells, levels[1:-1], levels[2:], strict=True):
        assert isinstance(cell, Cell)
        cell.start_open()
        _set(cell.candidate_weight, stage_filters(above, below) / cell.passes, 1)


def stage_filters(above: list[Channel], below: list[Channel]) -> Tensor:
    """Filters ``(len(below), len(above), 2, 2)`` of one stage: means and differences of 2x2 squares."""
    filters = torch.zeros(len(below), len(above), 2, 2)
    for k, channel in enumerate(below):
        parent = above.index(Channel(channel.colour, channel.path[:-1]))
        filters[k, parent] = _square(channel.path[-1]) / 4
    return filters


def _square(step: tuple[int, int]) -> Tensor:
    rows, columns = (torch.tensor([1.0, -1.0 if odd else 1.0]) for odd in step)
    return rows[:, None] * columns


def _start_synthesis(decoder: Decoder, levels: list[list[Channel]], *, additive: bool) -> None:
    for number, (cell, above, below) in enumerate(zip(decoder.cells, levels[:0:-1], levels[-2::-1], strict=True)):
        assert isinstance(cell, Cell)
        cell.start_open(keeps=number == 0 and not additive)
        weight = torch.zeros(4 * len(below), len(above), 1, 1)
        for k, channel in enumerate(above):
            parent = below.index(Channel(channel.colour, channel.path[:-1]))
            weight[4 * parent : 4 * parent + 4, k, 0, 0] = _square(channel.path[-1]).reshape(-1)
        _set(cell.candidate_weight, weight / cell.passes, 1)
    back = torch.from_numpy(np.linalg.inv(_COLOURS.numpy()))[:, [channel.colour for channel in levels[0]]]
    decoder.leave.weight.zero_()
    _zero(decoder.leave.bias)
    decoder.leave.weight[:, : len(levels[0]), 0, 0] = 2 / _SCALE * back


def _zero(bias: Tensor | None) -> None:
    assert bias is not None
    bias.zero_()


def _set(weight: Tensor, filters: Tensor, at: int) -> None:
    """Fades the random weights, and those of the channels that the filters make to nothing; puts the filters in."""
    out, into, rows, columns = filters.shape
    weight *= _NOISE
    weight[:out] = 0
    weight[:out, :into, at : at + rows, at : at + columns] = filters


def _start_bits(encoder: Encoder, decoder: Decoder, channels: list[Channel], *, additive: bool) -> None:
    variance = torch.tensor([channel.variance for channel in channels])
    total = sum(size**2 for size in _COLOUR_SIZES)
    lost = total - float(variance.sum())
    for t, (leave, enter) in enumerate(zip(encoder.leave, decoder.enter, strict=True)):
        assert isinstance(leave, nn.Conv2d)
        assert isinstance(enter, nn.Conv2d)
        gain = (total / (lost + float(variance.sum()))) ** 0.5
        encoder.log_gain[t] = torch.tensor(gain).log()
        decoder.log_gain[t] = encoder.log_gain[t] if additive else 0.0
        for parameter in (*leave.parameters(), *enter.parameters()):
            parameter *= _NOISE**2
        for bit, place in enumerate(variance.argsort(descending=True)[: len(leave.weight)]):
            k = int(place)
            size = float(variance[k]) ** 0.5
            leave.weight[bit] = 0
            leave.weight[bit, k] = 1 / (size * gain)
            enter.weight[:, bit] = 0
            enter.weight[k, bit] = _MEAN_SIZE * size * _SCALE * (gain if additive else 1.0)
            variance[k] *= _AFTER_A_BIT
