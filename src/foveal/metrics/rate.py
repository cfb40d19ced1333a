"""Rate: the size of the file on disk, headers included. No other definition is used anywhere."""

from __future__ import annotations

from pathlib import Path

from foveal.errors import InputError, PictureError


def file_bytes(path: Path) -> int:
    """The size of a file in bytes.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def file_bits(path: Path) -> int:
    """The size of a file in bits. Raises as ``file_bytes``."""
    return 8 * file_bytes(path)


def bpp(data_size_bytes: int, width: int, height: int) -> float:
    """Bits per pixel of a file that holds one picture of ``width`` x ``height`` pixels (before any padding).

    Raises:
        PictureError: a side below 1.
    """
    if width < 1 or height < 1:
        raise PictureError(f"a picture of {width}x{height}; both sides must be 1 or more")
    return 8 * data_size_bytes / (width * height)
