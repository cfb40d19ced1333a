"""Surfaces as PNG: in perspective, and as contours. Figures are made without pyplot, so no global state of matplotlib is touched."""

from __future__ import annotations

import importlib.util
import io
import math
from collections.abc import Sequence
from typing import Any, Final, cast

import numpy as np

from foveal.errors import MissingDependencyError, TheoryError
from foveal.theory.operating import Standing
from foveal.theory.source import Array
from foveal.theory.surface import Surface

_COLORS: Final = "viridis"
_OUT_OF_REACH: Final = "#d9d9d9"
_POINT: Final = "#D55E00"
_PAPER: Final = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
_LABEL: Final[dict[str, Any]] = {"fontsize": 8.5, "color": "#8a3a00", "bbox": _PAPER}
_DPI: Final = 130


def surface_png(surface: Surface, axis: str, points: Sequence[Standing] = ()) -> bytes:
    """R over D and C in perspective. axis: the name of the second axis. points: drawn above the surface, with a line down to it.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        TheoryError: nothing of the grid is feasible.
    """
    figure, colors = _figure(surface, (9.2, 7.0))
    axes = figure.add_axes((0.0, 0.02, 0.84, 0.9), projection="3d", computed_zorder=False)
    first, second = np.meshgrid(surface.distortion, surface.classification, indexing="ij")
    rate = np.where(surface.feasible, surface.rate, np.nan)
    _floor(axes, surface, first, second)
    axes.plot_surface(
        first,
        second,
        rate,
        facecolors=colors.to_rgba(rate),
        rstride=1,
        cstride=1,
        linewidth=0.2,
        edgecolor=(0, 0, 0, 0.25),
        zorder=2,
    )
    for point in points:
        foot = point.limit if math.isfinite(point.limit) else 0.0
        place = [point.distortion] * 2, [point.classification] * 2
        axes.plot(*place, [foot, point.rate], color=_POINT, linewidth=1.2, zorder=3)
        axes.plot(place[0][:1], place[1][:1], [point.rate], color=_POINT, marker="o", markersize=5, zorder=4)
    axes.set_xlabel("D: expected distortion", labelpad=8)
    axes.set_ylabel(axis, labelpad=8)
    axes.set_zlabel("R (bits)", labelpad=4)
    axes.set_zlim(0, max([float(np.nanmax(rate)), *(point.rate for point in points)]) * 1.02 or 1.0)
    axes.view_init(elev=26, azim=42)
    axes.set_box_aspect((1, 1, 0.72), zoom=0.92)
    _dress(figure, surface, colors, points)
    return _png(figure)


def contour_png(surface: Surface, axis: str, points: Sequence[Standing] = ()) -> bytes:
    """Lines of equal rate over D and C, what cannot be reached in gray. Arguments and errors as of ``surface_png``."""
    figure, colors = _figure(surface, (8.2, 6.4))
    axes = figure.add_axes((0.1, 0.1, 0.7, 0.8))
    first, second = surface.distortion, surface.classification
    rate = np.ma.masked_invalid(np.where(surface.feasible, surface.rate, np.nan)).T
    axes.set_facecolor(_OUT_OF_REACH)
    axes.pcolormesh(
        first, second, rate, cmap=_COLORS, norm=colors.norm, shading="gouraud" if surface.feasible.all() else "nearest"
    )
    levels = _levels(surface)
    if len(levels) and min(surface.rate.shape) > 1:
        lines = axes.contour(first, second, rate, levels=levels, colors="white", linewidths=1.0)
        axes.clabel(lines, fmt="%g", fontsize=8.5)
    if (surface.rate[surface.feasible] == 0).any() and (surface.rate[surface.feasible] > 0).any():
        axes.contour(first, second, rate, levels=[1e-3], colors="white", linewidths=1.2, linestyles="--")
    if not surface.feasible.all():
        axes.plot([], [], "s", color=_OUT_OF_REACH, markersize=10, label="no code reaches this")
    if points:
        shown = [[p.distortion for p in points], [p.classification for p in points]]
        axes.plot(
            *shown, "o", color=_POINT, markersize=6, markeredgecolor="white", label="operating points (bits above the limit)"
        )
        for point in points:
            text = f"{point.above_bits:+.3g}" if math.isfinite(point.above_bits) else "out of reach"
            axes.annotate(text, (point.distortion, point.classification), (6, 5), textcoords="offset points", **_LABEL)
    if points or not surface.feasible.all():
        axes.legend(loc="upper right", fontsize=9, framealpha=0.92)
    axes.set_xlim(float(first[0]), float(first[-1]))
    axes.set_ylim(float(second[0]), float(second[-1]))
    axes.set_xlabel("D: expected distortion")
    axes.set_ylabel(axis)
    _dress(figure, surface, colors, ())
    return _png(figure)


def _figure(surface: Surface, inches: tuple[float, float]) -> tuple[Any, Any]:
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependencyError("plots need matplotlib; pip install matplotlib")
    if not surface.feasible.any():
        raise TheoryError("no point of the grid can be reached, so there is nothing to draw; give ranges with larger D and C")
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    figure = Figure(figsize=inches, dpi=_DPI)
    FigureCanvasAgg(figure)
    most = float(surface.rate[surface.feasible].max())
    colors = ScalarMappable(norm=Normalize(0, most or 1.0), cmap=colormaps[_COLORS])
    return cast("Any", figure), cast("Any", colors)


def _floor(axes: Any, surface: Surface, first: Array, second: Array) -> None:
    """What cannot be reached, in gray on the floor."""
    if surface.feasible.all():
        return
    gray = ~surface.feasible
    gray[:-1] |= gray[1:].copy()  # up to the first points that can be reached
    gray[1:] |= ~surface.feasible[:-1]
    gray[:, :-1] |= gray[:, 1:].copy()
    gray[:, 1:] |= ~surface.feasible[:, :-1]
    floor = np.where(gray, 0.0, np.nan)
    axes.plot_surface(first, second, floor, color=_OUT_OF_REACH, rstride=1, cstride=1, linewidth=0, shade=False, zorder=1)


def _levels(surface: Surface) -> Array:
    """Round rates, about eight of them, above 0."""
    most = float(surface.rate[surface.feasible].max())
    if most <= 0:
        return np.zeros(0)
    raw = most / 8
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * digit for digit in (1, 2, 2.5, 5, 10) if unit * digit >= raw)
    return step * np.arange(1, math.ceil(most / step), dtype=np.float64)


def _dress(figure: Any, surface: Surface, colors: Any, points: Sequence[Standing]) -> None:
    what = "fixed classifier" if surface.definition == "classifier" else "label entropy"
    figure.suptitle(f"Rate-distortion-classification ({what}): {surface.name}", x=0.02, ha="left", fontsize=12.5)
    bar = figure.colorbar(colors, cax=figure.add_axes((0.86, 0.16, 0.022, 0.66)))
    bar.set_label("R(D, C) in bits")
    notes: list[str] = []
    if not surface.feasible.all() and figure.axes[0].name == "3d":
        notes.append("gray: no code reaches this")
    if points:
        notes.append("orange: operating points, with a line down to the limit")
    if notes:
        figure.text(0.02, 0.02, "; ".join(notes), fontsize=9, color="#333333")


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
