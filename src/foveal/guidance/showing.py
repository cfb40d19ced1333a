"""What ``foveal importance`` does to one picture, in this process or in a worker of a batch."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from foveal.batch import BatchJob, BatchPlan, plan_batch, settings_digest
from foveal.codecs.registry import all_codecs
from foveal.codecs.sniff import read_any
from foveal.errors import InputError
from foveal.files import check_place
from foveal.guidance.allocation import BLOCK, DEFAULT_ALLOCATION
from foveal.guidance.heat import draw_importance
from foveal.guidance.importance import ProxyReader
from foveal.guidance.reader import TASKS, Scores
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.media.image_io import picture_bytes, write_picture
from foveal.sources import PICTURE_SUFFIXES, PIPE, read_source, write_target

MAP_SUFFIX = ".npy"


@dataclass(frozen=True)
class ImportanceRequest:
    """What to ask of a picture. raw: for a batch, whether maps are written, and no drawings."""

    tasks: tuple[str, ...] = TASKS
    scores: Scores = "harm"
    raw: bool = False
    threads: int | None = None
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True)
class ImportanceReport:
    """What was found in one picture. rows, columns: of the scores. importance_s: their reckoning alone.

    block: pixels a side of a block; region_blocks of them, out of blocks, are in the region of interest.
    highest: the largest score, where the mean is 1.
    """

    input: str
    output: str
    tasks: tuple[str, ...]
    width: int
    height: int
    rows: int
    columns: int
    block: int
    blocks: int
    region_blocks: int
    highest: float
    importance_s: float


def importance_file(source: str, target: str, request: ImportanceRequest, *, overwrite: bool = True) -> ImportanceReport:
    """Reads one picture, or ``-``, and draws its importance into the file ``target``, or ``-`` (PNG).

    A target of ``.npy`` gets a map of 0..1, as ``encode --importance`` takes it (``Allocation.drawn``).

    Raises:
        FovealError: the picture cannot be read, the target not be written, or it would replace the picture without ``overwrite``.
    """
    check_place(source, target, overwrite)
    picture = read_any(read_source(source, request.limits), request.limits)
    reader = ProxyReader()
    start = time.perf_counter()
    importance = reader.importance(picture, request.tasks, request.scores, threads=request.threads)
    importance_s = time.perf_counter() - start
    if target.lower().endswith(MAP_SUFFIX):
        file = io.BytesIO()
        np.save(file, DEFAULT_ALLOCATION.drawn(importance))
        write_target(target, file.getvalue())
    elif target == PIPE:
        write_target(PIPE, picture_bytes(draw_importance(picture, importance, request.tasks), ".png"))
    else:
        write_picture(draw_importance(picture, importance, request.tasks), Path(target))
    region = importance.region(-(-picture.height // BLOCK), -(-picture.width // BLOCK))
    rows, columns = importance.score.shape
    return ImportanceReport(
        input=source,
        output=target,
        tasks=request.tasks,
        width=picture.width,
        height=picture.height,
        rows=rows,
        columns=columns,
        block=BLOCK,
        blocks=region.size,
        region_blocks=int(region.sum()),
        highest=float(importance.score.max()),
        importance_s=importance_s,
    )


def importance_batch(source: str, output: str, request: ImportanceRequest) -> tuple[BatchPlan, partial[ImportanceReport]]:
    """What to do for a folder of pictures, and the worker that does it, one thread each unless told.

    Raises:
        InputError: no pictures there, or ``output`` is standard output or a file. NetworkError: as ``ProxyReader``.
    """
    if output == PIPE or (Path(output).exists() and not Path(output).is_dir()):
        raise InputError(f"--out {output}: a folder of pictures needs a folder to write to")
    ProxyReader()  # raises
    request = replace(request, threads=request.threads or 1)
    suffixes = (*PICTURE_SUFFIXES, *(suffix for info in all_codecs() for suffix in info.suffixes))
    made_by = settings_digest("importance", request.tasks, request.scores, DEFAULT_ALLOCATION)
    plan = plan_batch(Path(source), Path(output), MAP_SUFFIX if request.raw else ".png", suffixes, made_by)
    return plan, partial(_importance_job, request)


def _importance_job(request: ImportanceRequest, job: BatchJob) -> ImportanceReport:
    return importance_file(str(job.source), str(job.target), request)
