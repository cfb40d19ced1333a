"""A batch as the command line shows it: a progress bar on standard error, then a summary and an exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from foveal.cli.show import outcome_json, summary_line
from foveal.threads import MOST_WORKERS, available_cores

if TYPE_CHECKING:
    from foveal.batch import BatchJob, BatchPlan, Outcome


def show_batch(
    plan: BatchPlan, worker: Callable[[BatchJob], Any], *, verb: str, workers: int | None, overwrite: bool, as_json: bool
) -> None:
    """Runs a batch. Raises ``typer.Exit`` with status 1 if any item failed."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from foveal.batch import run_batch

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(verb, total=len(plan.jobs) + len(plan.refused))

        def tell(outcome: Outcome[Any]) -> None:
            if as_json:
                print(outcome_json(outcome), flush=True)
            for note in outcome.notes:
                console.print(f"warning: {outcome.name}: {note}")
            if outcome.state == "failed":
                console.print(f"error: {outcome.name}: {outcome.reason}")
            progress.advance(task)

        summary = run_batch(
            plan, worker, workers=workers or min(available_cores(), MOST_WORKERS), on_done=tell, overwrite=overwrite
        )
    print(summary_line(summary, verb, plan.note), file=sys.stderr if as_json else sys.stdout)
    if summary.failed:
        raise typer.Exit(1)
