"""Importance maps as files: one, or a folder of them that holds the map of a picture under the picture's own name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from foveal.errors import FormatError, InputError, SettingsError, UnsupportedError
from foveal.limits import Limits
from foveal.sources import PICTURE_SUFFIXES, PIPE, read_source

_NUMBERS = ".npy"
MAP_SUFFIXES = (*PICTURE_SUFFIXES, _NUMBERS)


def read_importance(file: str, limits: Limits) -> npt.NDArray[np.float32]:
    """An importance map ``(rows, columns)``: the numbers of a .npy file, or the luma of a picture, 0..1.

    Raises:
        InputError: it cannot be read. LimitError: it is larger than a picture may be. SettingsError: standard input.
    """
    if file == PIPE:
        raise SettingsError("importance -; a map is read from a file: name one")
    if file.lower().endswith(_NUMBERS):
        return _numbers(file, limits)
    from PIL import Image

    from foveal.media.image_io import read_picture

    data = read_source(file, limits)
    try:
        picture = read_picture(data, limits)
    except (FormatError, UnsupportedError, InputError) as error:
        raise InputError(f"cannot read the importance map {file}: {error}") from error
    if picture.alpha is not None and picture.alpha.min() < 255:
        raise InputError(
            f"the importance map {file} is transparent in places; white matters most, black least: save it without alpha"
        )
    luma = picture.samples[:, :, 0] if picture.is_gray else np.asarray(Image.fromarray(picture.samples).convert("L"))
    return luma.astype(np.float32) / np.float32(255)


def _numbers(file: str, limits: Limits) -> npt.NDArray[np.float32]:
    try:
        found: npt.NDArray[Any] = open_memmap(file, mode="r")  # mapped: its header alone allocates nothing
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise InputError(f"cannot read {file}: {error}; numpy.save writes such files") from error
    if found.ndim != 2 or found.dtype.kind not in "fiub":
        raise InputError(f"{file} holds {found.dtype} of shape {found.shape}; an importance map is numbers in (rows, columns)")
    limits.check_size(found.shape[1], found.shape[0])
    return np.array(found, np.float32)


def map_of(source: str, importance: str) -> str:
    """The file of a picture's map: ``importance`` itself, or the file of the picture's stem in that folder.

    Raises:
        InputError: the folder has no such map or several, or holds the picture too. SettingsError: a folder of maps for standard input.
    """
    if importance == PIPE or not Path(importance).is_dir():
        return importance
    if source == PIPE:
        raise SettingsError(f"importance {importance} is a folder, and standard input has no name to find a map by; name a file")
    found = MapFolder(Path(importance), Path(source).parent).find(Path(source).name)
    if found is None:
        raise InputError(
            f"no importance map of {source} in {importance}; {Path(source).stem} is needed there, with one of {' '.join(MAP_SUFFIXES)}"
        )
    return str(found)


@final
class MapFolder:
    """A folder of importance maps, each at the place and with the stem of its picture below ``pictures``.

    Raises:
        InputError: it is the folder of the pictures too, where a picture would be the map of another.
    """

    def __init__(self, folder: Path, pictures: Path) -> None:
        if folder.resolve() == pictures.resolve():
            raise InputError(f"{folder} holds the pictures too; put their importance maps into a folder of their own")
        self._folder = folder
        self._stems: dict[Path, dict[str, list[Path]]] = {}

    def find(self, name: str) -> Path | None:
        """The map of a picture, by its name relative to the folder of pictures; None if there is none.

        Raises:
            InputError: there are several, or a folder cannot be read.
        """
        place = self._folder / name
        if place.parent not in self._stems:
            self._stems[place.parent] = _maps_in(place.parent)
        found = self._stems[place.parent].get(place.stem, [])
        if len(found) > 1:
            raise InputError(f"{name} has several importance maps: {', '.join(map(str, found))}; keep one of them")
        return found[0] if found else None

    def is_empty(self) -> bool:
        """Whether nothing in the folder or below could be a map."""
        return not any(path.suffix.lower() in MAP_SUFFIXES for path in self._folder.rglob("*"))


def _maps_in(folder: Path) -> dict[str, list[Path]]:
    maps: dict[str, list[Path]] = {}
    try:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix.lower() in MAP_SUFFIXES:
                maps.setdefault(path.stem, []).append(path)
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror}") from error
    return maps
