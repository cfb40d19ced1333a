"""The plots of the experiment as small PNGs. Figures are made without pyplot, so no global state of matplotlib is touched."""

from __future__ import annotations

import importlib.util
import io
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from foveal.digits.claims import Claims, Grid, at_rate
from foveal.digits.label_code import LabelCode
from foveal.digits.surface import lower_envelope
from foveal.errors import MissingDependencyError

# Okabe and Ito's colours, which colour-blind readers tell apart.
_COLORS: Final = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X")
_MSE: Final = "distortion D: mean squared error, samples 0..255"
_RATE: Final = "rate R: bits a digit, whole file"
_ERROR: Final = "error C of the frozen classifier, %"
_PALETTE: Final = 128
_MESH: Final = 41


def draw_plots(grid: Grid, claims: Claims, label: LabelCode) -> dict[str, bytes]:
    """PNGs by name: ``surface``, ``rate-distortion``, ``rate-error``, ``trade``, ``held-out``.

    Raises:
        MissingDependencyError: matplotlib or scipy is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependencyError("plots need matplotlib; pip install 'foveal[bench]'")
    means = [getattr(grid, name).mean(3, dtype=np.float64) for name in ("rate_bits", "mse", "frozen_percent", "held_out_percent")]
    rate, mse, error, held_out = means
    return {
        "surface": _surface(grid, rate, mse, error),
        "rate-distortion": _curves(
            grid, rate, mse, (label.rate_bits, label.mse), (_RATE, _MSE), "Rate and distortion, by weight of classification"
        ),
        "rate-error": _curves(
            grid,
            rate,
            error,
            (label.rate_bits, label.frozen_percent),
            (_RATE, _ERROR),
            "Rate and errors, by weight of classification",
            log=True,
        ),
        "trade": _trade(grid, claims, rate, mse, error),
        "held-out": _held_out(grid, error, held_out),
    }


def _label(weight: float) -> str:
    return f"λc = {weight:g}" + (" (none)" if weight == 0 else "")


def _style(number: int) -> dict[str, Any]:
    return {"color": _COLORS[number % len(_COLORS)], "marker": _MARKERS[number % len(_MARKERS)]}


def _figure(width: float, height: float, **kind: Any) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, cast("Any", figure.add_subplot(**kind))


def _dress(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", fontsize=12)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=9.5)


def _png(figure: Any) -> bytes:
    """The figure in few colours, a third as large."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    small = io.BytesIO()
    Image.open(drawn).convert("RGB").quantize(_PALETTE, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        small, "PNG", optimize=True
    )
    return small.getvalue()


def _plain_log(axis: Any, low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator(_ticks(low, high)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_plain))


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two, more of them where the two are close."""
    digits = (1, 2, 5) if high > 30 * low else (1, 1.5, 2, 3, 4, 5, 6, 8)
    return [tick for power in range(-3, 6) for digit in digits if low * 0.8 <= (tick := digit * 10.0**power) <= high * 1.25]


def _plain(value: float, _position: int | None) -> str:
    return f"{value:g}"


def _surface(grid: Grid, rate: npt.NDArray[np.float64], mse: npt.NDArray[np.float64], error: npt.NDArray[np.float64]) -> bytes:
    """Errors are drawn as logarithms, since most points lie below a tenth of the most."""
    envelope = lower_envelope(mse, error, rate)
    least = max(float(error.min()), 0.01)
    unit = np.linspace(0.0, 1.0, _MESH)
    most = float(error.max()) / least
    d, c = np.meshgrid(float(mse.min()) + float(np.ptp(mse)) * unit**1.5, least * most**unit)
    floor = envelope.rate_bits(d, c)
    floor[~np.isfinite(floor)] = np.nan
    figure, axes = _figure(9, 7, projection="3d")
    axes.computed_zorder = False
    axes.plot_surface(
        d,
        np.log10(c),
        floor,
        color="#cfe3f2",
        alpha=0.6,
        shade=False,
        linewidth=0.3,
        edgecolor="#7fa8c9",
        rstride=2,
        cstride=2,
        zorder=1,
    )
    for j, weight in enumerate(grid.classification_weights):
        style = _style(j)
        height = np.log10(np.maximum(error[:, j], least))
        axes.scatter(mse[:, j], height, rate[:, j], s=20, depthshade=False, zorder=3, label=_label(weight), **style)
        axes.plot(mse[:, j].mean(1), height.mean(1), rate[:, j].mean(1), color=style["color"], linewidth=1.3, zorder=2)
    ticks = _ticks(least, float(error.max()))
    axes.set_yticks(np.log10(ticks), [f"{tick:g}" for tick in ticks])
    axes.set_title("Every run, and the lower convex envelope of all (no envelope: out of reach)", loc="left", fontsize=12)
    axes.set_xlabel("D: mean squared error")
    axes.set_ylabel("C: error of the frozen classifier, %, logarithmic")
    axes.set_zlabel("R: bits a digit")
    axes.view_init(elev=24, azim=52)
    axes.set_box_aspect(None, zoom=0.88)
    axes.legend(frameon=False, fontsize=9.5, loc="upper right")
    return _png(figure)


def _curves(
    grid: Grid,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    label: tuple[float, float],
    names: tuple[str, str],
    title: str,
    *,
    log: bool = False,
) -> bytes:
    figure, axes = _figure(8, 5.5)
    for j, weight in enumerate(grid.classification_weights):
        style = _style(j)
        axes.plot(x[:, j].mean(1), y[:, j].mean(1), color=style["color"], linewidth=1.6)
        axes.scatter(x[:, j], y[:, j], s=22, label=_label(weight), edgecolor="white", linewidth=0.4, zorder=3, **style)
    axes.scatter(*label, s=110, marker="*", color="#E69F00", label="ten files: the class alone", zorder=4)
    axes.set_xscale("log")
    _plain_log(axes.xaxis, max(float(x.min()), 0.5), float(x.max()))
    if log:
        axes.set_yscale("log")
        _plain_log(axes.yaxis, max(min(float(y.min()), label[1]), 0.01), float(y.max()))
    _dress(axes, title + "; each seed, lines through their means", *names)
    return _png(figure)


def _trade(
    grid: Grid,
    claims: Claims,
    rate: npt.NDArray[np.float64],
    mse: npt.NDArray[np.float64],
    error: npt.NDArray[np.float64],
) -> bytes:
    """Lines of one rate: each weight of classification at that rate, between its two neighbours."""
    figure, axes = _figure(8, 5.5)
    rates = sorted({one.rate_bits for one in claims.exchanges})
    errors: list[float] = []
    means = np.stack([part.mean(2) for part in (rate, mse, error, error)])
    for number, level in enumerate(rates):
        found = [(weight, at_rate(means[:, :, j], level)) for j, weight in enumerate(grid.classification_weights)]
        reached = [(weight, float(at[0]), float(at[1])) for weight, at in found if np.isfinite(at).all()]
        style = _style(number)
        errors += [c for *_, c in reached]
        axes.plot(
            [d for _, d, _ in reached], [c for *_, c in reached], label=f"{level:.1f} bits", linewidth=1.6, markersize=6, **style
        )
        for weight, d, c in reached:
            axes.annotate(f"{weight:g}", (d, c), textcoords="offset points", xytext=(5, 4), fontsize=8, color="#555555")
    axes.set_yscale("log")
    _plain_log(axes.yaxis, max(min(errors, default=1.0), 0.01), max(errors, default=1.0))
    _dress(axes, "Distortion against errors at equal rate; numbers are λc", _MSE, _ERROR)
    return _png(figure)


def _held_out(grid: Grid, frozen: npt.NDArray[np.float64], held_out: npt.NDArray[np.float64]) -> bytes:
    figure, axes = _figure(7, 6)
    low = max(0.05, float(min(frozen.min(), held_out.min())) * 0.8)
    high = float(max(frozen.max(), held_out.max())) * 1.2
    axes.plot([low, high], [low, high], color="#888888", linewidth=1, linestyle="--", label="both err alike")
    for j, weight in enumerate(grid.classification_weights):
        axes.scatter(frozen[:, j], held_out[:, j], s=24, label=_label(weight), edgecolor="white", linewidth=0.4, **_style(j))
    for scale, axis in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
        scale("log")
        _plain_log(axis, low, high)
    _dress(axes, "Does another classifier gain too?", _ERROR, "error of the held-out classifier, %")
    return _png(figure)
