"""What ships of ``hyperprior``: float transforms, an exact hyper synthesis, integer steps, and coding tables."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.func import functional_call  # pyright: ignore[reportUnknownVariableType]  (torch leaves it untyped)

from foveal.codecs.learned.exact import ACTIVATION_MAX, UNIT, exact_arithmetic, frozen_layers, settle_layers, thawed_layers
from foveal.codecs.learned.gdn_transforms import analysis_transform, synthesis_transform
from foveal.codecs.learned.hyperprior.model import HyperpriorConfig, HyperpriorModel, HyperSynthesis, hyper_analysis
from foveal.codecs.learned.pink_noise import pink_noise
from foveal.codecs.learned.quality_levels import HAT_MAX, NODES, integer_hats
from foveal.codecs.learned.runtime import Reach, ready, run_in_blocks
from foveal.codecs.learned.scale_tables import FIRST_SCALE, SCALE_TABLES, SCALES_PER_OCTAVE, logistic_cdf
from foveal.codecs.learned.short_weights import Outputs, short_transforms, shortened, widened
from foveal.codecs.learned.weights import Card, load_weights
from foveal.entropy.coder import Symbols
from foveal.entropy.fixed_point import OCTAVE, Integers, frozen_tables, scale_by_exp2, scale_index
from foveal.entropy.grid import POSITION_BITS, GridPrior, unit_knots
from foveal.entropy.tables import Tables

HYPER_STRIDE = 64
_MEAN_MAX = 1 << 20
_SYNTHESIS_REACH = Reach(Fraction(4), margin=1, step=1)
_CHANNELS_AT_ONCE = 16
_HYPER_ERROR = 0.03  # in steps of z at the finest quality


@dataclass(frozen=True)
class Prediction:
    """What z says of y: ``mean`` float32 ``(latent, h, w)`` in steps, whole 64ths of one, and ``index``, each symbol's table."""

    mean: npt.NDArray[np.float32]
    index: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class HyperpriorNetworks:
    """The frozen codec.

    ``log_steps`` int64 ``(latent, NODES)`` and ``hyper_log_steps`` ``(hyper, NODES)``: steps of normalised y, and of z, in 1/256
    octave; ``exponents`` ``(latent,)``: the power of two by which y is normalised. ``log_inverse`` float64 ``(NODES, latent)``:
    natural logarithms of what decoded residuals are multiplied by. ``hyper_log_extent`` ``(hyper,)``: that of ``hyper_prior``'s
    grid, in 1/256 octave.
    """

    card: Card
    analysis: nn.Module
    synthesis: nn.Module
    hyper_analysis: nn.Module
    hyper_synthesis: nn.Module
    log_steps: Integers
    exponents: Integers
    log_inverse: npt.NDArray[np.float64]
    hyper_log_steps: Integers
    hyper_prior: GridPrior
    hyper_log_extent: Integers
    tables: Tables

    def normalising(self) -> npt.NDArray[np.float32]:
        """The powers of two ``(latent, 1, 1)`` that y is divided by."""
        return np.exp2(self.exponents.astype(np.float32))[:, None, None]

    def steps(self, level: int) -> npt.NDArray[np.float32]:
        """Steps of normalised y ``(latent, 1, 1)``."""
        return np.exp2(_at(self.log_steps, level).astype(np.float32) / np.float32(OCTAVE))[:, None, None]

    def hyper_steps(self, level: int) -> npt.NDArray[np.float32]:
        """Steps of z ``(hyper, 1, 1)``."""
        return np.exp2(_at(self.hyper_log_steps, level).astype(np.float32) / np.float32(OCTAVE))[:, None, None]

    def hyper_tables(self, level: int) -> Tables:
        """The coding tables of z, one for each channel."""
        step = scale_by_exp2(np.array(1 << POSITION_BITS), _at(self.hyper_log_steps, level) - self.hyper_log_extent)
        return self.hyper_prior.tables(np.maximum(step, 1))

    def predict(self, level: int, z: Symbols, height: int, width: int) -> Prediction:
        """Means and tables of y ``(latent, height, width)`` from the symbols of z ``(hyper, height / 4, width / 4)``, both
        rounded up; the same on every machine.
        """
        units = scale_by_exp2(UNIT * z.astype(np.int64), _at(self.hyper_log_steps, level)[:, None, None])
        seen = np.clip(units, -ACTIVATION_MAX, ACTIVATION_MAX)
        quality = np.broadcast_to(integer_hats(level)[:, None, None], (NODES, *z.shape[1:]))
        with exact_arithmetic():
            x = torch.from_numpy(np.concatenate([seen, quality]).astype(np.float32))[None]
            out = run_in_blocks(self.hyper_synthesis, x, _SYNTHESIS_REACH, HYPER_STRIDE)[0, :, :height, :width].numpy()
        mean, scale = out[: len(self.exponents)], out[len(self.exponents) :]
        prediction = Prediction(np.empty(mean.shape, np.float32), np.empty(mean.shape, np.uint8))
        log_step = _at(self.log_steps, level)[:, None, None]
        for first in range(0, len(mean), _CHANNELS_AT_ONCE):  # bounds the memory of 64-bit integers
            part = slice(first, first + _CHANNELS_AT_ONCE)
            centre = np.clip(mean[part].astype(np.int64), -_MEAN_MAX, _MEAN_MAX)
            prediction.mean[part] = scale_by_exp2(centre, -log_step[part]).astype(np.float32) / UNIT
            log_scale = scale[part].astype(np.int64) * (OCTAVE // UNIT) - log_step[part]
            prediction.index[part] = scale_index(log_scale, SCALE_TABLES, SCALES_PER_OCTAVE, FIRST_SCALE)
        return prediction

    def latent(self, level: int, symbols: Symbols, mean: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Decoded y ``(latent, h, w)``."""
        correction = np.exp(integer_hats(level) @ self.log_inverse / HAT_MAX).astype(np.float32)[:, None, None]
        scale: npt.NDArray[np.float32] = self.steps(level) * self.normalising()
        latent: npt.NDArray[np.float32] = (symbols.astype(np.float32) * correction + mean) * scale
        return latent


def _at(nodes: Integers, level: int) -> Integers:
    """Interpolates ``(channels, NODES)`` at a level, halves rounded up."""
    return (nodes @ integer_hats(level) + HAT_MAX // 2) // HAT_MAX


@torch.no_grad()
def short_networks(model: HyperpriorModel) -> dict[str, Tensor]:
    """The tensors that ship of the float networks. The hyper analysis may be wrong by a few hundredths of a step of z."""

    def outputs_of(x: Tensor) -> Outputs:
        y = model.analysis(x) / torch.exp2(model.exponent)[:, None, None]
        step = torch.exp2(model.hyper_log_step[:, -1])[:, None, None]
        return lambda weights: functional_call(model.hyper_analysis, weights, (y,)) / step

    outputs = [outputs_of(x[None]) for x in pink_noise()]
    hyper = shortened(model.hyper_analysis.state_dict(), outputs, _HYPER_ERROR)
    return short_transforms(model) | {f"hyper_analysis.{name}": t for name, t in hyper.items()}


@torch.no_grad()
def freeze(model: HyperpriorModel) -> dict[str, Tensor]:
    """The tensors that ship: transforms and hyper analysis shortened; the hyper synthesis, steps and tables in integers.
    What training alone goes on from is in float32: the densities of z.
    """
    state, tensors = model.state_dict(), short_networks(model)
    tensors |= {name: t.float() for name, t in state.items() if name.startswith("prior.") or name == "gains.log_inverse"}
    tensors |= frozen_layers(model.hyper_synthesis, "hyper_synthesis.")
    exponent = state["exponent"].round()
    log_step = -state["gains.log_gain"].T / math.log(2) - exponent[:, None]
    extent, cdf = model.prior.freeze()
    integers: dict[str, npt.NDArray[np.generic]] = {
        "gains.log_step": (log_step.double() * OCTAVE).round().numpy(),
        "exponent": exponent.numpy(),
        "hyper_log_step": (state["hyper_log_step"].double() * OCTAVE).round().numpy(),
        "tables.hyper_log_extent": np.round(OCTAVE * np.log2(extent)),
        "tables.hyper_cdf": cdf,
        "tables.knots": np.round(unit_knots() * (1 << POSITION_BITS)),
        "tables.cdf": logistic_cdf(),
    }
    return tensors | {name: torch.from_numpy(np.asarray(t, np.int32)) for name, t in integers.items()}


def thaw(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state that training goes on from, of weights that ship."""
    kept = ("analysis.", "synthesis.", "hyper_analysis.", "prior.", "gains.log_inverse")
    state = widened({name: t for name, t in weights.items() if name.startswith(kept)}) | thawed_layers(weights)
    state["exponent"] = weights["exponent"].float()
    log_step = weights["gains.log_step"].float() / OCTAVE + state["exponent"][:, None]
    state["gains.log_gain"] = (-log_step * math.log(2)).T.contiguous()
    state["hyper_log_step"] = weights["hyper_log_step"].float() / OCTAVE
    return state


@functools.lru_cache(maxsize=4)
def load_networks(card: Card) -> HyperpriorNetworks:
    """Loads a set of weights; the result is shared and never changed."""
    weights = load_weights(card)
    config = HyperpriorConfig(**card.config)  # type: ignore[arg-type]
    # Not on the meta device: its first use costs over a second. What the initial weights draw is given back.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        analysis = analysis_transform(config.channels, config.latent_channels)
        synthesis = synthesis_transform(config.channels, config.latent_channels)
        hyper_down, hyper_up = hyper_analysis(config), HyperSynthesis(config)
    settle_layers(hyper_up, weights, "hyper_synthesis.")

    def integers(name: str) -> Integers:
        return weights[name].numpy().astype(np.int64)

    return HyperpriorNetworks(
        card,
        ready(analysis, weights, "analysis."),
        ready(synthesis, weights, "synthesis."),
        ready(hyper_down, weights, "hyper_analysis."),
        hyper_up.eval().requires_grad_(False),
        integers("gains.log_step"),
        integers("exponent"),
        weights["gains.log_inverse"].double().numpy(),
        integers("hyper_log_step"),
        GridPrior(integers("tables.knots"), integers("tables.hyper_cdf")),
        integers("tables.hyper_log_extent"),
        frozen_tables(integers("tables.cdf")),
    )
