"""The header of a run: machine, versions, date and command. Nothing that it names is imported."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from foveal.bench.rows import Header

_PACKAGES: Final = (
    "torch", "numpy", "Pillow", "constriction", "av", "imagecodecs", "imageio-ffmpeg", "pytorch-msssim", "bjontegaard",
)  # fmt: skip


def describe_run(command: str | None, threads: int | None) -> Header:
    """The header of a run that begins now; ``command`` None means this process's command line."""
    return Header(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) if command is None else command,
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        platform=platform.platform(),
        python=platform.python_version(),
        versions=(("foveal", foveal_version()), *((name, found) for name in _PACKAGES if (found := _version(name)) is not None)),
        threads=threads,
    )


def foveal_version() -> str:
    """The version of this package."""
    from foveal import __version__

    return __version__


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine() or "unknown"
