"""Times frequency and CompressAI's mbt2018-mean on one picture, by turns in one process.

Usage: python examples/time_against_compressai.py PICTURE [--runs 7]
CompressAI (`pip install --no-deps compressai einops tqdm pandas` and `pip install requests`) is not needed for anything else. It asks for torchvision, which an
empty stand-in replaces here. Its network has random weights: its work and its coder's are the same, its files are not.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import types
from pathlib import Path

import torch

import foveal
from foveal.codecs.base import EncodeSettings
from foveal.media.padding import pad_to_multiple


class _StandIn(types.ModuleType):
    """A module that has every name."""

    __path__ = ()

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        # Good as a base class, and as a decorator with arguments.
        return type(name, (), {"__new__": lambda cls, *_, **__: lambda thing: thing})


def compressai_model() -> torch.nn.Module:
    """mbt2018-mean at quality 4 (N = 128, M = 192), ready to code."""
    for name in (
        "torchvision",
        "torchvision.transforms",
        "torchvision.transforms.functional",
        "torch_geometric",
        "torch_geometric.data",
        "torch_geometric.data.datapipes",
        "torch_geometric.transforms",
    ):
        sys.modules[name] = _StandIn(name)
    from compressai.zoo import mbt2018_mean  # type: ignore[import-not-found]

    model = mbt2018_mean(quality=4, pretrained=False).eval()
    model.update()
    return model


def main() -> None:
    """Prints the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    picture = foveal.read_picture(options.picture)
    ours, settings = foveal.codec_by_name("frequency"), EncodeSettings(40)
    theirs = compressai_model()
    x = torch.from_numpy(pad_to_multiple(picture.rgb(), 64)).permute(2, 0, 1)[None].float() / 255
    seconds: dict[str, list[float]] = {name: [] for name in ("our encode", "our decode", "their encode", "their decode")}
    for run in range(options.runs + 1):
        marks = [time.perf_counter()]
        data = ours.encode(picture, settings)
        marks.append(time.perf_counter())
        ours.decode(data)
        marks.append(time.perf_counter())
        with torch.inference_mode():
            coded = theirs.compress(x)  # type: ignore[operator]
            marks.append(time.perf_counter())
            theirs.decompress(coded["strings"], coded["shape"])  # type: ignore[operator]
        marks.append(time.perf_counter())
        if run:  # the first warms up
            for name, start, end in zip(seconds, marks, marks[1:], strict=False):
                seconds[name].append(end - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"{name}: {median:.3f} s")
    ratio = (medians["their encode"] + medians["their decode"]) / (medians["our encode"] + medians["our decode"])
    print(
        f"{picture.width}x{picture.height}, {torch.get_num_threads()} threads, medians of {options.runs}: {ratio:.1f} times faster"
    )


if __name__ == "__main__":
    main()
