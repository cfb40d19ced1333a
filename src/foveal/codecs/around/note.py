"""A note inside a standard file that says which network restores its picture, and to which size. Ours.

Any other decoder looks past it and shows the picture as it was coded. It stands in a JPEG file in a segment APP9 that begins with
``Foveal`` and a zero byte, in HEVC in an SEI message of user data under a UUID of its own. What follows there is the same 20 bytes,
numbers big-endian:

====== ===== ==================================================================
offset bytes what
====== ===== ==================================================================
0      1     version, 1
1      1     kind: 0, the picture has its full size; 1, it was halved on each side
2      4     true width
6      4     true height
10     2     quality that it was coded with, in hundredths
12     4     id of the weights
16     4     CRC-32 of the bytes before, from the version on
====== ===== ==================================================================

In every version to come the last four bytes are such a CRC, so damage is told from what is new.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass
from typing import Final, final

from foveal.errors import DamagedError, FormatError, TruncatedError, UnsupportedError

VERSION: Final = 1
HEVC_ID: Final = uuid.UUID("11439391-ebee-4b9b-903e-da6df486b95c").bytes
JPEG_ID: Final = b"Foveal\0"
NOTED_HOSTS: Final = ("jpeg", "hevc")
"""The codecs whose files have a place for the note."""

_FIELDS = struct.Struct(">BBIIH4s")
_CRC_BYTES = 4
_SOI, _APP0, _APP9 = b"\xff\xd8", 0xE0, 0xE9
_SEGMENTS = 1024  # more than the profile and the Exif block of any file take
_HEAD_BYTES = 1 << 16  # of HEVC, in which the note has to begin
_USER_DATA = 5  # SEI payload type user_data_unregistered


@final
@dataclass(frozen=True)
class RestoreNote:
    """What a note says.

    compact: whether the picture was halved. width, height: of the true picture, in pixels. hundredths: the quality that the host
    coded with, 1..100, times 100. weights: the id of the networks, 4 bytes.
    """

    compact: bool
    width: int
    height: int
    hundredths: int
    weights: bytes

    @property
    def quality(self) -> float:
        """The quality that the picture was coded with, 1..100."""
        return self.hundredths / 100

    def check_fits(self, width: int, height: int) -> None:
        """Raises FormatError if a coded picture of this size is not what the note speaks of."""
        shrunk = 2 if self.compact else 1
        wanted = -(-self.width // shrunk), -(-self.height // shrunk)
        if (width, height) != wanted:
            raise FormatError(
                f"the note speaks of {wanted[0]}x{wanted[1]} coded pixels, the picture has {width}x{height}; "
                "the file was changed after it was made: decode it with another program, or make it again"
            )


def pack_note(note: RestoreNote) -> bytes:
    """The bytes of a note, without what marks it in a file."""
    fields = _FIELDS.pack(VERSION, note.compact, note.width, note.height, note.hundredths, note.weights)
    return fields + zlib.crc32(fields).to_bytes(_CRC_BYTES, "big")


def unpack_note(data: bytes) -> RestoreNote:
    """Reads the bytes of a note.

    Raises:
        TruncatedError: they are too few. DamagedError: the check sum or a field is wrong. UnsupportedError: a later version.
    """
    if len(data) <= _CRC_BYTES:
        raise TruncatedError(f"a note of {len(data)} bytes; the file is cut off or damaged")
    fields, crc = data[:-_CRC_BYTES], int.from_bytes(data[-_CRC_BYTES:], "big")
    if zlib.crc32(fields) != crc:
        raise DamagedError(f"the note on restoration has CRC {zlib.crc32(fields):08x}, it says {crc:08x}; the file is damaged")
    if fields[0] > VERSION:
        raise UnsupportedError(
            f"a note on restoration of version {fields[0]}; this foveal reads up to {VERSION}, a newer one may"
        )
    if len(fields) != _FIELDS.size or fields[0] != VERSION:
        raise DamagedError(f"a note of version {fields[0]} with {len(data)} bytes; version 1 has {_FIELDS.size + _CRC_BYTES}")
    _, kind, width, height, hundredths, weights = _FIELDS.unpack(fields)
    if kind > 1 or not width or not height or not 100 <= hundredths <= 10_000:
        raise DamagedError(f"a note of kind {kind}, {width}x{height}, quality {hundredths / 100:g}; the file is damaged")
    return RestoreNote(bool(kind), width, height, hundredths, weights)


def with_note(host: str, data: bytes, note: RestoreNote) -> bytes:
    """The file, a JPEG file or a bare HEVC stream, with a note.

    Raises:
        UnsupportedError: the host has no place for one.
    """
    check_host(host)
    if host == "hevc":
        from foveal.codecs.standard.hevc_stream import with_hevc_user_data

        return with_hevc_user_data(data, HEVC_ID + pack_note(note))
    assert data.startswith(_SOI), "a JPEG file"
    at = 2 if data[3] != _APP0 else 4 + int.from_bytes(data[4:6], "big")
    body = JPEG_ID + pack_note(note)
    return data[:at] + bytes([0xFF, _APP9]) + (len(body) + 2).to_bytes(2, "big") + body + data[at:]


def check_host(host: str) -> None:
    """Raises UnsupportedError if the files of a codec have no place for a note."""
    if host not in NOTED_HOSTS:
        raise UnsupportedError(f"files of {host} have no place for a note on restoration; choose from {', '.join(NOTED_HOSTS)}")


def read_note(host: str, data: bytes | memoryview) -> RestoreNote | None:
    """The note in a file of a codec, or None; no more is read than what stands before the picture.

    Raises:
        As ``unpack_note``.
    """
    if host == "jpeg":
        return _read_jpeg(data)
    return _read_hevc(bytes(data[:_HEAD_BYTES])) if host == "hevc" else None


def _read_jpeg(data: bytes | memoryview) -> RestoreNote | None:
    """Walks over the application segments and comments that the file begins with."""
    at = 2
    for _ in range(_SEGMENTS):
        head = bytes(data[at : at + 4 + len(JPEG_ID)])
        if len(head) < 4 or head[0] != 0xFF or not (_APP0 <= head[1] <= 0xEF or head[1] == 0xFE):
            return None
        end = at + 2 + int.from_bytes(head[2:4], "big")
        if head[1] == _APP9 and head[4:] == JPEG_ID:
            if end > len(data):
                raise TruncatedError("the file ends inside its note on restoration; it is cut off")
            return unpack_note(bytes(data[at + len(head) : end]))
        at = end
    return None


def _read_hevc(head: bytes) -> RestoreNote | None:
    """Looks for the UUID, which no escaping can change: so a bare stream and an MP4 file are read alike."""
    from foveal.codecs.standard.true_size import unescaped

    at = head.find(HEVC_ID)
    if at < 2 or head[at - 2] != _USER_DATA:
        return None
    size = head[at - 1] - len(HEVC_ID)
    note = unescaped(head[at + len(HEVC_ID) :][: 2 * max(0, size)])[: max(0, size)]
    if len(note) < size:
        raise TruncatedError("the file ends inside its note on restoration; it is cut off")
    return unpack_note(note)
