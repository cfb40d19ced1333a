"""Rate-distortion plots as PNG. Figures are made without pyplot, so no global state of matplotlib is touched."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from foveal.errors import MissingDependencyError
from foveal.metrics.bd import Curve

Origin = Literal["run", "measured", "published"]

# Okabe and Ito's colours, which colour-blind readers tell apart; black and dark ones first, the yellow last.
_COLORS: Final = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F5F3F", "#B8A800")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
_OTHER_GRAYS: Final = ("#555555", "#999999", "#777777")
_OTHER_DASHES: Final = ("--", ":", "-.")
_COARSE_TICKS: Final = tuple(digit * 10.0**power for power in range(-4, 4) for digit in (1, 2, 5))
_FINE_TICKS: Final = tuple(digit * 10.0**power for power in range(-4, 4) for digit in (1, 1.5, 2, 3, 4, 5, 6, 7, 8))


@dataclass(frozen=True)
class Line:
    """One curve of a plot, and where it comes from: this run, an earlier measurement, or a publication.

    spread: an interval of each point, in the order of the curve's points, drawn as a bar.
    """

    curve: Curve
    origin: Origin
    spread: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True)
class Style:
    """How one line is drawn."""

    color: str
    dash: str
    marker: str
    width: float


def styles_of(lines: Sequence[Line]) -> tuple[Style, ...]:
    """Curves of the run in colours, all others in grays and dashes behind them; no two markers alike among the first twelve."""
    styles: list[Style] = []
    runs = others = 0
    for line in lines:
        if line.origin == "run":
            turn = runs // len(_COLORS)
            styles.append(Style(_COLORS[runs % len(_COLORS)], ("-", "--")[turn % 2], _MARKERS[runs % len(_MARKERS)], 2.0))
            runs += 1
        else:
            gray, dash = _OTHER_GRAYS[others % len(_OTHER_GRAYS)], _OTHER_DASHES[(others // 3) % len(_OTHER_DASHES)]
            styles.append(Style(gray, dash, _MARKERS[-1 - others % len(_MARKERS)], 1.2))
            others += 1
    return tuple(styles)


def draw_png(lines: Sequence[Line], title: str, axis: str, *, level: tuple[float, str] | None = None) -> bytes:
    """A PNG of quality over bits per pixel (logarithmic), the legend beside it. Points must be finite.

    level: a quality that is drawn as a line across, and its name.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependencyError("plots need matplotlib; pip install matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    legend_inches = 0.7 + 0.08 * max((len(line.curve.label) for line in lines), default=0)
    figure = Figure(figsize=(7.5 + legend_inches, 6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = cast("Any", figure.add_subplot())
    for line, style in zip(lines, styles_of(lines), strict=True):
        points = sorted(zip(line.curve.bpp, line.curve.quality, strict=True))
        axes.plot(
            [bpp for bpp, _ in points],
            [db for _, db in points],
            label=line.curve.label,
            color=style.color,
            linestyle=style.dash,
            marker=style.marker,
            linewidth=style.width,
            markersize=6 if line.origin == "run" else 4.5,
            markeredgecolor="white",
            markeredgewidth=0.5,
            zorder=3 if line.origin == "run" else 2,
        )
        for bpp, (low, high) in zip(line.curve.bpp, line.spread or (), strict=False):
            axes.plot([bpp, bpp], [low, high], color=style.color, linewidth=1, alpha=0.35, zorder=1)
    if level is not None:
        axes.axhline(level[0], color="#555555", linewidth=1, linestyle=(0, (1, 2)), label=level[1], zorder=1)
    _dress(axes, title, axis, [bpp for line in lines for bpp in line.curve.bpp])
    out = io.BytesIO()
    cast("Any", figure).savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _dress(axes: Any, title: str, axis: str, bpps: Sequence[float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_title(title, loc="left", fontsize=13)
    axes.set_xlabel("bits per pixel (whole file)")
    axes.set_ylabel(axis)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(_ticks(bpps)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))
    axes.grid(True, color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if bpps:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9.5, handlelength=3)


def _ticks(bpps: Sequence[float]) -> list[float]:
    low, high = min(bpps, default=0.1), max(bpps, default=1.0)
    coarse = [tick for tick in _COARSE_TICKS if low <= tick <= high]
    return coarse if len(coarse) >= 3 else list(_FINE_TICKS)


def _plain(value: float, _position: int | None) -> str:
    return f"{value:g}"
