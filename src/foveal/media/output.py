"""Output files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

from foveal.errors import InputError


def write_whole(path: Path, data: bytes) -> None:
    """Writes beside ``path``, then renames, so that no reader ever sees a part.

    A link is followed, a file that stood there gives its permissions, and a device or a pipe is written to as it is.

    Raises:
        InputError: the folder is missing, not writable or full; what stood at ``path`` is then untouched.
    """
    made: Path | None = None
    try:
        path = path.resolve()
        mode = path.stat().st_mode if path.exists() else None
        if mode is not None and not stat.S_ISREG(mode):
            with path.open("wb") as file:
                file.write(data)
            return
        partial = _partial(path)
        with partial.open("xb") as file:
            made = partial
            file.write(data)
        if mode is not None:
            partial.chmod(stat.S_IMODE(mode))
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        if made is not None:
            made.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Whether ``write_whole`` will find a place to write to, asked before work of which nothing else would be left.

    Raises:
        InputError: the folder is missing or not writable, or ``path`` is a folder.
    """
    try:
        path = path.resolve()
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not path.exists() or path.is_file():
            partial = _partial(path)
            partial.open("xb").close()
            partial.unlink()
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.partial")
