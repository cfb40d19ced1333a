"""Output files appear whole or not at all."""

from __future__ import annotations

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
    partial: Path | None = None
    try:
        path = path.resolve()
        mode = path.stat().st_mode if path.exists() else None
        if mode is not None and not stat.S_ISREG(mode):
            with path.open("wb") as file:
                file.write(data)
            return
        partial = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.partial")
        with partial.open("xb") as file:
            file.write(data)
        if mode is not None:
            partial.chmod(stat.S_IMODE(mode))
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
