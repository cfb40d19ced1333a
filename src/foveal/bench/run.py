"""Runs a bench: codecs x pictures x qualities, one row each, resumable; one failure never stops the rest.

Codecs get plain samples: alpha, ICC and Exif of a picture are left out, so that every codec carries the same thing.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from foveal.bench.machine import describe_run, foveal_version
from foveal.bench.measure import measure, settings_of
from foveal.bench.pictures import picture_names
from foveal.bench.plan import BenchPlan, CodecRun
from foveal.bench.rows import Row, mend_end, read_rows, to_line
from foveal.codecs.base import Codec
from foveal.codecs.registry import codec_by_name
from foveal.errors import FovealError, InputError
from foveal.metrics.ssim import SSIM_LEAST_SIDE, check_available
from foveal.picture import Picture

OnRow = Callable[[Row, int, int], None]
"""Called after each row with the row, the number of rows that are done, and the number of all."""


@dataclass(frozen=True)
class RunSummary:
    """How a bench ended. path: the file of rows. measured, reused: good rows of this run and of earlier ones."""

    path: Path
    measured: int
    reused: int
    failed: tuple[Row, ...]


def run_bench(plan: BenchPlan, on_row: OnRow | None = None, *, load: Callable[[str], Codec] = codec_by_name) -> RunSummary:
    """Measures what ``plan.rows_path`` does not hold yet; rows that failed before are tried again.

    A row is reused if the picture's file, codec, settings, quality, threads, version of foveal and weights are the same.

    Raises:
        MissingDependencyError: SSIM is asked for and pytorch-msssim is missing. InputError: the results cannot be written.
    """
    if plan.ssim:
        check_available()
    earlier = _open_results(plan)
    with tempfile.TemporaryDirectory(prefix="foveal-bench-") as scratch, plan.rows_path.open("ab") as results:
        return _Bench(plan, on_row, load, earlier, Path(scratch), results).run()


def _open_results(plan: BenchPlan) -> dict[tuple[object, ...], Row]:
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
        plan.rows_path.touch()
    except OSError as error:
        raise InputError(f"cannot write to {plan.out}: {error.strerror}") from error
    mend_end(plan.rows_path)
    return {_key(row): row for row in read_rows(plan.rows_path).rows if row.error is None and _has_what_is_asked(row, plan)}


def _has_what_is_asked(row: Row, plan: BenchPlan) -> bool:
    if not plan.ssim or row.ssim is not None:
        return True
    return min(row.width or 0, row.height or 0) < SSIM_LEAST_SIDE


def _key(row: Row) -> tuple[object, ...]:
    return row.picture_sha256, row.codec, row.chroma, row.preset, row.bands, row.quality, row.threads, row.foveal, row.weights


@dataclass(frozen=True)
class _Source:
    path: Path
    name: str
    sha256: str


@dataclass(frozen=True)
class _Ready:
    """A codec that has coded one picture already, or why it could not be loaded."""

    codec: Codec | None
    weights: str | None
    error: str | None


class _Bench:
    def __init__(
        self,
        plan: BenchPlan,
        on_row: OnRow | None,
        load: Callable[[str], Codec],
        earlier: dict[tuple[object, ...], Row],
        scratch: Path,
        results: BinaryIO,
    ) -> None:
        self.plan, self.on_row, self.load, self.earlier = plan, on_row, load, earlier
        self.scratch, self.results = scratch, results
        self.version = foveal_version()
        self.total = len(plan.pictures) * sum(len(run.qualities) for run in plan.codecs)
        self.measured, self.reused = 0, 0
        self.failed: list[Row] = []

    def run(self) -> RunSummary:
        names = picture_names(self.plan.pictures)
        sources = [_Source(path, name, _sha256(path)) for path, name in zip(self.plan.pictures, names, strict=True)]
        for run in self.plan.codecs:
            ready = self._warm_up(run, sources)
            for source in sources:
                self._run_picture(run, ready, source)
        return RunSummary(self.plan.rows_path, self.measured, self.reused, tuple(self.failed))

    def _warm_up(self, run: CodecRun, sources: list[_Source]) -> _Ready:
        """Loads a codec, and codes the first picture that can be read, untimed, so that no row pays for loading."""
        try:
            codec = self.load(run.codec)
        except Exception as error:
            return _Ready(None, None, _says(error))
        rows = [self._blank(run, source, quality, None) for source in sources for quality in run.qualities]
        if not codec.info.learned and all(_key(row) in self.earlier for row in rows):
            return _Ready(codec, None, None)
        for source in sources:
            try:
                data = codec.encode(_read(source.path), settings_of(run, run.qualities[0], self.plan.threads))
                codec.decode(data)
                return _Ready(codec, codec.describe(data).weights, None)
            except Exception:
                continue  # each row meets the same error and keeps its words
        return _Ready(codec, None, None)

    def _run_picture(self, run: CodecRun, ready: _Ready, source: _Source) -> None:
        blanks = [self._blank(run, source, quality, ready.weights) for quality in run.qualities]
        todo = [row for row in blanks if _key(row) not in self.earlier]
        self.reused += len(blanks) - len(todo)
        if not todo:
            return
        try:
            picture, error = _read(source.path), ready.error
        except Exception as failure:
            picture, error = None, _says(failure)
        for blank in todo:
            self._finish(self._row(run, ready.codec, picture, blank, error))

    def _row(self, run: CodecRun, codec: Codec | None, picture: Picture | None, row: Row, error: str | None) -> Row:
        if picture is not None:
            row = replace(row, width=picture.width, height=picture.height)
        if codec is None or picture is None:
            return replace(row, error=error)
        scale = codec.info.scale
        row = replace(row, parameter=scale.parameter, parameter_value=scale.native(row.quality))
        try:
            settings = settings_of(run, row.quality, self.plan.threads)
            file = self.scratch / f"coded{codec.info.suffixes[0]}"
            return replace(row, **asdict(measure(codec, picture, settings, file, with_ssim=self.plan.ssim, bands=run.bands)))
        except Exception as failure:
            return replace(row, error=_says(failure))

    def _blank(self, run: CodecRun, source: _Source, quality: float, weights: str | None) -> Row:
        return Row(
            source.name,
            source.sha256,
            run.codec,
            run.label,
            quality,
            run.chroma,
            run.preset,
            self.plan.threads,
            self.version,
            weights,
            bands=run.bands,
        )

    def _finish(self, row: Row) -> None:
        if self.measured + len(self.failed) == 0:
            self.results.write(to_line(describe_run(self.plan.command, self.plan.threads)))
        self.results.write(to_line(row))
        self.results.flush()
        if row.error is None:
            self.measured += 1
        else:
            self.failed.append(row)
        if self.on_row is not None:
            self.on_row(row, self.measured + self.reused + len(self.failed), self.total)


def _read(path: Path) -> Picture:
    from foveal.media.image_io import read_picture

    return Picture(read_picture(path).samples)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""  # reading the picture fails too, and says why


def _says(error: Exception) -> str:
    text = str(error) or "no message"
    return text if isinstance(error, FovealError) else f"{type(error).__name__}: {text}"
