"""What encoder and decoder derive alike of a HEAD: the padded picture, its tiles, the quality of its cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foveal.codecs.base import CodecInfo, DecodeSettings
from foveal.codecs.learned.frequency.tiling import GRID, MARGIN, Rect, padded, tiles
from foveal.codecs.learned.frequency.transforms import BANDS
from foveal.codecs.learned.quality_levels import HAT_MAX, LEVEL_MAX, integer_hats, level_of
from foveal.codecs.learned.quality_map import CELL, map_of
from foveal.codecs.learned.symbols import read_quality
from foveal.codecs.settings import LARGEST_TILE
from foveal.container.format import Head
from foveal.entropy.fixed_point import Integers
from foveal.errors import DamagedError

LEVEL_STEP = 128  # levels that one step of a quality map stands for


@dataclass(frozen=True)
class Plan:
    """How a picture is cut up. ``hats``: ``(NODES, rows, columns)`` of 32-pixel cells, ``(NODES, 1, 1)`` if all are alike."""

    bounds: Rect
    tiles: tuple[Rect, ...]
    hats: Integers

    def hats_of(self, area: Rect) -> Integers:
        """The quality of an area's cells, in integers."""
        if self.hats.shape[1:] == (1, 1):
            return self.hats
        rows, columns = area.part_of(self.bounds, CELL)
        return self.hats[:, rows, columns]

    def float_hats(self, area: Rect) -> Tensor:
        """The same for the synthesis, ``(1, NODES, rows, columns)`` out of 1."""
        return torch.from_numpy(np.ascontiguousarray(self.hats_of(area), np.float32) / np.float32(HAT_MAX))[None]

    def needed(self, area: Rect) -> list[int]:
        """The tiles without which an area's pixels cannot be made."""
        around = area.around(MARGIN, self.bounds)
        return [number for number, tile in enumerate(self.tiles) if tile.meets(around)]


def make_plan(width: int, height: int, side: int | None, level: int, steps: Integers | None) -> Plan:
    """The plan of a picture whose cells have a level of quality, moved by ``steps`` if there is a map."""
    bounds = padded(width, height)
    return Plan(bounds, tiles(bounds, side), integer_hats(_levels(level, steps)))


def _levels(level: int, steps: Integers | None) -> Integers:
    """The level of each cell; ``(1, 1)`` without a map."""
    if steps is None:
        return np.full((1, 1), level, np.int64)
    return np.clip(level + LEVEL_STEP * steps, 0, LEVEL_MAX)


def read_plan(info: CodecInfo, head: Head) -> Plan:
    """The plan of a file.

    Raises:
        NotFovealError: of another codec. DamagedError: HEAD holds what this codec never writes.
    """
    level = level_of(read_quality(info, head))
    side, tiling = None, head.tiling
    if tiling is not None:
        side = tiling.width
        if tiling.height != side or side % GRID or side < 2 * GRID or tiling.overlap:
            raise DamagedError(
                f"HEAD has tiles of {side}x{tiling.height} with overlap {tiling.overlap}; frequency has squares, multiples of {GRID}, without"
            )
    bounds = padded(head.width, head.height)
    if (largest := side or max(bounds.width, bounds.height)) > LARGEST_TILE:
        what = f"tiles of {side}" if side else f"no tiles and a padded side of {largest}"
        raise DamagedError(f"HEAD has {what} pixels; frequency has at most {LARGEST_TILE}")
    return make_plan(head.width, head.height, side, level, map_of(head, bounds.height // CELL, bounds.width // CELL))


def area_of(head: Head, settings: DecodeSettings) -> Rect:
    """The pixels to decode: the whole picture, or the crop. Raises SettingsError: the crop lies outside."""
    if (crop := settings.crop) is None:
        return Rect(0, 0, head.width, head.height)
    crop.check_within(head.width, head.height)
    return Rect(crop.x, crop.y, crop.x + crop.width, crop.y + crop.height)


def wanted_units(info: CodecInfo, settings: DecodeSettings) -> Callable[[Head, int], bool]:
    """Which units of a file a decode reads."""
    known: dict[Head, frozenset[int]] = {}

    def wanted(head: Head, unit: int) -> bool:
        if head not in known:
            plan = read_plan(info, head)
            bands, needed = settings.bands or BANDS, plan.needed(area_of(head, settings))
            known[head] = frozenset(band * len(plan.tiles) + tile for band in range(bands) for tile in needed)
        return unit in known[head]

    return wanted
