"""The boxes of JPEG 2000, AVIF and JPEG XL files: a length, a kind of four letters, a body."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from foveal.errors import DamagedError, TruncatedError


@dataclass(frozen=True)
class Box:
    """Where one box lies: ``data[start:end]`` is its body, ``kind`` its four letters."""

    kind: bytes
    start: int
    end: int

    def body(self, data: bytes, skip: int = 0) -> bytes:
        """The body without its first ``skip`` bytes (a full box has four of version and flags)."""
        return data[self.start + skip : self.end]


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes that fill ``data[start:end]``, in order.

    Raises:
        TruncatedError: a box goes on after the end. DamagedError: a box shorter than its own head.
    """
    stop = len(data) if end is None else end
    while start < stop:
        if stop - start < 8:
            raise TruncatedError(f"{stop - start} bytes at {start}; the head of a box takes 8")
        length, kind, head = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], 8
        if length == 1:
            length, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif length == 0:
            length = stop - start
        if length < head:
            raise DamagedError(f"box {kind!r} at {start} says {length} bytes, its head alone takes {head}")
        if length > stop - start:
            raise TruncatedError(f"box {kind!r} at {start} says {length} bytes, {stop - start} are left")
        yield Box(kind, start + head, start + length)
        start += length


def first_box(data: bytes, *path: bytes, within: Box | None = None) -> Box | None:
    """The first box at the end of a path of kinds, or None; ``meta`` is a full box. Raises as ``boxes``."""
    found = within
    for kind in path:
        start, end = (0, len(data)) if found is None else (found.start + (4 if found.kind == b"meta" else 0), found.end)
        found = next((box for box in boxes(data, start, end) if box.kind == kind), None)
        if found is None:
            return None
    return found
