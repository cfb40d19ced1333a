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
from foveal.codecs.learned.frequency.steps import BandSteps, Lit, Places, places_of
from foveal.codecs.learned.frequency.transforms import BANDS, STRIDES
from foveal.codecs.learned.scale_tables import FIRST_SCALE, SCALE_TABLES, SCALES_PER_OCTAVE
from foveal.entropy.coder import SymbolReader, Symbols, SymbolSink
from foveal.entropy.fixed_point import OCTAVE, Integers, exp2_factors, round_half_up

Latent = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
FINE = 64  # parts of a step, and of a unit of the entropy networks, that means and decoded latents are counted in
MEAN_MAX = 1 << 20
VALUE_MAX = 1 << 36
_TABLE_STEP = OCTAVE // SCALES_PER_OCTAVE


@final
class StepSizes:
    """A band's steps, of ``log_step`` ``(h, w, latent)`` in 1/256 octave, or ``(1, 1, latent)`` for all places."""

    def __init__(self, log_step: Integers, places: Places) -> None:
        self._rows = None if log_step.shape[:2] == places.size else [rows.stop - rows.start for rows in places.corners]
        if self._rows is not None:  # one row for each corner
            places, log_step = places_of(2, 2), np.broadcast_to(log_step, (2, 2, log_step.shape[2]))
        self._log_step = places.to_coded(log_step)
        self._factors, self._inverses = exp2_factors(self._log_step), exp2_factors(-self._log_step)
        self._first = ((_TABLE_STEP // 2 - FIRST_SCALE - self._log_step) / _TABLE_STEP).astype(np.float32)

    def factors(self, number: int) -> Doubles:
        """What a value in steps is multiplied by, for the latents of a step."""
        return self._of(self._factors, number)

    def inverse_floats(self, number: int) -> Latent:
        """What an encoder multiplies latents by: short of the exact ``_inverses``, which no decoder has to know."""
        return self._of(np.exp2(self._log_step[:, number] * np.float32(-1 / OCTAVE), dtype=np.float32)[:, None], 0)

    def means(self, number: int, mean: Latent) -> Doubles:
        """Whole numbers in 1/FINE steps, of what the networks say."""
        return round_half_up(np.multiply(np.clip(mean, -MEAN_MAX, MEAN_MAX), self._of(self._inverses, number)))

    def tables(self, number: int, scale: Latent) -> npt.NDArray[np.uint8]:
        """The nearest tables. Floats hold every sum that is not beyond the last table on either side."""
        place = scale * np.float32(OCTAVE / UNIT / _TABLE_STEP) + self._of(self._first, number)
        return np.clip(place, 0, SCALE_TABLES - 1, out=place).astype(np.uint8)

    def _of(self, x: npt.NDArray[Any], number: int) -> npt.NDArray[Any]:
        return x[:, number] if self._rows is None else x[:, number].repeat(self._rows, 0)


@dataclass(frozen=True)
class Step:
    """What is known of a step before its symbols; arrays ``(places, latent / STEPS)`` in coding order.

    means: in 1/FINE steps, whole numbers. index: each latent's table.
    """

    number: int
    sizes: StepSizes
    means: Doubles
    index: npt.NDArray[np.uint8]


class Exchange(ABC):
    """The far end of a step: gives the symbols, by rounding latents or by reading them."""

    def __init__(self) -> None:
        self.symbols: list[Symbols] = []

    @final
    def take(self, step: Step) -> Symbols:
        """The symbols of a step, of the shape of its means."""
        self.symbols.append(self._take(step))
        return self.symbols[-1]

    @abstractmethod
    def _take(self, step: Step) -> Symbols: ...


@final
class SymbolEncoder(Exchange):
    """Rounds a band's normalised latents ``y`` ``(h, w, latent)`` about the means, and puts the symbols into a sink."""

    def __init__(self, y: Latent, networks: FrequencyNetworks, sink: SymbolSink) -> None:
        super().__init__()
        self._y, self._networks, self._sink = places_of(*y.shape[:2]).to_coded(y), networks, sink

    def _take(self, step: Step) -> Symbols:
        y = self._y[:, step.number] * step.sizes.inverse_floats(step.number)
        symbols = np.rint(y - step.means.astype(np.float32) / np.float32(FINE)).astype(np.int32)
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


def walk_band(
    networks: FrequencyNetworks, band: int, hats: Integers, size: tuple[int, int], below: Tensor | None, exchange: Exchange | None
) -> Walked:
    """Codes or decodes one band of a tile; with no ``exchange`` the band is missing and its means stand in.

    ``hats``: ``(NODES, h, w)`` at the band's scale, or ``(NODES, 1, 1)``. ``size``: height and width of the band.
    """
    prior = networks.priors[band]
    units = np.ascontiguousarray(np.broadcast_to(hats, (len(hats), *size)).transpose(1, 2, 0), np.float32)
    with exact_arithmetic():
        features = prior.features(below, _tensor(units))
        if exchange is None:
            known = _array(prior.step(0, features, features)[0])
            latent = known / np.float32(UNIT)
            known = np.clip(known, -ACTIVATION_MAX, ACTIVATION_MAX)
        else:
            sizes = StepSizes(networks.log_step(band, hats), places_of(*size))
            known, latent = _code(networks.steps[band], features, sizes, places_of(*size), exchange, prior.latent)
        lifted = prior.lifted(features, _tensor(known)) if band + 1 < BANDS else None
    latent *= np.exp2(networks.exponents[band].astype(np.float32))
    return Walked(latent, lifted)


def _code(
    steps: BandSteps, features: Tensor, sizes: StepSizes, places: Places, exchange: Exchange, latent: int
) -> tuple[Latent, Latent]:
    """A band's latents ``(h, w, latent)``, rounded as the networks read them and as they are."""
    known = np.zeros((places.count, STEPS, latent // STEPS), np.float32)  # integers, in units of the networks
    exact = np.empty_like(known)
    lit, before = Lit.of(features, places), torch.from_numpy(known)
    for number in range(STEPS):
        mean, scale = (x.numpy() for x in steps.step(number, lit, before, places))
        step = Step(number, sizes, sizes.means(number, mean), sizes.tables(number, scale))
        fine = exchange.take(step) * np.float64(FINE)
        fine += step.means
        np.clip(fine, -VALUE_MAX, VALUE_MAX, out=fine)
        fine *= sizes.factors(number)
        np.multiply(fine, 1 / FINE, out=exact[:, number], casting="unsafe")
        np.clip(round_half_up(fine), -ACTIVATION_MAX, ACTIVATION_MAX, out=known[:, number], casting="unsafe")
    return places.from_coded(known), places.from_coded(exact)


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
