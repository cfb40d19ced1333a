"""Weights as what they differ by from others, on the bytes of safetensors files, whose headers stay as they are.

A whole number of steps differs from that of the base in the same steps: those of ``short_weights`` have an exponent for each row and
column, those of exact layers a shift for each row. All powers of two, so that a prediction is exact arithmetic and nothing is lost.
Exponents themselves, and tensors that the base does not have, or has of another shape, are left as they are; all other bytes
are told apart one by one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, final

import numpy as np
from numpy.typing import NDArray

_LENGTH: Final = 8
"""Bytes that say how long a safetensors header is."""
_EXPONENTS: Final = (".row", ".column", ".shift")
_HIGH: Final = ".high"
_WEIGHT: Final = ".weight"
_BYTE: Final = 256
_MOST: Final = 32767

Whole = NDArray[np.int64]


def told_apart(data: bytes, base: bytes) -> bytes:
    """What to store of a safetensors file beside ``base``, another. Raises ValueError: one of them is none."""
    return _moved(data, base, -1)


def put_together(stored: bytes, base: bytes) -> bytes:
    """The file of what ``told_apart`` gave. Raises ValueError: one of them is no safetensors file."""
    return _moved(stored, base, 1)


def _moved(data: bytes, base: bytes, sign: int) -> bytes:
    own, other = _Tensors(bytearray(data)), _Tensors(bytearray(base))
    for name in own.shapes:
        if name.endswith(_EXPONENTS) or own.shapes[name] != other.shapes.get(name):
            continue
        if (known := _predicted(name, own, other)) is not None:
            own.put(name, own.whole(name) + sign * known)
        elif not (name.endswith(_HIGH) and name.removesuffix(_HIGH) in own.shapes):  # told with its low bytes
            own.bytes_of(name)[:] += np.uint8(sign % _BYTE) * other.bytes_of(name)
    return bytes(own.data)


def _predicted(name: str, own: _Tensors, base: _Tensors) -> Whole | None:
    """How many steps of one's own the base's weight is; None for tensors that are no steps in both."""
    mine, its = own.exponents(name), base.exponents(name)
    if mine is None or its is None or mine.shape != its.shape:
        return None
    whole = base.whole(name)
    moved = np.rint(np.ldexp(whole.astype(np.float64), (its - mine).reshape(*mine.shape, *[1] * (whole.ndim - 2))))
    return np.clip(moved, -_MOST, _MOST).astype(np.int64)


@final
@dataclass(eq=False)
class _Tensors:
    """A safetensors file, whose bytes may be changed."""

    data: bytearray

    def __post_init__(self) -> None:
        length = int.from_bytes(self.data[:_LENGTH], "little")
        self._begin = _LENGTH + length
        try:
            header: Any = json.loads(bytes(self.data[_LENGTH : self._begin]))
            self._places = {
                name: (one["dtype"], tuple(one["shape"]), *one["data_offsets"])
                for name, one in header.items()
                if name != "__metadata__"
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no safetensors file: {error}") from error

    @property
    def shapes(self) -> Mapping[str, tuple[str, tuple[int, ...]]]:
        """Type and sides of each tensor."""
        return {name: (place[0], place[1]) for name, place in self._places.items()}

    def bytes_of(self, name: str) -> NDArray[np.uint8]:
        """Those of a tensor, in place."""
        _, _, first, last = self._places[name]
        return np.frombuffer(self.data, np.uint8, last - first, self._begin + first)

    def exponents(self, name: str) -> Whole | None:
        """The power of two of a step, ``(rows, columns)``, or 1 in place of the columns; None of a tensor that is no steps."""
        if name not in self._places or self._places[name][0] != "I8" or len(self._places[name][1]) < 2:
            return None
        if f"{name}.row" in self._places and f"{name}.column" in self._places:
            return self._plain(f"{name}.row")[:, None] + self._plain(f"{name}.column")
        shift = name.removesuffix(_WEIGHT) + ".shift"
        return -self._plain(shift)[:, None] if name.endswith(_WEIGHT) and shift in self._places else None

    def whole(self, name: str) -> Whole:
        """Steps, with the byte above where there is one."""
        high = f"{name}{_HIGH}"
        return self._plain(name) + (_BYTE * self._plain(high) if high in self._places else 0)

    def put(self, name: str, whole: Whole) -> None:
        """Steps modulo what their bytes hold."""
        low = (whole + _BYTE // 2) % _BYTE - _BYTE // 2
        self.bytes_of(name)[:] = low.ravel() % _BYTE
        if (high := f"{name}{_HIGH}") in self._places:
            self.bytes_of(high)[:] = ((whole - low) // _BYTE).ravel() % _BYTE

    def _plain(self, name: str) -> Whole:
        values = self.bytes_of(name).view(np.int8).astype(np.int64)
        return cast(Whole, values.reshape(self._places[name][1]))
