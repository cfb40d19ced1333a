"""Writes the report of a bench: plots, tables, and each curve in the CompressAI results JSON form."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Final, cast

from foveal.bench import accuracy_tables, tables
from foveal.bench.accuracy import accuracies
from foveal.bench.curves import TITLES, Metric, Published, Series, finite_part, read_measured, read_published, series_of
from foveal.bench.failures import failures_of
from foveal.bench.pages import Page, Plot, to_html, to_markdown
from foveal.bench.plots import Line, draw_png
from foveal.bench.rows import Header, read_rows, select_latest, select_readings
from foveal.bench.summary import NOT_GIVEN, Contender, Summary, bd_table, find_contender, time_table
from foveal.errors import InputError
from foveal.media.output import write_whole
from foveal.metrics.bd import Interpolation
from foveal.tasks.scorings import scoring
from foveal.tasks.wording import counted

_PLOTS: Final[tuple[tuple[Metric, str, str], ...]] = (
    ("psnr_rgb", "rd_psnr.png", "PSNR (RGB), dB"),
    ("ms_ssim", "rd_ms_ssim.png", "MS-SSIM, -10 log10(1 - MS-SSIM), dB"),
)
_ALONE: Final = (
    "No BD-rates: they compare two curves of one metric, and there are no two. `foveal bench --codecs` takes several codecs."
)


@dataclass(frozen=True)
class Report:
    """What was written, and the figures. plots are missing where no curve holds their metric."""

    html: Path
    markdown: Path
    summary_json: Path
    plots: tuple[Path, ...]
    results: tuple[Path, ...]
    summary: Summary


def write_report(
    rows: Sequence[Path],
    out: Path,
    *,
    anchor: str,
    time_anchor: str | None = None,
    published: Sequence[Path] = (),
    measured: Path | None = None,
    method: Interpolation = "pchip",
    title: str | None = None,
    draws: int = 300,
) -> Report:
    """Reads files of rows and writes the report into ``out``.

    anchor: the curve that BD-rates are against: a label of the rows, ``published:NAME`` (the file's name without .json) or
    ``measured:CODEC``. draws: of the bootstrap that gives scores of networks their intervals. time_anchor: the label whose times are 1; None means the anchor if it is of this run, else the first.

    Raises:
        InputError: a file that cannot be read or written, or no good row in it. SettingsError: no curve of the anchor's name.
        MissingDependencyError: matplotlib or bjontegaard is not installed.
    """
    files = [read_rows(path) for path in rows]
    chosen, left_out = select_latest([row for file in files for row in file.rows])
    if not any(row.error is None for row in chosen):
        first = next((f"; the first error: {row.error}" for row in chosen), "")
        raise InputError(f"no good row in {', '.join(map(str, rows))}{first}")
    series = series_of(chosen)
    contenders: list[Contender] = [*series, *(read_measured(measured) if measured else ()), *map(read_published, published)]
    base = find_contender(contenders, anchor)
    times_of = time_anchor or (anchor if any(one.label == anchor for one in series) else series[0].label)
    find_contender(series, times_of)
    headers = tuple(header for file in files for header in file.headers)
    pictures = tuple(sorted({row.picture for row in chosen}))
    bd, times = bd_table(contenders, base, method), time_table(series, times_of)
    readings, stale = select_readings([file.readings for file in files], chosen)
    accuracy = accuracies(readings, anchor, scoring, draws)
    unscored = (text for one in accuracy if (text := accuracy_tables.remark(one)) is not None)
    notes = (*left_out, *stale, *_remarks(headers, series, len(pictures), bool(published)), *unscored)
    failures = failures_of([row for one in series for row in one.rows], readings)
    summary = Summary(anchor, times_of, method, pictures, bd, times, failures, headers, notes, accuracy)
    chosen_title = title or ("Rate, distortion and accuracy" if accuracy else "Rate and distortion")
    return _write(out, chosen_title, summary, contenders, series)


def _write(out: Path, title: str, summary: Summary, contenders: Sequence[Contender], series: Sequence[Series]) -> Report:
    try:
        (out / "results").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}") from error
    plots: list[Plot] = []
    for metric, name, axis in _PLOTS:
        lines = _lines(contenders, metric)
        if lines:
            caption = f"{title}: {TITLES[metric]}, mean of {counted(len(summary.pictures), 'picture')}"
            plots.append(Plot(name, caption, draw_png(lines, caption, axis)))
    plots += [accuracy_tables.plot(accuracy) for accuracy in summary.accuracy if accuracy.nothing is None]
    page = _page(title, summary, tuple(plots))
    results: list[Path] = []
    for one in series:
        text = _compressai_json(one)
        if text is not None:
            results.append(out / "results" / f"{one.label.replace(':', '-')}.json")
            write_whole(results[-1], text.encode())
    for plot in plots:
        write_whole(out / plot.name, plot.png)
    write_whole(
        out / "summary.json", (json.dumps(_plain(asdict(summary)), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    )
    write_whole(out / "report.md", to_markdown(page).encode())
    write_whole(out / "report.html", to_html(page).encode())
    return Report(
        out / "report.html",
        out / "report.md",
        out / "summary.json",
        tuple(out / plot.name for plot in plots),
        tuple(results),
        summary,
    )


def _plain(values: object) -> object:
    """With null for scores that there is nothing to make of, which JSON has no number for."""
    if isinstance(values, dict):
        return {key: _plain(value) for key, value in cast("dict[str, object]", values).items()}
    if isinstance(values, list | tuple):
        return [_plain(value) for value in cast("list[object]", values)]
    return None if isinstance(values, float) and math.isnan(values) else values


def _page(title: str, summary: Summary, plots: tuple[Plot, ...]) -> Page:
    words = [tables.runs(summary)]
    if summary.failures:
        words.insert(0, tables.failures(summary))
    scored = [accuracy for accuracy in summary.accuracy if accuracy.nothing is None]
    read = [accuracy_tables.table(accuracy) for accuracy in scored]
    points = [accuracy_tables.scores(accuracy) for accuracy in scored]
    compared = any(cell.refusal != NOT_GIVEN for cell in summary.bd)
    return Page(
        title=title,
        lead=f"{counted(len(summary.pictures), 'picture')}. Rate is the size of the file on disk, headers included.",
        notes=summary.notes if compared else (*summary.notes, _ALONE),
        plots=plots,
        figures=(*read, *([tables.bd_rates(summary)] if compared else []), tables.times(summary), *points),
        words=tuple(words),
    )


def _lines(contenders: Sequence[Contender], metric: Metric) -> list[Line]:
    lines: list[Line] = []
    for contender in contenders:
        if isinstance(contender, Published):
            curve = contender.curve(metric)
            origin = "published"
        else:
            curve = contender.mean_curve(metric, contender.pictures(metric))
            origin = "measured" if contender.label.startswith("measured:") else "run"
        if curve is not None and finite_part(curve).bpp:
            lines.append(Line(finite_part(curve), origin))
    return lines


def _remarks(headers: Sequence[Header], series: Sequence[Series], pictures: int, published: bool) -> tuple[str, ...]:
    """What a reader has to know: several machines, other people's pictures, curves over fewer pictures than the run has."""
    notes: list[str] = []
    if len({(header.cpu, header.cores) for header in headers}) > 1:
        notes.append("Rows of several machines: ratios of times mix them.")
    if published:
        notes.append(f"Published curves are means over their authors' pictures; this run is over {pictures}.")
    metrics: tuple[Metric, ...] = ("psnr_rgb", "ms_ssim")
    for one in series:
        for metric in metrics:
            count = len(one.pictures(metric))
            if count < pictures and any(other.gives(metric) for other in series):
                notes.append(f"{one.label}: {TITLES[metric]} at all settings for {count} of {counted(pictures, 'picture')}.")
    return tuple(notes)


def _compressai_json(series: Series) -> str | None:
    """The mean curve in the CompressAI form, times in seconds; no ``ms-ssim-rgb`` where a picture is too small for it."""
    names = series.pictures("psnr_rgb")
    if not names:
        return None
    points = [series.at(quality, names) for quality in series.settings()]
    psnr = series.mean_curve("psnr_rgb", names)
    kept = [index for index, value in enumerate(psnr.quality) if math.isfinite(value)]
    results: dict[str, list[float]] = {
        "bpp": [psnr.bpp[index] for index in kept],
        "psnr-rgb": [psnr.quality[index] for index in kept],
        "encoding_time": [fmean(row.encode_s or 0.0 for row in points[index]) for index in kept],
        "decoding_time": [fmean(row.decode_s or 0.0 for row in points[index]) for index in kept],
    }
    if series.pictures("ms_ssim") == names:
        results["ms-ssim-rgb"] = [fmean(row.ms_ssim or 0.0 for row in points[index]) for index in kept]
    description = (
        f"foveal bench, {series.label}: mean over {counted(len(names), 'picture')} at qualities {_list(series.settings(), kept)}"
    )
    return json.dumps({"name": series.label, "description": description, "results": results}, indent=1) + "\n"


def _list(settings: Sequence[float], kept: Sequence[int]) -> str:
    return ", ".join(f"{settings[index]:g}" for index in kept)
