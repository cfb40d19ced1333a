"""What the rotation does to the energy of the maps: shares by map, before and after, and the coding gain.

Reference: Cheng et al., PCS 2018, section III, which shows the energy of the maps before and after; the coding gain is Jayant and
Noll's (Digital Coding of Waveforms, 1984, chapter 12): how many dB less error the same bits give, at fine steps.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from foveal.codecs.learned.cae_pca.networks import PRESETS, load_networks
from foveal.codecs.learned.cae_pca.transforms import ANALYSIS_REACH, STRIDE
from foveal.codecs.learned.one_band import padded_pixels
from foveal.codecs.learned.runtime import inference, run_in_blocks
from foveal.codecs.learned.weights import default_card
from foveal.errors import MissingDependencyError, PictureError
from foveal.picture import Picture

CODEC = "cae-pca"
_COLORS = {"rotated": "#D55E00", "plain": "#000000"}


@dataclass(frozen=True)
class Spread:
    """How the variance of the latent lies over its maps: shares, the largest first, and the coding gain in dB.

    maps_for_99: how many maps hold 99 % of it.
    """

    preset: str
    shares: tuple[float, ...]
    coding_gain_db: float
    maps_for_99: int


@dataclass(frozen=True)
class Compaction:
    """The spread of each preset over some pictures. weights: their id."""

    weights: str
    pictures: int
    spreads: tuple[Spread, ...]


def measure_compaction(pictures: Iterable[Picture], threads: int | None = None) -> Compaction:
    """The spreads over all places of the pictures, under the weights that ``encode`` uses.

    Raises:
        PictureError: no picture, or too little of one to have variances.
    """
    networks = load_networks(default_card(CODEC))
    count, places, total, products = 0, 0, np.zeros(0), np.zeros((0, 0))
    for picture in pictures:
        with inference(threads):
            y = run_in_blocks(networks.analysis, padded_pixels(picture, STRIDE), ANALYSIS_REACH, 1)[0]
        own = y.reshape(len(y), -1).double().numpy()
        count, places = count + 1, places + own.shape[1]
        total, products = (own.sum(1), own @ own.T) if count == 1 else (total + own.sum(1), products + own @ own.T)
    if places < 2:
        raise PictureError(f"{places} places of 8x8 pixels; at least 2 are needed to speak of energy")
    covariance = products / places - np.outer(total, total) / places**2
    spreads = tuple(
        _spread(name, covariance, np.ldexp(way.rotation.axes.astype(np.float64), -14))
        for name, way in zip(PRESETS, networks.ways, strict=True)
    )
    return Compaction(networks.card.id, count, spreads)


def _spread(preset: str, covariance: npt.NDArray[np.float64], axes: npt.NDArray[np.float64]) -> Spread:
    variance = np.maximum(np.einsum("mn,mk,kn->n", axes, covariance, axes), 1e-12)
    shares = np.sort(variance)[::-1] / variance.sum()
    gain_db = 10 * np.log10(variance.mean()) - 10 * np.log10(variance).mean()
    return Spread(preset, tuple(shares.tolist()), float(gain_db), int(np.searchsorted(np.cumsum(shares), 0.99)) + 1)


def draw_compaction(compaction: Compaction) -> bytes:
    """A PNG: the share of each map on a logarithmic scale, and beside it how the shares add up.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependencyError("plots need matplotlib; pip install matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    each, added = (cast("Any", figure.add_subplot(1, 2, i)) for i in (1, 2))
    for spread in compaction.spreads:
        number = range(1, len(spread.shares) + 1)
        label = f"{spread.preset}: coding gain {spread.coding_gain_db:.1f} dB"
        each.plot(number, [100 * s for s in spread.shares], color=_COLORS[spread.preset], linewidth=2, label=label)
        part = f"{spread.preset}: 99 % in {spread.maps_for_99} maps"
        added.plot(number, 100 * np.cumsum(spread.shares), color=_COLORS[spread.preset], linewidth=2, label=part)
    each.set_yscale("log")
    noun = "picture" if compaction.pictures == 1 else "pictures"
    for axes, title in (
        (each, f"Energy of each map, {compaction.pictures} {noun}"),
        (added, "Energy of the first maps together"),
    ):
        axes.set_title(title, loc="left", fontsize=12)
        axes.set_xlabel("map, the largest first")
        axes.set_ylabel("share of the variance, %")
        axes.grid(visible=True, color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    out = io.BytesIO()
    cast("Any", figure).savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
