"""Powers of two and scale tables in integers, the same on every machine.

Learned codecs multiply symbols by step sizes and choose tables by scales. Both are kept as logarithms to base 2, as
integers in units of 1/256 octave, so that products are sums and nothing is left to floating-point arithmetic.
"""

from __future__ import annotations

import functools
import math
from decimal import Context, Decimal

import numpy as np
import numpy.typing as npt

from foveal.entropy.grid import CDF_BITS, MAX_SYMBOL
from foveal.entropy.tables import Tables, tables_from_cumulative

OCTAVE = 256
VALUE_MAX = (1 << 40) - 1
LOG2_MAX = 30 * OCTAVE
_MANTISSA_BITS = 15
_DIGITS = 40

Integers = npt.NDArray[np.int64]


@functools.cache
def exp2_table() -> Integers:
    """``floor(2^(15 + j / 256))`` for ``j`` in 0..255, read-only."""
    roots = [_root_256(1 << (_MANTISSA_BITS * OCTAVE + j)) for j in range(OCTAVE)]
    table = np.array(roots, np.int64)
    table.flags.writeable = False
    return table


def _root_256(n: int) -> int:
    """The floor of the 256th root, as eight square roots: the floor of a root of a floor is the floor of the root."""
    for _ in range(8):
        n = math.isqrt(n)
    return n


def scale_by_exp2(v: Integers, log2_256: Integers) -> Integers:
    """``v * 2^(log2_256 / 256)``, halves rounded up, for arrays that broadcast.

    ``v`` and the result are clipped to ``VALUE_MAX`` in size, ``log2_256`` to ``LOG2_MAX``.
    """
    log2_256 = np.clip(log2_256, -LOG2_MAX, LOG2_MAX)
    product = np.clip(v, -VALUE_MAX, VALUE_MAX) * exp2_table()[log2_256 % OCTAVE]
    shift = _MANTISSA_BITS - log2_256 // OCTAVE
    down = np.maximum(shift, 1)
    smaller = (product + (np.int64(1) << (down - 1))) >> down
    # Up by 15 bits at most; a product that would overflow there is beyond VALUE_MAX already.
    larger = np.clip(product, -VALUE_MAX, VALUE_MAX) << np.maximum(-shift, 0)
    return np.clip(np.where(shift > 0, smaller, larger), -VALUE_MAX, VALUE_MAX)


def exp2_factors(log2_256: Integers) -> npt.NDArray[np.float64]:
    """``E(l mod 256) 2^(l / 256 - 15)`` as doubles, which hold it exactly, for logarithms within 14 octaves.

    ``round_half_up(v * factors)`` then is ``scale_by_exp2(v, log2_256)``, as long as ``v`` is within ``2^36``: every product
    and sum has fewer than 53 bits. On large arrays it takes a third of the time.
    """
    assert np.abs(log2_256).max(initial=0) <= 14 * OCTAVE, "a step beyond 14 octaves"
    return np.ldexp(exp2_table()[log2_256 % OCTAVE].astype(np.float64), log2_256 // OCTAVE - _MANTISSA_BITS)


def round_half_up(v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rounds to integers, halves up."""
    return np.floor(v + 0.5)


def scale_index(log2_scale: Integers, count: int, per_octave: int, first_log2: int) -> Integers:
    """The nearest of ``count`` scales, ``per_octave`` in an octave, from ``first_log2`` on. Logarithms in 1/256 octave."""
    step = OCTAVE // per_octave
    return np.clip((log2_scale - first_log2 + step // 2) // step, 0, count - 1)


@functools.cache
def logistic_cumulative(count: int, per_octave: int, first_log2: int) -> Integers:
    """Logistic distribution functions of mean 0 at the scales of ``scale_index``, read-only.

    Returns ``(count, 2 * MAX_SYMBOL + 2)``, out of ``2**CDF_BITS``: what lies below each symbol of
    ``-MAX_SYMBOL .. MAX_SYMBOL + 1``. Forty decimal digits leave no machine a choice of rounding, but take their time: a
    codec freezes the result with its weights.
    """
    half = np.array([_upper_half(first_log2 + i * OCTAVE // per_octave) for i in range(count)], np.int64)
    cumulative = np.concatenate([(1 << CDF_BITS) - half[:, ::-1], half], 1)
    cumulative.flags.writeable = False
    return cumulative


def _upper_half(log2_scale: int) -> list[int]:
    """The function at ``1/2, 3/2, ... MAX_SYMBOL + 1/2``; with ``r = exp(-1 / scale)`` it is ``1 / (1 + r^(k + 1/2))``."""
    context = Context(prec=_DIGITS)
    scale = context.power(Decimal(2), context.divide(Decimal(log2_scale), Decimal(OCTAVE)))
    ratio = context.exp(context.divide(Decimal(-1), scale))
    tail, total = context.sqrt(ratio), Decimal(1 << CDF_BITS)
    values: list[int] = []
    for _ in range(MAX_SYMBOL + 1):
        values.append(int(context.to_integral_value(context.divide(total, context.add(Decimal(1), tail)))))
        tail = context.multiply(tail, ratio)
    return values


def frozen_tables(cumulative: npt.NDArray[np.integer]) -> Tables:
    """The coding tables of rows such as ``logistic_cumulative`` gives, whose middle symbol is 0."""
    return tables_from_cumulative(cumulative.astype(np.int64), low=1 - cumulative.shape[1] // 2, bits=CDF_BITS)
