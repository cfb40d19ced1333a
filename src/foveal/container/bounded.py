"""Reads that never pass the end, and the writes that mirror them."""

from __future__ import annotations

import zlib
from typing import final

from foveal.errors import DamagedError, LimitError, TruncatedError

_VARINT_BYTES = 8


@final
class BoundedReader:
    """Takes fields off the front of ``data``; every read is checked against what is left.

    Raises:
        TruncatedError: a field would pass the end; ``what`` names the part that is being read.
    """

    def __init__(self, data: bytes | memoryview, what: str) -> None:
        self._data, self._at, self._what = memoryview(data), 0, what

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._at

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._at

    def take(self, size: int) -> memoryview:
        """The next ``size`` bytes."""
        if size > self.left:
            raise TruncatedError(f"{self._what} ends after {len(self._data)} bytes; {size - self.left} more are needed")
        self._at += size
        return self._data[self._at - size : self._at]

    def since(self, start: int) -> memoryview:
        """What was read from position ``start`` on."""
        return self._data[start : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        return bytes(self.take(self.left))

    def u8(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def varint(self) -> int:
        """Unsigned LEB128 of at most 8 bytes.

        Raises:
            DamagedError: longer than that, or longer than the value needs.
        """
        value = 0
        for i in range(_VARINT_BYTES):
            byte = self.u8()
            value |= (byte & 127) << 7 * i
            if byte < 128:
                if i and not byte:
                    break
                return value
        raise DamagedError(f"{self._what} holds a number that is longer than allowed")


def varint(value: int) -> bytes:
    """``value`` as unsigned LEB128."""
    assert 0 <= value < 1 << 7 * _VARINT_BYTES
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def inflate(data: bytes, most: int, what: str) -> bytes:
    """Inflates one zlib stream of at most ``most`` bytes, and never makes more.

    Raises:
        LimitError: it would become longer. DamagedError: it is no whole zlib stream, or something follows it.
    """
    stream = zlib.decompressobj()
    try:
        out = stream.decompress(data, most + 1)
    except zlib.error as error:
        raise DamagedError(f"{what}: {error}") from error
    if len(out) > most:
        raise LimitError(f"{what} is longer than the {most} bytes that are allowed")
    if not stream.eof or stream.unused_data:
        raise DamagedError(f"{what} is no whole zlib stream")
    return out
