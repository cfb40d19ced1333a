"""How a file comes to its picture: what each band, or iteration, adds, in pictures and numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foveal.codecs.base import Codec
from foveal.errors import InputError, SettingsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.output import write_whole
from foveal.metrics.psnr import psnr_rgb_db
from foveal.metrics.rate import bpp
from foveal.picture import Picture

_GRAY = 128
_NUMBERS = "stages.json"


@dataclass(frozen=True)
class Stage:
    """The picture after one band. number: from 1. bytes, bpp: of the file up to here, what stands before the bands included.

    residual: the mean absolute difference to the original, in samples of 0..255. reconstruction, shown: files of the folder, the second
    the residual as a picture: gray where there is none, original minus reconstruction around it.
    """

    number: int
    bytes: int
    bpp: float
    psnr_db: float
    residual: float
    reconstruction: str
    shown: str


def explain(codec: Codec, picture: Picture, data: bytes, folder: Path, limits: Limits = DEFAULT_LIMITS) -> list[Stage]:
    """Writes reconstruction and residual of each band of a file into ``folder``, and ``stages.json`` of the numbers.

    What an earlier call wrote there is taken away first.

    Raises:
        SettingsError: the codec has no bands. InputError: the folder cannot be written, or holds files of these names that no earlier
        call wrote. Else as ``codec.decode``.
    """
    check_explained(codec)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder, len(codec.describe(data, limits).bands))
        stages = list(_stages(codec, picture, data, folder, limits))
        text = json.dumps([asdict(stage) for stage in stages], indent=2) + "\n"
        write_whole(folder / _NUMBERS, text.encode())
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}") from error
    return stages


def check_explained(codec: Codec) -> None:
    """Raises SettingsError if a codec has nothing to explain."""
    if codec.info.bands == 1:
        raise SettingsError(
            f"{codec.info.name} codes a picture in one piece; --explain is for codecs of several bands or iterations, "
            "such as rnn-2015, rnn-2017 and frequency"
        )


def _names(number: int) -> tuple[str, str]:
    return f"reconstruction-{number:02}.png", f"residual-{number:02}.png"


def _clear(folder: Path, stages: int) -> None:
    """Removes what the ``stages.json`` there names, and refuses to write over anything else."""
    ours = _listed(folder / _NUMBERS)
    for number in range(1, stages + 1):
        for name in _names(number):
            if name not in ours and (folder / name).exists():
                raise InputError(f"{folder / name} exists and no earlier --explain wrote it; remove it or name another folder")
    for name in ours:
        (folder / name).unlink(missing_ok=True)


def _listed(path: Path) -> set[str]:
    """The pictures that an earlier call wrote; none if there is no list, or it is another's."""
    try:
        stages: Any = json.loads(path.read_text())
        return {stage[key] for stage in stages for key in ("reconstruction", "shown")} & {
            name for stage in stages for name in _names(stage["number"])
        }
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} exists and no earlier --explain wrote it; remove it or name another folder") from error


def _stages(codec: Codec, picture: Picture, data: bytes, folder: Path, limits: Limits) -> Iterator[Stage]:
    from foveal.media.image_io import write_picture

    bands = codec.describe(data, limits).bands
    before = len(data) - sum(band.bytes for band in bands)
    sizes = before + np.cumsum([band.bytes for band in bands])
    for number, reconstruction in enumerate(codec.decode_bands(data, limits), 1):
        names = _names(number)
        difference = picture.samples.astype(np.int16) - reconstruction.samples
        residual = Picture(np.clip(difference + _GRAY, 0, 255).astype(np.uint8))
        write_picture(Picture(reconstruction.samples, reconstruction.alpha), folder / names[0])
        write_picture(residual, folder / names[1])
        size = int(sizes[number - 1])
        yield Stage(
            number,
            size,
            bpp(size, picture.width, picture.height),
            psnr_rgb_db(picture, reconstruction),
            float(np.abs(difference).mean()),
            *names,
        )
