"""What ``encode`` and ``decode`` do to one file, in this process or in a worker of a batch (``folders``)."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from foveal.codecs.around.chain import Around, Restore, wrapped
from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, Region
from foveal.codecs.guide import Guide, asked_guide
from foveal.codecs.registry import codec_by_name
from foveal.codecs.search import Encoded, Target
from foveal.container.format import SIGNATURE
from foveal.container.reader import read_first_head
from foveal.errors import DamagedError, InputError, PictureError
from foveal.explain import check_explained, explain
from foveal.guidance.reader import Machine, Scores, Search, check_machine, encode_for, for_reader
from foveal.importance_maps import map_of, read_importance
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.metrics.rate import bpp
from foveal.picture import Picture
from foveal.sources import PIPE, map_source, read_source, write_target
from foveal.threads import thread_limit


@dataclass(frozen=True)
class EncodeRequest:
    """How to encode. background: R, G, B to lay a transparent picture over. verify: decode before anything is replaced.

    importance: the file of an importance map, or a folder of maps in which a picture has the one of its own stem; it makes the
    guide of ``settings``. hold_rate: the file is as large as one without the map at the same quality.
    machine: whom the file is for, None for a person. around: networks around a standard codec. explain: a folder for what each band adds.
    """

    codec: str
    settings: EncodeSettings
    target: Target | None = None
    background: tuple[int, int, int] | None = None
    verify: bool = False
    limits: Limits = DEFAULT_LIMITS
    importance: str | None = None
    hold_rate: bool = False
    machine: Machine | None = None
    around: Around | None = None
    explain: Path | None = None

    def check(self, info: CodecInfo) -> None:
        """Raises SettingsError if a file for a machine, or networks around the codec, are asked for that cannot be."""
        if self.around is not None:
            self.around.check(info)
        if self.machine is not None:
            mapped = self.importance is not None or self.settings.guide is not None
            check_machine(self.machine, info, mapped=mapped, hold_rate=self.hold_rate, adaptive=self.settings.adaptive)


@dataclass(frozen=True)
class DecodeRequest:
    """How to decode. bands, crop, allow_partial: as in ``DecodeSettings``."""

    limits: Limits = DEFAULT_LIMITS
    threads: int | None = None
    bands: int | None = None
    crop: Region | None = None
    allow_partial: bool = False

    @property
    def settings(self) -> DecodeSettings:
        """What of it the codec is told."""
        return DecodeSettings(self.bands, self.crop, self.allow_partial, self.threads)


@dataclass(frozen=True)
class EncodeReport:
    """What became of one picture. encode_s: coding alone, the search included.

    parameter, parameter_value: the codec's own; of a standard codec whose size is held, those of the plain file of that size.
    importance: the file of the importance map that it was coded with; None if the file holds none, as where it moved nothing.
    tasks, search, scores, reads: of the machine that the file is for; None for a person. reads: 0 if it reads all.
    preprocess, restore: the networks around the codec, as they were asked for.
    """

    input: str
    output: str
    codec: str
    quality: float
    parameter: str
    parameter_value: float
    bytes: int
    bpp: float
    width: int
    height: int
    encode_s: float
    verified: bool
    target: Target | None = None
    within: bool | None = None
    reached: str | None = None
    passes: int = 1
    psnr_db: float | None = None
    importance: str | None = None
    tasks: tuple[str, ...] | None = None
    search: Search | None = None
    scores: Scores | None = None
    reads: int | None = None
    preprocess: str | None = None
    restore: Restore | None = None


@dataclass(frozen=True)
class DecodeReport:
    """What became of one file. decode_s: decoding alone. bytes_read: of the coded file.

    bands: how many were asked for, all of them if not told. partial: the file was cut, and something of it was missing.
    bands_decoded: how many of those asked for no tile of the file lacks.
    """

    input: str
    output: str
    codec: str
    width: int
    height: int
    channels: int
    alpha: bool
    decode_s: float
    bytes_read: int
    bands: int
    bands_decoded: int
    partial: bool = False


def encode_file(source: str, target: str, request: EncodeRequest, *, overwrite: bool = True) -> EncodeReport:
    """Codes the picture ``source`` into the file ``target``; either may be ``-``. Raises as the codec does.

    Without ``overwrite`` a file is not replaced by its own coded form (InputError).
    """
    from foveal.codecs.sniff import read_any

    check_place(source, target, overwrite)
    plain, machine = codec_by_name(request.codec), request.machine
    request.check(plain.info)
    if request.explain is not None:
        check_explained(plain)
    codec = wrapped(plain, request.around)
    importance = None if request.importance is None else map_of(source, request.importance)
    found_map = None if importance is None else read_importance(importance, request.limits)
    guide = asked_guide(found_map, hold_rate=request.hold_rate, guide=request.settings.guide)
    request = replace(request, settings=replace(request.settings, guide=guide))
    picture = read_any(read_source(source, request.limits), request.limits)
    picture = _without_lost_alpha(picture, codec, source, request.background)
    with thread_limit(request.settings.threads):
        start = time.perf_counter()
        found = _encode(codec, picture, request)
        encode_s = time.perf_counter() - start
        if request.verify:
            _verify(codec, picture, found.data, request.limits)
    if importance is not None and guide is not None and _moved_nothing(guide, codec, found.data, request.limits):
        _warn_of_idle_map(importance, request)
        importance = None
    if request.explain is not None:
        explain(codec, picture, found.data, request.explain, request.limits)
    write_target(target, found.data)
    return EncodeReport(
        input=source,
        output=target,
        codec=request.codec,
        quality=found.quality,
        parameter=found.parameter,
        parameter_value=found.value,
        bytes=len(found.data),
        bpp=bpp(len(found.data), picture.width, picture.height),
        width=picture.width,
        height=picture.height,
        encode_s=encode_s,
        verified=request.verify,
        target=request.target,
        within=found.within if request.target else None,
        reached=found.reached if request.target else None,
        passes=found.passes,
        psnr_db=found.psnr_db,
        importance=importance,
        tasks=None if machine is None else machine.tasks,
        search=None if machine is None else machine.search,
        scores=None if machine is None else machine.scores,
        reads=None if machine is None else machine.reads or 0,
        preprocess=None if request.around is None else request.around.preprocess,
        restore=None if request.around is None else request.around.restore,
    )


def _moved_nothing(guide: Guide, codec: Codec, data: bytes, limits: Limits) -> bool:
    return not codec.describe(data, limits).importance_bytes if codec.info.learned and codec.info.importance else guide.is_flat


def _warn_of_idle_map(importance: str, request: EncodeRequest) -> None:
    why = "it is the same everywhere, but for less than one step of quality"
    if request.hold_rate:
        why += ", or the rate cannot be held with it at this quality: leave hold_rate out, or choose another quality"
    warnings.warn(f"the importance map {importance} moved nothing, and the file holds none: {why}", UserWarning, stacklevel=3)


def _encode(codec: Codec, picture: Picture, request: EncodeRequest) -> Encoded:
    if request.target is not None:
        return encode_for(codec, request.machine, picture, request.settings, request.target, request.limits)
    coder = for_reader(codec, request.machine, limits=request.limits)
    quality, scale = request.settings.quality, codec.info.scale
    data = coder.encode(picture, request.settings, request.limits)
    guide = request.settings.guide
    held = request.machine is not None or (guide is not None and guide.hold_rate)
    if held and codec.info.learned:  # the codec moved the quality; the file says where to
        parameter = codec.describe(data, request.limits).parameter
        assert parameter is not None
        quality = float(parameter.split()[1])
    return Encoded(data, quality, scale.parameter, scale.native(quality), passes=1, within=True, reached="")


def _without_lost_alpha(picture: Picture, codec: Codec, source: str, background: tuple[int, int, int] | None) -> Picture:
    if background is not None:
        return picture.on_background(background)
    if picture.alpha is None or codec.info.alpha:
        return picture
    if picture.alpha.min() < 255:
        raise PictureError(
            f"{source} is transparent in places, which {codec.info.name} cannot hold; lay it over --background '#ffffff'"
        )
    return replace(picture, alpha=None)


def _verify(codec: Codec, picture: Picture, data: bytes, limits: Limits) -> None:
    decoded = codec.decode(data, limits)
    if (decoded.width, decoded.height) != (picture.width, picture.height):
        raise DamagedError(
            f"verify: the file decodes to {decoded.width}x{decoded.height}, the picture is {picture.width}x{picture.height}; "
            "nothing was written"
        )


def decode_file(source: str, target: str, request: DecodeRequest, *, overwrite: bool = True) -> DecodeReport:
    """Decodes the file ``source`` into the picture file ``target``; either may be ``-`` (PNG). Raises as the codec does.

    Without ``overwrite`` a file is not replaced by its own decoded form (InputError). For a crop or for bands no more of
    a file is read than they need.
    """
    from foveal.media.image_io import picture_bytes, write_picture

    check_place(source, target, overwrite)
    limits, settings = request.limits, request.settings
    data, codec = _open(source, limits, settings)
    start = time.perf_counter()
    picture = codec.decode(data, limits, settings)
    decode_s = time.perf_counter() - start
    cut = codec.describe(bytes(data), limits) if settings.allow_partial else None
    bands = settings.bands or (read_first_head(data, limits).bands if codec.info.bands > 1 else 1)
    if target == PIPE:
        write_target(target, picture_bytes(picture, ".png"))
    else:
        write_picture(picture, Path(target))
    return DecodeReport(
        input=source,
        output=target,
        codec=codec.info.name,
        width=picture.width,
        height=picture.height,
        channels=picture.samples.shape[2],
        alpha=picture.alpha is not None,
        decode_s=decode_s,
        bytes_read=len(data) if isinstance(data, bytes) else codec.bytes_needed(data, limits, settings),
        bands=bands,
        bands_decoded=bands if cut is None else min(bands, cut.whole_bands),
        partial=cut is not None and cut.missing_units > 0,
    )


def _open(source: str, limits: Limits, settings: DecodeSettings) -> tuple[bytes | memoryview, Codec]:
    """A file, mapped if it is on a disk and only a part of it is needed, and its codec."""
    from foveal.codecs.sniff import codec_of

    if settings.crop or settings.bands:
        mapped = map_source(source, limits)
        if mapped is not None and bytes(mapped[: len(SIGNATURE)]) == SIGNATURE:
            codec = codec_of(mapped, limits)
            if (settings.crop and codec.info.tiles) or (settings.bands or codec.info.bands) < codec.info.bands:
                return mapped, codec
    data = read_source(source, limits)
    return data, codec_of(data, limits)


def check_output(target: str) -> None:
    """Raises InputError if the output of one file names a folder."""
    if target != PIPE and Path(target).is_dir():
        raise InputError(f"{target} is a folder; name the file to write in it, such as {Path(target) / 'a.fvl'}")


def check_place(source: str, target: str, overwrite: bool) -> None:
    """Raises InputError if the output is a folder, or would replace its own input without ``overwrite``."""
    if target == PIPE:
        return
    check_output(target)
    if not overwrite and source != PIPE and Path(target).exists() and Path(source).exists() and Path(target).samefile(source):
        raise InputError(f"{target} would replace its own input; name another file, or allow it with --overwrite")
