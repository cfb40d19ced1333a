"""From rows to curves, and curves that others measured.

A curve is the mean over pictures of bpp and of quality at each quality setting, as the field draws it: the mean of PSNR in dB,
and for MS-SSIM the mean of the index, then -10 log10(1 - mean). A picture counts if it was coded at all of a curve's settings.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Literal, cast

from foveal.bench.rows import Row
from foveal.errors import InputError
from foveal.metrics.bd import Curve
from foveal.metrics.ssim import ssim_db

Metric = Literal["psnr_rgb", "psnr_y", "ms_ssim"]
METRICS: Final[tuple[Metric, ...]] = ("psnr_rgb", "psnr_y", "ms_ssim")
_COMPRESSAI_KEYS: Final[tuple[tuple[Metric, tuple[str, str]], ...]] = (
    ("psnr_rgb", ("psnr-rgb", "psnr")),
    ("ms_ssim", ("ms-ssim-rgb", "ms-ssim")),
)
TITLES: Final[dict[Metric, str]] = {"psnr_rgb": "PSNR (RGB)", "psnr_y": "PSNR (Y)", "ms_ssim": "MS-SSIM"}


@dataclass(frozen=True)
class Series:
    """All rows of one label of a run, or of an earlier one on the same pictures (``measured:`` before the label)."""

    label: str
    rows: tuple[Row, ...]

    def settings(self) -> tuple[float, ...]:
        """The quality settings, rising, at which at least one picture was coded."""
        return tuple(sorted(self._good))

    def gives(self, metric: Metric) -> bool:
        """Whether any row holds this metric."""
        return any(_value(row, metric) is not None for row in self.rows)

    def pictures(self, metric: Metric) -> tuple[str, ...]:
        """The pictures that hold this metric at every setting, by name."""
        settings = self.settings()
        done = {(row.picture, row.quality) for row in self.rows if _value(row, metric) is not None}
        names = sorted({row.picture for row in self.rows})
        return tuple(name for name in names if settings and all((name, quality) in done for quality in settings))

    def at(self, quality: float, pictures: Sequence[str]) -> tuple[Row, ...]:
        """The rows of these pictures at one setting."""
        rows = self._good.get(quality, {})
        return tuple(rows[name] for name in pictures if name in rows)

    @functools.cached_property
    def _good(self) -> dict[float, dict[str, Row]]:
        found: dict[float, dict[str, Row]] = {}
        for row in self.rows:
            if row.error is None:
                found.setdefault(row.quality, {})[row.picture] = row
        return found

    def mean_curve(self, metric: Metric, pictures: Sequence[str]) -> Curve:
        """The mean over pictures that all hold the metric: bpp and dB at each setting. Infinite where all samples came back."""
        bpps: list[float] = []
        values: list[float] = []
        for quality in self.settings() if pictures else ():
            rows = self.at(quality, pictures)
            bpps.append(fmean(_known(row.bpp) for row in rows))
            mean = fmean(_known(_value(row, metric)) for row in rows)
            values.append(ssim_db(mean) if metric == "ms_ssim" else mean)
        return Curve(self.label, tuple(bpps), tuple(values))


@dataclass(frozen=True)
class Published:
    """Mean curves that others published, labelled ``published:NAME`` after the file; one curve for each metric they give."""

    label: str
    description: str
    curves: tuple[tuple[Metric, Curve], ...]

    def gives(self, metric: Metric) -> bool:
        """Whether there is a curve of this metric."""
        return self.curve(metric) is not None

    def curve(self, metric: Metric) -> Curve | None:
        """The curve of a metric, or None if they give none."""
        return next((curve for known, curve in self.curves if known == metric), None)


def series_of(rows: Sequence[Row]) -> tuple[Series, ...]:
    """The rows by label, in order of first appearance."""
    labels = dict.fromkeys(row.label for row in rows)
    return tuple(Series(label, tuple(row for row in rows if row.label == label)) for label in labels)


def finite_part(curve: Curve) -> Curve:
    """The points of a curve whose quality is finite: where all samples came back there is no PSNR to compare."""
    points = [(bpp, db) for bpp, db in zip(curve.bpp, curve.quality, strict=True) if math.isfinite(db)]
    return Curve(curve.label, tuple(bpp for bpp, _ in points), tuple(db for _, db in points))


def read_published(path: Path) -> Published:
    """Reads a file of the CompressAI results JSON form.

    Raises:
        InputError: it cannot be read, is not of that form, or its lists differ in length.
    """
    label = f"published:{path.stem}"
    try:
        data = cast("dict[str, Any]", json.loads(path.read_bytes()))
        results = cast("dict[str, list[float]]", data["results"])
        bpp = _floats(results["bpp"])
        curves: list[tuple[Metric, Curve]] = []
        for metric, keys in _COMPRESSAI_KEYS:
            values = next((_floats(results[key]) for key in keys if key in results), None)
            if values is not None:
                values = tuple(ssim_db(value) for value in values) if metric == "ms_ssim" else values
            elif metric == "ms_ssim" and "ms-ssim-db-rgb" in results:
                values = _floats(results["ms-ssim-db-rgb"])
            if values is not None:
                if len(values) != len(bpp):
                    raise ValueError(f"{len(bpp)} rates, {len(values)} of {metric}")
                curves.append((metric, Curve(label, bpp, values)))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is not a results file of the CompressAI form ({error!r})") from error
    return Published(label, str(data.get("description") or data.get("name") or path.stem), tuple(curves))


def read_measured(path: Path) -> tuple[Series, ...]:
    """Reads curves measured elsewhere: JSON Lines of image, codec, q, bytes, bpp, psnr, ms_ssim, enc_s and dec_s.

    Raises:
        InputError: it cannot be read, or a line is not of that form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_measured_row(cast("dict[str, Any]", json.loads(line))))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path}, line {number}: not a measured point ({error!r})") from error
    return series_of(rows)


def _measured_row(data: dict[str, Any]) -> Row:
    codec = str(data["codec"])
    return Row(
        picture=str(data["image"]), picture_sha256="", codec=codec, label=f"measured:{codec}", quality=float(data["q"]),
        chroma=None, preset=None, threads=None, foveal="", weights=None, bytes=int(data["bytes"]), bpp=float(data["bpp"]),
        psnr_rgb_db=float(data["psnr"]), ms_ssim=float(data["ms_ssim"]),
        encode_s=float(data["enc_s"]), decode_s=float(data["dec_s"]),
    )  # fmt: skip


def _value(row: Row, metric: Metric) -> float | None:
    if row.error is not None:
        return None
    return {"psnr_rgb": row.psnr_rgb_db, "psnr_y": row.psnr_y_db, "ms_ssim": row.ms_ssim}[metric]


def _known(value: float | None) -> float:
    assert value is not None, "only rows that hold the metric are averaged"
    return value


def _floats(values: Sequence[object]) -> tuple[float, ...]:
    return tuple(float(cast("float", value)) for value in values)
