"""The tables and plots of what networks read, for the pages of a report."""

from __future__ import annotations

import math
from typing import Final

from foveal.bench.accuracy import SHARES, Accuracy, Estimate
from foveal.bench.pages import Plot
from foveal.bench.plots import Line, draw_png
from foveal.bench.tables import NONE, Table
from foveal.metrics.bd import Curve
from foveal.tasks.wording import counted

_NAMED: Final = 5


def remark(accuracy: Accuracy) -> str | None:
    """What stands in the place of tables and plots where there are no scores; None where there are."""
    if accuracy.nothing is None:
        return None
    pictures = f" in {counted(accuracy.pictures, 'picture')}" if accuracy.pictures else ""
    return f"{_title(accuracy)}: no scores; {accuracy.nothing}{pictures}.{_left_out(accuracy)}"


def plot(accuracy: Accuracy) -> Plot:
    """The curves of the first metric, with the uncompressed score as a line and the intervals as bars."""
    lines = [
        Line(
            Curve(curve.label, tuple(p.bpp for p in curve.points), tuple(p.scores[0] for p in curve.points), "%"),
            "run",
            tuple((p.low, p.high) for p in curve.points) if accuracy.draws else None,
        )
        for curve in accuracy.curves
    ]
    against = "labels" if accuracy.truths == "labels" else "what it says of the uncompressed picture"
    title = f"{accuracy.network} against {against}, {counted(accuracy.pictures, 'picture')}"
    axis = f"{accuracy.task}: {accuracy.metrics[0].title}, %"
    level = None if math.isnan(accuracy.ceiling[0]) else (accuracy.ceiling[0], "uncompressed")
    return Plot(f"{file_stem(accuracy)}.png", title, draw_png(lines, title, axis, level=level))


def file_stem(accuracy: Accuracy) -> str:
    """A name for files of this network and these truths."""
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in accuracy.network)
    return f"{accuracy.task}_{safe}_{accuracy.truths}"


def table(accuracy: Accuracy) -> Table:
    """BD-rate, BD-accuracy, and the rate that keeps parts of the uncompressed score."""
    metric = accuracy.metrics[0].title
    deltas = {delta.label: delta for delta in accuracy.deltas}
    rows: list[tuple[str, ...]] = []
    notes: list[str] = []
    for curve in accuracy.curves:
        delta = deltas.get(curve.label)
        if delta is None:
            figures = ("0", "0") if curve.label == accuracy.anchor else (NONE, NONE)
        else:
            figures = _text(delta.rate, "+.1f"), _text(delta.score, "+.2f")
            if delta.refusal:
                notes.append(f"{curve.label}: no deltas, {delta.refusal}.")
            for estimate in (delta.rate, delta.score):
                notes += [f"{note}." for note in (estimate.notes if estimate else ())]
                if estimate and estimate.low is None and accuracy.draws:
                    notes.append(f"{curve.label}: no interval, only {estimate.share:.0%} of the draws could be compared.")
        needed = (_text(one, ".3f") for one in curve.needed)
        rows.append((curve.label, *figures, *needed))
    ceilings = zip(accuracy.metrics, accuracy.ceiling, strict=False)
    ceiling = ", ".join(f"{one.title} {value:.2f}" for one, value in ceilings if not math.isnan(value))
    uncompressed = f"Uncompressed: {ceiling} (%)" if ceiling else "Uncompressed: not read"
    return Table(
        _title(accuracy),
        (
            "codec",
            f"BD-rate % against {accuracy.anchor}",
            f"BD-accuracy, points of {metric}",
            *(f"bpp for {share:.0%}" for share in SHARES),
        ),
        tuple(rows),
        (
            f"{uncompressed}, {counted(accuracy.pictures, 'picture')}.{_left_out(accuracy)}",
            f"Fit: isotonic (pool adjacent violators), then pchip of log10 bpp and {metric}. {_intervals(accuracy)} "
            "bpp for 99 %: from which rate on the score is 99 % of the uncompressed; ≤ where the cheapest point measured is that good, "
            "without brackets where too many draws never reach it.",
            *dict.fromkeys(notes),
        ),
    )


def scores(accuracy: Accuracy) -> Table:
    """All points of all curves."""
    rows = [
        (f"{curve.label} {point.quality:g}", f"{point.bpp:.4f}", *(f"{score:.2f}" for score in point.scores), f"{point.low:.2f} … {point.high:.2f}" if not math.isnan(point.low) else NONE)
        for curve in accuracy.curves
        for point in curve.points
    ]  # fmt: skip
    return Table(
        f"Points: {accuracy.task} by {accuracy.network}, against {accuracy.truths}",
        ("codec, quality", "bpp", *(f"{metric.title}, %" for metric in accuracy.metrics), f"95 % interval of {accuracy.metrics[0].title}"),
        tuple(rows),
        (),
    )  # fmt: skip


def _title(accuracy: Accuracy) -> str:
    against = "labels" if accuracy.truths == "labels" else "its own results on the uncompressed pictures (agreement)"
    return f"{accuracy.task} by {accuracy.network}, against {against}"


def _left_out(accuracy: Accuracy) -> str:
    if not accuracy.left_out:
        return ""
    named = ", ".join(accuracy.left_out[:_NAMED]) + (", …" if len(accuracy.left_out) > _NAMED else "")
    return f" Left out, because some reading failed or is not there: {counted(len(accuracy.left_out), 'picture')} ({named})."


def _intervals(accuracy: Accuracy) -> str:
    if not accuracy.draws:
        return "Too few pictures for intervals."
    return f"In brackets 95 % intervals of a paired bootstrap over pictures, {accuracy.draws} draws."


def _text(estimate: Estimate | None, form: str) -> str:
    if estimate is None:
        return NONE
    value = f"{'≤ ' * estimate.at_most}{estimate.value:{form}}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{estimate.low:{form}}, {estimate.high:{form}}]"
