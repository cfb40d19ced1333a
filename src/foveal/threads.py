"""A bound on the threads of networks, for as long as a call lasts."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def thread_limit(threads: int | None) -> Generator[None]:
    """Bounds the threads of networks inside; torch is not imported for it, but finds the bound when it is."""
    if threads is None:
        yield
        return
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
