"""From the units of a file to latents: what a decoder does before any picture is made, and a machine may read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch

from foveal.codecs.learned.frequency.bands import Latent, SymbolDecoder, hats_at, walk_band
from foveal.codecs.learned.frequency.networks import FrequencyNetworks
from foveal.codecs.learned.frequency.plan import Plan
from foveal.codecs.learned.frequency.tiling import Rect
from foveal.codecs.learned.frequency.transforms import BANDS, STRIDES
from foveal.codecs.learned.symbols import check_symbols
from foveal.container.format import Container
from foveal.entropy.coder import SymbolReader
from foveal.threads import available_cores, thread_limit

_Result = TypeVar("_Result")


def decode_tiles(
    networks: FrequencyNetworks, plan: Plan, area: Rect, container: Container, threads: int | None, bands: int = BANDS
) -> tuple[Rect, list[Latent]]:
    """The latents of the first ``bands`` bands of all tiles that the area needs, and the rectangle that they fill.

    A latent is ``(h, w, channels)``. Where a cut file lacks a unit, the means that the bands before it foretell stand in.
    """
    needed = plan.needed(area)
    some = [plan.tiles[number] for number in needed]
    held = Rect(min(t.left for t in some), min(t.top for t in some), max(t.right for t in some), max(t.bottom for t in some))
    latents = [
        np.empty((held.height // stride, held.width // stride, latent), np.float32)
        for latent, stride in list(zip(networks.config.latents, STRIDES, strict=True))[:bands]
    ]
    units = {unit.number: unit for unit in container.units}

    def decode(number: int) -> None:
        tile, below = plan.tiles[number], None
        for band in range(bands):
            rows, columns = tile.part_of(held, STRIDES[band])
            unit = units.get(band * len(plan.tiles) + number)
            decoder = None if unit is None else SymbolDecoder(networks, SymbolReader(unit.payload))
            size = (rows.stop - rows.start, columns.stop - columns.start)
            walked = walk_band(networks, band, hats_at(plan.hats_of(tile), band), size, below, decoder)
            latents[band][rows, columns], below = walked.latent, walked.lifted
            if unit is not None and decoder is not None:
                check_symbols(np.concatenate(decoder.symbols), unit)
                decoder.finish()

    for_each(needed, decode, threads)
    return held, latents


def for_each(items: Sequence[int], work: Callable[[int], _Result], threads: int | None) -> list[_Result]:
    """``work`` of every item; several tiles at a time, each with one thread of its own."""
    if len(items) == 1:
        with thread_limit(threads):
            return [work(items[0])]
    # Each worker takes its one thread itself, whatever other callers do meanwhile.
    pool = ThreadPoolExecutor(threads or available_cores(), initializer=torch.set_num_threads, initargs=(1,))
    with thread_limit(1), pool:
        return list(pool.map(work, items))
