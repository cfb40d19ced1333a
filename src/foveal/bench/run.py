"""Runs a bench: pictures x codecs x qualities, one row each, read by each network; resumable; one failure never stops the rest.

Codecs get plain samples: alpha, ICC and Exif of a picture are left out, so that every codec carries the same thing.
One file serves the row and all networks, and is kept for networks that come later.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from foveal.bench.coded_cache import CodedCache, CodedKey
from foveal.bench.machine import describe_run, foveal_version
from foveal.bench.pictures import picture_names
from foveal.bench.plan import BenchPlan, CodecRun
from foveal.bench.readers import UNCOMPRESSED, PictureReaders, Reader, says
from foveal.bench.readings import Reading
from foveal.bench.rows import Row, mend_end, read_rows, to_line
from foveal.bench.trip import Trip, measure, send, settings_of
from foveal.bench.variant import PLAIN, Opened
from foveal.codecs.base import Codec
from foveal.codecs.registry import codec_by_name
from foveal.errors import InputError
from foveal.metrics.rate import bpp
from foveal.metrics.ssim import SSIM_LEAST_SIDE, check_available
from foveal.picture import Picture

OnRow = Callable[[Row | Reading, int, int], None]
"""Called after each row and reading with it, the number of those that are done, and the number of all."""


@dataclass(frozen=True)
class RunSummary:
    """How a bench ended. path: the file of rows. measured, reused: good rows and readings of this run and of earlier ones."""

    path: Path
    measured: int
    reused: int
    failed: tuple[Row | Reading, ...]


def run_bench(plan: BenchPlan, on_row: OnRow | None = None, *, load: Callable[[str], Codec] = codec_by_name) -> RunSummary:
    """Measures what ``plan.rows_path`` does not hold yet; rows that failed before are tried again.

    A row is reused if the picture's file, codec, settings, variant with what it depends on, quality, threads, version of foveal and
    weights are the same; a reading, if the network and the label are the same too.

    Raises:
        MissingDependencyError: SSIM is asked for and pytorch-msssim is missing. InputError: the results cannot be written.
        SettingsError, NetworkError: a variant needs a network that is not there or cannot be opened.
    """
    if plan.ssim:
        check_available()
    variants = {
        run.label: run.variant.open(run.codec, plan.readers, plan.threads) if run.variant else PLAIN for run in plan.codecs
    }
    earlier = _open_results(plan)
    with tempfile.TemporaryDirectory(prefix="foveal-bench-") as scratch, plan.rows_path.open("ab") as results:
        return _Bench(plan, variants, on_row, load, earlier, Path(scratch), results).run()


def _open_results(plan: BenchPlan) -> frozenset[tuple[object, ...]]:
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
        plan.rows_path.touch()
    except OSError as error:
        raise InputError(f"cannot write to {plan.out}: {error.strerror}") from error
    mend_end(plan.rows_path)
    found = read_rows(plan.rows_path)
    rows = (_key(row) for row in found.rows if row.error is None and _has_what_is_asked(row, plan))
    return frozenset([*rows, *(reading.key for reading in found.readings if reading.error is None)])


def _has_what_is_asked(row: Row, plan: BenchPlan) -> bool:
    if not plan.ssim or row.ssim is not None:
        return True
    return min(row.width or 0, row.height or 0) < SSIM_LEAST_SIDE


def _key(row: Row) -> tuple[object, ...]:
    made_by = row.codec, row.chroma, row.preset, row.bands, row.variant, row.variant_id, row.threads, row.foveal, row.weights
    return row.picture_sha256, row.quality, *made_by


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
        variants: Mapping[str, Opened],
        on_row: OnRow | None,
        load: Callable[[str], Codec],
        earlier: frozenset[tuple[object, ...]],
        scratch: Path,
        results: BinaryIO,
    ) -> None:
        self.plan, self.variants, self.on_row, self.load, self.earlier = plan, variants, on_row, load, earlier
        self.scratch, self.results = scratch, results
        self.cache = CodedCache(plan.cache_path) if plan.readers else None
        self.version = foveal_version()
        points = sum(len(run.qualities) for run in plan.codecs)
        self.total = len(plan.pictures) * (points + len(plan.readers) * (points + 1))
        self.measured, self.reused = 0, 0
        self.failed: list[Row | Reading] = []

    def run(self) -> RunSummary:
        names = picture_names(self.plan.pictures)
        sources = [_Source(path, name, _sha256(path)) for path, name in zip(self.plan.pictures, names, strict=True)]
        ready = [(run, self._warm_up(run, sources)) for run in self.plan.codecs]
        for source in sources:
            try:
                picture, error = _read(source.path), None
            except Exception as failure:
                picture, error = None, says(failure)
            readers = PictureReaders(source.name, picture, error)
            for reader in self.plan.readers:
                self._read_itself(reader, readers, source)
            for run, codec in ready:
                for quality in run.qualities:
                    self._point(run, codec, quality, source, picture, readers, error)
        return RunSummary(self.plan.rows_path, self.measured, self.reused, tuple(self.failed))

    def _warm_up(self, run: CodecRun, sources: list[_Source]) -> _Ready:
        """Loads a codec, and codes the first picture that can be read, untimed, so that no row pays for loading."""
        try:
            codec = self.variants[run.label].wrap(self.load(run.codec))
        except Exception as error:
            return _Ready(None, None, says(error))
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

    def _read_itself(self, reader: Reader, readers: PictureReaders, source: _Source) -> None:
        blank = self._blank_reading(reader, readers, source, UNCOMPRESSED)
        if not self._is_done(blank.key):
            self._finish(readers.ceiling(reader, blank))

    def _point(
        self,
        run: CodecRun,
        ready: _Ready,
        quality: float,
        source: _Source,
        picture: Picture | None,
        readers: PictureReaders,
        error: str | None,
    ) -> None:
        """One picture by one codec at one quality: its row, and what each network makes of it."""
        row = self._blank(run, source, quality, ready.weights)
        blanks = [(one, self._blank_reading(one, readers, source, row.label, row)) for one in self.plan.readers]
        wanted = not self._is_done(_key(row))
        todo = [(one, blank) for one, blank in blanks if not self._is_done(blank.key)]
        if not wanted and not todo:
            return
        if ready.codec is not None and picture is not None:
            scale = ready.codec.info.scale
            row = replace(row, width=picture.width, height=picture.height, parameter=scale.parameter)
            row = replace(row, parameter_value=scale.native(quality))
        try:
            if ready.codec is None or picture is None:
                raise InputError(ready.error or error or "no picture")
            trip = self._send(run, ready.codec, row, picture, again=not wanted)
            if wanted:
                row = replace(row, **asdict(measure(picture, trip, with_ssim=self.plan.ssim)))
        except Exception as failure:
            for record in [*([row] if wanted else []), *(blank for _, blank in todo)]:
                self._finish(replace(record, error=says(failure)))
            return
        if wanted:
            self._finish(row)
        rate = bpp(trip.size, picture.width, picture.height)
        for reader, blank in todo:
            answer = functools.partial(self.variants[run.label].answer, reader, trip.data, trip.decoded)
            self._finish(readers.read(reader, replace(blank, bytes=trip.size, bpp=rate), answer))

    def _send(self, run: CodecRun, codec: Codec, row: Row, picture: Picture, *, again: bool) -> Trip:
        """``again``: a file that was coded before will do."""
        key = CodedKey(row.picture_sha256, run.label, row.quality, row.threads, row.foveal, row.weights, row.variant_id)
        data = self.cache.get(key) if self.cache and again else None
        file = self.scratch / f"coded{codec.info.suffixes[0]}"
        settings = settings_of(run, row.quality, self.plan.threads)
        trip = send(codec, picture, settings, file, bands=run.bands, data=data)
        if self.cache and data is None:
            self.cache.put(key, trip.data)
        return trip

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
            variant=None if run.variant is None else run.variant.spelling,
            variant_id=self.variants[run.label].id,
        )

    def _blank_reading(
        self, reader: Reader, readers: PictureReaders, source: _Source, label: str, row: Row | None = None
    ) -> Reading:
        """Of a picture coded as ``row`` says, or of the picture itself."""
        return Reading(
            source.name,
            source.sha256,
            label,
            None if row is None else row.quality,
            self.plan.threads,
            self.version,
            None if row is None else row.weights,
            reader.kind,
            reader.task.label,
            reader.network_id,
            readers.truth_id(reader),
            variant_id=None if row is None else row.variant_id,
        )

    def _is_done(self, key: tuple[object, ...]) -> bool:
        self.reused += key in self.earlier
        return key in self.earlier

    def _finish(self, record: Row | Reading) -> None:
        if self.measured + len(self.failed) == 0:
            self.results.write(to_line(describe_run(self.plan.command, self.plan.threads)))
        self.results.write(to_line(record))
        self.results.flush()
        if record.error is None:
            self.measured += 1
        else:
            self.failed.append(record)
        if self.on_row is not None:
            self.on_row(record, self.measured + self.reused + len(self.failed), self.total)


def _read(path: Path) -> Picture:
    from foveal.media.image_io import read_picture

    return Picture(read_picture(path).samples)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""  # reading the picture fails too, and says why
