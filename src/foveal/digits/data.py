"""Handwritten digits on disk: an .npz as MNIST comes in, checked before anything learns from it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from foveal.errors import InputError

SIDE: Final = 28
"""Pixels a side of a digit."""
CLASSES: Final = 10
_PARTS: Final = ("train", "test")

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class Digits:
    """images uint8 ``(n, 28, 28)``, 0 paper to 255 ink; labels ``(n,)`` in 0..9. What is called test is measured on and nothing else."""

    train_images: Pixels
    train_labels: Labels
    test_images: Pixels
    test_labels: Labels

    @property
    def digest(self) -> str:
        """A name for these digits: the beginning of a SHA-256 over all of them."""
        found = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            found.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return found.hexdigest()[:16]


def read_digits(path: Path) -> Digits:
    """Reads ``train_images, train_labels, test_images, test_labels`` of an .npz file.

    Raises:
        InputError: the file is missing or is no .npz, lacks an array, or holds one of another type, shape or range.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the digits {path}: {error.strerror}; an .npz as MNIST comes in is needed") from error
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise InputError(f"{path} is no .npz of digits: it is no zip archive, or is cut off")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as held:
            arrays: dict[str, Any] = {name: held[name] for name in held.files}
    except Exception as error:  # zip, zlib and numpy have errors of many kinds
        raise InputError(f"{path} is no .npz of digits: {error}") from error
    wanted = [f"{part}_{what}" for part in _PARTS for what in ("images", "labels")]
    if missing := [name for name in wanted if name not in arrays]:
        raise InputError(f"{path} lacks the array {missing[0]}; {', '.join(wanted)} are needed")
    for part in _PARTS:
        _check(path, part, arrays[f"{part}_images"], arrays[f"{part}_labels"])
    return Digits(
        *(np.ascontiguousarray(arrays[name], np.uint8 if name.endswith("images") else np.int64) for name in wanted)  # pyright: ignore[reportArgumentType]
    )


def _check(path: Path, part: str, images: Any, labels: Any) -> None:
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or not len(images):
        raise InputError(f"{path}: {part}_images is {images.dtype} {images.shape}; uint8 (n, {SIDE}, {SIDE}) is needed")
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise InputError(f"{path}: {part}_labels is {labels.dtype} {labels.shape}; whole numbers, one a picture, are needed")
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise InputError(f"{path}: {part}_labels hold {labels.min()} to {labels.max()}; 0 to {CLASSES - 1} is allowed")
