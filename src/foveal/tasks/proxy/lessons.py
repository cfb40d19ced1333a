"""Lessons on disk: squares and what the teachers say of them, one array a file, made once and learned from many times.

``python -m foveal.tasks.proxy.lessons --photos DIR --scenes CAMVID --networks DIR --out LESSONS``
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from foveal.errors import FovealError, RecipeError
from foveal.tasks.proxy.crops import PART_SIDE, SIDE, Source, draw, sources
from foveal.tasks.proxy.teachers import FACE_GRID, Lesson, Teachers

_HELD_OUT_EVERY = 40
_SPREAD = "spread.json"
_SHAPES: Final[Mapping[str, tuple[tuple[int, ...], str]]] = {
    "squares": ((SIDE, SIDE, 3), "u1"),
    "parts": ((PART_SIDE, PART_SIDE), "u1"),
    "features8": ((64, 52, 52), "f2"),
    "features16": ((64, 26, 26), "f2"),
    "features32": ((64, 13, 13), "f2"),
    "objects8": ((85, 52, 52), "f2"),
    "objects16": ((85, 26, 26), "f2"),
    "objects32": ((85, 13, 13), "f2"),
    "scene16": ((96, 14, 14), "f2"),
    "scene32": ((320, 7, 7), "f2"),
    "classes": ((1001,), "f2"),
    "faces": ((FACE_GRID, FACE_GRID), "f2"),
}
SPREAD_OF: Final = ("features8", "features16", "features32", "scene16", "scene32")
"""The arrays whose channels are brought to mean 0 and spread 1 before they are compared."""


@final
@dataclass(frozen=True, eq=False)
class Lessons:
    """All arrays by name, mapped; rows 2i and 2i + 1 are a square and the same after a codec. held_out: pairs at the end, of pictures
    that no other pair is cut from.

    spread: mean and standard deviation ``(2, channels)`` of each of ``SPREAD_OF``.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    spread: Mapping[str, npt.NDArray[np.float32]]

    @property
    def pairs(self) -> int:
        """How many pairs there are to learn from."""
        return self._all - self.held_out

    @property
    def held_out(self) -> int:
        """How many pairs, the last ones, are kept for measuring."""
        return _held_out(self._all)

    @property
    def _all(self) -> int:
        return len(self.arrays["squares"]) // 2

    @staticmethod
    def read(folder: Path) -> Lessons:
        """Raises RecipeError: the folder holds no lessons, or their making was cut off."""
        try:
            spread = {name: np.array(v, np.float32) for name, v in json.loads((folder / _SPREAD).read_text()).items()}
            arrays = {name: open_memmap(folder / f"{name}.npy", mode="r") for name in _SHAPES}
        except (OSError, ValueError, AttributeError) as error:
            raise RecipeError(
                f"{folder} holds no lessons of the proxy: {error}; `python -m foveal.tasks.proxy.lessons` makes them"
            ) from error
        return Lessons(arrays, spread)


def make_lessons(photos: list[Path], scenes: Path | None, networks: Path, out: Path, pairs: int, seed: int = 1) -> Lessons:
    """Draws that many pairs and asks the teachers; about 0.3 s a pair on one core, and 3.3 MB.

    Raises:
        RecipeError: fewer than two pairs, a folder without pictures, or one that cannot be read.
        NetworkError, MissingDependencyError: as ``Teachers``.
    """
    own, roads = sources(photos, scenes)
    if pairs < 2 or len(own) < 2:
        raise RecipeError(f"{pairs} pairs from {len(own)} photographs; two of each are needed, for some are held out")
    teachers, kept = Teachers(networks), _held_out(pairs)
    out.mkdir(parents=True, exist_ok=True)
    (out / _SPREAD).unlink(missing_ok=True)  # written last, it says that the lessons are whole
    arrays = {
        name: open_memmap(out / f"{name}.npy", "w+", dtype, (2 * pairs, *shape)) for name, (shape, dtype) in _SHAPES.items()
    }
    for i in range(pairs):
        keep = i >= pairs - kept
        pair = draw(_split(own, keep), _split(roads, keep), np.random.default_rng((seed, i)))
        for row, square in ((2 * i, pair.clean), (2 * i + 1, pair.coded)):
            arrays["squares"][row], arrays["parts"][row] = square, pair.parts
            for name, values in _named(teachers.teach(square)).items():
                arrays[name][row] = values
        if i % 100 == 99:
            print(f"{i + 1} of {pairs} pairs", file=sys.stderr, flush=True)
    spread = {name: _spread(arrays[name]) for name in SPREAD_OF}
    (out / _SPREAD).write_text(json.dumps({name: values.tolist() for name, values in spread.items()}))
    return Lessons(arrays, spread)


def _held_out(pairs: int) -> int:
    return max(1, pairs // _HELD_OUT_EVERY)


def _split(found: list[Source], keep: bool) -> list[Source]:
    """Every 40th picture is kept for measuring; the others are learned from."""
    return [source for i, source in enumerate(found) if (i % _HELD_OUT_EVERY == 0) == keep]


def _named(lesson: Lesson) -> dict[str, npt.NDArray[np.float32]]:
    f8, f16, f32 = lesson.features
    o8, o16, o32 = lesson.objects
    return {
        "features8": f8, "features16": f16, "features32": f32, "objects8": o8, "objects16": o16, "objects32": o32,
        "scene16": lesson.scene[0], "scene32": lesson.scene[1], "classes": lesson.classes, "faces": lesson.faces,
    }  # fmt: skip


def _spread(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    some = np.asarray(array[:: max(1, len(array) // 256)], np.float32)
    return np.stack([some.mean((0, 2, 3)), some.std((0, 2, 3)) + 1e-3])


def main() -> int:
    """Makes lessons and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=Path, action="append", required=True, help="a folder of photographs; may be repeated")
    parser.add_argument("--scenes", type=Path, help="CamVid: its train and train_labels")
    parser.add_argument("--networks", type=Path, required=True, help="the folder of the teachers' ONNX files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=2500, help="how many; each takes 3.3 MB")
    options = parser.parse_args()
    try:
        make_lessons(options.photos, options.scenes, options.networks, options.out, options.pairs)
    except FovealError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
