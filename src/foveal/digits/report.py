"""The report of a whole run: points, claims and plots as Markdown, all of it from the run's own files."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np

from foveal.bench.machine import describe_run
from foveal.digits.claims import Above, Claims, Grid, Interval, check_claims
from foveal.digits.contradictions import contradictions
from foveal.digits.label_code import LabelCode
from foveal.digits.measure import Row
from foveal.digits.plots import draw_plots
from foveal.digits.recipe import Grid as Weights
from foveal.digits.run import Run
from foveal.digits.surface import lower_envelope
from foveal.errors import MissingDependencyError, RecipeError
from foveal.media.output import write_whole

_CAPTIONS: Final = {
    "surface": "The measured surface: every run, and the lower convex envelope of all",
    "rate-distortion": "Rate and distortion by weight of classification",
    "rate-error": "Rate and errors of the frozen classifier by weight of classification",
    "trade": "Distortion against errors at equal rate",
    "held-out": "Errors of the held-out classifier against those of the frozen one",
}
_PARTS: Final = {
    "rate_bits": "file_bits",
    "mse": "mse",
    "frozen_percent": "frozen",
    "held_out_percent": "held_out",
    "ideal_bits": "ideal_bits",
}


def grid_of(run: Run) -> Grid:
    """The arrays of a whole run, in order of the weights."""
    weights = run.recipe.grid
    at = {(one.row.distortion_weight, one.row.classification_weight, one.row.seed): one.digits for one in run.measured}

    def stacked(name: str, factor: float) -> np.ndarray:
        return np.stack(
            [
                [[factor * getattr(at[d, c, s], name) for s in weights.seeds] for c in weights.classification_weights]
                for d in weights.distortion_weights
            ]
        ).astype(np.float32)

    parts = {name: stacked(column, 100.0 if name.endswith("percent") else 1.0) for name, column in _PARTS.items()}
    return Grid(weights.distortion_weights, weights.classification_weights, **parts)


def check_reportable(weights: Weights) -> None:
    """What the report needs, asked for before the work.

    Raises:
        MissingDependencyError: matplotlib or scipy is not installed.
        RecipeError: fewer than two weights of a kind, or none without a classifier, against which the others are held.
    """
    for name in ("distortion_weights", "classification_weights"):
        if len(given := getattr(weights, name)) < 2:
            raise RecipeError(f"[grid] {name} = {list(given)}; the report compares, and needs two or more")
    if (least := weights.classification_weights[0]) > 0:
        raise RecipeError(
            f"[grid] classification_weights begin with {least:g}; 0 is needed too, against which the report holds the others"
        )
    for name in ("matplotlib", "scipy"):
        if importlib.util.find_spec(name) is None:
            raise MissingDependencyError(f"the report of digits needs {name}; pip install 'foveal[bench]'")


def write_report(run: Run, clean: dict[str, float], label: LabelCode, command: str | None = None) -> tuple[Path, Claims]:
    """Writes ``report.md``, ``claims.json`` and the plots beside the points of a whole run.

    clean: what percent of the test digits as they are each classifier gets wrong. label: what a code of the class alone does. command: None means this process's own.

    Raises:
        CurveError: points that no envelope can be laid under. MissingDependencyError: matplotlib or scipy is not installed.
        InputError: a file cannot be written.
    """
    grid = grid_of(run)
    claims = check_claims(grid)
    for name, png in draw_plots(grid, claims, label).items():
        write_whole(run.folder.path / f"{name}.png", png)
    write_whole(run.folder.path / "claims.json", json.dumps(asdict(claims), indent=1).encode())
    path = run.folder.path / "report.md"
    write_whole(path, report_text(run, claims, clean, label, command).encode())
    return path, claims


def report_text(run: Run, claims: Claims, clean: dict[str, float], label: LabelCode, command: str | None = None) -> str:
    """The report in Markdown."""
    parts = [_head(run, clean, command), _points(run), _claims(claims), _against(claims, run, label), _plots()]
    return "\n\n".join(parts) + "\n"


def _head(run: Run, clean: dict[str, float], command: str | None) -> str:
    about = describe_run(command, 1)
    versions = ", ".join(f"{name} {version}" for name, version in about.versions if name in ("foveal", "torch", "numpy"))
    rows = [one.row for one in run.measured]
    codec = run.recipe.codec
    work = sum(row.train_s + row.measure_s for row in rows)
    errors = " and ".join(f"{percent:.2f} % ({name})" for name, percent in clean.items())
    return "\n".join(
        [
            "# Rate, distortion and classification of handwritten digits",
            "",
            f"{len(rows)} codecs: {len(run.recipe.grid.distortion_weights)} weights of distortion, "
            f"{len(run.recipe.grid.classification_weights)} of classification, {len(run.recipe.grid.seeds)} seeds; "
            f"{codec.latents} latents, {codec.clusters} cluster{'s' * (codec.clusters > 1)}. Every test digit ({len(run.measured[0].digits.mse)}) is a file. "
            f"On the digits as they are the classifiers err on {errors}.",
            "",
            f"- command: `{about.command}`",
            f"- machine: {about.cpu}, {about.cores} cores, {run.jobs} processes of one thread; {about.platform}; Python {about.python}",
            f"- versions: {versions}",
            f"- time: {run.seconds / 60:.1f} minutes in all, {work / len(rows):.1f} s a point",
            _check(rows),
            f"- digits: SHA-256 {run.data}…; date: {about.date}",
        ]
    )


def _check(rows: Sequence[Row]) -> str:
    checked, differ = sum(row.checked for row in rows), sum(row.differ for row in rows)
    why = "; floats of a batch differ in their last digits, and a latent on the edge of two symbols falls to the other side"
    return f"- check: {checked} files were also made by the codec one by one, {differ} of them otherwise{why if differ else ''}"


def _points(run: Run) -> str:
    lines = [
        "## Points",
        "",
        "Means over seeds, ± half the range over them. Rate: bits of the files; ideal: what the tables say that symbols take. MSE: samples in 0..255.",
        "",
        "| λd, bits for a unit of MSE | λc, bits for a bit | rate, bits | ideal, bits | MSE | error, frozen % | error, held-out % |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    rows = [one.row for one in run.measured]
    for c in run.recipe.grid.classification_weights:
        for d in run.recipe.grid.distortion_weights:
            own = [row for row in rows if (row.distortion_weight, row.classification_weight) == (d, c)]
            columns = (("rate_bits", 1), ("ideal_bits", 1), ("mse", 0), ("frozen_percent", 2), ("held_out_percent", 2))
            cells = " | ".join(_spread(own, name, digits) for name, digits in columns)
            lines.append(f"| {d:g} | {c:g} | {cells} |")
    return "\n".join(lines)


def _spread(rows: Sequence[Row], name: str, digits: int) -> str:
    values = [getattr(row, name) for row in rows]
    return f"{sum(values) / len(values):.{digits}f} ± {(max(values) - min(values)) / 2:.{digits}f}"


def _claims(claims: Claims) -> str:
    up = [sum(s.rate_bits.sign > 0 for s in claims.steps), sum(s.mse.sign < 0 for s in claims.steps)]
    up.append(sum(s.error.sign < 0 for s in claims.steps))
    lines = [
        "## The claims",
        "",
        "Intervals hold 95 % of the draws of a bootstrap over seeds and test digits.",
        "",
        "**Lower rate goes with more distortion and more errors.** Rank correlation over all points: rate and MSE "
        f"{_shown(claims.rate_and_mse, '.2f')}, rate and errors {_shown(claims.rate_and_error, '.2f')}. "
        f"Of {len(claims.steps)} steps to the next larger λd at one λc, the rate surely rises in {up[0]}, MSE surely falls in {up[1]}, "
        f"errors surely fall in {up[2]}.",
        "",
        "**At a fixed rate, distortion trades against classification.** Change against λc = 0 at the same rate; kept: how much of the frozen "
        "classifier's gain the held-out one has too.",
        "",
        "| rate, bits | λc | MSE | error, frozen, points | error, held-out, points | kept |",
        "|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {e.rate_bits:.1f} | {e.classification_weight:g} | {_shown(e.mse, '+.0f')} | {_shown(e.frozen, '+.2f')} | "
            f"{_shown(e.held_out, '+.2f')} | {'' if e.kept is None else _shown(e.kept, '.2f')} |"
            for e in claims.exchanges
        ),
        "",
        "**Convexity.** Bits that points lie above the lower convex envelope, which mixtures of codecs reach:",
        "",
        "| | points | mean | median | most | within 0.5 bit |",
        "|---|---:|---:|---:|---:|---:|",
        _above_line("means over seeds, against the envelope of means", claims.of_means),
        *([_above_line("the same with ideal bits in the place of files", claims.of_ideal)] if claims.of_ideal else []),
        _above_line("single runs, against the envelope of all runs", claims.of_runs),
        "",
        f"The mean gap of the means is {_shown(claims.mean_gap, '.2f')} bits.",
        "",
        "**The held-out classifier** errs more than the frozen one by, over all λd: "
        + "; ".join(f"λc = {weight:g}: {_shown(excess, '+.2f')} points" for weight, excess in claims.held_out_excess)
        + ".",
    ]
    return "\n".join(lines)


def _above_line(name: str, above: Above) -> str:
    return f"| {name} | {len(above.bits)} | {above.mean:.2f} | {above.median:.2f} | {above.greatest:.2f} | {100 * above.on_it:.0f} % |"


def _shown(one: Interval, form: str) -> str:
    return f"{one.value:{form}} [{one.low:{form}}, {one.high:{form}}]"


def _against(claims: Claims, run: Run, label: LabelCode) -> str:
    found = [*contradictions(claims), _beside(run, label)]
    return "\n".join(["## What contradicts the theory", "", *(f"- {line}" for line in found)])


def _beside(run: Run, label: LabelCode) -> str:
    """Codecs that the code of ten files beats lie above what is known to be in reach."""
    rows = [one.row for one in run.measured]
    beaten = [
        row
        for row in rows
        if label.rate_bits < row.rate_bits and label.mse < row.mse and label.frozen_percent < row.frozen_percent
    ]
    points = sorted({(row.distortion_weight, row.classification_weight) for row in beaten})
    where = f": of (λd, λc) = {', '.join(f'({d:g}, {c:g})' for d, c in points)}" if points else ""
    fewest = min(rows, key=lambda row: row.frozen_percent)
    means = (
        np.array([[row.mse, row.frozen_percent, row.rate_bits] for row in rows])
        .reshape(len(run.recipe.grid.seeds), -1, 3)
        .mean(0)
    )
    with_it = lower_envelope(*np.vstack([means, [label.mse, label.frozen_percent, label.rate_bits]]).T)
    above = means[:, 2] - with_it.rate_bits(means[:, 0], means[:, 1])
    return (
        f"A code of ten files, which names the frozen classifier's answer and shows the mean of the training digits with that answer, "
        f"takes {label.rate_bits:.1f} bits in whole bytes ({label.ideal_bits:.2f} ideal), its MSE is {label.mse:.0f}, and it errs on "
        f"{label.frozen_percent:.2f} % (frozen) and {label.held_out_percent:.2f} % (held-out). It beats {len(beaten)} of {len(rows)} runs in all "
        f"three{where}. The fewest errors of a run are {fewest.frozen_percent:.2f} %, at {fewest.rate_bits:.1f} bits. With that code among what is "
        f"mixed, means over seeds lie {above.mean():.2f} bits above the envelope, up to {above.max():.1f}."
    )


def _plots() -> str:
    return "\n\n".join(["## Plots", *(f"![{caption}]({name}.png)" for name, caption in _CAPTIONS.items())])
