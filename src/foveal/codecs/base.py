"""What every codec is, learned or standard: a picture in, the bytes of a file out, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, final

from foveal.codecs.file_info import BandInfo as BandInfo
from foveal.codecs.file_info import FileInfo as FileInfo
from foveal.codecs.guide import Guide
from foveal.codecs.settings import LARGEST_TILE
from foveal.codecs.settings import Chroma as Chroma
from foveal.codecs.settings import DecodeSettings as DecodeSettings
from foveal.codecs.settings import EncodeSettings as EncodeSettings
from foveal.codecs.settings import Region as Region
from foveal.errors import SettingsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture
from foveal.scalars import real, whole
from foveal.threads import MOST_THREADS, check_count, thread_limit


@dataclass(frozen=True)
class QualityScale:
    """How quality 1..100 maps to the codec's own parameter: a straight line from ``coarse`` to ``fine``.

    ``continuous`` is False where the parameter is an integer, so that neighbouring qualities give the same file.
    """

    parameter: str
    coarse: float
    fine: float
    continuous: bool

    def native(self, quality: float) -> float:
        """The codec's own parameter at a quality.

        Raises:
            SettingsError: quality outside 1..100, or not a number.
        """
        number = real(quality)
        if number is None or not 1 <= number <= 100:
            raise SettingsError(f"quality {quality!r}; a number from 1 (smallest file) to 100 (best picture) is allowed")
        value = self.coarse + (self.fine - self.coarse) * (number - 1) / 99
        return value if self.continuous else float(round(value))

    def steps(self) -> tuple[float, ...] | None:
        """The qualities that give different files, rising, one for each value of the parameter; None if continuous."""
        if self.continuous:
            return None
        count = round(abs(self.fine - self.coarse))
        return tuple(1 + 99 * i / count for i in range(count + 1))


@dataclass(frozen=True)
class CodecInfo:
    """A codec's row in the registry: everything that is known of it without loading it.

    id: frozen for ever; written into .fvl files. suffixes: the first is the default one.
    chroma: the chroma formats that the back end really has, the default first; empty if it has no such setting.
    presets: the back end's own names for speed against size, or those of a learned codec's sets of weights, each for what they
    were trained for, or of its ways of coding; the default first; empty if it has none.
    preset_in_file: whether a byte behind the quality in HEAD says which of the presets, by its number, coded a file.
    bands: into how many parts, coarse to fine, a file is coded; a prefix of them is a picture. tiles: whether a file may be
    coded in tiles, so that a part of the picture is read alone. importance: whether a guide, or a map drawn for one, reaches the
    coder; before a codec that has no way for it a filter does what it can (``codecs/guided``).
    octave: how much lower the quality is whose quantiser has twice the step, 6 QP of HEVC; None for a codec without steps of its own
    inside the picture, so that no guide is followed exactly.
    adaptive: whether it has an adaptive quantisation of its own.
    needs: the packages to install, as pip spells them.
    """

    id: int
    name: str
    title: str
    suffixes: tuple[str, ...]
    scale: QualityScale
    learned: bool = False
    chroma: tuple[Chroma, ...] = ()
    presets: tuple[str, ...] = ()
    preset_in_file: bool = False
    alpha: bool = False
    metadata: bool = False
    needs: tuple[str, ...] = ()
    bands: int = 1
    tiles: bool = False
    importance: bool = False
    octave: float | None = None
    adaptive: bool = False

    @property
    def quality_is_bands(self) -> bool:
        """Whether a file of a lower quality is the beginning of one of a higher quality: a learned codec's integer parameter is the number of bands."""
        return self.learned and not self.scale.continuous

    @property
    def guided_by(self) -> Literal["map", "thresholds", "filter"]:
        """How a guide is followed: by steps of its own inside the picture, by zeroed coefficients, or by a filter before the codec."""
        return "map" if self.octave is not None else "thresholds" if self.importance else "filter"

    def checked(self, settings: EncodeSettings) -> EncodeSettings:
        """The settings with the codec's defaults in place of None (but threads); ``quality`` is not looked at.

        Raises:
            SettingsError: a setting that the codec does not have, or out of range.
        """
        if settings.chroma is not None and settings.chroma not in self.chroma:
            raise SettingsError(f"{self.name} has no chroma {settings.chroma!r}; {_choice(self.chroma)}")
        if settings.preset is not None and settings.preset not in self.presets:
            raise SettingsError(f"{self.name} has no preset {settings.preset!r}; {_choice(self.presets)}")
        if settings.suffix is not None and settings.suffix not in self.suffixes:
            raise SettingsError(f"{self.name} does not write {settings.suffix!r}; {_choice(self.suffixes)}")
        if settings.adaptive:
            _check_adaptive(settings, self)
        return replace(
            settings,
            threads=_checked_threads(settings.threads),
            chroma=settings.chroma or next(iter(self.chroma), None),
            preset=settings.preset or next(iter(self.presets), None),
            suffix=settings.suffix or self.suffixes[0],
            guide=_checked_guide(settings.guide),
            tile=_checked_tile(settings.tile, self),
        )


class Prepared(ABC):
    """A picture made ready once (analysed, or converted to the codec's colours), to be coded at any quality."""

    @abstractmethod
    def encode(self, quality: float) -> bytes:
        """The whole file at this quality."""

    def size(self, quality: float) -> int:
        """The bytes of that file; a codec that can count them without writing does so."""
        return len(self.encode(quality))


class Codec(ABC):
    """Turns a picture into the bytes of a file and back. Subclasses are final and safe to use from several threads."""

    def __init__(self, info: CodecInfo) -> None:
        self.info = info

    @final
    def encode(self, picture: Picture, settings: EncodeSettings = EncodeSettings(), limits: Limits = DEFAULT_LIMITS) -> bytes:
        """Codes a picture at ``settings.quality``.

        Raises:
            LimitError: the picture is larger than ``limits`` allow.
            SettingsError: a setting that this codec does not have. PictureError: a picture that the format cannot hold.
            MissingDependencyError: ``info.needs`` is not installed. BackendError: the back end failed.
        """
        return self.prepare(picture, settings, limits).encode(settings.quality)

    @final
    def prepare(self, picture: Picture, settings: EncodeSettings = EncodeSettings(), limits: Limits = DEFAULT_LIMITS) -> Prepared:
        """Does the work that is the same for every quality; ``settings.quality`` is not looked at. Raises as ``encode``."""
        checked = self.info.checked(settings)
        if self.info.learned:  # the back ends of the others know their own
            limits.check_size(picture.width, picture.height)
        if checked.guide is not None and not self.info.importance:
            from foveal.codecs.guided.steered import Steered  # it steers codecs, so it imports this file

            return Steered(self, picture, checked, limits)
        return self._prepare(picture, checked)

    @abstractmethod
    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        """As ``prepare``; the settings are checked, and hold the codec's defaults in place of None (but threads)."""

    @final
    def decode(
        self, data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS, settings: DecodeSettings = DecodeSettings()
    ) -> Picture:
        """Decodes a file, or the part of it that ``settings`` ask for.

        Raises:
            FormatError: damaged, truncated or not of this codec. LimitError: larger than ``limits`` allow.
            UnsupportedError: a sound file that needs what is not here. SettingsError: more bands than there are, a crop
            that the picture does not hold, or a partial file of a codec that is not learned.
        """
        settings = self.checked_decode(settings)
        with thread_limit(settings.threads):
            picture = self._decode(data, limits, settings)
        return picture if settings.crop is None or self.info.tiles else settings.crop.of(picture)

    @abstractmethod
    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        """As ``decode``; the settings are checked but for the crop, which is this method's to check and do if ``info.tiles``."""

    def decode_bands(
        self, data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS, settings: DecodeSettings = DecodeSettings()
    ) -> Iterator[Picture]:
        """The picture after each band, the coarsest first; the last one is what ``decode`` gives. Raises as ``decode``."""
        held = self.describe(bytes(data), limits).whole_bands
        for bands in range(1, (settings.bands or max(1, held)) + 1):
            yield self.decode(data, limits, replace(settings, bands=bands if self.info.bands > 1 else None))

    def bytes_needed(
        self, data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS, settings: DecodeSettings = DecodeSettings()
    ) -> int:
        """The bytes of the file that such a decode reads. Raises as ``decode``."""
        self.checked_decode(settings)
        return len(data)

    @final
    def checked_decode(self, settings: DecodeSettings) -> DecodeSettings:
        info, bands = self.info, None if settings.bands is None else whole(settings.bands)
        if settings.bands is not None and (bands is None or not 1 <= bands <= info.bands):
            number = "1 band" if info.bands == 1 else f"{info.bands} bands"
            choice = "leave it out" if info.bands == 1 else f"ask for 1 to {info.bands}, or leave it out"
            raise SettingsError(f"bands = {settings.bands!r}; {info.name} has {number}: {choice}")
        if settings.allow_partial and not info.learned:
            raise SettingsError(f"{info.name} has no partial decoding; leave allow_partial out, it is for learned codecs")
        return replace(settings, bands=bands, threads=_checked_threads(settings.threads))

    @abstractmethod
    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        """Reads what the file says of itself, without decoding samples where the format allows. Raises as ``decode``."""


def _choice(allowed: tuple[str, ...]) -> str:
    return "choose from " + ", ".join(allowed) if allowed else "it has no such setting"


def _check_adaptive(settings: EncodeSettings, info: CodecInfo) -> None:
    if not info.adaptive:
        raise SettingsError(f"{info.name} has no adaptive quantisation of its own; leave adaptive out")
    if settings.guide is not None:
        raise SettingsError("a guide and adaptive quantisation, which would both move the bits; leave one out")


def _checked_threads(threads: int | None) -> int | None:
    return None if threads is None else check_count("threads", threads, MOST_THREADS)


def _checked_guide(guide: Guide | None) -> Guide | None:
    if guide is None:
        return None
    if not isinstance(guide, Guide):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingsError(
            f"a {type(guide).__name__} is no foveal.codecs.guide.Guide; make one by Guide.of_importance, or leave guide out"
        )
    return guide


def _checked_tile(tile: int | None, info: CodecInfo) -> int | None:
    if tile is not None and not info.tiles:
        raise SettingsError(f"{info.name} has no tiles; leave tile out, or choose a codec that `foveal codecs` lists with them")
    side = None if tile is None else whole(tile)
    if tile is not None and (side is None or not 256 <= side <= LARGEST_TILE or side % 128):
        raise SettingsError(f"tile = {tile!r}; a multiple of 128 from 256 to {LARGEST_TILE} is needed")
    return side
