"""A guide for a codec that takes no map: its finest place sets the quality, and a filter before the codec makes the rest coarser. Ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, final

import numpy as np

from foveal.codecs.base import Codec, EncodeSettings, Prepared
from foveal.codecs.guide import MOST, Guide
from foveal.codecs.guided.prefilter import prefilter
from foveal.codecs.guided.step_curve import StepCurve
from foveal.codecs.held_rate import HELD_WITHIN, hold_size
from foveal.errors import SettingsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture

Filter = Callable[[Picture, Guide, float], Picture]
"""A picture with less detail where a guide is above 0, for a codec that then codes it at this quality (1..100)."""

_CELL: Final = 8
_FINEST_SHARE: Final = 0.01  # of the picture; a place below is too small to set the quality of all
_STRONGEST, _TRIMS = 4.0, 8


@final
class Steered(Prepared):
    """A picture whose files, plain ones of the codec, follow ``settings.guide`` as far as a filter can.

    The hundredth of the picture that the guide wants finest is coded as it asks: the codec's quality is moved by so many octaves, as
    near as steps can be measured. All else is filtered by how much coarser it may be than that. A filter saves fewer bits than
    a coarser quantiser would, so a guide of mean 0 makes a larger file, unless it holds its rate: then the quality moves until
    the file is as large as one without the guide, and the filter is made stronger or weaker where steps of quality are too large.
    ``filtered``: the codec's own filter; by default ``prefilter``, at the step that is measured.

    Raises:
        SettingsError: no guide. Else as ``codec.prepare``.
    """

    def __init__(
        self,
        codec: Codec,
        picture: Picture,
        settings: EncodeSettings,
        limits: Limits = DEFAULT_LIMITS,
        filtered: Filter | None = None,
    ) -> None:
        if settings.guide is None:
            raise SettingsError("steering without a guide; give one, or use the codec as it is")
        self._codec, self._picture, self._limits = codec, picture, limits
        self._plain_settings = replace(settings, guide=None)
        self._plain = codec.prepare(picture, self._plain_settings, limits)
        self._curve = StepCurve(codec, picture, self._plain_settings)
        self._filtered = filtered or self._prefiltered
        self._hold_rate = settings.guide.hold_rate
        cells = settings.guide.on_cells(picture.width, picture.height, _CELL)
        self._finest = np.float32(np.quantile(cells, _FINEST_SHARE, method="lower"))
        self._above = np.clip(settings.guide.octaves - self._finest, 0, MOST)
        self._held: dict[float, bytes] = {}

    def encode(self, quality: float) -> bytes:
        quality = self._step_of_scale(quality)
        if not self._hold_rate:
            return self._file(self._moved(quality))
        if quality not in self._held:
            self._held[quality] = self._hold(quality)
        return self._held[quality]

    def _prefiltered(self, picture: Picture, guide: Guide, quality: float) -> Picture:
        return prefilter(picture, guide, self._curve.step(quality))

    def _moved(self, quality: float) -> float:
        return quality if self._finest == 0 else self._step_of_scale(self._curve.moved(quality, float(self._finest)))

    def _file(self, quality: float, strength: float = 1) -> bytes:
        """A file in which the finest place has this quality."""
        if not self._above.any() or strength == 0:
            return self._plain.encode(quality)
        guide = Guide(np.minimum(self._above * np.float32(strength), np.float32(MOST)))
        picture = self._filtered(self._picture, guide, quality)
        return self._codec.prepare(picture, self._plain_settings, self._limits).encode(quality)

    def _hold(self, quality: float) -> bytes:
        """The file whose size is nearest to one without the guide."""
        if not self._above.any():
            return self._plain.encode(quality)
        size, coded = self._plain.size(quality), dict[float, bytes]()

        def size_of(near: float) -> int:
            at = self._step_of_scale(near)
            if at not in coded:
                coded[at] = self._file(at)
            return len(coded[at])

        held = hold_size(size_of, size)
        nearest = self._step_of_scale(held.quality)
        if abs(held.excess) <= HELD_WITHIN:
            return coded[nearest]
        weak, strong = (1.0, _STRONGEST) if held.excess > 0 else (0.0, 1.0)
        best = coded[nearest]
        for _ in range(_TRIMS):
            middle = (weak + strong) / 2
            data = self._file(nearest, middle)
            best = min(best, data, key=lambda file: abs(len(file) - size))
            if abs(len(best) / size - 1) <= HELD_WITHIN / 2:
                break
            weak, strong = (middle, strong) if len(data) > size else (weak, middle)
        return best

    def _step_of_scale(self, quality: float) -> float:
        """The quality, or the nearest whose file differs from its neighbours' where the codec's parameter is an integer."""
        steps = self._codec.info.scale.steps()
        self._codec.info.scale.native(quality)  # raises
        return float(quality) if steps is None else min(steps, key=lambda step: abs(step - quality))
