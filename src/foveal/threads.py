"""How many threads and processes may be asked for, and a bound on those of networks for as long as a call lasts."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import final

from foveal.errors import SettingsError
from foveal.scalars import whole

_LEAST_BOUND = 64  # every back end takes as many; VVenC fails above some hundreds, and x265 and torch only get slower


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


MOST_THREADS = max(_LEAST_BOUND, os.cpu_count() or 1)
"""How many threads one picture may be given: 64, or one for each core where the machine has more."""
MOST_WORKERS = 61 if sys.platform == "win32" else MOST_THREADS
"""How many processes a batch may be given; Windows waits for no more than 61 of them."""


def check_count(name: str, number: object, most: int) -> int:
    """The number of threads or processes. Raises SettingsError: it is no whole number from 1 to ``most``."""
    count = whole(number)
    if count is None or not 1 <= count <= most:
        raise SettingsError(f"{name} = {number!r}; a whole number from 1 to {most} is allowed here, or leave it out")
    return count


@contextmanager
def thread_limit(threads: int | None) -> Generator[None]:
    """Bounds the threads of torch inside, where torch is imported by then; several Python threads may be inside at once.

    torch keeps one number for each thread that has asked for it, and one that new threads begin with. Each thread puts its own
    back; whoever leaves last puts back what new threads begin with.

    Raises:
        SettingsError: not 1 to ``MOST_THREADS``.
    """
    if threads is None:
        yield
        return
    count, torch = check_count("threads", threads, MOST_THREADS), sys.modules.get("torch")
    if torch is None:
        yield
        return
    with _LIMITED.lock:
        before = _LIMITED.enter(torch.get_num_threads())
        torch.set_num_threads(count)
    try:
        yield
    finally:
        with _LIMITED.lock:
            _LIMITED.leave()
            torch.set_num_threads(before)


@final
class _Limited:
    """Who is inside ``thread_limit`` now."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._users: dict[int, int] = {}  # depth by thread
        self._outside = 0

    def enter(self, now: int) -> int:
        """The number that this thread goes back to; ``now`` may be the bound of others, if the thread is new."""
        own = threading.get_ident()
        if not self._users:
            self._outside = now
        before = now if own in self._users else self._outside
        self._users[own] = self._users.get(own, 0) + 1
        return before

    def leave(self) -> None:
        """One step out, in this thread."""
        own = threading.get_ident()
        self._users[own] -= 1
        if not self._users[own]:
            del self._users[own]


_LIMITED = _Limited()
