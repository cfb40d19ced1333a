"""A folder of ``.fvl`` files as a dataset of latents, for heads of a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from foveal.codecs.learned.frequency.latents import Latents, read_latents
from foveal.errors import FovealError, InputError, PictureError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.sources import read_source

_SUFFIX = ".fvl"


@final
class LatentFolder(Dataset[Latents]):
    """The latents of the ``.fvl`` files of ``frequency`` in a folder and below, sorted by name; decoded anew each time they are asked for.

    names: of the files, from the folder on, without suffix: what labels are found by. bands: how many are read, all if left out.

    Raises:
        InputError: no folder, or no such file in it. An item raises as ``read_latents``, with the file's name first.
    """

    def __init__(self, folder: str | Path, *, bands: int | None = None, limits: Limits = DEFAULT_LIMITS) -> None:
        root = Path(folder)
        if not root.is_dir():
            raise InputError(f"{root} is not a folder")
        self._paths = sorted(path for path in root.rglob(f"*{_SUFFIX}") if path.is_file())
        if not self._paths:
            raise InputError(f"{root} holds no {_SUFFIX} files; `foveal encode PICTURES {root}` makes them")
        self.names = tuple(path.relative_to(root).with_suffix("").as_posix() for path in self._paths)
        self._bands, self._limits = bands, limits

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Latents:
        path = self._paths[index]
        try:
            return read_latents(read_source(str(path), self._limits), bands=self._bands, threads=1, limits=self._limits)
        except FovealError as error:
            raise type(error)(f"{path}: {error}") from error


def batch_of(latents: Sequence[Latents]) -> tuple[list[Tensor], Tensor]:
    """Bands and qualities of pictures of one size as batches, which is what a trunk reads: a ``collate_fn`` for ``DataLoader``.

    Returns float32 ``(batch, channels, h, w)`` of each band, the coarsest first, and ``(batch, nodes, 1, 1)``, or ``(batch, nodes, h, w)``
    at 1/32 where a picture has a map of qualities.

    Raises:
        PictureError: nothing, or pictures of several sizes or numbers of bands, or of several codec's weights.
    """
    if len(weights := {some.weights for some in latents}) > 1:
        raise PictureError(f"latents of weights {' and '.join(sorted(weights))}; they mean other things, so take those of one")
    forms = {(len(some.bands), *(band.shape for band in some.bands)) for some in latents}
    if len(forms) != 1:
        raise PictureError(
            f"latents of {len(forms)} forms (bands and sizes); a batch takes those of one, so group them or take them one by one"
        )
    bands = [
        torch.from_numpy(np.stack(band)).contiguous(memory_format=torch.channels_last)
        for band in zip(*(some.bands for some in latents), strict=True)
    ]
    return bands, torch.from_numpy(_qualities(latents))


def _qualities(latents: Sequence[Latents]) -> np.ndarray:
    """Of one quality each as they are; else all spread over the cells of 32 pixels."""
    if all(some.quality.shape[1:] == (1, 1) for some in latents):
        return np.stack([some.quality for some in latents])
    rows, columns = (2 * side for side in latents[0].bands[0].shape[1:])
    return np.stack([np.broadcast_to(some.quality, (len(some.quality), rows, columns)) for some in latents])
