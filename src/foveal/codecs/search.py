"""The quality that meets a target: a file size, bits per pixel, or PSNR. The same search for every codec."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import final

from foveal.codecs.base import Codec, EncodeSettings, Prepared
from foveal.codecs.probing import Probes, search
from foveal.errors import SettingsError, TargetError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture
from foveal.scalars import real, whole

TOLERANCE = 0.03
_UNITS = {
    "": 1,
    "b": 1,
    "k": 10**3,
    "kb": 10**3,
    "m": 10**6,
    "mb": 10**6,
    "g": 10**9,
    "gb": 10**9,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
}


@dataclass(frozen=True)
class Target:
    """What the file shall meet: exactly one of bits per pixel, bytes (both never exceeded), or RGB PSNR in dB (never missed).

    Raises:
        SettingsError: none or several are given, or a value that is not positive and finite.
    """

    bpp: float | None = None
    size_bytes: int | None = None
    psnr_db: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) != 1:
            raise SettingsError(f"{len(given)} targets are given; exactly one of bpp, size_bytes and psnr_db is needed")
        for name, value in given.items():
            number = real(value) if (count := whole(value)) is None else count
            if number is None or not (math.isfinite(number) and number > 0):
                raise SettingsError(f"a target of {name} = {value!r}; a number above 0 is needed")
            object.__setattr__(self, name, number)  # as Python's own: a float32 would round the budget

    def budget_bytes(self, pixels: int) -> int | None:
        """The bytes that a file of so many pixels may take; None for a PSNR target."""
        return math.floor(self.bpp * pixels / 8) if self.bpp is not None else self.size_bytes


@dataclass(frozen=True)
class Encoded:
    """A file that meets a target.

    parameter, value: the codec's own quality parameter. passes: how often the picture was coded or its size counted.
    within: the file takes at least 97 % of a size target, or meets a PSNR target. reached: a sentence on what was met.
    psnr_db: RGB PSNR of the decoded file, where the search had to measure it.
    """

    data: bytes
    quality: float
    parameter: str
    value: float
    passes: int
    within: bool
    reached: str
    psnr_db: float | None = None


def parse_size(text: str) -> int:
    """Bytes of ``40000``, ``40KB`` or ``40k`` (1000), ``1.5MB`` or ``64KiB`` (1024); a part of a byte is dropped.

    Raises:
        SettingsError: not a number with one of these units, or below one byte.
    """
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})\s*([a-z]*)\s*", text.lower())
    if match is None or match[2] not in _UNITS:
        raise SettingsError(f"size {text!r}; a number with B, KB, MB, GB (powers of 1000), KiB, MiB, GiB or no unit is needed")
    size = int(Decimal(match[1]) * _UNITS[match[2]])
    if size < 1:
        raise SettingsError(f"size {text!r} is below one byte")
    return size


def check_target(*, hold_rate: bool) -> None:
    """Raises SettingsError if a guide and a target ask for two sizes."""
    if hold_rate:
        raise SettingsError("hold_rate with a target; the target alone decides the size: leave hold_rate out")


def encode_to_target(
    codec: Codec, picture: Picture, settings: EncodeSettings, target: Target, limits: Limits = DEFAULT_LIMITS
) -> Encoded:
    """Codes a picture at the quality that meets ``target``; ``settings.quality`` is not looked at.

    Size: the largest file that is not above the target, within 3 % below it where the codec's quality is continuous;
    usually 3 to 6 passes there, 7 to 9 for a codec of integer steps. PSNR: the lowest quality that reaches it.

    Raises:
        TargetError: even quality 1 is too large, or even quality 100 not good enough. SettingsError: the guide is to hold the rate.
        Else as ``codec.encode``.
    """
    check_target(hold_rate=settings.guide is not None and settings.guide.hold_rate)
    prepared = codec.prepare(picture, settings, limits)
    budget = target.budget_bytes(picture.width * picture.height)
    if budget is None:
        assert target.psnr_db is not None
        return _encode_to_psnr(codec, prepared, picture, target.psnr_db, limits)
    if budget < 1:
        raise TargetError(f"{target.bpp} bpp of {picture.width}x{picture.height} pixels is less than one byte; ask for more")
    remedy = "ask for more" if settings.guide is None else "leave the importance map out, or ask for more"
    return _encode_to_size(codec, prepared, budget, remedy)


def _encode_to_size(codec: Codec, prepared: Prepared, budget: int, remedy: str) -> Encoded:
    counted = type(prepared).size is not Prepared.size
    sizes = _Sizes(prepared, budget, counted=counted)
    found = _largest_that_fits(codec, sizes)
    passes: int = sizes.passes
    # A counted size may differ from the written one; where that could break the promise, search again by writing.
    if counted and (found is None or not sizes.keeps_promise(*found)):
        sizes = _Sizes(prepared, budget, counted=False)
        found = _largest_that_fits(codec, sizes)
        passes += sizes.passes
    if found is None:
        raise TargetError(
            f"no quality of {codec.info.name} gives {budget} bytes or less; the smallest file of this picture takes "
            f"{min(sizes.bytes_at.values())} bytes: {remedy}"
        )
    quality, data = found
    within = len(data) >= budget * (1 - TOLERANCE)
    share = f"{len(data)} of {budget} bytes"
    if within:
        reached = f"{share}, within {TOLERANCE:.0%} below the target"
    elif quality == 100:
        reached = f"{share}: quality 100 is smaller than the target"
    elif codec.info.scale.continuous:
        reached = f"{share}: the largest that fits, for sizes of {codec.info.name} jump here"
    else:
        reached = f"{share}: the largest step of {codec.info.scale.parameter} that fits"
    return _encoded(codec, data, quality, passes, within, reached)


def _largest_that_fits(codec: Codec, sizes: _Sizes) -> tuple[float, bytes] | None:
    search(sizes, codec.info.scale)
    fitting = [q for q, excess in sizes.seen.items() if excess <= 0]
    return (max(fitting), sizes.file(max(fitting))) if fitting else None


def _encode_to_psnr(codec: Codec, prepared: Prepared, picture: Picture, psnr_db: float, limits: Limits) -> Encoded:
    psnrs = _Psnrs(prepared, lambda data: psnr_rgb_db(picture, codec.decode(data, limits)), psnr_db)
    search(psnrs, codec.info.scale)
    meeting = [q for q, excess in psnrs.seen.items() if excess >= 0]
    if not meeting:
        best_db = psnr_db + max(psnrs.seen.values())
        raise TargetError(f"no quality of {codec.info.name} gives {psnr_db} dB; the best for this picture is {best_db:.2f} dB")
    quality = min(meeting)
    found_db = psnr_db + psnrs.seen[quality]
    reached = f"{found_db:.2f} dB, the lowest quality found at {psnr_db} dB or more"
    return _encoded(codec, psnrs.file, quality, psnrs.passes, True, reached, found_db)


def _encoded(
    codec: Codec, data: bytes, quality: float, passes: int, within: bool, reached: str, psnr_db: float | None = None
) -> Encoded:
    scale = codec.info.scale
    return Encoded(data, quality, scale.parameter, scale.native(quality), passes, within, reached, psnr_db)


@final
class _Sizes(Probes):
    """Excess: the logarithm of size over budget. Keeps the written file of the highest quality that fits."""

    window = (math.log(1 - TOLERANCE), 0.0)
    slope = 0.04
    onward = 1

    def __init__(self, prepared: Prepared, budget: int, *, counted: bool) -> None:
        super().__init__()
        self.budget = budget
        self.bytes_at: dict[float, int] = {}
        self._prepared, self._counted = prepared, counted
        self._kept: tuple[float, bytes] | None = None

    def _measure(self, quality: float) -> float:
        if self._counted:
            self.bytes_at[quality] = self._prepared.size(quality)
        else:
            data = self._prepared.encode(quality)
            self.bytes_at[quality] = len(data)
            if len(data) <= self.budget and (self._kept is None or quality > self._kept[0]):
                self._kept = (quality, data)
        return math.log(max(1, self.bytes_at[quality]) / self.budget)

    def keeps_promise(self, quality: float, data: bytes) -> bool:
        """Whether a written file takes what was counted, or is near enough to the target anyway."""
        return self.budget * (1 - TOLERANCE) <= len(data) <= self.budget or len(data) == self.bytes_at[quality]

    def file(self, quality: float) -> bytes:
        """The written file."""
        if self._kept is not None and self._kept[0] == quality:
            return self._kept[1]
        self.passes += 1
        return self._prepared.encode(quality)


@final
class _Psnrs(Probes):
    """Excess: dB above the target. Keeps the file of the lowest quality that meets it."""

    window = (0.0, 0.01)
    slope = 0.25
    onward = -1

    def __init__(self, prepared: Prepared, psnr_of: Callable[[bytes], float], target_db: float) -> None:
        super().__init__()
        self.file = b""
        self._prepared, self._psnr_of, self._target_db = prepared, psnr_of, target_db

    def _measure(self, quality: float) -> float:
        data = self._prepared.encode(quality)
        excess = self._psnr_of(data) - self._target_db
        if excess >= 0 and quality < min((q for q, e in self.seen.items() if e >= 0), default=101):
            self.file = data
        return excess
