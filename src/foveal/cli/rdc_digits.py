"""``foveal rdc-digits``."""

from __future__ import annotations

import math
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli.options import Json
from foveal.cli.show import json_line
from foveal.threads import MOST_WORKERS

if TYPE_CHECKING:
    from foveal.digits.run import OnDone


@dataclass(frozen=True)
class DigitsReport:
    """How a run stands. report: None until all is done; minutes: of all sittings."""

    out: str
    done: int
    total: int
    minutes: float
    report: str | None
    mean_gap_bits: float | None
    beaten_runs: int | None


def rdc_digits(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file, such as recipes/rdc-digits.toml.")],
    data: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Handwritten digits: an .npz with train_images, train_labels, test_images, test_labels."
        ),
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder of points, plots and report. A run that is there goes on.")
    ],
    minutes: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="M",
            help="Begin nothing more after M minutes; what has begun is finished. Default: when the recipe is done.",
        ),
    ] = math.inf,
    jobs: Annotated[int, typer.Option(min=1, max=MOST_WORKERS, metavar="N", help="Processes, of one thread each.")] = 2,
    as_json: Json = False,
) -> None:
    """Measure rate, distortion and classification of handwritten digits: codecs trained over a grid of weights and seeds.

    Every point is kept as soon as it is measured, so the same command goes on after a stop or a kill. At the end DIR holds
    points.csv, the plots, and report.md, which tests what the theory says and tells where the measurements contradict it.
    """
    from foveal.digits.recipe import read_recipe
    from foveal.digits.report import check_reportable, write_report
    from foveal.digits.run import run_digits

    plan = read_recipe(recipe)
    check_reportable(plan.grid)
    with _ended_by_sigterm(), _progress() as on_done:
        run = run_digits(plan, data, out, minutes=minutes, jobs=jobs, on_done=on_done)
    told = DigitsReport(str(out), run.done, run.total, round(run.seconds / 60, 1), None, None, None)
    if run.whole:
        from foveal.digits.work import errors_on_originals, label_code_of

        path, claims = write_report(run, errors_on_originals(run.folder, data), label_code_of(run.folder, data))
        told = DigitsReport(
            str(out), run.done, run.total, told.minutes, str(path), round(claims.mean_gap.value, 3), claims.beaten_runs[0]
        )
    print(json_line(told) if as_json else _words(told))


def _words(told: DigitsReport) -> str:
    state = f"{told.out}: {told.done} of {told.total} done, {told.minutes:g} minutes in all"
    return f"{state}; the same command goes on" if told.report is None else f"{state}\nreport: {told.report}"


@contextmanager
def _ended_by_sigterm() -> Generator[None]:
    """A polite kill ends like Ctrl-C does: the workers are ended and what they share is put away, with no warning of Python's."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress() -> Generator[OnDone]:
    """A progress bar on standard error; a line for each task where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("rdc-digits", total=None)

        def on_done(words: str, done: int, total: int) -> None:
            progress.update(bar, description=words, completed=done, total=total)
            if not console.is_terminal:
                print(f"{done} of {total}: {words}", file=sys.stderr, flush=True)

        yield on_done
