"""A surface with its checks and its files: what ``foveal rdc`` does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from foveal.errors import InputError
from foveal.media.output import check_writable, write_whole
from foveal.theory.operating import Standing, read_points, standings
from foveal.theory.plots import contour_png, surface_png
from foveal.theory.properties import convex, monotone
from foveal.theory.subject import Range, Subject, largest_difference
from foveal.theory.surface import Definition, Surface


@dataclass(frozen=True)
class StudyReport:
    """What was drawn. gap_bits: the largest distance of the bounds on R. closed_form_difference_bits: the largest distance to the closed form,
    None if there is none or the surface is the closed form itself. monotone, convex: whether no pair or triple of points proves a failure.
    feasible: how many of the points a code can reach. files: what was written. operating_points: where a codec's points stand.
    not_drawn: how many of these lie outside of the axes.
    """

    source: str
    definition: Definition
    points: int
    feasible: int
    highest_rate_bits: float
    gap_bits: float
    closed_form_difference_bits: float | None
    monotone: bool
    convex: bool
    solve_s: float
    files: tuple[str, ...]
    operating_points: tuple[Standing, ...]
    not_drawn: int


def study(
    subject: Subject,
    out: str | Path,
    *,
    points: int = 30,
    distortion: Range | None = None,
    classification: Range | None = None,
    points_csv: str | Path | None = None,
) -> StudyReport:
    """Computes the surface and writes ``out``, ``out`` with ``-contour`` before the suffix, and ``out`` with the suffix .csv.

    Raises:
        InputError: ``out`` does not end in .png, a file cannot be written, or it is ``points_csv``; asked before the work.
        TheoryError: the ranges, the points, or the file of operating points.
        MissingDependencyError: matplotlib is not installed.
    """
    files = _files(out, points_csv)
    codec = read_points(points_csv) if points_csv is not None else ()
    start = time.perf_counter()
    surface = subject.surface(points, distortion, classification)
    solve_s = time.perf_counter() - start
    closed = subject.closed_surface(surface)
    standing = standings(subject, codec) if codec else ()
    inside = tuple(point for point in standing if _inside(surface, point))
    drawn = surface_png(surface, subject.axis_name, inside), contour_png(surface, subject.axis_name, inside)
    for file, data in zip(files, (*drawn, surface.csv().encode()), strict=True):
        write_whole(file, data)
    return StudyReport(
        source=subject.name,
        definition=subject.definition,
        points=surface.rate.size,
        feasible=int(surface.feasible.sum()),
        highest_rate_bits=float(surface.rate[surface.feasible].max()),
        gap_bits=surface.gap,
        closed_form_difference_bits=None if closed is None or subject.formula_only else largest_difference(surface, closed),
        monotone=monotone(surface).holds,
        convex=convex(surface).holds,
        solve_s=solve_s,
        files=tuple(str(file) for file in files),
        operating_points=standing,
        not_drawn=len(standing) - len(inside),
    )


def _files(out: str | Path, points_csv: str | Path | None) -> tuple[Path, Path, Path]:
    name, out = str(out), Path(out)
    if out.suffix.lower() != ".png":
        raise InputError(f"out {name!r} must end in .png, such as surface.png; the contours and the table are put beside it")
    files = out, out.with_name(f"{out.stem}-contour{out.suffix}"), out.with_suffix(".csv")
    for file in files:
        check_writable(file)
    if points_csv is not None and files[2].resolve() == Path(points_csv).resolve():
        raise InputError(f"the table would be written over the points of {points_csv}; name another out")
    return files


def _inside(surface: Surface, point: Standing) -> bool:
    axes = ((surface.distortion, point.distortion), (surface.classification, point.classification))
    return all(axis[0] <= value <= axis[-1] for axis, value in axes)
