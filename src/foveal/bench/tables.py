"""The tables of a report as rows of text, once, for the Markdown and the HTML page alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foveal.bench.curves import METRICS, TITLES, Metric
from foveal.bench.summary import NOT_GIVEN, BdCell, Summary, TimeRow

NONE = "–"


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first column holds names, the others figures."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footnotes: tuple[str, ...]


def bd_rates(summary: Summary) -> Table:
    """BD-rate in percent of each curve and metric: on mean curves, and as the mean of single pictures."""
    head = ["codec"]
    metrics: list[Metric] = [
        metric for metric in METRICS if any(cell.metric == metric and cell.refusal != NOT_GIVEN for cell in summary.bd)
    ]
    for metric in metrics:
        head += [f"{TITLES[metric]}, mean curve", f"{TITLES[metric]}, per picture"]
    labels = list(dict.fromkeys(cell.label for cell in summary.bd))
    cells = {(cell.label, cell.metric): cell for cell in summary.bd}
    rows = [(summary.anchor, *(("0",) * 2 * len(metrics)))]
    for label in labels:
        figures = [text for metric in metrics for text in _bd_texts(cells[label, metric])]
        rows.append((label, *figures))
    return Table(
        f"BD-rate in % against {summary.anchor}; negative = fewer bits at equal quality",
        tuple(head),
        tuple(rows),
        (
            f"Interpolation: {summary.method}, log10 of bpp over quality in dB; MS-SSIM as -10 log10(1 - MS-SSIM).",
            "Mean curve: mean over pictures of bpp and of quality at each setting; the field's usual average. "
            "Per picture: the mean of the BD-rates of single pictures, and how many of them could be computed.",
            "† points that were no better than a cheaper one were left out (monotone fit). ‡ less than half of the narrower "
            "curve's quality range was compared, or another remark: see the notes.",
            *_bd_notes(summary.bd),
        ),
    )


def times(summary: Summary) -> Table:
    """Times as ratios to the anchor codec of the same run; seconds in the footnotes."""
    rows = tuple((row.label, _ratio(row.encode_ratio), _ratio(row.decode_ratio), str(row.pictures)) for row in summary.times)
    return Table(
        f"Time, {summary.time_anchor} = 1" if summary.time_anchor else "Time",
        ("codec", "encode", "decode", "pictures"),
        rows,
        (
            "Wall time in one process, codec loaded: the mean over a picture's settings; ratios are medians over pictures.",
            "Seconds for a picture (median, encode / decode): " + "; ".join(_seconds(row) for row in summary.times) + ".",
        ),
    )


def failures(summary: Summary) -> Table:
    """The rows and readings that failed."""
    return Table(
        f"{sum(failure.count for failure in summary.failures)} failed",
        ("codec", "picture", "quality", "error"),
        tuple((one.label, one.where, NONE if one.quality is None else f"{one.quality:g}", one.what) for one in summary.failures),
        (),
    )


def runs(summary: Summary) -> Table:
    """Machine, versions and command of each run that the rows come from."""
    return Table(
        "How it was measured",
        ("date", "machine", "versions", "command"),
        tuple(
            (
                header.date,
                f"{header.cpu}, {header.cores} cores, {header.platform}, threads {header.threads or 'default'}",
                ", ".join([f"Python {header.python}", *(f"{name} {version}" for name, version in header.versions)]),
                header.command,
            )
            for header in summary.headers
        ),
        (),
    )


def _bd_texts(cell: BdCell) -> tuple[str, str]:
    mean = NONE
    if cell.result is not None:
        basis = cell.result.basis
        mark = ("†" if basis.fit else "") + ("‡" if basis.notes and not basis.fit else "")
        mean = f"{cell.result.value_percent:+.1f}{mark}"
    if cell.paired == 0:
        return mean, NONE
    single = NONE if cell.mean_percent is None else f"{cell.mean_percent:+.1f}"
    return mean, f"{single} ({cell.computed} of {cell.paired})"


def _bd_notes(cells: Sequence[BdCell]) -> tuple[str, ...]:
    notes: list[str] = []
    for cell in cells:
        where = f"{cell.label}, {TITLES[cell.metric]}"
        if cell.refusal not in (None, NOT_GIVEN):
            notes.append(f"{where}: none, {cell.refusal}.")
        if cell.result is not None:
            notes += [f"{where}: {note}." for note in cell.result.basis.notes]
        if cell.dropped_infinite:
            notes.append(f"{where}: {cell.dropped_infinite} points without any error left out.")
    return tuple(notes)


def _ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}"


def _seconds(row: TimeRow) -> str:
    return f"{row.label} {row.encode_s:.3g} / {row.decode_s:.3g}"
