"""What ships of ``cae-pca``: float transforms, and for either rotation integer axes, contexts and tables."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foveal.codecs.learned.cae_pca.contexts import Contexts
from foveal.codecs.learned.cae_pca.fitting import fit_contexts
from foveal.codecs.learned.cae_pca.model import CaePcaModel, step_of
from foveal.codecs.learned.cae_pca.rotation import Rotation, as_integers, own_axes, principal_axes
from foveal.codecs.learned.cae_pca.transforms import (
    ANALYSIS_REACH,
    CaePcaConfig,
    analysis_transform,
    synthesis_transform,
)
from foveal.codecs.learned.gains import rate_weight
from foveal.codecs.learned.runtime import inference, ready, run_in_blocks
from foveal.codecs.learned.symbols import PARAMETER_MAX
from foveal.codecs.learned.weights import Card, load_weights
from foveal.entropy.coder import Symbols
from foveal.entropy.fixed_point import OCTAVE, Integers, frozen_tables

PRESETS: Final = ("rotated", "plain")
"""The number of each stands in files: with the principal axes, and with the maps as they are."""
_BANDS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 36, 40, 45, 50, 56, 62, 70, 80)
_FITTED = 64

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Way:
    """One of ``PRESETS``."""

    rotation: Rotation
    contexts: Contexts


@dataclass(frozen=True)
class CaePcaNetworks:
    """The frozen codec. log_steps: of quality 1 and of quality 100, in 1/256 octave. ways: by number of the preset."""

    card: Card
    analysis: nn.Module
    synthesis: nn.Module
    log_steps: tuple[int, int]
    ways: tuple[Way, ...]


def log_step_at(ends: tuple[int, int], parameter: int) -> int:
    """The logarithm to base 2 of the step at a quality parameter, in 1/256, between those of quality 1 and of quality 100: integers alone."""
    coarse, fine = ends
    return coarse + ((fine - coarse) * parameter + PARAMETER_MAX // 2) // PARAMETER_MAX


def quantised(rotated: Floats, log_step: int) -> Symbols:
    """The symbols of rotated maps."""
    return np.rint(rotated * np.float32(2.0 ** (-log_step / OCTAVE))).astype(np.int32)


@functools.lru_cache(maxsize=4)
def load_networks(card: Card) -> CaePcaNetworks:
    """Loads a set of weights; the result is shared and never changed."""
    weights = load_weights(card)
    config = CaePcaConfig(**card.config)  # type: ignore[arg-type]
    # Not on the meta device: its first use costs over a second. What the initial weights draw is given back.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        analysis, synthesis = analysis_transform(config), synthesis_transform(config)

    def integers(name: str) -> Integers:
        return weights[name].numpy().astype(np.int64)

    coarse, fine = integers("log_steps").tolist()
    bounds, limits = tuple(integers("contexts.bounds").tolist()), integers("contexts.limits")
    ways = tuple(
        Way(
            Rotation(integers(f"{name}.axes")),
            Contexts(bounds, integers(f"{name}.size"), integers(f"{name}.mean"), limits, frozen_tables(integers(f"{name}.cdf"))),
        )
        for name in PRESETS
    )
    return CaePcaNetworks(
        card, ready(analysis, weights, "analysis."), ready(synthesis, weights, "synthesis."), (coarse, fine), ways
    )


@torch.no_grad()
def freeze(model: CaePcaModel) -> dict[str, Tensor]:
    """The tensors that training made: transforms in float16, and the steps. What is missing, ``measure`` finds."""
    config = model.config
    tensors = {name: t.half() for name, t in model.state_dict().items() if name.startswith(("analysis.", "synthesis."))}
    ends = step_of(rate_weight(torch.tensor([1.0, 100.0]), config.coarse_lambda, config.fine_lambda))
    return tensors | {"log_steps": (OCTAVE * ends.log2()).round().int()}


def measure(model: CaePcaModel, pictures: list[Tensor]) -> dict[str, Tensor]:
    """Axes, contexts and tables, of pictures ``(3, H, W)`` in 0..1, sides multiples of 8: axes of all, contexts of ``_FITTED`` of them."""
    frozen, config = freeze(model), model.config
    ends = int(frozen["log_steps"][0]), int(frozen["log_steps"][1])
    with inference():
        analysis = ready(analysis_transform(config), frozen, "analysis.")
        latents: list[Floats] = [run_in_blocks(analysis, x[None], ANALYSIS_REACH, 1)[0].contiguous().numpy() for x in pictures]
    covariance = np.cov(np.concatenate([y.reshape(config.maps, -1) for y in latents], 1).astype(np.float64))
    fitted = latents[:: max(1, len(latents) // _FITTED)][:_FITTED]
    bounds = (*(first for first in _BANDS if first < config.maps), config.maps)
    tensors: dict[str, Tensor] = {"contexts.bounds": torch.tensor(bounds, dtype=torch.int32)}
    for name, axes in zip(PRESETS, (principal_axes(covariance), own_axes(covariance)), strict=True):
        shipped = as_integers(axes)
        rotation = Rotation(shipped.astype(np.int64))
        rotated = [rotation.rotate(y.reshape(config.maps, -1)).reshape(y.shape) for y in fitted]

        def symbols_at(parameter: int, rotated: list[Floats] = rotated) -> list[Symbols]:
            return [quantised(y, log_step_at(ends, parameter)) for y in rotated]

        contexts, cdf = fit_contexts(bounds, symbols_at)
        integers = {"size": contexts.size, "mean": contexts.mean, "cdf": cdf}
        tensors |= {f"{name}.{part}": torch.from_numpy(t.astype(np.int32)) for part, t in integers.items()}
        tensors |= {
            f"{name}.axes": torch.from_numpy(shipped),
            "contexts.limits": torch.from_numpy(contexts.limits.astype(np.int32)),
        }
    return tensors


def thaw(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state that training goes on from, of weights that ship; the first batch gives its covariance."""
    maps = len(weights["rotated.axes"])
    state = {name: t.float() for name, t in weights.items() if name.startswith(("analysis.", "synthesis."))}
    return state | {"covariance": torch.zeros(maps, maps)}
