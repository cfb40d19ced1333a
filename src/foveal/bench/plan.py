"""What a bench runs: which pictures, which codecs with which settings, which networks read them, and where the results go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foveal.bench.readers import Reader
from foveal.bench.variant import Variant
from foveal.bench.variants import networks_of, parse_variant, together, variants_of
from foveal.codecs.base import Chroma, CodecInfo
from foveal.codecs.registry import all_codecs
from foveal.errors import SettingsError, UnknownCodecError

_EVEN: Final = (5.0, 15.0, 30.0, 45.0, 60.0, 75.0, 85.0, 93.0)
_LOGARITHMIC: Final = (8.0, 18.0, 28.0, 38.0, 48.0, 58.0, 68.0, 78.0)
_ITERATIONS: Final = (1.0, 7.6, 20.8, 47.2, 100.0)  # 1, 2, 4, 8 and 16 of 16
_QUALITIES: Final = {"crf": _LOGARITHMIC, "qp": _LOGARITHMIC, "psnr_db": _LOGARITHMIC, "iterations": _ITERATIONS}


@dataclass(frozen=True)
class CodecRun:
    """One curve of a bench: a codec with fixed settings, at several qualities (1..100). None means the codec's default.

    bands: measure only the file's first bands, as a file cut after them. variant: how the codec is used, None for plain.

    Raises:
        SettingsError: no qualities, or one outside 1..100.
    """

    codec: str
    qualities: tuple[float, ...]
    chroma: Chroma | None = None
    preset: str | None = None
    bands: int | None = None
    variant: Variant | None = None

    def __post_init__(self) -> None:
        bad = [quality for quality in self.qualities if not 1 <= quality <= 100]
        if bad or not self.qualities:
            raise SettingsError(f"qualities {list(bad or self.qualities)} of {self.label}; one or more of 1..100 are needed")
        object.__setattr__(self, "qualities", tuple(sorted({float(quality) for quality in self.qualities})))

    @property
    def label(self) -> str:
        """How reports call it: ``hevc``, ``hevc:444``, ``vvc:faster``, ``frequency:bands=1``, ``hevc:machine``."""
        bands = None if self.bands is None else f"bands={self.bands}"
        variant = None if self.variant is None else self.variant.spelling
        return ":".join(part for part in (self.codec, self.chroma, self.preset, bands, variant) if part is not None)


@dataclass(frozen=True)
class BenchPlan:
    """A bench: every picture by every codec at every quality.

    out: the folder of the results; rows go to ``rows.jsonl`` in it, and rows that it holds already are not run again.
    ssim: whether SSIM and MS-SSIM are measured (they need torch). threads: how many each encoder may use.
    readers: the networks that read each decoded picture, no two with one name. cache: the folder of coded files, kept only
    where there are readers; None is ``coded`` in out. command: what the header says was run; None means this process's own
    command line.

    Raises:
        SettingsError: two codecs with the same label, no codec or no picture.
    """

    pictures: tuple[Path, ...]
    codecs: tuple[CodecRun, ...]
    out: Path
    ssim: bool = True
    threads: int | None = None
    command: str | None = None
    readers: tuple[Reader, ...] = ()
    cache: Path | None = None

    def __post_init__(self) -> None:
        labels = [run.label for run in self.codecs] + [reader.task.label for reader in self.readers]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise SettingsError(
                f"{', '.join(twice)} is asked for twice; name each codec with its settings, and each network, once"
            )
        if not self.pictures or not self.codecs:
            raise SettingsError(f"{len(self.pictures)} pictures and {len(self.codecs)} codecs; one or more of each are needed")

    @property
    def rows_path(self) -> Path:
        """The file of the rows."""
        return self.out / "rows.jsonl"

    @property
    def cache_path(self) -> Path:
        """The folder of coded files."""
        return self.cache or self.out / "coded"


def default_qualities(info: CodecInfo) -> tuple[float, ...]:
    """Eight qualities, from a coarse picture to one that is hard to tell from the original, by the codec's own parameter."""
    return _QUALITIES.get(info.scale.parameter, _EVEN)


def parse_codecs(text: str, qualities: tuple[float, ...] | None = None) -> tuple[CodecRun, ...]:
    """Reads ``frequency,jpeg,hevc:444,vvc:faster``: codecs by name, each with a chroma format, a preset or both after colons;
    ``frequency:bands=1`` is a file cut after its first band. At most one more option is a variant (``foveal.bench.variants``):
    ``hevc:machine``, ``hevc:lowpass=0.7``, ``hevc:aq``, ``frequency:latent`` or, last, ``hevc:boxes=yolox``; and one a network: ``hevc:machine:npp``.

    ``qualities`` None means each codec's ``default_qualities``.

    Raises:
        UnknownCodecError: no codec of that name. SettingsError: an option that the codec does not have.
    """
    return tuple(_parse_one(item.strip(), qualities) for item in text.split(","))


def _parse_one(item: str, qualities: tuple[float, ...] | None) -> CodecRun:
    words, boxes, detector = item.partition(":boxes=")
    name, *options = words.lower().split(":")
    if boxes:  # a detector may be spelled with a path, whose colons and capitals are its own
        options.append(f"boxes={detector}")
    table = {info.name: info for info in all_codecs()}
    info = table.get(name)
    if info is None:
        raise UnknownCodecError(f"no codec {name!r}; there are {', '.join(table)}")
    chroma: Chroma | None = None
    preset: str | None = None
    bands: int | None = None
    variants: list[Variant] = []
    for option in options:
        if option in info.chroma and chroma is None:
            chroma = option
        elif option in info.presets and preset is None:
            preset = option
        elif option in _prefixes(info) and bands is None:
            bands = int(option.removeprefix("bands="))
        elif (variant := parse_variant(option)) is not None and together([*variants, variant]) is not None:
            variants.append(variant)
        else:
            raise SettingsError(f"{item!r}: {option!r} is not one more setting of {name}; {_choices(info)}")
    variant = together(variants)
    if variant is not None:
        variant.check(info, bands)
    return CodecRun(name, default_qualities(info) if qualities is None else qualities, chroma, preset, bands, variant)


def _prefixes(info: CodecInfo) -> tuple[str, ...]:
    return tuple(f"bands={n}" for n in range(1, info.bands))


def _choices(info: CodecInfo) -> str:
    kinds = (
        ("chroma", info.chroma),
        ("preset", info.presets),
        ("prefix", _prefixes(info)),
        ("variant", variants_of(info)),
        ("network", networks_of(info)),
    )
    return "once each: " + "; ".join(f"{kind} {', '.join(values)}" for kind, values in kinds if values)
