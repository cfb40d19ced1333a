"""How many threads and processes may be asked for, and a bound on those of networks for as long as a call lasts."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

from foveal.errors import SettingsError

_LEAST_BOUND = 64  # every back end takes as many; VVenC fails above some hundreds, and x265 and torch only get slower


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


MOST_THREADS = max(_LEAST_BOUND, os.cpu_count() or 1)
"""How many threads one picture may be given: 64, or one for each core where the machine has more."""
MOST_WORKERS = 61 if sys.platform == "win32" else MOST_THREADS
"""How many processes a batch may be given; Windows waits for no more than 61 of them."""


def check_count(name: str, number: int, most: int) -> None:
    """Raises SettingsError if a number of threads or processes is no whole number from 1 to ``most``."""
    if not isinstance(number, int) or not 1 <= number <= most:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingsError(f"{name} = {number!r}; a whole number from 1 to {most} is allowed here, or leave it out")


@contextmanager
def thread_limit(threads: int | None) -> Generator[None]:
    """Bounds the threads of networks inside; torch is not imported for it, but finds the bound when it is.

    Raises:
        SettingsError: not 1 to ``MOST_THREADS``.
    """
    if threads is None:
        yield
        return
    check_count("threads", threads, MOST_THREADS)
    before = os.environ.get("OMP_NUM_THREADS")
    torch = sys.modules.get("torch")
    torch_before = torch.get_num_threads() if torch else 0
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if torch:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
        if torch:
            torch.set_num_threads(torch_before)
