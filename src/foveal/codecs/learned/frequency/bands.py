"""Bands to symbols and back: the one walk that encoder and decoder share (docs/format.md, section 8).

Everything here is integer arithmetic, or float arithmetic on integers that is exact by construction (``exact``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from foveal.codecs.learned.exact import ACTIVATION_MAX, UNIT, exact_arithmetic
from foveal.codecs.learned.frequency.networks import FrequencyNetworks
from foveal.codecs.learned.frequency.prior import STEPS
from foveal.codecs.learned.frequency.transforms import BANDS, STRIDES
from foveal.codecs.learned.scale_tables import FIRST_SCALE, SCALE_TABLES, SCALES_PER_OCTAVE
from foveal.entropy.coder import SymbolReader, Symbols, SymbolSink
from foveal.entropy.fixed_point import OCTAVE, Integers, exp2_factors, round_half_up, scale_index

Latent = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
FINE = 64  # parts of a step, and of a unit of the entropy networks, that means and decoded latents are counted in
MEAN_MAX = 1 << 20
VALUE_MAX = 1 << 36


@dataclass(frozen=True)
class Step:
    """What is known of the latents of one step before their symbols, in four parts (``parts``).

    means: in 1/FINE steps, whole numbers. log_steps: in 1/256 octave; broadcasts. index: each latent's table, all parts in one.
    """

    number: int
    means: list[Doubles]
    log_steps: list[Integers]
    index: npt.NDArray[np.uint8]


class Exchange(ABC):
    """The far end of a step: gives the symbols, by rounding latents or by reading them."""

    def __init__(self) -> None:
        self.symbols: list[Symbols] = []

    @final
    def take(self, step: Step) -> Symbols:
        """The symbols of a step, part by part."""
        self.symbols.append(self._take(step))
        return self.symbols[-1]

    @abstractmethod
    def _take(self, step: Step) -> Symbols: ...


@final
class SymbolEncoder(Exchange):
    """Rounds a band's normalised latents ``y`` ``(h, w, latent)`` about the means, and puts the symbols into a sink."""

    def __init__(self, y: Latent, networks: FrequencyNetworks, sink: SymbolSink) -> None:
        super().__init__()
        self._y, self._networks, self._sink = y, networks, sink

    def _take(self, step: Step) -> Symbols:
        rounded = [
            np.rint(
                y * np.exp2(log_step * np.float32(-1 / OCTAVE), dtype=np.float32) - mean.astype(np.float32) / np.float32(FINE)
            )
            for y, mean, log_step in zip(parts(self._y, step.number), step.means, step.log_steps, strict=True)
        ]
        symbols = np.concatenate([part.reshape(-1) for part in rounded]).astype(np.int32)
        self._sink.put(symbols, self._networks.tables, step.index)
        return symbols


@final
class SymbolDecoder(Exchange):
    """Reads a band's symbols."""

    def __init__(self, networks: FrequencyNetworks, reader: SymbolReader) -> None:
        super().__init__()
        self._networks, self._reader = networks, reader

    def _take(self, step: Step) -> Symbols:
        return self._reader.take(self._networks.tables, step.index.shape, step.index)

    def finish(self) -> None:
        """Checks that the payload held no more. Raises DamagedError: it does."""
        self._reader.finish()


@dataclass(frozen=True)
class Walked:
    """A band that is known: its latent ``(h, w, latent)``, and features for the next band (None after the last)."""

    latent: Latent
    lifted: Tensor | None


def parts(x: npt.NDArray[Any], step: int, *, everywhere: bool = False) -> list[npt.NDArray[Any]]:
    """Views of the latents ``(h, w, latent)`` that a step codes: for each place of the 2x2 square another quarter of the channels.

    ``everywhere``: ``x`` ``(1, 1, latent)`` has one value for all places, and is cut by channels alone.
    """
    found: list[npt.NDArray[Any]] = []
    for place in range(STEPS):
        group = (step - place) % STEPS
        channels = slice(group * x.shape[2] // STEPS, (group + 1) * x.shape[2] // STEPS)
        found.append(x[:, :, channels] if everywhere else x[place // 2 :: 2, place % 2 :: 2, channels])
    return found


@final
class StepSizes:
    """A band's steps: ``log_step`` ``(h, w, latent)`` in 1/256 octave, or ``(1, 1, latent)`` for all places."""

    def __init__(self, log_step: Integers) -> None:
        self._log_step, self._everywhere = log_step, log_step.shape[:2] == (1, 1)
        self._factors, self._inverses = exp2_factors(log_step), exp2_factors(-log_step)

    def factors(self, number: int) -> list[Doubles]:
        """What a value in steps is multiplied by, for the parts of a step."""
        return parts(self._factors, number, everywhere=self._everywhere)

    def step(self, number: int, mean: Latent, scale: Latent) -> Step:
        """What the networks' outputs ``(h, w, latent)`` say of a step's latents."""
        inverses = parts(self._inverses, number, everywhere=self._everywhere)
        log_steps = parts(self._log_step, number, everywhere=self._everywhere)
        means = [round_half_up(np.clip(m, -MEAN_MAX, MEAN_MAX) * i) for m, i in zip(parts(mean, number), inverses, strict=True)]
        scales = [
            s.astype(np.int32) * (OCTAVE // UNIT) - log_step.astype(np.int32)
            for s, log_step in zip(parts(scale, number), log_steps, strict=True)
        ]
        index = scale_index(np.concatenate([s.reshape(-1) for s in scales]), SCALE_TABLES, SCALES_PER_OCTAVE, FIRST_SCALE)
        return Step(number, means, log_steps, index.astype(np.uint8))


def walk_band(
    networks: FrequencyNetworks, band: int, hats: Integers, size: tuple[int, int], below: Tensor | None, exchange: Exchange | None
) -> Walked:
    """Codes or decodes one band of a tile; with no ``exchange`` the band is missing and its means stand in.

    ``hats``: ``(NODES, h, w)`` at the band's scale, or ``(NODES, 1, 1)``. ``size``: height and width of the band.
    """
    prior = networks.priors[band]
    units = np.ascontiguousarray(np.broadcast_to(hats, (len(hats), *size)).transpose(1, 2, 0), np.float32)
    normalise = np.exp2(networks.exponents[band].astype(np.float32))
    known = np.zeros((*size, prior.latent), np.float32)  # integers, in units of the networks
    with exact_arithmetic():
        features = prior.features(below, _tensor(units))
        if exchange is None:
            known[:] = _array(prior.step(0, features, features)[0])
            latent = known * (normalise / np.float32(UNIT))
            np.clip(known, -ACTIVATION_MAX, ACTIVATION_MAX, out=known)
        else:
            latent = np.empty_like(known)
            steps = StepSizes(networks.log_step(band, hats))
            for number in range(STEPS):
                mean, scale = (_array(x) for x in prior.step(number, features, _tensor(known)))
                step = steps.step(number, mean, scale)
                symbols = exchange.take(step)
                at = 0
                for mean, into, out, factor in zip(
                    step.means, parts(known, number), parts(latent, number), steps.factors(number), strict=True
                ):
                    symbol = symbols[at : at + mean.size].reshape(mean.shape)
                    at += mean.size
                    fine = np.clip(symbol * np.float64(FINE) + mean, -VALUE_MAX, VALUE_MAX)
                    np.clip(round_half_up(fine * factor), -ACTIVATION_MAX, ACTIVATION_MAX, out=into, casting="unsafe")
                    np.multiply(fine, factor / FINE, out=out, casting="unsafe")
            latent *= normalise
        lifted = prior.lifted(features, _tensor(known)) if band + 1 < BANDS else None
    return Walked(latent.astype(np.float32, copy=False), lifted)


def _array(x: Tensor) -> Latent:
    """``(h, w, c)`` of a network's output ``(1, c, h, w)``."""
    return x[0].permute(1, 2, 0).numpy()


def _tensor(values: Latent) -> Tensor:
    return torch.from_numpy(values)[None].permute(0, 3, 1, 2)


def hats_at(hats: Integers, band: int) -> Integers:
    """``(NODES, h, w)`` of 32-pixel cells at a band's scale; a single value stays one."""
    if hats.shape[1:] == (1, 1) or STRIDES[band] == 32:
        return hats
    if STRIDES[band] > 32:
        nodes, height, width = hats.shape
        return (hats.reshape(nodes, height // 2, 2, width // 2, 2).sum((2, 4)) + 2) // 4
    return hats.repeat(2, 1).repeat(2, 2)
