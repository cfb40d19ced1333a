"""What every codec is, learned or standard: a picture in, the bytes of a file out, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal, final

from foveal.errors import SettingsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture

Chroma = Literal["400", "420", "422", "444"]


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
        if not isinstance(quality, int | float) or not 1 <= quality <= 100:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SettingsError(f"quality {quality!r}; 1 (smallest file) to 100 (best picture) is allowed")
        value = self.coarse + (self.fine - self.coarse) * (quality - 1) / 99
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
    presets: the back end's own names for speed against size, the default first; empty if it has none.
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
    alpha: bool = False
    metadata: bool = False
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class EncodeSettings:
    """How to encode. None means the codec's default.

    quality: 1..100. chroma, preset: one of those in the codec's ``CodecInfo``. suffix: one of its suffixes,
    where a codec writes more than one kind of file. threads: how many the encoder may use.
    """

    quality: float = 50.0
    chroma: Chroma | None = None
    preset: str | None = None
    suffix: str | None = None
    threads: int | None = None


@dataclass(frozen=True)
class BandInfo:
    """One band of a learned file: its number, the bytes that it takes, and the CRC-32 of its symbols."""

    number: int
    bytes: int
    symbols_crc: int


@dataclass(frozen=True)
class FileInfo:
    """What a file says of itself. Fields that a format does not hold are None or empty.

    parameter: the codec's own quality parameter, as it can be read back from the file, such as ``quality 40``.
    """

    codec: str
    bytes: int
    width: int
    height: int
    channels: int
    alpha: bool = False
    chroma: Chroma | None = None
    bit_depth: int = 8
    parameter: str | None = None
    format_version: int | None = None
    weights: str | None = None
    icc_bytes: int = 0
    exif_bytes: int = 0
    bands: tuple[BandInfo, ...] = ()


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
    def encode(self, picture: Picture, settings: EncodeSettings = EncodeSettings()) -> bytes:
        """Codes a picture at ``settings.quality``.

        Raises:
            SettingsError: a setting that this codec does not have. PictureError: a picture that the format cannot hold.
            MissingDependencyError: ``info.needs`` is not installed. BackendError: the back end failed.
        """
        return self.prepare(picture, settings).encode(settings.quality)

    @final
    def prepare(self, picture: Picture, settings: EncodeSettings = EncodeSettings()) -> Prepared:
        """Does the work that is the same for every quality; ``settings.quality`` is not looked at. Raises as ``encode``."""
        info = self.info
        if settings.chroma is not None and settings.chroma not in info.chroma:
            raise SettingsError(f"{info.name} has no chroma {settings.chroma!r}; {_choice(info.chroma)}")
        if settings.preset is not None and settings.preset not in info.presets:
            raise SettingsError(f"{info.name} has no preset {settings.preset!r}; {_choice(info.presets)}")
        if settings.suffix is not None and settings.suffix not in info.suffixes:
            raise SettingsError(f"{info.name} does not write {settings.suffix!r}; {_choice(info.suffixes)}")
        if settings.threads is not None and settings.threads < 1:
            raise SettingsError(f"threads = {settings.threads}; 1 or more is needed")
        return self._prepare(
            picture,
            replace(
                settings,
                chroma=settings.chroma or next(iter(info.chroma), None),
                preset=settings.preset or next(iter(info.presets), None),
                suffix=settings.suffix or info.suffixes[0],
            ),
        )

    @abstractmethod
    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        """As ``prepare``; the settings are checked, and hold the codec's defaults in place of None (but threads)."""

    @abstractmethod
    def decode(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> Picture:
        """Decodes a whole file.

        Raises:
            FormatError: damaged, truncated or not of this codec. LimitError: larger than ``limits`` allow.
            UnsupportedError: a sound file that needs what is not here.
        """

    @abstractmethod
    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        """Reads what the file says of itself, without decoding samples where the format allows. Raises as ``decode``."""


def _choice(allowed: tuple[str, ...]) -> str:
    return "choose from " + ", ".join(allowed) if allowed else "it has no such setting"
