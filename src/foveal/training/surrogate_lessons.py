"""Lessons for surrogates on disk: crops, and what a standard codec makes of them at several qualities.

``python -m foveal.training.surrogate_lessons --host hevc --photos PHOTOS --out LESSONS --crops 510``
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap
from PIL import Image, ImageFilter

from foveal.errors import FovealError, RecipeError
from foveal.media.output import write_whole
from foveal.training.config import DataConfig
from foveal.training.data import Pixels, RandomCrops, load_photos
from foveal.training.host import Host

KIN: Final = 3
"""Crops in a row that belong together: one, another, and the other altered as networks before a codec would, at the same qualities."""
_HELD_OUT_EVERY: Final = 16  # of the threes; of the photographs it is every 40th
_WHOLE: Final = "lessons.json"
_ARRAYS: Final = {"crops": "uint8", "qualities": "float32", "decoded": "uint8", "bits": "int64"}


@final
@dataclass(frozen=True, eq=False)
class SurrogateLessons:
    """crops ``(n, side, side, 3)``; qualities ``(n, k)``; decoded ``(n, k, side, side, 3)``; bits ``(n, k)``, as ``Host`` has them.

    The last ``held_out`` crops are of photographs that no other is cut from. n and ``held_out`` are multiples of ``KIN``.
    """

    host: str
    held_out: int
    crops: Pixels
    qualities: npt.NDArray[np.float32]
    decoded: Pixels
    bits: npt.NDArray[np.int64]

    @staticmethod
    def read(folder: Path, host: str) -> SurrogateLessons:
        """Raises RecipeError: it holds no lessons, or those of another host, or their making was cut off."""
        try:
            told = json.loads((folder / _WHOLE).read_text())
            arrays: dict[str, Any] = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
            found = SurrogateLessons(told["host"], told["held_out"], **arrays)
        except (OSError, ValueError, KeyError) as error:
            raise RecipeError(
                f"{folder} holds no lessons for surrogates: {error}; `python -m foveal.training.surrogate_lessons` makes them"
            ) from error
        if found.host != host:
            raise RecipeError(f"{folder} holds lessons of {found.host}, and the recipe's host is {host}; name its own lessons")
        return found


def make_surrogate_lessons(
    host: str, photos: Path, out: Path, crops: int, *, side: int = 256, qualities: int = 3, seed: int = 1
) -> None:
    """Cuts crops and codes each at ``qualities`` qualities, one from each part of the range.

    Raises:
        RecipeError: crops that are no multiple of ``KIN`` or fewer than two of those, a side that is no multiple of 64, no quality,
            no such host, too few photographs, or an ``out`` that holds lessons already or cannot be made.
    """
    if crops % KIN or crops < 2 * KIN or side % 64 or side < 64 or qualities < 1:
        raise RecipeError(
            f"{crops} crops of {side} pixels at {qualities} qualities; a multiple of {KIN} from {2 * KIN} on, "
            "a multiple of 64, and one quality or more are needed"
        )
    if (out / _WHOLE).exists():
        raise RecipeError(f"{out} holds lessons already; name another folder, or remove it")
    codec = Host(host)
    shapes = {"crops": (side, side, 3), "qualities": (qualities,), "decoded": (qualities, side, side, 3), "bits": (qualities,)}
    learning, kept = load_photos(photos, DataConfig(), least_side=side)
    try:
        out.mkdir(parents=True, exist_ok=True)
        arrays = {name: open_memmap(out / f"{name}.npy", "w+", kind, (crops, *shapes[name])) for name, kind in _ARRAYS.items()}
    except OSError as error:
        raise RecipeError(f"cannot make lessons in {out}: {error.strerror}") from error
    held_out = KIN * max(1, crops // KIN // _HELD_OUT_EVERY)
    cutters = [RandomCrops(some, batch=KIN - 1, crop=side, seed=seed) for some in (learning, kept)]
    for start in range(0, crops, KIN):
        chance = np.random.default_rng((seed, start, 1))
        one, other = cutters[start >= crops - held_out].at(start)
        levels = [_drawn(codec, qualities, chance) for _ in range(2)]
        three = ((one, levels[0]), (other, levels[1]), (altered(other, chance), levels[1]))
        for row, (crop, chosen) in enumerate(three, start):
            arrays["crops"][row], arrays["qualities"][row] = crop, chosen
            for i, quality in enumerate(chosen):
                coded = codec.code(np.ascontiguousarray(crop), quality)
                arrays["decoded"][row, i], arrays["bits"][row, i] = coded.decoded, coded.bits
        if start % 60 == 0 or start + KIN == crops:
            print(f"{start + KIN} of {crops} crops", file=sys.stderr, flush=True)
    for array in arrays.values():
        array.flush()
    write_whole(out / _WHOLE, json.dumps({"host": host, "held_out": held_out, "photos": len(learning)}).encode())


def altered(crop: Pixels, chance: np.random.Generator) -> Pixels:
    """As a network before a codec would: blurred, or with its fine detail made weaker or stronger; half of the time not everywhere."""
    sigma = chance.uniform(0.3, 1.5)
    blurred = np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(sigma)), np.float32)
    detail = crop - blurred
    change = -detail if chance.random() < 0.5 else chance.uniform(-0.9, 0.9) * detail
    if chance.random() < 0.5:
        height, width = crop.shape[:2]
        drawn = Image.fromarray(chance.uniform(-0.5, 1.5, (6, 6)).astype(np.float32))
        change = change * np.clip(np.asarray(drawn.resize((width, height), Image.Resampling.BICUBIC)), 0, 1)[:, :, None]
    return np.clip(np.rint(crop + change), 0, 255).astype(np.uint8)


def _drawn(codec: Host, count: int, chance: np.random.Generator) -> Sequence[float]:
    return [codec.nearest(float(quality)) for quality in 1 + 99 * (np.arange(count) + chance.random(count)) / count]


def main() -> int:
    """Makes lessons and returns the exit status."""
    parser: Any = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--host", required=True, help="the codec: jpeg, hevc or vvc")
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--crops", type=int, default=510, help="how many; each takes 0.8 MB")
    parser.add_argument("--side", type=int, default=256, help="pixels a side of a crop")
    parser.add_argument("--qualities", type=int, default=3, help="at how many each crop is coded")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        make_surrogate_lessons(
            options.host,
            options.photos,
            options.out,
            options.crops,
            side=options.side,
            qualities=options.qualities,
            seed=options.seed,
        )
    except FovealError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
