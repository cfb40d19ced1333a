"""The whole run: worker processes, a folder that can be killed at any time, and the same command goes on.

A task is finished when its files are there, each of which appears whole or not at all. What a kill cuts off is at most
one task for each process.
"""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, final

from foveal.digits.data import read_digits
from foveal.digits.measure import Measured, load_measured, write_table
from foveal.digits.plan import Folder, points_of
from foveal.digits.recipe import Recipe
from foveal.errors import BackendError, InputError, RecipeError
from foveal.media.output import write_whole
from foveal.threads import MOST_WORKERS, check_count

OnDone = Callable[[str, int, int], None]
"""Called with ``work begins`` and then with what came of each task, how many are finished now, and how many there are."""
_VERSION: Final = 1


@final
@dataclass(frozen=True, eq=False)
class Run:
    """How a run stands: all its points, or those that are finished; seconds and sittings so far, the time of killed ones left out."""

    folder: Folder
    recipe: Recipe
    data: str
    measured: tuple[Measured, ...]
    done: int
    total: int
    seconds: float
    jobs: int

    @property
    def whole(self) -> bool:
        """Whether nothing is left to do."""
        return self.done == self.total


def run_digits(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    minutes: float = float("inf"),
    jobs: int = 2,
    on_done: OnDone = lambda words, done, total: None,
) -> Run:
    """Does what of the recipe is not finished in ``out``, in ``jobs`` processes of one thread each; begins no task after ``minutes``.

    Raises:
        RecipeError: ``out`` is a run of another recipe or of other digits, or a classifier is not good enough.
        InputError: the digits cannot be read, or a file not be written. SettingsError: ``jobs`` is not 1 to ``MOST_WORKERS``.
        BackendError: a worker process died.
    """
    from foveal.digits.work import FROZEN, HELD_OUT, Task

    check_count("jobs", jobs, MOST_WORKERS)
    folder, digest = Folder(out), read_digits(data).digest
    spent = _claim(folder, recipe, digest)
    points = points_of(recipe.grid)
    first: list[str | int] = [FROZEN, HELD_OUT, *recipe.grid.seeds]
    left_first = [what for what in first if not _path(folder, what).is_file()]
    left = [point for point in points if load_measured(folder, point) is None]
    total, done = len(first) + len(points), len(first) + len(points) - len(left_first) - len(left)
    begun = time.monotonic()
    sitting = _Sitting(folder, on_done, begun, minutes * 60, spent, done, total)
    if left_first or left:
        on_done("work begins", done, total)
    for stage in (left_first, left):
        sitting.do([Task(recipe, data, folder, what) for what in stage], jobs)
    found = [load_measured(folder, point) for point in points]
    measured = tuple(one for one in found if one is not None)
    write_table(folder.path / "points.csv", [one.row for one in measured])
    return Run(folder, recipe, digest, measured, sitting.done, total, sitting.seconds, jobs)


@final
class _Sitting:
    """Tasks in worker processes until they are done or the time is over."""

    def __init__(
        self, folder: Folder, on_done: OnDone, begun: float, limit_s: float, spent_s: float, done: int, total: int
    ) -> None:
        self.done = done
        self._folder, self._on_done, self._total = folder, on_done, total
        self._begun, self._limit, self._spent = begun, limit_s, spent_s

    @property
    def seconds(self) -> float:
        """Of all sittings."""
        return self._spent + time.monotonic() - self._begun

    def do(self, tasks: Sequence[Any], jobs: int) -> None:
        """Raises what ``work.do`` raises, and BackendError where a process died."""
        from foveal.digits.work import do

        todo, running = deque(tasks), set[Future[str]]()
        if not todo:
            return
        before = {process.pid for process in multiprocessing.active_children()}
        pool = ProcessPoolExecutor(min(jobs, len(todo)), multiprocessing.get_context("spawn"), initializer=_follow_parent)
        try:
            while running or (todo and self._in_time):
                while todo and len(running) < jobs and self._in_time:
                    running.add(pool.submit(do, todo.popleft()))
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    self._finish(future.result())
        except BrokenProcessPool as error:
            _end_but(before)
            raise BackendError(
                "a worker process died: out of memory, or a fault in a library; the same command goes on"
            ) from error
        except BaseException:  # such as Ctrl-C: what is under way is given up, not waited for
            pool.shutdown(wait=False, cancel_futures=True)
            _end_but(before)
            raise
        pool.shutdown()

    def _finish(self, words: str) -> None:
        self.done += 1
        _write_about(self._folder, json.loads(self._folder.about.read_text()) | {"seconds": round(self.seconds, 1)})
        self._on_done(words, self.done, self._total)

    @property
    def _in_time(self) -> bool:
        return time.monotonic() - self._begun < self._limit


def _path(folder: Folder, what: str | int) -> Path:
    return folder.classifier(what) if isinstance(what, str) else folder.start(what)


def _claim(folder: Folder, recipe: Recipe, digest: str) -> float:
    """Makes the folder that of this run, or checks that it is; returns the seconds spent so far."""
    told = {"version": _VERSION, "recipe": json.loads(json.dumps(asdict(recipe))), "data": digest}
    try:
        for part in ("networks", "points"):
            (folder.path / part).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder.path}: {error.strerror}") from error
    if not folder.about.exists():
        if any((folder.path / "points").iterdir()):
            raise RecipeError(f"{folder.path} holds points but no run.json that says of what; name another folder with --out")
        _write_about(folder, told | {"seconds": 0.0})
        return 0.0
    try:
        found = json.loads(folder.about.read_text())
        spent = float(found.pop("seconds"))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise RecipeError(f"{folder.about} cannot be read: {error}; name another folder with --out") from error
    if (difference := _difference(found, told)) is not None:
        raise RecipeError(
            f"{folder.path} holds a run of something else: {difference}; name another folder with --out, or take its own recipe and data"
        )
    return spent


def _write_about(folder: Folder, told: dict[str, Any]) -> None:
    write_whole(folder.about, json.dumps(told, indent=1).encode())


def _difference(found: Any, told: Any, where: str = "") -> str | None:
    """The first place where two tables differ, in words."""
    if isinstance(found, dict) and isinstance(told, dict):
        for key in [*told, *(key for key in found if key not in told)]:  # pyright: ignore[reportUnknownVariableType]
            name = f"{where}.{key}" if where else str(key)  # pyright: ignore[reportUnknownArgumentType]
            difference = _difference(found.get(key), told.get(key), name)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
            if difference is not None:
                return difference
        return None
    return None if found == told else f"{where} is {found!r} there and {told!r} here"


def _follow_parent() -> None:
    """A worker ends when the process that started it does, even by a kill; else it would wait for tasks for ever."""
    import os
    import signal
    from multiprocessing.connection import wait as wait_for

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def watch() -> None:
        wait_for([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end_but(before: set[int | None]) -> None:
    """Ends the processes that this run started."""
    for process in multiprocessing.active_children():
        if process.pid not in before:
            process.kill()
