"""Files for machines: any codec, its bits where the proxy looks. What comes out is a plain file of that codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, final

import numpy as np

from foveal.codecs.base import Codec, DecodeSettings, EncodeSettings, Prepared
from foveal.codecs.guide import Guide
from foveal.codecs.guided.low_pass import MOST_SIGMA, low_pass
from foveal.codecs.held_rate import SizedLike
from foveal.codecs.wrapped import WrappedCodec
from foveal.errors import SettingsError
from foveal.guidance.allocation import BLOCK, DEFAULT_ALLOCATION
from foveal.guidance.feature_distortion import Coding, FeatureDistortion
from foveal.guidance.importance import Importance, ProxyReader
from foveal.guidance.reader import Machine as Machine
from foveal.guidance.reader import Search, blur_of, check_machine
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture

_TRIALS: Final[dict[Search, tuple[float, ...]]] = {
    "fast": (-1.0, 0.0, 1.5),
    "full": (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0),
}
"""Octaves of the step at which a search codes the picture; a block takes one of these or one between."""
_APART: Final = 0.1  # octaves between two trials at least
_QUALITIES_AN_OCTAVE: Final = 4


@final
class MachineCodec(WrappedCodec):
    """Another codec, whose files are for machines.

    hold_rate: each file is as large as the plain one of the same quality; else bits that move away come back elsewhere by estimate
    alone, which is enough where a target sets the size. limits: for what is decoded on the way.

    Raises:
        SettingsError: a codec that follows no guide, or a search with one that has no steps of its own.
    """

    def __init__(
        self,
        codec: Codec,
        machine: Machine = Machine(),
        reader: ProxyReader | None = None,
        *,
        hold_rate: bool = True,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        check_machine(machine, codec.info, mapped=False, hold_rate=False)
        super().__init__(codec)
        self._machine, self._reader = machine, reader
        self._hold_rate, self._limits = hold_rate, limits

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        if settings.guide is not None:
            raise SettingsError("a guide and a file for a machine, which has one of its own; leave one out")
        reader, machine = self._reader or ProxyReader(), self._machine
        shown = low_pass(picture, min(MOST_SIGMA, blur_of(picture.width, picture.height, machine.reads)))
        importance = reader.importance(picture, machine.tasks, machine.scores, threads=settings.threads)
        codec, hold, limits = self._codec, self._hold_rate, self._limits
        if machine.search is not None:
            guided: Prepared = _Searched(
                codec, picture, shown, importance, settings, machine.search, reader, hold_rate=hold, limits=limits
            )
        else:
            guide = machine.allocation.guide(importance, picture, hold_rate=hold)
            guided = codec.prepare(shown, replace(settings, guide=guide), limits)
        if not hold or shown is picture:
            return guided
        return SizedLike(guided, *(codec.prepare(own, settings, limits) for own in (shown, picture)))


@final
class _Searched(Prepared):
    """Codes the picture as ``shown`` at several steps, chooses each block's by what ``picture`` loses, and codes it once more.

    The choice is made at the nearest of some qualities, and kept until another is the nearest: so a search for a target, which asks
    for many qualities near each other, seldom makes another.
    """

    def __init__(
        self,
        codec: Codec,
        picture: Picture,
        shown: Picture,
        importance: Importance,
        settings: EncodeSettings,
        search: Search,
        reader: ProxyReader,
        *,
        hold_rate: bool,
        limits: Limits,
    ) -> None:
        assert codec.info.octave is not None
        self._codec, self._picture, self._shown, self._settings, self._reader = codec, picture, shown, settings, reader
        self._trials, self._octave = _TRIALS[search], codec.info.octave
        self._importance, self._hold_rate, self._limits = importance, hold_rate, limits
        self._plain = codec.prepare(shown, settings, limits)
        self._last: tuple[float, Prepared] | None = None

    def encode(self, quality: float) -> bytes:
        self._codec.info.scale.native(quality)  # raises
        step = self._octave / _QUALITIES_AN_OCTAVE
        near = min(100.0, max(1.0, round(quality / step) * step))
        if self._last is None or self._last[0] != near:
            self._last = (near, self._guided(near))
        return self._last[1].encode(quality)

    def _guided(self, quality: float) -> Prepared:
        picture, settings = self._picture, self._settings
        rows, columns = -(-picture.height // BLOCK), -(-picture.width // BLOCK)
        octaves = FeatureDistortion().octaves(
            self._reader, picture, self._codings(quality), self._importance, rows, columns, threads=settings.threads
        )
        guide = Guide(octaves.astype(np.float32), self._hold_rate, DEFAULT_ALLOCATION.chroma, sharp=False, matrices=True)
        return self._codec.prepare(self._shown, replace(settings, guide=guide), self._limits)

    def _codings(self, quality: float) -> list[Coding]:
        """The picture at all trials that the scale has room for, the finest first."""
        codings: list[Coding] = []
        for octaves in _trials_within(self._trials, (quality - 100) / self._octave, (quality - 1) / self._octave):
            data = self._plain.encode(min(100.0, max(1.0, quality - octaves * self._octave)))
            decoded = self._codec.decode(data, self._limits, DecodeSettings(threads=self._settings.threads))
            codings.append(Coding(octaves, decoded, 8 * len(data)))
        return codings


def _trials_within(trials: Sequence[float], finest: float, coarsest: float) -> list[float]:
    """The trials between the ends of the scale, and an end itself in place of those beyond it, unless it is next to another."""
    inside = [octaves for octaves in trials if finest <= octaves <= coarsest]
    ends = [end for end, beyond in ((finest, trials[0] < finest), (coarsest, trials[-1] > coarsest)) if beyond]
    return sorted([*inside, *(end for end in ends if min(abs(end - octaves) for octaves in inside) >= _APART)])
