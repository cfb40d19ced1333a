"""The calls that most users need: bytes in, picture out, and back."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np
import numpy.typing as npt

from foveal.codecs.around.chain import Restore, asked_around, wrapped
from foveal.codecs.base import Chroma, DecodeSettings, EncodeSettings, FileInfo, Region
from foveal.codecs.guide import Guide, asked_guide
from foveal.codecs.registry import DEFAULT_CODEC, codec_by_name
from foveal.codecs.search import Target
from foveal.codecs.sniff import codec_of, describe_file
from foveal.errors import PictureError, SettingsError
from foveal.guidance.reader import Reader, Scores, Search, asked_machine, check_machine, encode_for, for_reader
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture
from foveal.sources import file_bytes

if TYPE_CHECKING:
    from foveal.tasks.choice import Source
    from foveal.tasks.pixel import PixelTask
    from foveal.tasks.results import Result


def encode(
    picture: Picture,
    *,
    codec: str = DEFAULT_CODEC,
    quality: float | None = None,
    target: Target | None = None,
    chroma: Chroma | None = None,
    preset: str | None = None,
    suffix: str | None = None,
    threads: int | None = None,
    importance: npt.NDArray[np.float32] | None = None,
    hold_rate: bool = False,
    guide: Guide | None = None,
    reader: Reader = "person",
    tasks: str | Sequence[str] | None = None,
    search: Search | None = None,
    scores: Scores | None = None,
    reads: int | None = None,
    adaptive: bool = False,
    preprocess: str | None = None,
    restore: Restore | None = None,
    tile: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """Codes a picture and returns the bytes of a whole file.

    ``quality`` is 1..100, 50 if left out; a ``target`` (a size, a rate or a PSNR) stands in its place. The other settings are the codec's
    own: ``foveal codecs`` lists them. ``importance`` is ``(rows, columns)`` of any size, 0..1, where the bits shall go; with
    ``hold_rate`` the file is as large as without it. ``guide`` says the same in octaves, in place of a map. With ``reader="machine"``
    a network says where the bits go: where it helps machines in ``tasks``, some of classify, detect, segment and pose (all if left out), in a file as
    large as a plain one; ``search``, ``"fast"`` or ``"full"``, takes longer, and ``scores="gradients"`` finds importance in
    another way; ``reads`` is the longer side, in pixels, at which the machine reads pictures, 416 if left out, 0 for all of them (docs/guidance.md). ``adaptive`` is the codec's own adaptive
    quantisation. ``preprocess="npp"`` has a network change the picture before a standard codec, for machines; ``restore`` has one mend what is
    decoded, of a picture at full size (``"full"``) or at half (``"compact"``), in a standard file that asks ``decode`` for it (docs/around-codec.md). ``tile`` is the side of tiles in pixels, by which parts of a large picture can be decoded alone.
    A learned codec refuses a picture larger than ``limits`` allow, as the decoder would.

    Raises:
        UnknownCodecError: no codec of that name. SettingsError: a setting that it does not have, or out of range.
        UnknownWeightsError: no such network for the codec.
        TargetError: no quality meets the target. PictureError: the format cannot hold the picture.
        LimitError: the picture is larger than ``limits`` allow.
        MissingDependencyError: a library has to be installed. BackendError: the back end failed.
    """
    if not isinstance(picture, Picture):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PictureError(f"a {type(picture).__name__} is no foveal.Picture; make one of uint8 samples, or use read_picture")
    if quality is not None and target is not None:
        raise SettingsError("quality and target are both given; leave one out")
    if target is not None and not isinstance(target, Target):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingsError(f"target = {target!r}; a foveal.Target is needed, such as Target(bpp=0.5)")
    _check_limits(limits)
    coder, machine = (
        wrapped(codec_by_name(codec), asked_around(preprocess, restore)),
        asked_machine(reader, tasks, search, scores, reads),
    )
    if machine is not None:
        check_machine(
            machine, coder.info, mapped=importance is not None or guide is not None, hold_rate=hold_rate, adaptive=adaptive
        )
    guide = asked_guide(importance, hold_rate=hold_rate, guide=guide)
    native = 50.0 if quality is None else quality
    settings = EncodeSettings(native, chroma, preset, suffix, threads, guide, tile, adaptive)
    if target is not None:
        return encode_for(coder, machine, picture, settings, target, limits).data
    return for_reader(coder, machine, limits=limits).encode(picture, settings, limits)


def decode(
    data: bytes | bytearray | memoryview,
    *,
    bands: int | None = None,
    crop: Sequence[SupportsIndex] | None = None,
    allow_partial: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Picture:
    """Decodes the bytes of a .fvl file or of any standard file that foveal writes.

    ``bands``: how many, the coarsest first. ``crop``: x, y, width and height of the part to return, in pixels. ``allow_partial``: take a .fvl file
    that was cut, as far as it goes. For bands or a crop of a mapped file, as a ``memoryview``, no more is read than they need.

    Raises:
        FormatError: not such a file, truncated, damaged, or drifted. LimitError: larger than ``limits`` allow.
        UnsupportedError: a sound file that needs a newer foveal, other weights or a missing library.
        SettingsError: more bands than the codec has, a crop outside the picture, or a partial file of a codec that is not learned.
    """
    _check_limits(limits)
    settings = DecodeSettings(bands, None if crop is None else _region(crop), allow_partial)
    view = data if isinstance(data, memoryview) and data.c_contiguous else file_bytes(data)
    view = view if isinstance(view, bytes) else view.cast("B")
    return codec_of(view, limits).decode(view, limits, settings)


def info(data: bytes | bytearray | memoryview, *, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
    """What a file says of itself; no samples are decoded where the format allows. Raises as ``decode``."""
    _check_limits(limits)
    return describe_file(file_bytes(data), limits)


def analyze(
    picture: Picture | str | Path | bytes | bytearray | memoryview,
    *,
    network: str | PixelTask | None = None,
    task: str | None = None,
    record: str | Path | None = None,
    source: Source = "auto",
    bands: int | None = None,
    allow_partial: bool = False,
) -> Result:
    """What a network says of a picture, or of a file that foveal reads or decodes: ``ClassScores``, ``Boxes``, ``ClassMap`` or ``Joints``.

    Of a .fvl file no picture is made where a head that comes with foveal reads its latents and answers the task; ``source="latent"``
    or ``"pixels"`` allows one way alone. ``bands``: how many of the file are read, the coarsest first. ``allow_partial`` takes a file that was cut.

    ``picture``: a file is given by its name, ``-`` for standard input, or by its bytes; an array has to become a ``Picture`` first.
    ``network`` is spelled as ``onnx:FILE``, ``tflite:FILE``, ``torch:MODULE:FACTORY``, ``hf:NAME`` or ``builtin:NAME``; for many
    pictures open it once, by ``foveal.tasks.opening.open_task``. ``task`` is what it must answer; without a network what comes with
    foveal answers it. ``record`` says what it is given.

    Raises:
        NetworkError: it cannot be opened, fails, answers another task, or is not what its record says.
        PictureError: ``picture`` is none. FovealError: the picture cannot be read. MissingDependencyError: a library has to be installed.
    """
    from foveal.tasks.analysis import analyze_picture
    from foveal.tasks.choice import Asked, FileAnalyst
    from foveal.tasks.pixel import PixelTask

    opened = network if isinstance(network, PixelTask) else None
    spelled = network.label if isinstance(network, PixelTask) else network
    asked = Asked(spelled, task, None if record is None else str(record), source, bands, allow_partial=allow_partial)
    return analyze_picture(picture, FileAnalyst(asked, opened))


def _check_limits(limits: Limits) -> None:
    if not isinstance(limits, Limits):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingsError(f"limits = {limits!r}; a foveal.Limits is needed, such as Limits(pixels=10**9), or leave it out")


def _region(crop: Sequence[SupportsIndex]) -> Region:
    try:
        x, y, width, height = map(operator.index, crop)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"crop = {crop!r}; four whole numbers are needed: (x, y, width, height)") from error
    return Region(x, y, width, height)
