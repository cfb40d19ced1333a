"""Many files at once: parallel worker processes, resumable, and one failure never stops the rest.

What was done stands in ``.foveal-batch.jsonl`` in the output folder. A record is written when work on an
output begins and again when it is done, so that after a crash foveal still knows which files are its own,
and never replaces one that is not.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, final

from foveal.batch_log import Log, Record, read_log
from foveal.errors import FovealError, InputError
from foveal.threads import MOST_WORKERS, check_count

R = TypeVar("R")


@dataclass(frozen=True)
class BatchJob:
    """One input and where its output goes; ``name`` is the input relative to its folder, with ``/``.

    beside: a second file that the output is made of; when it changes, the output is made again.
    """

    name: str
    source: Path
    target: Path
    beside: Path | None = None


@dataclass(frozen=True)
class Failure:
    """An input that was not done, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class BatchPlan:
    """What to do in a folder. settings: a digest; an output is up to date only under the same one.

    refused: inputs that cannot be done at all, such as two that would write one output. note: what a summary shall say of all.
    """

    folder: Path
    jobs: tuple[BatchJob, ...]
    settings: str
    refused: tuple[Failure, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What became of one input. result: what the worker returned; notes: the warnings that it gave."""

    name: str
    state: Literal["done", "skipped", "failed"]
    result: R | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchSummary:
    """How many were done and how many were up to date already; those that failed, by name."""

    done: int
    skipped: int
    failed: tuple[Failure, ...]


def settings_digest(*parts: object) -> str:
    """A short name for settings: frozen dataclasses and plain values, told apart by their ``repr``."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def plan_batch(
    source: Path, folder: Path, suffix: str, suffixes: Iterable[str], settings: str, *, skip: Path | None = None
) -> BatchPlan:
    """Finds the files of ``suffixes`` in ``source`` and below, and gives each its place in ``folder``, with ``suffix``.

    Hidden files, what earlier batches wrote, and what lies in the folder ``skip`` are no inputs.

    Raises:
        InputError: ``source`` is not a folder, or there is nothing to do in it.
    """
    if not source.is_dir():
        raise InputError(f"{source} is not a folder")
    wanted, jobs, refused = {s.lower() for s in suffixes}, dict[Path, BatchJob](), list[Failure]()
    ours = {(folder / name).resolve() for name in read_log(folder)} if folder.is_dir() else set[Path]()
    names = [n for n in _walk(source, (folder, skip)) if Path(n).suffix.lower() in wanted and (source / n).resolve() not in ours]
    if not names:
        raise InputError(f"no file of {' '.join(sorted(wanted))} in {source} or below")
    inputs = {(source / name).resolve() for name in names}
    for name in names:
        target = (folder / name).with_suffix(suffix)
        if target.resolve() in inputs:
            refused.append(Failure(name, f"its output {target} is an input of this batch; choose another output folder"))
        elif target in jobs:
            refused.append(Failure(name, f"{jobs[target].name} already writes {target}; rename one of them"))
        else:
            jobs[target] = BatchJob(name, source / name, target)
    return BatchPlan(folder, tuple(jobs.values()), settings, tuple(refused))


def _walk(source: Path, but: Iterable[Path | None]) -> Iterator[str]:
    out = {folder.resolve() for folder in but if folder is not None}
    for at, folders, files in os.walk(source):
        here = Path(at)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (here / f).resolve() not in out)
        yield from ((here / name).relative_to(source).as_posix() for name in sorted(files) if not name.startswith("."))


def run_batch(
    plan: BatchPlan,
    worker: Callable[[BatchJob], R],
    *,
    workers: int,
    on_done: Callable[[Outcome[R]], None] = lambda outcome: None,
    overwrite: bool = False,
) -> BatchSummary:
    """Gives every job to ``worker`` in one of ``workers`` processes; it reads ``source`` and writes ``target``.

    An output that is up to date is skipped. One of ours that is not is done again. A file that no batch of ours
    wrote is replaced only with ``overwrite``, else its job fails. ``on_done`` is called here, in the order of finishing.
    ``worker`` must be a function of a module, or a ``functools.partial`` of one.

    Raises:
        InputError: the output folder or its log cannot be written. SettingsError: ``workers`` is not 1 to ``MOST_WORKERS``.
    """
    check_count("workers", workers, MOST_WORKERS)
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the output folder {plan.folder}: {error.strerror}") from error
    batch = _Batch(plan, worker, on_done)
    for failure in plan.refused:
        batch.tell(Outcome(failure.name, "failed", reason=failure.reason))
    todo = deque(job for job in plan.jobs if batch.is_due(job, overwrite))
    while todo:
        # Where a process died it is not known which job killed it, so each one that was under way runs again, alone.
        for job in batch.run(todo, min(workers, len(todo))):
            if batch.run(deque([job]), 1):
                batch.tell(Outcome(job.name, "failed", reason="the worker process died: out of memory, or a fault in a library"))
    return BatchSummary(batch.done, batch.skipped, tuple(batch.failed))


_Answer = tuple[Any, str, tuple[str, ...]]  # the result, the reason of a failure or "", the warnings


@final
class _Batch:
    """What one run of a plan has done so far."""

    def __init__(self, plan: BatchPlan, worker: Callable[[BatchJob], Any], on_done: Callable[[Outcome[Any]], None]) -> None:
        self.done = self.skipped = 0
        self.failed: list[Failure] = []
        self._plan, self._worker, self._on_done = plan, worker, on_done
        self._log = Log(plan.folder)

    def tell(self, outcome: Outcome[Any]) -> None:
        """Counts an outcome and hands it on."""
        self.done += outcome.state == "done"
        self.skipped += outcome.state == "skipped"
        if outcome.state == "failed":
            self.failed.append(Failure(outcome.name, outcome.reason))
        self._on_done(outcome)

    def is_due(self, job: BatchJob, overwrite: bool) -> bool:
        """Whether a job is to be done now; if not, its outcome is told."""
        if not os.path.lexists(job.target):
            return True
        try:
            now = self._record(job)
            before = self._log.records.get(now.output)
            if before is None and not overwrite:
                reason = f"{job.target} exists and no batch of foveal wrote it; remove it or allow overwriting"
                self.tell(Outcome(job.name, "failed", reason=reason))
                return False
            if before == replace(now, output_bytes=job.target.stat().st_size):
                self.tell(Outcome(job.name, "skipped"))
                return False
        except OSError as error:
            self.tell(Outcome(job.name, "failed", reason=_reason(error)))
            return False
        return True

    def run(self, todo: deque[BatchJob], workers: int) -> list[BatchJob]:
        """Takes jobs until there are none or a process dies; returns the jobs that were then under way."""
        before = {process.pid for process in multiprocessing.active_children()}
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_die_quietly)
        running = dict[Future[_Answer], tuple[BatchJob, Record]]()
        lost: list[BatchJob] = []
        try:
            while running or (todo and not lost):
                while todo and len(running) < workers and not lost:
                    self._start(pool, todo.popleft(), running, lost)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job, record = running.pop(future)
                    try:
                        self._finish(job, record, future.result())
                    except BrokenProcessPool:
                        lost.append(job)
        except BaseException:  # such as Ctrl-C: what is under way is given up, not waited for
            pool.shutdown(wait=False, cancel_futures=True)
            _end_but(before)
            raise
        if lost:  # a worker that was about to start can outlive the pool's own end of it, and shutdown would wait for ever
            _end_but(before)
        pool.shutdown()
        return lost

    def _start(
        self,
        pool: ProcessPoolExecutor,
        job: BatchJob,
        running: dict[Future[_Answer], tuple[BatchJob, Record]],
        lost: list[BatchJob],
    ) -> None:
        try:
            record = self._record(job)
            job.target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.tell(Outcome(job.name, "failed", reason=_reason(error)))
            return
        self._log.write(record)
        try:
            running[pool.submit(partial(_guarded, self._worker), job)] = (job, record)
        except BrokenProcessPool:
            lost.append(job)

    def _finish(self, job: BatchJob, record: Record, answer: _Answer) -> None:
        result, reason, notes = answer
        if not reason and not job.target.is_file():
            reason = f"{job.target} was not written"
        if reason:
            self.tell(Outcome(job.name, "failed", reason=reason, notes=notes))
            return
        self._log.write(replace(record, output_bytes=job.target.stat().st_size))
        self.tell(Outcome(job.name, "done", result, notes=notes))

    def _record(self, job: BatchJob) -> Record:
        """The record of a job that begins now."""
        stat, output = job.source.stat(), job.target.relative_to(self._plan.folder).as_posix()
        settings = self._plan.settings
        if job.beside is not None:
            beside = job.beside.stat()
            settings = settings_digest(settings, job.beside.name, beside.st_size, beside.st_mtime_ns)
        return Record(output, job.name, stat.st_size, stat.st_mtime_ns, settings)


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}"


def _guarded(worker: Callable[[BatchJob], Any], job: BatchJob) -> _Answer:
    """Runs in the worker process: no exception crosses over, for not every one can be sent."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            result, reason = worker(job), ""
        except FovealError as error:
            result, reason = None, str(error)
        except Exception as error:
            result, reason = None, f"{type(error).__name__}: {error}"
    return result, reason, tuple(str(w.message) for w in caught)


def _end_but(before: set[int | None]) -> None:
    """Ends all processes of this one that were not there before."""
    for process in multiprocessing.active_children():
        if process.pid not in before:
            process.kill()


def _die_quietly() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
