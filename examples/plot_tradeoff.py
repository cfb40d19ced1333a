"""Rate, distortion and the score of road scenes of some codecs in one picture: a plot in three axes, and its three sides.

A series is the folder of a `foveal bench` of one codec, decoded and read from latents, such as `--codecs frequency,frequency:latent`, or
one folder for each of both.

Usage: python examples/plot_tradeoff.py NAME=FOLDER[+FOLDER] [NAME=...] --out tradeoff.png
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from foveal.bench.readings import Reading
from foveal.bench.rows import Row, read_rows
from foveal.tasks.opening import open_task

_LATENT = ":latent"
_AXES = ("rate, bits a pixel", "PSNR, dB", "mIoU, %")


@dataclass(frozen=True)
class Series:
    """points: rate in bits a pixel, PSNR in dB and score, by quality."""

    name: str
    points: list[tuple[float, float, float]]


def read(spelled: str) -> Series:
    """The series of NAME=FOLDER[+FOLDER]."""
    name, _, folders = spelled.partition("=")
    rows, readings = list[Row](), list[Reading]()
    for folder in folders.split("+"):
        found = read_rows(Path(folder, "rows.jsonl"))
        rows += found.rows
        readings += found.readings
    label = next(one.label for one in readings if one.label.endswith(_LATENT))
    psnr_db: defaultdict[float, dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row.label == label.removesuffix(_LATENT) and row.psnr_rgb_db is not None:
            psnr_db[row.quality][row.picture] = row.psnr_rgb_db
    known: defaultdict[float, dict[str, Reading]] = defaultdict(dict)
    for one in readings:
        if one.label == label and one.labelled is not None and one.quality in psnr_db:
            known[one.quality][one.picture] = one
    task = open_task("builtin:camvid-segment")
    points = [
        (
            fmean(one.bpp or 0 for one in own.values()),
            fmean(psnr_db[quality][picture] for picture in own),
            float(task.scoring.scores([task.scoring.load(one.labelled) for one in own.values()])[0]),
        )
        for quality, own in sorted(known.items())
    ]
    return Series(f"{name} ({len(next(iter(known.values())))} pictures)", points)


def draw(series: Sequence[Series]) -> Figure:
    """All in three axes, and from three sides."""
    figure = Figure(figsize=(11, 9), layout="constrained")
    FigureCanvasAgg(figure)
    space = figure.add_subplot(2, 2, 1, projection="3d")
    sides = [(figure.add_subplot(2, 2, place), pair) for place, pair in ((2, (0, 1)), (3, (0, 2)), (4, (1, 2)))]
    for one, marker in zip(series, itertools.cycle("osD^vP"), strict=False):
        columns = list(zip(*one.points, strict=True))
        space.plot(*columns, marker=marker, label=one.name)
        for axes, (across, up) in sides:
            axes.plot(columns[across], columns[up], marker=marker, label=one.name)
    space.set(xlabel=_AXES[0], ylabel=_AXES[1], zlabel=_AXES[2])
    space.legend()
    for axes, (across, up) in sides:
        axes.set(xlabel=_AXES[across], ylabel=_AXES[up])
        axes.grid(visible=True, alpha=0.3)
    return figure


def main() -> None:
    """Prints the points and draws them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", nargs="+", metavar="NAME=FOLDER[+FOLDER]")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    series = [read(spelled) for spelled in args.series]
    for one in series:
        for rate, psnr_db, score in one.points:
            print(f"{one.name}: {rate:.3f} bpp, {psnr_db:.2f} dB, {score:.1f} %")
    draw(series).savefig(args.out, dpi=110)


if __name__ == "__main__":
    main()
