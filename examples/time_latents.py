"""Times what is found in a frequency file from its latents, of each number of bands, beside decoding it and reading the picture.

Warm, in one process, the ways by turns; with --cold, whole commands with their peak memory; with --together, all heads of one set of
weights on one trunk beside each head with a trunk of its own (FOLDER holds the networks that heads feed; those that it lacks are left out).

Usage: python examples/time_latents.py PICTURE [--quality 17] [--task segment] [--network onnx:FILE] [--threads 2] [--cold]
       python examples/time_latents.py PICTURE --together FOLDER
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import foveal
from foveal.codecs.base import EncodeSettings
from foveal.tasks.choice import Asked, FileAnalyst, Source
from foveal.tasks.latent import Latents, LatentTask, open_head, read_latents
from foveal.tasks.latent.feature_task import LatentFeatureTask
from foveal.tasks.latent.running import HEADS
from foveal.tasks.latent.weights import latent_cards

_BANDS = (3, 2, 1)


def warm(data: bytes, network: str | None, task: str | None, threads: int, runs: int = 25) -> None:
    """Prints the median milliseconds of each way, and how much less time than from the picture each takes."""
    ways: list[tuple[str, Source, int | None]] = [("picture", "pixels", None)]
    ways += [(f"latents of {bands} band{'s' * (bands > 1)}", "latent", bands) for bands in _BANDS]
    readers = [FileAnalyst(Asked(network, task, source=source, bands=bands, threads=threads)) for _, source, bands in ways]
    spent: list[list[tuple[float, float]]] = [[] for _ in ways]
    sizes = [reader.answer(data).bytes_read for reader in readers]  # opens the networks
    for _ in range(runs):
        for times, reader in zip(spent, readers, strict=True):
            answer = reader.answer(data)
            times.append((answer.read_s, answer.analyze_s))
    whole = [statistics.median(read + found for read, found in times) for times in spent]
    for (name, _, _), times, total, size in zip(ways, spent, whole, sizes, strict=True):
        read, found = (1000 * statistics.median(part) for part in zip(*times, strict=True))
        print(
            f"{name}: {1000 * total:.1f} ms ({read:.1f} to read, {found:.1f} to analyse), {whole[0] / total:.2f} times as fast, {size} bytes"
        )


def together(data: bytes, folder: Path, threads: int, runs: int = 25) -> None:
    """Prints the median milliseconds of each head alone, of their sum, and of all on one trunk."""
    latents = read_latents(data, threads=threads)
    card = max((card for card in latent_cards() if card.reads == latents.weights), key=lambda card: card.heads.count(","))
    names = [name for name in card.heads.split(",") if name in HEADS or (folder / f"{name}.onnx").is_file()]
    tasks = [open_head(card, name, None if name in HEADS else folder / f"{name}.onnx", threads) for name in names]
    alone: list[list[float]] = [[] for _ in tasks]
    shared = list[float]()
    for _ in range(runs):
        for task, times in zip(tasks, alone, strict=True):
            times.append(_seconds([task], replace(latents)))
        shared.append(_seconds(tasks, replace(latents)))
    each = [1000 * statistics.median(times) for times in alone]
    for name, found in zip(names, each, strict=True):
        print(f"{name}: {found:.1f} ms")
    print(f"all alone: {sum(each):.1f} ms; on one trunk: {1000 * statistics.median(shared):.1f} ms")


def _seconds(tasks: Sequence[LatentTask | LatentFeatureTask], latents: Latents) -> float:
    start = time.perf_counter()
    for task in tasks:
        task.analyze(latents)
    return time.perf_counter() - start


def cold(file: Path, network: str | None, task: str | None, threads: int, runs: int = 5) -> None:
    """Prints the median wall seconds and the peak memory of whole commands."""
    asked = [*(["--network", network] if network else []), *(["--task", task] if task else []), "--threads", str(threads)]
    for words in (["--from", "pixels"], *(["--from", "latent", "--bands", str(bands)] for bands in _BANDS)):
        seconds, peak = list[float](), 0
        for _ in range(runs):
            start = time.perf_counter()
            command = [sys.executable, "-m", "foveal", "analyze", str(file), *asked, *words]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
            seconds.append(time.perf_counter() - start)
            peak = max(peak, usage.ru_maxrss // 1024)
        print(f"foveal analyze {file.name} {' '.join(words)}: {statistics.median(seconds):.2f} s, {peak} MiB")


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--quality", type=float, default=17)
    parser.add_argument("--task")
    parser.add_argument("--network")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--together", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    task = options.task or (None if options.network else "segment")
    picture = foveal.read_picture(options.picture)
    data = foveal.codec_by_name("frequency").encode(picture, EncodeSettings(options.quality))
    print(f"{options.picture.name}, {picture.width}x{picture.height}, quality {options.quality:g}: {len(data)} bytes")
    if options.together:
        together(data, options.together, options.threads)
    elif options.cold:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "x.fvl")
            file.write_bytes(data)
            cold(file, options.network, task, options.threads)
    else:
        warm(data, options.network, task, options.threads)


if __name__ == "__main__":
    main()
