"""What ``foveal analyze`` does to one picture, in this process or in a worker of a batch."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

from foveal.batch import BatchJob, BatchPlan, Failure, plan_batch, settings_digest
from foveal.batch_log import read_log
from foveal.codecs.registry import all_codecs
from foveal.codecs.sniff import read_any
from foveal.errors import InputError, NetworkError, PictureError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.image_io import picture_bytes, write_picture
from foveal.media.output import write_whole
from foveal.picture import Picture
from foveal.sources import PICTURE_SUFFIXES, PIPE, read_source, write_target
from foveal.tasks.answers import Finding, findings, runs_of
from foveal.tasks.opening import open_task
from foveal.tasks.overlay import draw
from foveal.tasks.pixel import PixelTask
from foveal.tasks.results import Result

FileBytes = bytes | bytearray | memoryview


@dataclass(frozen=True)
class AnalyzeRequest:
    """What to ask of a picture. task: what the network must answer, None if any will do. record: a file. top: as in ``findings``.

    overlay: the file, or for a batch the folder, to draw into.
    """

    network: str
    task: str | None = None
    record: str | None = None
    overlay: str | None = None
    top: int | None = None
    threads: int | None = None
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True)
class AnalyzeReport:
    """What was found in one picture. analyze_s: its preparation and the network. runs: a class map, as in ``runs_of``."""

    input: str
    task: str
    network: str
    width: int
    height: int
    analyze_s: float
    found: tuple[Finding, ...]
    runs: tuple[int, ...] | None = None
    overlay: str | None = None


def open_asked(request: AnalyzeRequest) -> PixelTask:
    """The network that is asked. Raises as ``open_task``, and NetworkError: it answers another task than was asked for."""
    record = None if request.record is None else Path(request.record)
    return check_task(open_task(request.network, record, request.threads), request.task)


def check_task(opened: PixelTask, wanted: str | None) -> PixelTask:
    """The task itself. Raises NetworkError: it is another than ``wanted``."""
    if wanted is not None and wanted != opened.record.task:
        raise NetworkError(f"{opened.label} answers {opened.record.task}, its record says, and {wanted} was asked for")
    return opened


def analyze_picture(picture: Picture | str | Path | FileBytes, task: PixelTask, limits: Limits = DEFAULT_LIMITS) -> Result:
    """What the network says of a picture, or of a file that foveal reads or decodes: its name or its bytes.

    Raises:
        PictureError: it is neither. FovealError: the file cannot be read, or the network fails.
    """
    match picture:
        case Picture():
            return task.analyze(picture)
        case str() | Path():
            return task.analyze(_read(str(picture), limits))
        case bytes() | bytearray() | memoryview():
            limits.check_payload(memoryview(picture).nbytes)
            return task.analyze(read_any(bytes(picture), limits))
        case _:
            raise PictureError(
                f"a {type(picture).__name__} is no picture; a foveal.Picture of uint8 samples is needed, or the name or the bytes of a file"
            )


def _read(source: str, limits: Limits) -> Picture:
    """The picture in a file, or in standard input for ``-``. Raises as ``read_source`` and ``read_any``."""
    return read_any(read_source(source, limits), limits)


def analyze_file(source: str, task: PixelTask, request: AnalyzeRequest, *, overwrite: bool = False) -> AnalyzeReport:
    """Analyses one file, or ``-``, and draws the overlay if one is asked for.

    Raises:
        FovealError: the picture cannot be read, the network fails, or the overlay would replace the picture without ``overwrite``.
    """
    if request.overlay is not None:
        _check_overlay(source, request.overlay, overwrite)
    picture = _read(source, request.limits)
    start = time.perf_counter()
    result = task.analyze(picture)
    analyze_s = time.perf_counter() - start
    if request.overlay == PIPE:
        write_target(PIPE, picture_bytes(draw(picture, result, task.classes, request.top), ".png"))
    elif request.overlay is not None:
        write_picture(draw(picture, result, task.classes, request.top), request.overlay)
    return AnalyzeReport(
        input=source,
        task=task.record.task,
        network=request.network,
        width=picture.width,
        height=picture.height,
        analyze_s=analyze_s,
        found=findings(result, task.classes, request.top),
        runs=runs_of(result),
        overlay=request.overlay,
    )


def _check_overlay(source: str, overlay: str, overwrite: bool) -> None:
    if overlay == PIPE:
        return
    if Path(overlay).is_dir():
        raise InputError(f"{overlay} is a folder; name the file to draw into")
    same = source != PIPE and Path(overlay).exists() and Path(source).exists() and Path(overlay).samefile(source)
    if same and not overwrite:
        raise InputError(f"{overlay} would replace its own input; name another file, or allow it with --overwrite")


def analyze_batch(
    source: str, output: str, request: AnalyzeRequest, *, overwrite: bool = False
) -> tuple[BatchPlan, partial[AnalyzeReport]]:
    """What to do for a folder of pictures, and the worker that writes a JSON file for each, one thread each unless told.

    Raises:
        InputError: no pictures there, or a folder to write to that is none. NetworkError: as ``open_asked``, before any picture.
    """
    folder = _folder(output)
    overlays = None if request.overlay is None else _folder(request.overlay)
    request = replace(request, threads=request.threads or 1)
    opened = open_asked(request)
    made_by = settings_digest("analyze", opened.record, opened.identity, replace(request, threads=None))
    suffixes = (*PICTURE_SUFFIXES, *(suffix for info in all_codecs() for suffix in info.suffixes))
    plan = plan_batch(Path(source), folder, ".json", suffixes, made_by, skip=overlays)
    if overlays is not None and not overwrite:
        plan = _without_foreign_overlays(plan, overlays)
    return plan, partial(_analyze_job, request)


def _folder(output: str) -> Path:
    if output == PIPE:
        raise InputError("the results of a folder cannot go to standard output; name a folder to write to")
    if Path(output).exists() and not Path(output).is_dir():
        raise InputError(f"{output} is a file; a folder of pictures needs a folder to write to")
    return Path(output)


def _overlay_of(job: BatchJob, overlays: Path) -> Path:
    return (overlays / job.name).with_suffix(".png")


def _without_foreign_overlays(plan: BatchPlan, overlays: Path) -> BatchPlan:
    """A file that no batch of ours began is not drawn over."""
    ours = read_log(plan.folder) if plan.folder.is_dir() else {}
    jobs, refused = list[BatchJob](), list(plan.refused)
    for job in plan.jobs:
        path = _overlay_of(job, overlays)
        if path.exists() and job.target.relative_to(plan.folder).as_posix() not in ours:
            refused.append(Failure(job.name, f"{path} exists and no batch of foveal wrote it; remove it or allow overwriting"))
        else:
            jobs.append(job)
    return replace(plan, jobs=tuple(jobs), refused=tuple(refused))


@cache
def _task_of_process(request: AnalyzeRequest) -> PixelTask:
    return open_asked(request)


def _analyze_job(request: AnalyzeRequest, job: BatchJob) -> AnalyzeReport:
    task = _task_of_process(request)
    overlay = None if request.overlay is None else _overlay_of(job, Path(request.overlay))
    if overlay is not None:
        try:
            overlay.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make {overlay.parent}: {error.strerror}") from error
    report = analyze_file(str(job.source), task, replace(request, overlay=None if overlay is None else str(overlay)))
    write_whole(job.target, (json.dumps(asdict(report), allow_nan=False) + "\n").encode())
    return replace(report, runs=None)
