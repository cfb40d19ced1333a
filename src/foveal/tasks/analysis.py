"""What ``foveal analyze`` does to one picture, in this process or in a worker of a batch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

from foveal.batch import BatchJob, BatchPlan, Failure, plan_batch, settings_digest
from foveal.batch_log import read_log
from foveal.codecs.registry import all_codecs
from foveal.errors import InputError, PictureError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.image_io import picture_bytes, write_picture
from foveal.media.output import write_whole
from foveal.picture import Picture
from foveal.sources import PICTURE_SUFFIXES, PIPE, read_source, write_target
from foveal.tasks.answers import Finding, findings, runs_of
from foveal.tasks.choice import Asked, FileAnalyst
from foveal.tasks.overlay import draw
from foveal.tasks.results import Result

FileBytes = bytes | bytearray | memoryview


@dataclass(frozen=True)
class AnalyzeRequest:
    """What to ask of a picture. asked: of which network or task, and of what of a file. top: as in ``findings``.

    overlay: the file, or for a batch the folder, to draw into.
    """

    asked: Asked
    overlay: str | None = None
    top: int | None = None


@dataclass(frozen=True)
class AnalyzeReport:
    """What was found in one picture. read_from, bytes_read, read_s, analyze_s, why, bands: as in ``Answer``. file_bytes: the size of the file.

    runs: a class map, as in ``runs_of``.
    """

    input: str
    task: str
    network: str
    width: int
    height: int
    read_from: str
    bytes_read: int
    file_bytes: int
    read_s: float
    analyze_s: float
    found: tuple[Finding, ...]
    runs: tuple[int, ...] | None = None
    overlay: str | None = None
    why: str | None = None
    bands: int | None = None


def analyze_picture(picture: Picture | str | Path | FileBytes, analyst: FileAnalyst, limits: Limits = DEFAULT_LIMITS) -> Result:
    """What is found in a picture, or in a file that foveal reads or decodes: its name or its bytes.

    Raises:
        PictureError: it is neither. FovealError: the file cannot be read, or the network fails.
    """
    match picture:
        case Picture():
            return analyst.answer_picture(picture).result
        case str() | Path():
            return analyst.answer(read_source(str(picture), limits)).result
        case bytes() | bytearray() | memoryview():
            limits.check_payload(memoryview(picture).nbytes)
            return analyst.answer(bytes(picture)).result
        case _:
            raise PictureError(
                f"a {type(picture).__name__} is no picture; a foveal.Picture of uint8 samples is needed, or the name or the bytes of a file"
            )


def analyze_file(source: str, analyst: FileAnalyst, request: AnalyzeRequest, *, overwrite: bool = False) -> AnalyzeReport:
    """Analyses one file, or ``-``, and draws the overlay if one is asked for, over the picture decoded from what was read.

    Raises:
        FovealError: the picture cannot be read, the network fails, or the overlay would replace the picture without ``overwrite``.
    """
    if request.overlay is not None:
        _check_overlay(source, request.overlay, overwrite)
    limits = request.asked.limits
    data = read_source(source, limits)
    answer = analyst.answer(data)
    if request.overlay is not None:
        picture = draw(answer.picture or analyst.decoded(data)[0], answer.result, answer.classes, request.top)
        if request.overlay == PIPE:
            write_target(PIPE, picture_bytes(picture, ".png"))
        else:
            write_picture(picture, request.overlay)
    return AnalyzeReport(
        input=source,
        task=answer.task,
        network=answer.network,
        width=answer.width,
        height=answer.height,
        read_from=answer.read_from,
        bytes_read=answer.bytes_read,
        file_bytes=len(data),
        read_s=answer.read_s,
        analyze_s=answer.analyze_s,
        found=findings(answer.result, answer.classes, request.top),
        runs=runs_of(answer.result),
        overlay=request.overlay,
        why=answer.why,
        bands=answer.bands,
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
        InputError: no pictures there, or a folder to write to that is none. NetworkError: as ``FileAnalyst``, before any picture.
    """
    folder = _folder(output)
    overlays = None if request.overlay is None else _folder(request.overlay)
    request = replace(request, asked=replace(request.asked, threads=request.asked.threads or 1))
    analyst = FileAnalyst(request.asked)
    made_by = settings_digest("analyze", analyst.identity, replace(request, asked=replace(request.asked, threads=None)))
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
def _analyst_of_process(asked: Asked) -> FileAnalyst:
    return FileAnalyst(asked)


def _analyze_job(request: AnalyzeRequest, job: BatchJob) -> AnalyzeReport:
    analyst = _analyst_of_process(request.asked)
    overlay = None if request.overlay is None else _overlay_of(job, Path(request.overlay))
    if overlay is not None:
        try:
            overlay.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make {overlay.parent}: {error.strerror}") from error
    report = analyze_file(str(job.source), analyst, replace(request, overlay=None if overlay is None else str(overlay)))
    write_whole(job.target, (json.dumps(asdict(report), allow_nan=False) + "\n").encode())
    return replace(report, runs=None)
