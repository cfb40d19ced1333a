"""The residual loop over a picture of any size.

::

    residual ─► encoder ─► sign ─► bits ─► decoder ─► picture so far ─► residual of the next iteration

A picture of up to 1024 pixels a side is one block. A larger one is run in blocks with a margin, each through all iterations
before the next, so that memory is bounded; a decoder's block sees the true bits all around it, an encoder's those that it
made itself of the same pixels. With tiles (``rnn-2015``) a block is a batch of them and needs no margin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foveal.codecs.learned.rnn.bits import Bits
from foveal.codecs.learned.rnn.cells import State
from foveal.codecs.learned.rnn.frozen import RnnNetworks
from foveal.codecs.learned.rnn.networks import BLOCK, STRIDE, RnnConfig
from foveal.picture import Samples

_MARGIN = 4
"""Latents that a block sees beyond its edge. The cells' reach grows with the iterations, but what comes from farther is faint."""


@dataclass(frozen=True)
class Block:
    """A part of the grid of latents: ``rows`` and ``columns`` that it makes, within those that it sees."""

    rows: slice
    columns: slice
    seen_rows: slice
    seen_columns: slice

    def seen(self, stride: int) -> tuple[slice, slice]:
        """What it sees, at so many samples for a latent."""
        return scaled(self.seen_rows, stride), scaled(self.seen_columns, stride)

    def inner(self, stride: int) -> tuple[slice, slice]:
        """What it makes, counted within what it sees, at so many samples for a latent."""
        return (
            scaled(self.rows, stride, self.seen_rows.start),
            scaled(self.columns, stride, self.seen_columns.start),
        )


def scaled(part: slice, stride: int, start: int = 0) -> slice:
    """A part of the grid in samples, counted from the latent ``start``."""
    return slice((part.start - start) * stride, (part.stop - start) * stride)


def blocks(rows: int, columns: int, config: RnnConfig) -> list[Block]:
    """The blocks of a grid, row by row."""
    side, margin = BLOCK // STRIDE, 0 if config.tile else _MARGIN

    def cut(length: int) -> list[tuple[slice, slice]]:
        return [
            (slice(at, min(at + side, length)), slice(max(0, at - margin), min(length, at + side + margin)))
            for at in range(0, length, side)
        ]

    return [Block(r, c, sr, sc) for r, sr in cut(rows) for c, sc in cut(columns)]


def encode_block(networks: RnnNetworks, x: Tensor) -> Iterator[Tensor]:
    """The bits of one iteration after the other, ``(1, bits, h, w)`` as -1 and 1, of pixels ``(1, 3, 16 h, 16 w)`` in 0..1."""
    config = networks.config
    target = _to_tiles(x - 0.5, config.tile)
    reconstruction = torch.zeros_like(target)
    encoder_states: tuple[State, ...] = ()
    decoder_states: tuple[State, ...] = ()
    for iteration in range(config.iterations):
        odds, encoder_states = networks.encoder(target - reconstruction, encoder_states, iteration)
        bits = torch.where(odds >= 0, 1.0, -1.0).to(odds.dtype)
        yield _from_tiles(bits, config.tile // STRIDE, x.shape[2] // STRIDE, x.shape[3] // STRIDE)
        decoded, decoder_states = networks.decoder(bits, decoder_states, iteration)
        reconstruction = decoded + reconstruction if config.reconstruction == "additive" else decoded


def decode_block(networks: RnnNetworks, bits: Sequence[Tensor]) -> Iterator[Tensor]:
    """The picture after one iteration after the other, ``(1, 3, 16 h, 16 w)``, about 0..1 but not clipped, of bits ``(1, bits, h, w)``."""
    config = networks.config
    states: tuple[State, ...] = ()
    reconstruction = torch.zeros((), dtype=torch.float32)
    for iteration, grid in enumerate(bits):
        decoded, states = networks.decoder(_to_tiles(grid, config.tile // STRIDE), states, iteration)
        reconstruction = decoded + reconstruction if config.reconstruction == "additive" else decoded
        yield _from_tiles(reconstruction, config.tile, grid.shape[2] * STRIDE, grid.shape[3] * STRIDE) + 0.5


def encode_picture(networks: RnnNetworks, x: Tensor, iterations: int) -> list[Bits]:
    """The bits of so many iterations of pixels ``(1, 3, 16 h, 16 w)`` in 0..1."""
    rows, columns = x.shape[2] // STRIDE, x.shape[3] // STRIDE
    grids = [np.empty((networks.config.bits, rows, columns), np.int8) for _ in range(iterations)]
    for block in blocks(rows, columns, networks.config):
        inner_rows, inner_columns = block.inner(1)
        for grid, bits in zip(grids, encode_block(networks, x[:, :, *block.seen(STRIDE)]), strict=False):
            grid[:, block.rows, block.columns] = to_grid(bits)[:, inner_rows, inner_columns]
    return grids


def to_grid(bits: Tensor) -> Bits:
    """Bits ``(1, bits, h, w)`` of a network as they are kept."""
    return bits[0].contiguous().numpy().astype(np.int8)


def decode_picture(networks: RnnNetworks, grids: Sequence[Bits], width: int, height: int, *, gray: bool) -> Samples:
    """The picture of all bits, uint8 ``(height, width, 3 or 1)``."""
    _, rows, columns = grids[0].shape
    samples = np.empty((height, width, 1 if gray else 3), np.uint8)
    for block in blocks(rows, columns, networks.config):
        x = list(decode_block(networks, [from_grid(grid[:, *block.seen(1)]) for grid in grids]))[-1]
        inner_rows, inner_columns = block.inner(STRIDE)
        at = samples[scaled(block.rows, STRIDE), scaled(block.columns, STRIDE)]
        at[:] = to_samples(x[:, :, inner_rows, inner_columns], gray=gray)[: at.shape[0], : at.shape[1]]
    return samples


def from_grid(grid: Bits) -> Tensor:
    """The same for a network again."""
    return torch.from_numpy(grid[None].astype(np.float32))


def to_samples(x: Tensor, *, gray: bool) -> Samples:
    """Pixels ``(1, 3, height, width)`` in 0..1 as uint8 ``(height, width, 3 or 1)``; of gray ones the mean."""
    x = x[0].mean(0, keepdim=True) if gray else x[0]
    return (x * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def _to_tiles(x: Tensor, side: int) -> Tensor:
    """``(1, channels, height, width)`` as ``(tiles, channels, side, side)``; as it is without tiles."""
    if side:
        _, channels, height, width = x.shape
        x = (
            x.reshape(channels, height // side, side, width // side, side)
            .permute(1, 3, 0, 2, 4)
            .reshape(-1, channels, side, side)
        )
    return x.contiguous(memory_format=torch.channels_last)


def _from_tiles(x: Tensor, side: int, height: int, width: int) -> Tensor:
    """Back again."""
    if not side:
        return x
    channels = x.shape[1]
    x = x.reshape(height // side, width // side, channels, side, side).permute(2, 0, 3, 1, 4)
    return x.reshape(1, channels, height, width)
