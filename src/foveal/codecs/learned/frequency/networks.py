"""What ships of ``frequency``: float transforms, exact entropy networks, integer steps, and coding tables."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from foveal.codecs.learned.exact import frozen_layers, settle_layers, thawed_layers
from foveal.codecs.learned.frequency.adapters import ADAPTER
from foveal.codecs.learned.frequency.model import FrequencyModel, Quantiser
from foveal.codecs.learned.frequency.prior import BandPrior, band_priors
from foveal.codecs.learned.frequency.steps import BandSteps
from foveal.codecs.learned.frequency.transforms import BANDS, Analysis, FrequencyConfig, Synthesis
from foveal.codecs.learned.quality_levels import HAT_MAX
from foveal.codecs.learned.runtime import ready
from foveal.codecs.learned.scale_tables import logistic_cdf
from foveal.codecs.learned.short_weights import short_transforms, widened
from foveal.codecs.learned.weights import Card, load_weights
from foveal.entropy.fixed_point import OCTAVE, Integers, frozen_tables
from foveal.entropy.tables import Tables

_FLOATS = ("analysis.", "synthesis.")


@dataclass(frozen=True)
class FrequencyNetworks:
    """The frozen codec. ``steps``: the priors' steps as they are run. ``log_steps``: for each band int64 ``(latent, NODES)``, in 1/256 octave of normalised latents;
    ``exponents``: int64 ``(latent,)``, the power of two by which they are normalised.
    """

    card: Card
    config: FrequencyConfig
    analysis: nn.Module
    synthesis: nn.Module
    priors: tuple[BandPrior, ...]
    steps: tuple[BandSteps, ...]
    log_steps: tuple[Integers, ...]
    exponents: tuple[Integers, ...]
    tables: Tables

    def log_step(self, band: int, hats: Integers) -> Integers:
        """Logarithms of steps ``(h, w, latent)`` for integer ``hats`` ``(NODES, h, w)``."""
        return (np.einsum("cn,nhw->hwc", self.log_steps[band], hats) + HAT_MAX // 2) // HAT_MAX


@torch.no_grad()
def freeze(model: FrequencyModel, near: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The tensors that ship: transforms shortened, in steps of those ``near`` if given; entropy networks, steps and tables in integers."""
    tensors = short_transforms(model, near) | frozen_layers(model.prior, "prior.")
    for band, quantiser in enumerate(model.quantisers):
        assert isinstance(quantiser, Quantiser)
        exponent = quantiser.exponent.round()
        log_step = ((quantiser.log_step - exponent[:, None]) * OCTAVE).round()
        tensors[f"quantisers.{band}.log_step"] = log_step.to(torch.int32)
        tensors[f"quantisers.{band}.exponent"] = exponent.to(torch.int8)
    return tensors | {"tables.cdf": torch.from_numpy(logistic_cdf().astype(np.int32))}


def adapters_of(model: FrequencyModel) -> dict[str, Tensor]:
    """The tensors that ship of a model of which the adapters alone have learned, in float16; they extend the weights that it adapts."""
    return {name: t.half() for name, t in model.state_dict().items() if ADAPTER in name}


def _transforms(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The transforms' tensors in float32."""
    own = {name: t for name, t in weights.items() if name.startswith(("analysis.", "synthesis."))}
    state = {name: t for name, t in widened(own).items() if not name.endswith("_scale")}
    for name in (n for n in own if n.endswith("_scale")):  # exports of old have 8 bits with a scale for each row
        state[name.removesuffix("_scale")] *= own[name].float()[:, None, None, None]
    return state


def thaw(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state that training goes on from, of weights that ship."""
    state = _transforms(weights) | thawed_layers(weights)
    for band in range(BANDS):
        exponent = weights[f"quantisers.{band}.exponent"].float()
        state[f"quantisers.{band}.exponent"] = exponent
        state[f"quantisers.{band}.log_step"] = weights[f"quantisers.{band}.log_step"].float() / OCTAVE + exponent[:, None]
    return state


@functools.lru_cache(maxsize=4)
def load_networks(card: Card) -> FrequencyNetworks:
    """Loads a set of weights; the result is shared and never changed."""
    weights = load_weights(card)
    config = FrequencyConfig(**card.config)  # type: ignore[arg-type]
    # Not on the meta device: its first use costs over a second. What the initial weights draw is given back.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        analysis, synthesis, priors = Analysis(config), Synthesis(config), band_priors(config)
    settle_layers(priors, weights, "prior.")
    floats = _transforms(weights)
    bands = tuple(band for band in priors.eval().requires_grad_(False) if isinstance(band, BandPrior))
    return FrequencyNetworks(
        card,
        config,
        ready(analysis, floats, "analysis."),
        ready(synthesis, floats, "synthesis."),
        bands,
        tuple(BandSteps(band) for band in bands),
        tuple(weights[f"quantisers.{band}.log_step"].numpy().astype(np.int64) for band in range(BANDS)),
        tuple(weights[f"quantisers.{band}.exponent"].numpy().astype(np.int64) for band in range(BANDS)),
        frozen_tables(weights["tables.cdf"].numpy()),
    )
