"""Quality that changes inside a picture: a number of steps for each 32 pixels, and the few bytes that tell the decoder.

docs/format.md, section 8, is the specification. Ours.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np

from foveal.codecs.guide import Guide
from foveal.codecs.learned.symbols import QUALITY_BYTES
from foveal.container.format import Head
from foveal.entropy.coder import BitCounter, SymbolReader, SymbolWriter
from foveal.entropy.fixed_point import Integers
from foveal.entropy.tables import Tables, tables_from_cumulative
from foveal.errors import DamagedError

CELL: Final = 32
STEP: Final = 1.77
"""Quality that one step of the map stands for. Each codec moves an integer of its own by it, so this is only about."""
STEPS_MAX: Final = 7161
"""How far from 0 the steps of a file may be; those of a foveal encoder are within 100."""
MAP_TABLES: Final = 8
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


def guide_steps(guide: Guide | None, width: int, height: int, octave: float) -> Integers | None:
    """The steps that a guide asks for, for each cell of a picture of this size; None if it moves nothing.

    octave: the quality that an octave is worth to the codec.
    """
    if guide is None:
        return None
    steps = np.rint(guide.on_cells(width, height, CELL) * (-octave / STEP)).astype(np.int64)
    return steps if steps.any() else None


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


def map_of(head: Head, rows: int, columns: int) -> Integers | None:
    """The steps of a file's cells, ``(rows, columns)``; None if it has no map. Raises as ``read_map``."""
    given = head.parameters[QUALITY_BYTES:]
    return read_map(given, rows, columns) if given else None


def read_map(data: bytes, rows: int, columns: int) -> Integers:
    """The steps that ``write_map`` was given. Raises DamagedError: no such map, or steps beyond the range of qualities."""
    if not data or data[0] >= MAP_TABLES:
        raise DamagedError(f"a quality map with table {data[0] if data else 'missing'}; 0 to {MAP_TABLES - 1} are known")
    reader = SymbolReader(data[1:])
    differences = reader.take((map_tables()[data[0]],), (1, rows * columns)).reshape(rows, columns).astype(np.int64)
    reader.finish()
    differences[:, 0] = np.cumsum(differences[:, 0])
    steps = np.cumsum(differences, axis=1)
    if np.abs(steps).max() > STEPS_MAX:
        raise DamagedError(f"a quality map with a step of {int(np.abs(steps).max())}; up to {STEPS_MAX} is allowed")
    return steps
