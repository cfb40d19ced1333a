"""Times gdn on one picture: warm, in one process; with --cold, whole commands with their peak memory.

Usage: python examples/time_gdn.py PICTURE [--cold]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import foveal
from foveal.codecs.base import EncodeSettings


def warm(picture: foveal.Picture, runs: int = 15) -> None:
    """Prints the median seconds of one encode and one decode, weights loaded."""
    codec, settings = foveal.codec_by_name("gdn"), EncodeSettings(40)
    data = codec.encode(picture, settings)
    codec.decode(data)
    encode_s, decode_s = list[float](), list[float]()
    for _ in range(runs):
        start = time.perf_counter()
        codec.encode(picture, settings)
        middle = time.perf_counter()
        codec.decode(data)
        encode_s.append(middle - start)
        decode_s.append(time.perf_counter() - middle)
    print(f"warm: encode {statistics.median(encode_s):.3f} s, decode {statistics.median(decode_s):.3f} s, median of {runs}")


def cold(path: Path, runs: int = 5) -> None:
    """Prints the median wall seconds and the peak memory of whole commands."""
    with tempfile.TemporaryDirectory() as folder:
        coded, plain, jpeg = (str(Path(folder) / f"x{suffix}") for suffix in (".fvl", ".png", ".jpg"))
        for words in (
            ["encode", str(path), coded, "--quality", "40"],
            ["decode", coded, plain],
            ["encode", str(path), jpeg],
            ["info", coded],
        ):
            seconds, peak = list[float](), 0
            for _ in range(runs):
                start = time.perf_counter()
                process = subprocess.Popen([sys.executable, "-m", "foveal", *words], stdout=subprocess.DEVNULL)
                _, _, usage = os.wait4(process.pid, 0)
                process.returncode = 0
                seconds.append(time.perf_counter() - start)
                peak = max(peak, usage.ru_maxrss // 1024)
            print(
                f"cold: foveal {' '.join(Path(w).name if '/' in w else w for w in words)}: {statistics.median(seconds):.2f} s, {peak} MiB"
            )


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    if options.cold:
        cold(options.picture)
    else:
        warm(foveal.read_picture(options.picture))


if __name__ == "__main__":
    main()
