"""The pictures of a bench: which files of a folder, and what a row calls them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from foveal.errors import InputError

SUFFIXES: Final = frozenset({".png", ".ppm", ".pgm", ".pnm", ".bmp", ".tif", ".tiff", ".webp", ".jpg", ".jpeg", ".avif"})


def find_pictures(folder: Path) -> tuple[Path, ...]:
    """The picture files of a folder and the folders in it, sorted by path; hidden ones are left out. A file stands for itself.

    Raises:
        InputError: no such folder, or no picture in it.
    """
    if folder.is_file():
        return (folder,)
    if not folder.is_dir():
        raise InputError(f"no folder {folder}")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    shown = tuple(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    if not shown:
        raise InputError(f"no picture in {folder}; files ending in {' '.join(sorted(SUFFIXES))} are looked for")
    return shown


def picture_names(pictures: Sequence[Path]) -> tuple[str, ...]:
    """What rows call the pictures: their paths below the folder that holds them all, with forward slashes."""
    if not pictures:
        return ()
    parents = [str(path.absolute().parent) for path in pictures]
    root = Path(os.path.commonpath(parents))
    return tuple(path.absolute().relative_to(root).as_posix() for path in pictures)
