"""Takes a file apart, trusting nothing in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from foveal.container.bounded import BoundedReader, inflate
from foveal.container.format import OPTIONAL, SIGNATURE, VERSION, ChunkType, Container, Head, Unit
from foveal.container.head import read_head
from foveal.container.sums import chunk_sum
from foveal.errors import DamagedError, NotFovealError, TruncatedError, UnsupportedError
from foveal.limits import Limits

Wanted = Callable[[Head, int], bool]
"""Whether a unit, by its number, is to be read."""


def read_container(data: bytes | memoryview, limits: Limits, *, wanted: Wanted | None = None, partial: bool = False) -> Container:
    """Takes a still picture apart and checks everything but the symbols.

    wanted: which units to read; of the others nothing behind their number is looked at. partial: a file that was cut is
    taken too, as far as its chunks are whole, if all of band 0 is there.

    Raises:
        NotFovealError, TruncatedError, DamagedError: the bytes are no whole file of docs/format.md.
        UnsupportedError: another format version, an unknown critical chunk, or a clip. LimitError: larger than allowed.
    """
    contents, cut_bytes = _read_contents(data, limits, wanted, partial=partial)
    if partial:
        contents.check_lowest()
    return contents.finish(limits, cut_bytes, partial=partial)


def read_cut(data: bytes | memoryview, limits: Limits) -> Container:
    """As ``read_container`` of a partial file, but all that stands before the cut, also where that is too little to decode."""
    contents, cut_bytes = _read_contents(data, limits, None, partial=True)
    return contents.finish(limits, cut_bytes, partial=True)


def _read_contents(data: bytes | memoryview, limits: Limits, wanted: Wanted | None, *, partial: bool) -> tuple[_Contents, int]:
    """What the chunks hold, and the bytes of one that was cut."""
    reader = _start(data, limits)
    contents = _Contents(_read_first(reader, limits), wanted)
    contents.read_bytes = reader.position
    while reader.left:
        at, left = reader.position, reader.left
        try:
            chunk = _next_chunk(reader, contents.head.sum_bytes)
        except TruncatedError as error:
            if contents.complete:
                raise DamagedError(f"{left} bytes from byte {at} on follow the last chunk and are no whole chunk") from None
            if not partial:
                raise TruncatedError(f"{error}{contents.advice}") from None
            return contents, left
        contents.add(chunk)
    return contents, 0


def read_first_head(data: bytes | memoryview, limits: Limits) -> Head:
    """The HEAD of a file; nothing behind it is looked at. Raises as ``read_container``."""
    return _read_first(_start(data, limits), limits)


@dataclass(frozen=True)
class _Chunk:
    """A chunk that stands whole in the file. framed: type, length and body; nothing of it has been looked at but the first two."""

    kind: int
    start: int
    framed: memoryview
    body: memoryview
    crc: memoryview

    @property
    def bytes(self) -> int:
        return len(self.framed) + len(self.crc)

    def check(self) -> None:
        found, expected = chunk_sum(self.framed, len(self.crc)), int.from_bytes(self.crc, "little")
        if expected != found:
            raise DamagedError(
                f"the chunk 0x{self.kind:02x} at byte {self.start} has CRC {found:0{2 * len(self.crc)}x}; {expected:0{2 * len(self.crc)}x} was written"
            )


def _start(data: bytes | memoryview, limits: Limits) -> BoundedReader:
    """A reader behind signature and version."""
    limits.check_payload(len(data))
    begin = bytes(data[: len(SIGNATURE)])
    if not SIGNATURE.startswith(begin) or not begin:
        raise NotFovealError(f"the file begins with {begin.hex(' ') or 'nothing'}; a .fvl file begins with {SIGNATURE.hex(' ')}")
    reader = BoundedReader(data, "the file")
    reader.take(len(SIGNATURE))
    if (version := reader.u8()) != VERSION:
        raise UnsupportedError(f"format version {version}; this version of foveal reads version {VERSION}")
    return reader


def _read_first(reader: BoundedReader, limits: Limits) -> Head:
    """The first chunk."""
    chunk = _next_chunk(reader)
    chunk.check()
    if chunk.kind != ChunkType.HEAD:
        raise DamagedError(f"the first chunk has type 0x{chunk.kind:02x}; HEAD must come first")
    head = read_head(chunk.body, limits)
    if head.timing is not None:
        raise UnsupportedError("the file is a clip; this version of foveal decodes still pictures")
    return head


def _next_chunk(reader: BoundedReader, data_sum_bytes: int = 4) -> _Chunk:
    """One chunk, whose sum is that short if it is DATA; its length is checked against what is left before anything is read. Raises TruncatedError: it is cut."""
    start = reader.position
    kind, size = reader.u8(), reader.varint()
    body = reader.take(size)
    return _Chunk(kind, start, reader.since(start), body, reader.take(data_sum_bytes if kind == ChunkType.DATA else 4))


@final
class _Contents:
    """What the chunks behind HEAD have brought so far."""

    def __init__(self, head: Head, wanted: Wanted | None) -> None:
        self.read_bytes = 0
        self.head, self._wanted = head, wanted
        self._units: list[Unit] = []
        self._usable: set[int] = set()  # units there, wanted or not, whose lower bands are there too
        self._count, self._last = 0, -1
        self._single: dict[int, memoryview] = {}

    def add(self, chunk: _Chunk) -> None:
        """Checks a chunk and keeps what it holds."""
        if ChunkType.END in self._single:
            raise DamagedError("a chunk follows END")
        if chunk.kind == ChunkType.DATA:
            self._add_unit(chunk)
            return
        chunk.check()
        self.read_bytes += chunk.bytes
        if chunk.kind in (ChunkType.ALPHA, ChunkType.ICC, ChunkType.EXIF, ChunkType.END):
            if chunk.kind in self._single:
                raise DamagedError(f"{ChunkType(chunk.kind).name} stands twice")
            self._single[chunk.kind] = chunk.body
        elif chunk.kind == ChunkType.HEAD or not chunk.kind & OPTIONAL:
            raise UnsupportedError(
                f"a chunk of type 0x{chunk.kind:02x}, which this version of foveal does not know and may not skip"
            )

    def _add_unit(self, chunk: _Chunk) -> None:
        if self._wanted is None:
            chunk.check()
        body, head = BoundedReader(chunk.body, "DATA"), self.head
        number = body.varint()
        if number <= self._last:
            raise DamagedError(f"unit {number} follows unit {self._last}; units must rise")
        if number >= head.units:
            raise DamagedError(f"unit {number}; HEAD announces {head.units}")
        self._count, self._last = self._count + 1, number
        if number < head.tiles or number - head.tiles in self._usable:
            self._usable.add(number)
        if self._wanted is not None and not self._wanted(head, number):
            self.read_bytes += len(chunk.framed) - body.left
            return
        if self._wanted is not None:
            chunk.check()
        self.read_bytes += chunk.bytes
        symbols_crc = int.from_bytes(body.take(head.sum_bytes), "little")
        unit = Unit(number, symbols_crc, body.rest(), chunk.bytes, head.sum_bytes)
        if number in self._usable:
            self._units.append(unit)

    @property
    def lowest(self) -> int:
        """How many tiles have their band 0."""
        return sum(number < self.head.tiles for number in self._usable)

    @property
    def advice(self) -> str:
        """What to say of a file that was cut behind these contents."""
        return "; allow_partial (--allow-partial) decodes what is there" if self.lowest == self.head.tiles else ""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing that a still picture must have."""
        return self._count == self.head.units and (ChunkType.ALPHA in self._single or not self.head.alpha)

    def check_lowest(self) -> None:
        """Raises TruncatedError if a tile lacks band 0."""
        if self.lowest < self.head.tiles:
            raise TruncatedError(
                f"the file was cut within its first band, which {self.lowest} of {self.head.tiles} tiles have whole; fetch more of it"
            )

    def finish(self, limits: Limits, cut_bytes: int, *, partial: bool) -> Container:
        """All of it, if the file is whole or may be cut."""
        head = self.head
        if not partial and self._count < head.units:
            raise TruncatedError(f"the file holds {self._count} of {head.units} units{self.advice}")
        alpha = self._single.get(ChunkType.ALPHA)
        if alpha is None and head.alpha and partial and self.lowest == head.tiles:
            raise TruncatedError("the file ends before its alpha")
        return Container(
            head,
            tuple(self._units),
            alpha=_read_alpha(alpha, head) if self.lowest == head.tiles else None,
            icc=_read_metadata(self._single.get(ChunkType.ICC), limits, "the ICC profile"),
            exif=_read_metadata(self._single.get(ChunkType.EXIF), limits, "the Exif block"),
            read_bytes=self.read_bytes,
            cut_bytes=cut_bytes,
        )


def _read_alpha(body: memoryview | None, head: Head) -> bytes | None:
    if (body is None) == head.alpha:
        raise DamagedError("HEAD and the chunks disagree on whether there is alpha")
    if body is None:
        return None
    reader = BoundedReader(body, "ALPHA")
    if frame := reader.varint():
        raise DamagedError(f"ALPHA belongs to frame {frame} of a still picture")
    return reader.rest()


def _read_metadata(body: memoryview | None, limits: Limits, what: str) -> bytes | None:
    return None if body is None else inflate(bytes(body), limits.metadata_bytes, what)
