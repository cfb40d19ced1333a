"""What a machine reads of a ``frequency`` file: its latents, before any picture is made (ours)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foveal.codecs.base import DecodeSettings
from foveal.codecs.learned.frequency.networks import load_networks
from foveal.codecs.learned.frequency.plan import area_of, read_plan, wanted_units
from foveal.codecs.learned.frequency.reading import decode_tiles
from foveal.codecs.learned.frequency.transforms import BANDS
from foveal.codecs.learned.quality_levels import HAT_MAX
from foveal.codecs.learned.weights import card_of
from foveal.codecs.registry import codec_by_name
from foveal.container.reader import read_container
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.sources import file_bytes


@dataclass(frozen=True, eq=False)
class Latents:
    """The decoded latents of a picture, padded to multiples of 64 pixels.

    bands: of each band that was read, the coarsest first, float32 ``(channels, h, w)`` at 1/64, 1/32 and 1/16 of the padded picture,
    each channel divided by the power of two near its spread. quality: how near the file is to each of the codec's nodes of quality,
    float32 ``(nodes, h, w)`` for cells of 32 pixels, or ``(nodes, 1, 1)``. width, height: of the picture in pixels. weights: the id
    of those that made the file. bytes_read: of the file; whatever else it holds was not looked at.
    """

    bands: tuple[npt.NDArray[np.float32], ...]
    quality: npt.NDArray[np.float32]
    width: int
    height: int
    weights: str
    bytes_read: int


def read_latents(
    data: bytes | memoryview,
    *,
    bands: int | None = None,
    allow_partial: bool = False,
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Latents:
    """Decodes the symbols of a ``frequency`` file to latents; no synthesis network runs.

    bands: how many, the coarsest first, all if left out. allow_partial: takes a file that was cut, with the bands that no tile lacks.

    Raises:
        InputError: ``data`` are no bytes. FormatError: damaged, cut, drifted, or of another codec. LimitError: larger than ``limits`` allow.
        UnsupportedError: other weights than are here. SettingsError: more bands than there are.
    """
    codec = codec_by_name("frequency")
    settings = codec.checked_decode(DecodeSettings(bands, None, allow_partial, threads))
    container = read_container(
        data if isinstance(data, memoryview) else file_bytes(data),
        limits,
        wanted=wanted_units(codec.info, settings),
        partial=allow_partial,
    )
    head = container.head
    plan = read_plan(codec.info, head)
    networks = load_networks(card_of(codec.info.name, head.weights))
    units = {unit.number for unit in container.units}
    tiles = len(plan.tiles)
    whole = next((b for b in range(settings.bands or BANDS) if not units.issuperset(range(b * tiles, (b + 1) * tiles))), BANDS)
    held = min(whole, settings.bands or BANDS)
    _, latents = decode_tiles(networks, plan, area_of(head, settings), container, settings.threads, held)
    scaled = [
        np.ascontiguousarray((latent * np.exp2(-exponents.astype(np.float32))).transpose(2, 0, 1))
        for latent, exponents in zip(latents, networks.exponents, strict=False)
    ]
    quality = plan.hats.astype(np.float32) / np.float32(HAT_MAX)
    return Latents(tuple(scaled), quality, head.width, head.height, networks.card.id, container.read_bytes)
