"""How well a network that detects tells which things pictures show, from latents and from the decoded picture: mean average precision by labels.

Usage: python examples/rank_things.py ../shared/data/coco onnx:../shared/models/yolox_nano_coco.onnx [--qualities 5,10,17,25,40] [--preset icm]
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from pathlib import Path
from typing import get_args

import numpy as np

import foveal
from foveal.tasks.choice import Asked, FileAnalyst, Source
from foveal.tasks.labels.known_set import known_set
from foveal.tasks.results import ClassScores, TrueBoxes
from foveal.tasks.things import Things, ThingsTally

_BANDS = (3, 2, 1)
_SOURCES = [source for source in get_args(Source) if source != "auto"]


def main() -> None:
    """Parses the command line and prints a line for each number of bands and way to read, a cell of bits a pixel and mAP for each quality."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a data set that foveal knows, with boxes")
    parser.add_argument("network", help="onnx:FILE of one that detects")
    parser.add_argument("--qualities", default="5,10,17,25,40")
    parser.add_argument("--preset", default="mse")
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    found = known_set(given.folder)
    if found is None:
        parser.error(f"{given.folder} is no data set that foveal knows")
    labels, score = found.labels("detect"), Things()
    ways = list(itertools.product(_SOURCES, _BANDS))
    readers = {
        way: FileAnalyst(Asked(given.network, "things", source=way[0], bands=way[1], threads=given.threads)) for way in ways
    }
    qualities = [float(quality) for quality in given.qualities.split(",")]
    tallies: dict[tuple[Source, int, float], list[ThingsTally]] = {(*way, quality): [] for way in ways for quality in qualities}
    bits: dict[tuple[int, float], list[float]] = {key: [] for key in itertools.product(_BANDS, qualities)}
    for path in labels.pictures:
        picture = foveal.Picture(np.ascontiguousarray(foveal.read_picture(path).rgb()))  # without what a camera wrote beside it
        truth = labels.truth(path)
        assert isinstance(truth, TrueBoxes)
        for quality in qualities:
            data = foveal.encode(picture, quality=quality, preset=given.preset, threads=given.threads)
            for (source, bands), reader in readers.items():
                answer = reader.answer(data)
                assert isinstance(answer.result, ClassScores)
                tallies[source, bands, quality].append(score.tally(answer.result, truth))
                if source == "latent":
                    bits[bands, quality].append(8 * answer.bytes_read / (picture.width * picture.height))
    for source, bands in ways:
        cells = (
            f"{statistics.fmean(bits[bands, quality]):.3f}: {score.scores(tallies[source, bands, quality])[0]:.1f}"
            for quality in qualities
        )
        print(f"{source}, {bands} band{'s' * (bands > 1)} | {' | '.join(cells)}")


if __name__ == "__main__":
    main()
