"""Lessons of harm on disk: squares as the proxy reads them, and how much a codec's error in each block harms the teachers.

``python -m foveal.tasks.proxy.harm_lessons --photos DIR --scenes CAMVID --networks DIR --out LESSONS``
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap
from PIL import Image

from foveal.codecs.base import EncodeSettings
from foveal.codecs.registry import codec_by_name
from foveal.errors import FovealError, RecipeError
from foveal.picture import Picture
from foveal.tasks.proxy import TASKS
from foveal.tasks.proxy.crops import Pixels, Source, sources
from foveal.tasks.proxy.harm import GRID, HarmTeachers

SIDE: Final = 8 * GRID
"""Pixels a side of a square as the proxy reads it."""
_READING_SIDE: Final = 320  # of the longer side of a whole picture
_ROADS: Final = 0.3
_SMALL: Final = 0.35  # of pictures that are made small first, as those that other programs have cut out
_SMALL_SIDES: Final = (192, 320)
_QUALITIES: Final = ((14.0, 26.0), (26.0, 44.0))  # of x265: one coarse, one fine
_HELD_OUT_EVERY: Final = 40
_WHOLE = "whole"


@final
@dataclass(frozen=True, eq=False)
class HarmLessons:
    """squares ``(n, 256, 256, 3)`` in 0..255; harm ``(n, 4, 32, 32)``, of mean 1 or all -1 where nothing is told; the last
    ``held_out`` are of pictures that no other is cut from.
    """

    squares: npt.NDArray[np.uint8]
    harm: npt.NDArray[np.float16]

    @property
    def held_out(self) -> int:
        """How many are kept for measuring."""
        return _held_out(len(self.squares))

    @staticmethod
    def read(folders: Iterable[Path]) -> list[HarmLessons]:
        """Of each folder. Raises RecipeError: one holds no lessons, or their making was cut off."""
        return [_read(folder) for folder in folders]


def _read(folder: Path) -> HarmLessons:
    try:
        (folder / _WHOLE).stat()
        return HarmLessons(open_memmap(folder / "squares.npy", mode="r"), open_memmap(folder / "harm.npy", mode="r"))
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"{folder} holds no lessons of harm: {error}; `python -m foveal.tasks.proxy.harm_lessons` makes them"
        ) from error


def make_harm_lessons(
    photos: Sequence[Path],
    scenes: Path | None,
    networks: Path,
    out: Path,
    squares: int,
    *,
    seed: int = 1,
    but: Sequence[str] = (),
) -> None:
    """Draws that many squares, codes each twice, and asks the teachers; about 1 s each on one core.

    but: names of pictures that are left alone, such as those that choices are made on.

    Raises:
        RecipeError: fewer than two squares, a folder without pictures, one that cannot be read, or an ``out`` that holds lessons
            already or cannot be made.
        NetworkError, MissingDependencyError: as ``HarmTeachers``.
    """
    own, roads = ([s for s in found if s.picture.stem not in but] for found in sources(photos, scenes))
    if squares < 2 or len(own) < 2:
        raise RecipeError(f"{squares} squares from {len(own)} photographs; two of each are needed, for some are held out")
    if (out / _WHOLE).exists():
        raise RecipeError(f"{out} holds lessons of harm already; name another folder, or remove it")
    teachers, kept = HarmTeachers(networks), _held_out(squares)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(f"cannot make the folder {out}: {error.strerror}") from error
    shown = open_memmap(out / "squares.npy", "w+", np.uint8, (squares, SIDE, SIDE, 3))
    told = open_memmap(out / "harm.npy", "w+", np.float16, (squares, len(TASKS), GRID, GRID))
    for i in range(squares):
        chance = np.random.default_rng((seed, i))
        keep = i >= squares - kept
        road = len(roads) > 1 and chance.random() < _ROADS
        found = [s for j, s in enumerate(roads if road else own) if (j % _HELD_OUT_EVERY == 0) == keep]
        square = _cut(found[int(chance.integers(len(found)))], chance)
        coded = [_coded(square, float(chance.uniform(*range_))) for range_ in _QUALITIES]
        shown[i] = np.asarray(Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BOX))
        told[i] = np.minimum(teachers.harm(square, coded, road=road, seed=i), np.finfo(np.float16).max)
        if i % 100 == 99 or i == squares - 1:
            print(f"{i + 1} of {squares} squares", file=sys.stderr, flush=True)
    (out / _WHOLE).touch()


def _cut(source: Source, chance: np.random.Generator) -> Pixels:
    """A square of the picture's own pixels, so large that the proxy would read it, of the whole picture, at about 256 a side."""
    try:
        with Image.open(source.picture) as file:
            image = file.convert("RGB")
    except (OSError, ValueError) as error:
        raise RecipeError(f"cannot read {source.picture}: {error}; take it out of what the proxy learns from") from error
    if chance.random() < _SMALL:
        factor = min(1.0, chance.uniform(*_SMALL_SIDES) / min(image.size))
        image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BOX)
    read = min(1.0, _READING_SIDE / max(image.size)) * math.exp(chance.uniform(-0.25, 0.35))
    side = max(64, min(min(image.size), round(SIDE / read)))
    left, top = (int(chance.integers(max(1, n - side + 1))) for n in image.size)
    square = np.asarray(image.crop((left, top, left + side, top + side)))
    return np.ascontiguousarray(square[:, ::-1] if chance.random() < 0.5 else square)


def _coded(square: Pixels, quality: float) -> Pixels:
    codec = codec_by_name("hevc")
    data = codec.encode(Picture(square), EncodeSettings(quality, preset="medium", threads=1))
    return codec.decode(data).samples


def _names(of: Path | None) -> list[str]:
    """The words of a list. Raises RecipeError: it cannot be read."""
    try:
        return of.read_text().split() if of else []
    except (OSError, ValueError) as error:
        raise RecipeError(f"cannot read {of}, the list of pictures to leave alone: {error}") from error


def _held_out(squares: int) -> int:
    return max(1, squares // _HELD_OUT_EVERY)


def main() -> int:
    """Makes lessons and returns the exit status."""
    parser: Any = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=Path, action="append", required=True, help="a folder of photographs; may be repeated")
    parser.add_argument("--scenes", type=Path, help="CamVid: its train and train_labels")
    parser.add_argument("--networks", type=Path, required=True, help="the folder of the teachers' ONNX files")
    parser.add_argument("--but", type=Path, help="a list of pictures to leave alone, a name without suffix a line")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--squares", type=int, default=2500, help="how many; each takes 0.2 MB")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        make_harm_lessons(
            options.photos,
            options.scenes,
            options.networks,
            options.out,
            options.squares,
            seed=options.seed,
            but=_names(options.but),
        )
    except FovealError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
