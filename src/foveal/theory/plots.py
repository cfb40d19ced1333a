"""Surfaces as PNG: in perspective, and as contours. Figures are made without pyplot, so no global state of matplotlib is touched."""

from __future__ import annotations

import importlib.util
import io
import math
from collections.abc import Sequence
from typing import Any, Final, cast

import numpy as np

from foveal.errors import MissingDependencyError, TheoryError
from foveal.theory.arrays import Array
from foveal.theory.operating import Standing
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
    axes = figure.add_axes((0.1, 0.1, 0.7, 0.76))
    first, second = surface.distortion, surface.classification
    rate = np.ma.masked_invalid(np.where(surface.feasible, surface.rate, np.nan)).T
    axes.set_facecolor(_OUT_OF_REACH)
    _fill(axes, surface, colors)
    levels = _levels(surface)
    if len(levels) and min(surface.rate.shape) > 1:
        lines = axes.contour(first, second, rate, levels=levels, colors="white", linewidths=1.0)
        axes.clabel(lines, fmt="%g", fontsize=8.5)
    if (surface.rate[surface.feasible] == 0).any() and (surface.rate[surface.feasible] > 0).any():
        axes.contour(first, second, rate, levels=[1e-3], colors="white", linewidths=1.2, linestyles="--")
    if not surface.feasible.all():
        axes.plot([], [], "s", color=_OUT_OF_REACH, markersize=10, label="no code reaches this")
        axes.plot([], [], "s", color="white", markeredgecolor="#888888", markersize=9, label="the border is in these cells")
    if points:
        shown = [[p.distortion for p in points], [p.classification for p in points]]
        axes.plot(*shown, "o", color=_POINT, markersize=6, markeredgecolor="white", label="a codec, bits above the limit")
        for point in points:
            text = f"{point.above_bits:+.3g}" if math.isfinite(point.above_bits) else "out of reach"
            axes.annotate(text, (point.distortion, point.classification), (6, 5), textcoords="offset points", **_LABEL)
    if points or not surface.feasible.all():
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=8.5, frameon=False, handletextpad=0.4, columnspacing=1.2
        )
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
    """Cells of which no corner can be reached, in gray on the floor."""
    floor = np.where(surface.feasible, np.nan, 0.0)
    if np.isfinite(_cells(floor)).any():
        axes.plot_surface(first, second, floor, color=_OUT_OF_REACH, rstride=1, cstride=1, linewidth=0, shade=False, zorder=1)


def _cells(values: Array) -> Array:
    """The mean of each cell's four corners, NaN if one of them is."""
    return (values[:-1, :-1] + values[1:, :-1] + values[:-1, 1:] + values[1:, 1:]) / 4


def _fill(axes: Any, surface: Surface, colors: Any) -> None:
    """Rates in colour, cells of which no corner can be reached in gray, and those that the border crosses in white."""
    first, second = surface.distortion, surface.classification
    rate = np.where(surface.feasible, surface.rate, np.nan)
    kind = {"cmap": _COLORS, "norm": colors.norm}
    if surface.feasible.all() or min(rate.shape) == 1:
        axes.pcolormesh(first, second, rate.T, shading="gouraud" if min(rate.shape) > 1 else "nearest", **kind)
        return
    axes.pcolormesh(first, second, _cells(rate).T, shading="flat", **kind)
    beyond = np.isfinite(_cells(np.where(surface.feasible, np.nan, 0.0)))
    crossed = np.where(beyond | np.isfinite(_cells(rate)), np.nan, 0.0)
    axes.pcolormesh(first, second, crossed.T, shading="flat", cmap=_paper())


def _paper() -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap(["white"])


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
    figure.suptitle(
        f"Rate-distortion-classification ({what}): {surface.name}", x=0.02, ha="left", fontsize=12.5, parse_math=False
    )
    bar = figure.colorbar(colors, cax=figure.add_axes((0.86, 0.16, 0.022, 0.66)))
    bar.set_label("R(D, C) in bits")
    notes: list[str] = []
    if not surface.feasible.all() and figure.axes[0].name == "3d":
        notes.append("gray: no code reaches this; the border lies between gray and the surface")
    if points:
        notes.append("orange: operating points, with a line down to the limit")
    if notes:
        figure.text(0.02, 0.02, "; ".join(notes), fontsize=9, color="#333333")


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
