"""Output files appear whole or not at all."""

from __future__ import annotations

import secrets
from pathlib import Path

from foveal.errors import InputError


def write_whole(path: Path, data: bytes) -> None:
    """Writes beside ``path``, then renames, so that no reader ever sees a part.

    Raises:
        InputError: the folder is missing, not writable or full; what stood at ``path`` is then untouched.
    """
    partial = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("xb") as file:
            file.write(data)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
