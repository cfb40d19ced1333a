"""Reads the bits of a stream's heads, as the standards of ITU-T write them."""

from __future__ import annotations

from typing import final

from foveal.errors import DamagedError, TruncatedError


@final
class Bits:
    """Reads bits, the highest of each byte first. ``what`` names the part of the file in errors."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._what, self._at = data, what, 0

    def take(self, count: int) -> int:
        """The next ``count`` bits as a number. Raises TruncatedError past the end."""
        first, last = self._at >> 3, (self._at + count + 7) >> 3
        if last > len(self._data):
            raise TruncatedError(f"the {self._what} is cut off")
        value = int.from_bytes(self._data[first:last], "big") >> (8 * last - self._at - count)
        self._at += count
        return value & ((1 << count) - 1)

    def take_ue(self) -> int:
        """An Exp-Golomb number of at most 32 bits. Raises DamagedError if it has more."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise DamagedError(f"a number of more than 32 bits in the {self._what}; the file is damaged")
        return (1 << zeros) - 1 + self.take(zeros)

    def take_se(self) -> int:
        """An Exp-Golomb number with a sign. Raises as ``take_ue``."""
        value = self.take_ue()
        return (value + 1) // 2 if value & 1 else -(value // 2)

    def align(self) -> None:
        """Goes on to the next byte, if not at the start of one."""
        self._at = (self._at + 7) & ~7
