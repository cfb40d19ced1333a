"""Times a codec on one picture: warm, in one process; with --cold, whole commands with their peak memory.

Usage: python examples/time_codec.py PICTURE [--codec frequency] [--quality 40] [--cold]
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
from foveal.entropy.coder import SymbolReader


def warm(picture: foveal.Picture, name: str, quality: float, runs: int = 15) -> None:
    """Prints the median seconds of one encode and one decode, weights loaded, and the entropy decoder's part of them."""
    codec, settings = foveal.codec_by_name(name), EncodeSettings(quality)
    data = codec.encode(picture, settings)
    codec.decode(data)
    encode_s, decode_s, entropy_s = list[float](), list[float](), list[float]()
    take = SymbolReader.take

    def timed(*arguments: object, **named: object) -> object:
        start = time.perf_counter()
        symbols = take(*arguments, **named)  # type: ignore[arg-type]
        entropy_s[-1] += time.perf_counter() - start
        return symbols

    SymbolReader.take = timed  # type: ignore[assignment, method-assign]
    for _ in range(runs):
        start = time.perf_counter()
        codec.encode(picture, settings)
        middle = time.perf_counter()
        entropy_s.append(0.0)
        codec.decode(data)
        encode_s.append(middle - start)
        decode_s.append(time.perf_counter() - middle)
    encode, decode, entropy = (statistics.median(seconds) for seconds in (encode_s, decode_s, entropy_s))
    print(f"warm: {name}, quality {quality:g}, {len(data)} bytes: encode {encode:.3f} s, decode {decode:.3f} s, median of {runs}")
    print(f"entropy decoding: {1000 * entropy:.1f} ms, {entropy / decode:.1%} of it")


def cold(path: Path, name: str, quality: float, runs: int = 5) -> None:
    """Prints the median wall seconds and the peak memory of whole commands."""
    with tempfile.TemporaryDirectory() as folder:
        suffix = foveal.codec_by_name(name).info.suffixes[0]
        coded, plain = (str(Path(folder) / f"x{suffix}") for suffix in (suffix, ".png"))
        for words in (
            ["encode", str(path), coded, "--codec", name, "--quality", f"{quality:g}"],
            ["decode", coded, plain],
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
    parser.add_argument("--codec", default="frequency")
    parser.add_argument("--quality", type=float, default=40)
    parser.add_argument("--cold", action="store_true")
    options = parser.parse_args()
    if options.cold:
        cold(options.picture, options.codec, options.quality)
    else:
        warm(foveal.read_picture(options.picture), options.codec, options.quality)


if __name__ == "__main__":
    main()
