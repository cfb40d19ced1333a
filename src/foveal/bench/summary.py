"""The figures of a report: BD-rates against one anchor, and times as ratios to an anchor of the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

from foveal.bench.accuracy import Accuracy
from foveal.bench.curves import METRICS, Metric, Published, Series, finite_part
from foveal.bench.failures import Failure
from foveal.bench.rows import Header
from foveal.errors import CurveError, SettingsError
from foveal.metrics.bd import BdRate, Curve, Interpolation, bd_rate

Contender = Series | Published
NOT_GIVEN: Final = "not given"
"""The refusal of a BD-rate in a metric that one of the two curves has no figures of at all."""


@dataclass(frozen=True)
class BdCell:
    """One BD-rate of the table.

    result: on the mean curves, or None, and then ``refusal`` says why. pictures: how many those means are over, None if
    the curve is published. mean_percent: the mean of the BD-rates of ``computed`` pictures out of ``paired``, None if none.
    """

    label: str
    metric: Metric
    result: BdRate | None
    refusal: str | None
    pictures: int | None
    mean_percent: float | None
    computed: int
    paired: int
    dropped_infinite: int


@dataclass(frozen=True)
class TimeRow:
    """Times of one label. Ratios are medians over pictures of the mean time of all settings; seconds are medians of it too."""

    label: str
    encode_ratio: float | None
    decode_ratio: float | None
    encode_s: float
    decode_s: float
    pictures: int


@dataclass(frozen=True)
class Summary:
    """Everything that the tables of a report say. anchor: of the BD-rates; time_anchor: of the ratios of times."""

    anchor: str
    time_anchor: str | None
    method: Interpolation
    pictures: tuple[str, ...]
    bd: tuple[BdCell, ...]
    times: tuple[TimeRow, ...]
    failures: tuple[Failure, ...]
    headers: tuple[Header, ...]
    notes: tuple[str, ...]
    accuracy: tuple[Accuracy, ...] = ()


def find_contender(contenders: Sequence[Contender], label: str) -> Contender:
    """The curve of this label.

    Raises:
        SettingsError: there is none; the message lists those that there are.
    """
    for contender in contenders:
        if contender.label == label:
            return contender
    raise SettingsError(f"no curve {label!r} to compare with; there are {', '.join(c.label for c in contenders)}")


def bd_table(contenders: Sequence[Contender], anchor: Contender, method: Interpolation) -> tuple[BdCell, ...]:
    """BD-rates of all curves but the anchor, for each metric."""
    return tuple(
        _bd_cell(anchor, test, metric, method) for test in contenders if test.label != anchor.label for metric in METRICS
    )


def time_table(series: Sequence[Series], anchor: str | None) -> tuple[TimeRow, ...]:
    """Times of each label, and their ratios to the anchor's on the pictures that both coded at every setting."""
    means = {one.label: _mean_times(one) for one in series}
    base = means.get(anchor or "", {})
    rows: list[TimeRow] = []
    for label, times in means.items():
        if not times:
            continue
        common = [name for name in times if name in base and min(base[name]) > 0]
        rows.append(
            TimeRow(
                label,
                median(times[name][0] / base[name][0] for name in common) if common else None,
                median(times[name][1] / base[name][1] for name in common) if common else None,
                median(encode for encode, _ in times.values()),
                median(decode for _, decode in times.values()),
                len(times),
            )
        )
    return tuple(rows)


def _bd_cell(anchor: Contender, test: Contender, metric: Metric, method: Interpolation) -> BdCell:
    names: tuple[str, ...] | None = None
    if isinstance(anchor, Series) and isinstance(test, Series):
        common = set(anchor.pictures(metric)) & set(test.pictures(metric))
        names = tuple(sorted(common))
    curves = [_curve(contender, metric, names) for contender in (anchor, test)]
    finite = [finite_part(curve) for curve in curves]
    dropped = sum(len(whole.bpp) - len(part.bpp) for whole, part in zip(curves, finite, strict=True))
    given = anchor.gives(metric) and test.gives(metric)
    result, refusal = _try_bd(finite[0], finite[1], method) if given else (None, NOT_GIVEN)
    singles = _per_picture(anchor, test, metric, names or (), method)
    return BdCell(
        label=test.label,
        metric=metric,
        result=result,
        refusal=refusal,
        pictures=_count(test, metric, names),
        mean_percent=fmean(singles) if singles else None,
        computed=len(singles),
        paired=len(names or ()),
        dropped_infinite=dropped,
    )


def _curve(contender: Contender, metric: Metric, names: tuple[str, ...] | None) -> Curve:
    if isinstance(contender, Published):
        return contender.curve(metric) or Curve(contender.label, (), ())
    return contender.mean_curve(metric, contender.pictures(metric) if names is None else names)


def _count(contender: Contender, metric: Metric, names: tuple[str, ...] | None) -> int | None:
    if isinstance(contender, Published):
        return None
    return len(contender.pictures(metric) if names is None else names)


def _try_bd(anchor: Curve, test: Curve, method: Interpolation) -> tuple[BdRate | None, str | None]:
    """Strictly first; if a curve does not rise, with the fit that the result names."""
    for curve in (anchor, test):
        if not curve.bpp:
            return None, f"no points of {curve.label} on the pictures that both hold"
    try:
        return bd_rate(anchor, test, method=method), None
    except CurveError:
        try:
            return bd_rate(anchor, test, method=method, fit="pareto"), None
        except CurveError as error:
            return None, str(error)


def _per_picture(anchor: Contender, test: Contender, metric: Metric, names: Sequence[str], method: Interpolation) -> list[float]:
    """The BD-rates of single pictures, without any fit; pictures whose curves are refused are not in the list."""
    if not (isinstance(anchor, Series) and isinstance(test, Series)):
        return []
    found: list[float] = []
    for name in names:
        pair = [finite_part(contender.mean_curve(metric, (name,))) for contender in (anchor, test)]
        try:
            found.append(bd_rate(pair[0], pair[1], method=method).value_percent)
        except CurveError:
            continue
    return found


def _mean_times(series: Series) -> dict[str, tuple[float, float]]:
    names = series.pictures("psnr_rgb")
    times: dict[str, tuple[float, float]] = {}
    for name in names:
        rows = [row for quality in series.settings() for row in series.at(quality, (name,))]
        times[name] = fmean(row.encode_s or 0.0 for row in rows), fmean(row.decode_s or 0.0 for row in rows)
    return times
