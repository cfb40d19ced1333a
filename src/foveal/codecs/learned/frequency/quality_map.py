"""Quality that changes inside a picture: one level for each 32 pixels, and the few bytes that tell the decoder.

docs/format.md, section 8, is the specification. Ours.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
from PIL import Image

from foveal.codecs.learned.quality_levels import LEVEL_MAX
from foveal.entropy.coder import BitCounter, SymbolReader, SymbolWriter
from foveal.entropy.fixed_point import Integers
from foveal.entropy.tables import Tables, tables_from_cumulative
from foveal.errors import DamagedError

CELL = 32
LEVEL_STEP = 128  # levels that one step of the map stands for, 1.77 of quality
SWING = 20  # steps between importance 0 and 1, 35 of quality
MAP_TABLES = 8
_REACH, _BITS = 63, 24


@functools.cache
def map_tables() -> Tables:
    """Tables of the map's differences: symbol ``k`` of table ``i`` weighs ``(i + 1)^|k| 9^(63 - |k|)``, in integers."""
    rows: list[list[int]] = []
    for i in range(MAP_TABLES):
        weights = [(i + 1) ** abs(k) * (MAP_TABLES + 1) ** (_REACH - abs(k)) for k in range(-_REACH, _REACH + 1)]
        total = sum(weights)
        below = [sum(weights[:j]) for j in range(len(weights) + 1)]
        rows.append([(b << _BITS) // total for b in below])
    return tables_from_cumulative(np.array(rows, np.int64), low=-_REACH, bits=_BITS)


def importance_steps(importance: npt.NDArray[np.float32], rows: int, columns: int) -> Integers:
    """Steps of quality for each cell ``(rows, columns)``, their mean about 0, from importance 0..1 of any size."""
    image = Image.fromarray(np.ascontiguousarray(importance, np.float32))
    grid = np.asarray(image.resize((columns, rows), Image.Resampling.BOX), np.float64)
    return np.rint(SWING * (grid - grid.mean())).astype(np.int64)


def levels(level: int, steps: Integers | None) -> Integers:
    """The level of each cell; ``(1, 1)`` without a map."""
    if steps is None:
        return np.full((1, 1), level, np.int64)
    return np.clip(level + LEVEL_STEP * steps, 0, LEVEL_MAX)


def write_map(steps: Integers) -> bytes:
    """The table's number, then the entropy coder's words for the differences to the left cell (in the first column, to the upper)."""
    differences = np.diff(steps, axis=1, prepend=0)
    differences[1:, 0] = np.diff(steps[:, 0])
    flat = differences.reshape(1, -1)
    bits: list[float] = []
    for table in map_tables():
        counter = BitCounter()
        counter.put(flat, (table,))
        bits.append(counter.bits)
    best = int(np.argmin(bits))
    writer = SymbolWriter()
    writer.put(flat, (map_tables()[best],))
    return bytes([best]) + writer.finish()


def read_map(data: bytes, rows: int, columns: int) -> Integers:
    """The steps that ``write_map`` was given. Raises DamagedError: no such map, or steps beyond the range of qualities."""
    if not data or data[0] >= MAP_TABLES:
        raise DamagedError(f"a quality map with table {data[0] if data else 'missing'}; 0 to {MAP_TABLES - 1} are known")
    reader = SymbolReader(data[1:])
    differences = reader.take((map_tables()[data[0]],), (1, rows * columns)).reshape(rows, columns).astype(np.int64)
    reader.finish()
    differences[:, 0] = np.cumsum(differences[:, 0])
    steps = np.cumsum(differences, axis=1)
    if np.abs(steps).max() > LEVEL_MAX:
        raise DamagedError(f"a quality map with a step of {int(np.abs(steps).max())}; up to {LEVEL_MAX} is allowed")
    return steps
