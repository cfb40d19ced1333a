"""A unit of the recurrent codecs: the bits of one iteration, coded with the odds of ``bits`` or as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foveal.codecs.learned.rnn.bits import Bits, BitsPut, BitsRead, walk_bits
from foveal.codecs.learned.rnn.frozen import RnnNetworks
from foveal.codecs.learned.symbols import check_symbols, symbols_crc
from foveal.container.format import Unit
from foveal.entropy.coder import SymbolReader, SymbolWriter
from foveal.errors import DamagedError


def write_unit(networks: RnnNetworks, past: Sequence[Bits], bits: Bits, *, coded: bool) -> Unit:
    """The unit of an iteration; ``past`` holds the bits of those before, the first first."""
    crc = symbols_crc((bits > 0).astype(np.int32))
    if not coded:
        return Unit(len(past), crc, np.packbits(bits > 0).tobytes())
    writer = SymbolWriter()
    walk_bits(networks.context, past, bits.shape, BitsPut(bits, networks.tables, writer))
    return Unit(len(past), crc, writer.finish())


def read_unit(networks: RnnNetworks, past: Sequence[Bits], shape: tuple[int, int, int], unit: Unit, *, coded: bool) -> Bits:
    """The bits of a unit, ``shape`` ``(bits, rows, columns)``.

    Raises:
        DamagedError: the payload is not theirs. DriftError: they are not those that were coded.
    """
    if not coded:
        bits = _unpacked(unit.payload, shape)
    else:
        reader = SymbolReader(unit.payload)
        bits = walk_bits(networks.context, past, shape, BitsRead(networks.tables, reader))
        reader.finish()
    check_symbols((bits > 0).astype(np.int32), unit)
    return bits


def _unpacked(payload: bytes, shape: tuple[int, int, int]) -> Bits:
    count = int(np.prod(shape))
    if len(payload) != -(-count // 8):
        raise DamagedError(f"a unit of {len(payload)} bytes; {count} bits take {-(-count // 8)}")
    flat = np.unpackbits(np.frombuffer(payload, np.uint8))
    if flat[count:].any():
        raise DamagedError(f"bits behind the {count} of a unit; they must be 0")
    return (flat[:count].astype(np.int8) * 2 - 1).reshape(shape)
