"""Where the bytes of files come from and go to: paths, and standard input and output."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

from foveal.errors import InputError
from foveal.limits import Limits
from foveal.media.output import write_whole

PIPE = "-"
"""Standard input or output, in the place of a file's name."""

_PIXELS = (".png", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".pnm", ".gif", ".qoi")
PICTURE_SUFFIXES = (*_PIXELS, ".jpg", ".jpeg", ".jp2", ".webp", ".avif")
"""What a folder's pictures are known by."""


def read_source(source: str, limits: Limits) -> bytes:
    """The bytes of a file, or of standard input for ``-``.

    Raises:
        InputError: it cannot be read, or holds nothing. LimitError: it is larger than ``limits`` allow.
    """
    try:
        if source == PIPE:
            data = sys.stdin.buffer.read(limits.payload_bytes + 1)
        else:
            with Path(source).open("rb") as file:
                data = file.read(limits.payload_bytes + 1)
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}") from error
    if not data and source == PIPE:
        raise InputError("standard input is empty; pipe a file into it, or name one in the place of -")
    if not data:
        raise InputError(f"{source} is empty, 0 bytes; write or copy it again, or name another file")
    limits.check_payload(len(data))
    return data


def file_bytes(data: bytes | bytearray | memoryview) -> bytes:
    """What a caller gave as the bytes of a file. Raises InputError: it is something else, such as the file's name."""
    if not isinstance(data, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"a {type(data).__name__} is not the bytes of a file; read the file first: Path(name).read_bytes()")
    return bytes(data)


def map_source(source: str, limits: Limits) -> memoryview | None:
    """The bytes of a file, each page read when it is first looked at; None for what cannot be mapped, such as ``-``.

    Good for parts of a file: without read-ahead all of it can come ten times slower than by ``read_source``. The file stays
    mapped for as long as anything of it is held. Raises as ``read_source``.
    """
    if source == PIPE or not Path(source).is_file():
        return None
    try:
        with Path(source).open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror}") from error
    except ValueError:  # an empty file
        return None
    limits.check_payload(len(mapped))
    if sys.platform != "win32":
        mapped.madvise(mmap.MADV_RANDOM)  # else the system reads ahead from each chunk's head, and so the whole file
    return memoryview(mapped)


def write_target(target: str, data: bytes) -> None:
    """Writes a whole file, or standard output for ``-``. Raises InputError: it cannot be written."""
    if target == PIPE:
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise InputError(f"cannot write to standard output: {error.strerror}") from error
    else:
        write_whole(Path(target), data)


def is_folder(source: str) -> bool:
    """Whether ``source`` means a batch. Raises InputError: there is nothing of that name."""
    if source != PIPE and not Path(source).exists():
        raise InputError(f"cannot read {source}: no such file or folder")
    return source != PIPE and Path(source).is_dir()
