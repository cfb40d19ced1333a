"""How a file comes to its picture: what each band, or iteration, adds, in pictures and numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from foveal.codecs.base import Codec
from foveal.errors import InputError, SettingsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.output import write_whole
from foveal.metrics.psnr import psnr_rgb_db
from foveal.metrics.rate import bpp
from foveal.picture import Picture

_GRAY = 128


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

    Raises:
        SettingsError: the codec has no bands. InputError: the folder cannot be written. Else as ``codec.decode``.
    """
    check_explained(codec)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stages = list(_stages(codec, picture, data, folder, limits))
        text = json.dumps([asdict(stage) for stage in stages], indent=2) + "\n"
        write_whole(folder / "stages.json", text.encode())
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


def _stages(codec: Codec, picture: Picture, data: bytes, folder: Path, limits: Limits) -> Iterator[Stage]:
    from foveal.media.image_io import write_picture

    bands = codec.describe(data, limits).bands
    before = len(data) - sum(band.bytes for band in bands)
    sizes = before + np.cumsum([band.bytes for band in bands])
    for number, reconstruction in enumerate(codec.decode_bands(data, limits), 1):
        names = f"reconstruction-{number:02}.png", f"residual-{number:02}.png"
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
