"""The calls that most users need: bytes in, picture out, and back."""

from __future__ import annotations

from foveal.codecs.base import Chroma, EncodeSettings, FileInfo
from foveal.codecs.registry import codec_by_name
from foveal.codecs.search import Target, encode_to_target
from foveal.codecs.sniff import codec_of
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture


def encode(
    picture: Picture,
    *,
    codec: str = "gdn",
    quality: float = 50.0,
    target: Target | None = None,
    chroma: Chroma | None = None,
    preset: str | None = None,
    suffix: str | None = None,
    threads: int | None = None,
) -> bytes:
    """Codes a picture and returns the bytes of a whole file.

    ``quality`` is 1..100; a ``target`` (a size, a rate or a PSNR) takes its place. The other settings are the codec's
    own: ``foveal codecs`` lists them.

    Raises:
        UnknownCodecError: no codec of that name. SettingsError: a setting that it does not have, or out of range.
        TargetError: no quality meets the target. PictureError: the format cannot hold the picture.
        MissingDependencyError: a library has to be installed. BackendError: the back end failed.
    """
    settings = EncodeSettings(quality, chroma, preset, suffix, threads)
    coder = codec_by_name(codec)
    if target is not None:
        return encode_to_target(coder, picture, settings, target).data
    return coder.encode(picture, settings)


def decode(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decodes the bytes of a .fvl file or of any standard file that foveal writes.

    Raises:
        FormatError: not such a file, truncated, damaged, or drifted. LimitError: larger than ``limits`` allow.
        UnsupportedError: a sound file that needs a newer foveal, other weights or a missing library.
    """
    return codec_of(data, limits).decode(data, limits)


def info(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
    """What a file says of itself; no samples are decoded where the format allows. Raises as ``decode``."""
    return codec_of(data, limits).describe(data, limits)
