"""The calls that most users need: bytes in, picture out, and back."""

from __future__ import annotations

from foveal.codecs.base import Chroma, EncodeSettings, FileInfo
from foveal.codecs.registry import codec_by_name
from foveal.codecs.search import Target, encode_to_target
from foveal.codecs.sniff import codec_of
from foveal.errors import InputError, PictureError, SettingsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture


def encode(
    picture: Picture,
    *,
    codec: str = "gdn",
    quality: float | None = None,
    target: Target | None = None,
    chroma: Chroma | None = None,
    preset: str | None = None,
    suffix: str | None = None,
    threads: int | None = None,
) -> bytes:
    """Codes a picture and returns the bytes of a whole file.

    ``quality`` is 1..100, 50 if left out; a ``target`` (a size, a rate or a PSNR) stands in its place. The other settings are the codec's
    own: ``foveal codecs`` lists them.

    Raises:
        UnknownCodecError: no codec of that name. SettingsError: a setting that it does not have, or out of range.
        TargetError: no quality meets the target. PictureError: the format cannot hold the picture.
        MissingDependencyError: a library has to be installed. BackendError: the back end failed.
    """
    if not isinstance(picture, Picture):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PictureError(f"a {type(picture).__name__} is no foveal.Picture; make one of uint8 samples, or use read_picture")
    if quality is not None and target is not None:
        raise SettingsError("quality and target are both given; leave one out")
    settings = EncodeSettings(50.0 if quality is None else quality, chroma, preset, suffix, threads)
    coder = codec_by_name(codec)
    if target is not None:
        return encode_to_target(coder, picture, settings, target).data
    return coder.encode(picture, settings)


def decode(data: bytes | bytearray | memoryview, *, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decodes the bytes of a .fvl file or of any standard file that foveal writes.

    Raises:
        FormatError: not such a file, truncated, damaged, or drifted. LimitError: larger than ``limits`` allow.
        UnsupportedError: a sound file that needs a newer foveal, other weights or a missing library.
    """
    whole = _bytes(data)
    return codec_of(whole, limits).decode(whole, limits)


def info(data: bytes | bytearray | memoryview, *, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
    """What a file says of itself; no samples are decoded where the format allows. Raises as ``decode``."""
    whole = _bytes(data)
    return codec_of(whole, limits).describe(whole, limits)


def _bytes(data: bytes | bytearray | memoryview) -> bytes:
    if not isinstance(data, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"a {type(data).__name__} is not the bytes of a file; read the file first: Path(name).read_bytes()")
    return bytes(data)
