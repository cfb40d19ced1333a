"""``gdn``: end-to-end optimised compression with divisive normalisation and a factorized prior.

::

        x ─► g_a ─► y ─► · gain(quality) ─► round ─► symbols ─► entropy coder ─► file
        x̂ ◄─ g_s ◄─ ŷ ◄─ / gain(quality) ◄────────── symbols ◄─ entropy coder ◄─ file

The prior needs no network at decoding time: its tables come from a frozen integer grid, so a file
decodes to the same symbols on every machine without further care.

Reference: Ballé, Laparra, Simoncelli, "End-to-end optimized image compression", ICLR 2017
(arXiv 1611.01704): the three-stage transforms of its section 2 and the factorized prior. Gains for
variable rate: Cui et al., CVPR 2021. The mixture prior and its grid are ours.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.learned.factorized import LogisticMixturePrior
from foveal.codecs.learned.gains import Gains, octave_in_quality
from foveal.codecs.learned.gdn_transforms import (
    ANALYSIS_REACH,
    STRIDE,
    SYNTHESIS_REACH,
    analysis_transform,
    start_transforms,
    synthesis_transform,
)
from foveal.codecs.learned.layers import add_uniform_noise, round_through
from foveal.codecs.learned.one_band import OneBandPrepared, padded_pixels, read_one_band
from foveal.codecs.learned.quality_map import CELL, guide_steps
from foveal.codecs.learned.runtime import inference, ready, run_in_blocks
from foveal.codecs.learned.short_weights import short_transforms, widened
from foveal.codecs.learned.symbols import PARAMETER_MAX, check_symbols, describe_learned, symbols_crc
from foveal.codecs.learned.weights import Card, card_of, default_card, load_weights
from foveal.entropy.coder import Places, SymbolReader, Symbols, SymbolSink
from foveal.entropy.fixed_point import Integers
from foveal.entropy.grid import POSITION_BITS, GridPrior, unit_knots
from foveal.entropy.tables import Tables
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture

PARAMETER_STEP = 1171
"""How far one step of a quality map moves the quality parameter of a cell."""


@dataclass(frozen=True)
class GdnConfig:
    """Sizes of the network; they are stored with the weights."""

    channels: int = 128
    latent_channels: int = 256
    gain_nodes: int = 8
    coarse_lambda: float = 0.0004
    fine_lambda: float = 0.4


@final
class GdnModel(nn.Module):
    """The float twin of the codec: what training optimises and ``freeze`` turns into what ships.

    In training mode the bits are those of noisy latents, as in the paper; else those of the rounded ones, which the file
    holds. Here noise counts up to twice the bits of the file, but straight-through gradients of the true count, which are
    nothing inside the zero cell, made the codec worse.
    """

    def __init__(self, config: GdnConfig) -> None:
        super().__init__()
        self.config = config
        self.analysis = analysis_transform(config.channels, config.latent_channels)
        self.synthesis = synthesis_transform(config.channels, config.latent_channels)
        self.gains = Gains(config.latent_channels, config.gain_nodes, coarse=config.coarse_lambda, fine=config.fine_lambda)
        self.prior = LogisticMixturePrior(config.latent_channels)
        start_transforms(self.analysis, self.synthesis)

    bands = 1
    quality_cell = 0

    def forward(self, x: Tensor, quality: Tensor, bands: int = 1) -> tuple[Tensor, Tensor]:
        """Returns the bits ``(batch,)`` and the reconstruction like ``x``, for quality ``(batch,)``; there is one band."""
        gain, inverse = self.gains(quality)
        v = self.analysis(x) * gain
        rounded = round_through(v)
        likelihood = self.prior.likelihood(add_uniform_noise(v) if self.training else rounded, gain)
        bits = -likelihood.clamp_min(1e-9).log2().sum((1, 2, 3))
        return bits, self.synthesis(rounded * inverse)


@dataclass(frozen=True)
class GdnNetworks:
    """The frozen codec: float transforms and gains, and the integer prior that alone decides the tables.

    ``log_gain`` and ``log_inverse``: float64 ``(nodes, channels)``; ``step``: int64 ``(fine nodes, channels)``.
    """

    card: Card
    analysis: nn.Module
    synthesis: nn.Module
    log_gain: npt.NDArray[np.float64]
    log_inverse: npt.NDArray[np.float64]
    step: npt.NDArray[np.int64]
    prior: GridPrior

    def gain(self, parameter: int) -> npt.NDArray[np.float32]:
        """Gains ``(channels, 1)`` at a quality parameter, for the encoder."""
        return np.exp(_between(self.log_gain, parameter)).astype(np.float32)[:, None]

    def inverse_gain(self, parameter: int) -> npt.NDArray[np.float32]:
        """The decoder's gains ``(channels, 1)``."""
        return np.exp(_between(self.log_inverse, parameter)).astype(np.float32)[:, None]

    def tables(self, parameter: int) -> Tables:
        """The coding tables of all channels: docs/format.md, section 7, in integers."""
        position = (len(self.step) - 1) * parameter
        node = min(position // PARAMETER_MAX, len(self.step) - 2)
        rest = position - PARAMETER_MAX * node
        step = (self.step[node] * (PARAMETER_MAX - rest) + self.step[node + 1] * rest) // PARAMETER_MAX
        return self.prior.tables(np.maximum(step, 1))


def _between(nodes: npt.NDArray[np.float64], parameter: int) -> npt.NDArray[np.float64]:
    position = (len(nodes) - 1) * parameter / PARAMETER_MAX
    low = min(int(position), len(nodes) - 2)
    return nodes[low] + (nodes[low + 1] - nodes[low]) * (position - low)


@functools.lru_cache(maxsize=4)
def load_networks(card: Card) -> GdnNetworks:
    """Loads a set of weights; the result is shared and never changed."""
    weights = load_weights(card)
    config = GdnConfig(**card.config)  # type: ignore[arg-type]
    # Not on the meta device: its first use costs over a second. What the initial weights draw is given back.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        analysis = analysis_transform(config.channels, config.latent_channels)
        synthesis = synthesis_transform(config.channels, config.latent_channels)
    log_gain, correction = (weights[f"gains.{name}"].double().numpy() for name in ("log_gain", "log_inverse"))
    step, knots, cdf = (weights[f"tables.{name}"].numpy().astype(np.int64) for name in ("step", "knots", "cdf"))
    return GdnNetworks(
        card,
        ready(analysis, weights, "analysis."),
        ready(synthesis, weights, "synthesis."),
        log_gain,
        correction - log_gain,
        step,
        GridPrior(knots, cdf),
    )


@torch.no_grad()
def freeze(model: GdnModel) -> dict[str, Tensor]:
    """The tensors that ship: transforms shortened, gains and prior in float32, and the prior again as int32 tables."""
    tensors = short_transforms(model)
    small = {name: t.float() for name, t in model.state_dict().items() if name.startswith(("gains.", "prior."))}
    extent, cdf = model.prior.freeze()
    fine = 8 * (model.config.gain_nodes - 1) + 1
    gain: npt.NDArray[np.float64] = model.gains(torch.linspace(1, 100, fine))[0][:, :, 0, 0].double().numpy()
    step = np.minimum(np.round((1 << POSITION_BITS) / (gain * extent)), (1 << 31) - 1)
    knots = np.round(unit_knots() * (1 << POSITION_BITS))
    tables = {"step": step, "knots": knots, "cdf": cdf}
    return tensors | small | {f"tables.{name}": torch.from_numpy(np.asarray(t, np.int32)) for name, t in tables.items()}


def thaw(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state that training goes on from, of weights that ship."""
    return widened({name: t for name, t in weights.items() if not name.startswith("tables.")})


@final
class GdnPrepared(OneBandPrepared):
    """A picture after analysis, ready for any quality."""

    def __init__(self, info: CodecInfo, picture: Picture, settings: EncodeSettings) -> None:
        self._networks = load_networks(default_card(info.name, settings.preset))
        card, guide = self._networks.card, settings.guide
        octave = octave_in_quality(float(card.config["coarse_lambda"]), float(card.config["fine_lambda"]))
        steps = guide_steps(guide, picture.width, picture.height, octave)
        super().__init__(info, card, picture, steps, hold_rate=guide is not None and guide.hold_rate)
        with inference(settings.threads):
            x = padded_pixels(picture, STRIDE)
            latent = run_in_blocks(self._networks.analysis, x, ANALYSIS_REACH, 1)[0].contiguous().numpy()
        self._rows, self._columns = latent.shape[1:]
        self._latent = latent.reshape(len(latent), -1)

    def _code(self, parameter: int, steps: Integers | None, sink: SymbolSink) -> int:
        groups: list[Symbols] = []
        for cell_parameter, places in _places(parameter, steps, self._rows, self._columns):
            groups.append(self.symbols(cell_parameter, places))
            sink.put(groups[-1], self._networks.tables(cell_parameter))
        return symbols_crc(_joined(groups))

    def symbols(self, parameter: int, places: Places = slice(None)) -> Symbols:
        """The rounded latents ``(channels, places)``. A dead zone was tried on held-out photographs: nothing gained."""
        return np.rint(self._latent[:, places] * self._networks.gain(parameter)).astype(np.int32)


def _places(parameter: int, steps: Integers | None, rows: int, columns: int) -> Iterator[tuple[int, Places]]:
    """The quality parameters that occur, rising, each with its places among ``rows * columns`` latents; integers decide."""
    if steps is None:
        yield parameter, slice(rows * columns)
        return
    cells = np.clip(parameter + PARAMETER_STEP * steps, 0, PARAMETER_MAX)
    of_latents = cells.repeat(CELL // STRIDE, 0).repeat(CELL // STRIDE, 1)[:rows, :columns]
    for cell_parameter in np.unique(of_latents):
        yield int(cell_parameter), np.flatnonzero(of_latents == cell_parameter)


def _joined(groups: list[Symbols]) -> Symbols:
    """All symbols in coding order."""
    return np.concatenate([group.reshape(-1) for group in groups])


@final
class GdnCodec(Codec):
    """The codec ``gdn`` (docs/format.md, section 7)."""

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        return GdnPrepared(self.info, picture, settings)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        file = read_one_band(self.info, data, limits, settings)
        networks = load_networks(card_of(self.info.name, file.head.weights))

        channels, rows, columns = networks.step.shape[1], -(-file.head.height // STRIDE), -(-file.head.width // STRIDE)
        latent = np.empty((channels, rows * columns), np.float32)
        reader, groups = SymbolReader(file.unit.payload), list[Symbols]()
        for parameter, places in _places(file.parameter, file.steps, rows, columns):
            groups.append(reader.take(networks.tables(parameter), (channels, latent[0, places].size)))
            latent[:, places] = groups[-1].astype(np.float32) * networks.inverse_gain(parameter)
        check_symbols(_joined(groups), file.unit)
        reader.finish()

        with inference():
            y = torch.from_numpy(latent.reshape(1, channels, rows, columns))
            return file.picture(run_in_blocks(networks.synthesis, y, SYNTHESIS_REACH, STRIDE))

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        return describe_learned(self.info, data, limits)
