"""What ``foveal bench`` asks for by default, and how it shows its progress and its end."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foveal.bench.accuracy import Estimate
from foveal.bench.failures import failures_of
from foveal.bench.plan import CodecRun, parse_codecs
from foveal.bench.readings import Reading
from foveal.bench.report import Report
from foveal.bench.rows import Row
from foveal.bench.run import OnRow, RunSummary
from foveal.cli.show import json_line
from foveal.errors import InputError, SettingsError, UnknownCodecError
from foveal.tasks.wording import counted


@dataclass(frozen=True)
class BdFigure:
    """One BD-rate: ``percent`` is None where the curves cannot be compared, and ``refusal`` says why."""

    label: str
    metric: str
    percent: float | None
    refusal: str | None


@dataclass(frozen=True)
class AccuracyFigure:
    """What a network makes of one codec: BD-rate in percent and BD-accuracy in points, against ``truths``; None with a refusal.

    The intervals hold 95 % of the bootstrap's draws; None where it gave none.
    """

    label: str
    task: str
    network: str
    truths: str
    bd_rate_percent: float | None
    bd_accuracy_points: float | None
    bd_rate_interval: tuple[float, float] | None
    bd_accuracy_interval: tuple[float, float] | None
    refusal: str | None


@dataclass(frozen=True)
class BenchReport:
    """How a bench ended."""

    rows: str
    report: str
    anchor: str
    measured: int
    reused: int
    failed: int
    bd_rates: tuple[BdFigure, ...]
    accuracy: tuple[AccuracyFigure, ...]


def choose_anchor(asked: str | None, runs: Sequence[CodecRun]) -> str:
    """The label of the codec that is asked for in any spelling; else ``jpeg`` if it is among the codecs, else the first of them."""
    if asked is not None:
        try:
            return parse_codecs(asked)[0].label
        except (SettingsError, UnknownCodecError):
            return asked  # a published or a measured curve, or none
    labels = [run.label for run in runs]
    return "jpeg" if "jpeg" in labels else labels[0]


def published_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files themselves, and the .json files of folders. Raises InputError: neither a file nor a folder with some."""
    files: list[Path] = []
    for path in paths:
        found = sorted(path.glob("*.json")) if path.is_dir() else [path] if path.is_file() else []
        if not found:
            raise InputError(f"no published curves at {path}; a .json file or a folder of them is needed")
        files += found
    return tuple(files)


@contextmanager
def row_progress() -> Generator[OnRow]:
    """A progress bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("bench", total=None)

        def on_row(row: Row | Reading, done: int, total: int) -> None:
            progress.update(task, description=f"{row.label} {row.picture}", completed=done, total=total)

        yield on_row


def failed_lines(failed: Sequence[Row | Reading]) -> list[str]:
    """A line for each cause, such as ``jpeg 7.png quality 40: why``."""
    rows = [record for record in failed if isinstance(record, Row)]
    causes = failures_of(rows, [record for record in failed if isinstance(record, Reading)])
    return [f"{one.label} {one.where}{'' if one.quality is None else f' quality {one.quality:g}'}: {one.what}" for one in causes]


def bench_json(done: RunSummary, report: Report) -> str:
    """One line."""
    return json_line(_summary(done, report))


def bench_lines(done: RunSummary, report: Report) -> str:
    """Such as ``96 rows measured, 0 reused, 0 failed``, the BD-rates, and where the report is."""
    about = _summary(done, report)
    lines = [f"{counted(about.measured, 'row')} measured, {about.reused} reused, {about.failed} failed"]
    for figure in about.bd_rates:
        if figure.metric == "psnr_rgb":
            found = f"{figure.percent:+.1f} %" if figure.percent is not None else f"none: {figure.refusal}"
            lines.append(f"BD-rate of {figure.label} against {about.anchor} in PSNR: {found}")
    for one in about.accuracy:
        if one.bd_rate_percent is not None and one.bd_accuracy_points is not None:
            found = f"{_with_interval(one.bd_rate_percent, one.bd_rate_interval, '.1f')} % of rate, "
            found += f"{_with_interval(one.bd_accuracy_points, one.bd_accuracy_interval, '.2f')} points"
        else:
            found = f"none: {one.refusal}"
        lines.append(f"{one.label} against {about.anchor}, {one.task} by {one.network} ({one.truths}): {found}")
    return "\n".join([*lines, f"report: {about.report}"])


def _summary(done: RunSummary, report: Report) -> BenchReport:
    figures = tuple(
        BdFigure(cell.label, cell.metric, cell.result.value_percent if cell.result else None, cell.refusal)
        for cell in report.summary.bd
    )
    return BenchReport(
        rows=str(done.path),
        report=str(report.html),
        anchor=report.summary.anchor,
        measured=done.measured,
        reused=done.reused,
        failed=len(done.failed),
        bd_rates=figures,
        accuracy=tuple(_accuracy_figures(report)),
    )


def _accuracy_figures(report: Report) -> Generator[AccuracyFigure]:
    for one in report.summary.accuracy:
        for delta in one.deltas:
            rate = None if delta.rate is None else delta.rate.value
            score = None if delta.score is None else delta.score.value
            yield AccuracyFigure(
                delta.label,
                one.task,
                one.network,
                one.truths,
                rate,
                score,
                _interval(delta.rate),
                _interval(delta.score),
                delta.refusal,
            )


def _interval(estimate: Estimate | None) -> tuple[float, float] | None:
    if estimate is None or estimate.low is None or estimate.high is None:
        return None
    return estimate.low, estimate.high


def _with_interval(value: float, interval: tuple[float, float] | None, form: str) -> str:
    return f"{value:+{form}}" + ("" if interval is None else f" [{interval[0]:+{form}}, {interval[1]:+{form}}]")
