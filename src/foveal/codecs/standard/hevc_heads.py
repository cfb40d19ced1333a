"""What the heads of an HEVC stream say of its quantisers (ITU-T H.265, 7.3.2.2, 7.3.2.3 and 7.3.6.1).

Read of our own encoders' streams alone, to see whether a map reached them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foveal.codecs.standard.bits import Bits
from foveal.codecs.standard.true_size import Unit, unescaped
from foveal.errors import DamagedError, UnsupportedError

_SPS, _PPS, _IDR, _FIRST_NON_SLICE = 33, 34, (19, 20), 32


@dataclass(frozen=True)
class QuantiserHeads:
    """varies: whether blocks may have quantisers of their own. slice_qp: the quantiser that blocks have which say nothing."""

    varies: bool
    slice_qp: int


@dataclass(frozen=True)
class _Sequence:
    """separate_planes, has_chroma, sao: what of the sequence parameter set a slice's head depends on."""

    separate_planes: bool
    has_chroma: bool
    sao: bool


@dataclass(frozen=True)
class _Picture:
    """The same of the picture parameter set. extra: bits of a slice's head that mean nothing here."""

    output_flag: bool
    extra: int
    init_qp: int
    varies: bool


def quantiser_heads(units: Sequence[Unit]) -> QuantiserHeads:
    """Reads the parameter sets and the head of the first slice, which has to be of an IDR picture.

    Raises:
        DamagedError: a head is missing or makes no sense. UnsupportedError: a tool that neither x265 nor kvazaar uses for a still.
    """
    sequence = _read_sps(_bits(units, (_SPS,), "sequence parameter set"))
    picture = _read_pps(_bits(units, (_PPS,), "picture parameter set"))
    bits = _bits(units, _IDR, "head of the slice")
    bits.take(2)  # the first slice; earlier pictures are not shown
    bits.take_ue()  # id of the picture parameter set
    bits.take(picture.extra)
    bits.take_ue()  # type
    if picture.output_flag:
        bits.take(1)
    if sequence.separate_planes:
        bits.take(2)
    if sequence.sao:
        bits.take(2 if sequence.has_chroma else 1)
    return QuantiserHeads(picture.varies, picture.init_qp + bits.take_se())


def slice_bytes(units: Sequence[Unit]) -> int:
    """What the slices take of a stream, so all that is not said once for it."""
    return sum(unit.end - unit.start for unit in units if unit.kind < _FIRST_NON_SLICE)


def _bits(units: Sequence[Unit], kinds: tuple[int, ...], what: str) -> Bits:
    unit = next((unit for unit in units if unit.kind in kinds), None)
    if unit is None:
        raise DamagedError(f"no {what} in the stream; it is damaged, or no still of HEVC")
    return Bits(unescaped(unit.payload), what)


def _read_sps(bits: Bits) -> _Sequence:
    bits.take(4)  # id of the video parameter set
    sublayers = bits.take(3)
    bits.take(1 + 96)  # nesting of layers; profile, tier, level
    if sublayers:
        present = [(bits.take(1), bits.take(1)) for _ in range(sublayers)]
        bits.take(2 * (8 - sublayers))
        for profile, level in present:
            bits.take(88 * profile + 8 * level)
    bits.take_ue()  # id
    chroma = bits.take_ue()
    separate = chroma == 3 and bits.take(1) == 1
    _skip(bits, 2)  # width, height
    if bits.take(1):
        _skip(bits, 4)  # crop
    _skip(bits, 3)  # bit depths, length of the picture count
    _skip(bits, 3 * (sublayers + 1 if bits.take(1) else 1))  # buffers
    _skip(bits, 6)  # sizes of blocks and depths of their trees
    if bits.take(1) and bits.take(1):
        raise UnsupportedError("an HEVC stream with scaling lists of its own; x265 and kvazaar use the standard's for a still")
    bits.take(1)  # asymmetric partitions
    return _Sequence(separate, chroma != 0 and not separate, bits.take(1) == 1)


def _read_pps(bits: Bits) -> _Picture:
    _skip(bits, 2)  # ids
    bits.take(1)  # dependent slices
    output_flag, extra = bits.take(1) == 1, bits.take(3)
    bits.take(2)  # hidden signs, a choice of start contexts
    _skip(bits, 2)  # references
    init_qp = 26 + bits.take_se()
    bits.take(2)  # constrained prediction, transform skip
    return _Picture(output_flag, extra, init_qp, bits.take(1) == 1)


def _skip(bits: Bits, count: int) -> None:
    for _ in range(count):
        bits.take_ue()
