"""Which codec wrote a file, by its first bytes alone; the file may be cut, or mapped and large: no more than needed is read."""

from __future__ import annotations

from foveal.codecs.around.compact import RestoringCodec, restored
from foveal.codecs.base import Codec, FileInfo
from foveal.codecs.learned.symbols import describe_learned
from foveal.codecs.registry import all_codecs, codec_by_id, codec_by_name
from foveal.container.format import SIGNATURE
from foveal.container.reader import read_first_head
from foveal.errors import NotFovealError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture

_PILLOW_READS = ("jpeg", "jpeg2000", "webp", "avif")
_START_CODES = (b"\0\0\0\1", b"\0\0\1")
_HEVC_FIRST = frozenset({0x40, 0x42, 0x46, 0x4E})  # VPS, SPS, access unit delimiter, SEI
_ISO_BRANDS = {b"avif": "avif", b"avis": "avif"}
_MP4_ENTRIES = ((b"hvc1", "hevc"), (b"hev1", "hevc"), (b"av01", "av1"), (b"vvc1", "vvc"), (b"vvi1", "vvc"))


def codec_of(data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS) -> Codec:
    """The codec that decodes ``data``, and restores it where a note in a standard file asks for that; of a .fvl file nothing behind HEAD is looked at.

    Raises:
        NotFovealError: no codec writes files that begin so. FormatError, UnsupportedError: a .fvl file whose head, or a standard file whose note, cannot be read.
    """
    if bytes(data[: len(SIGNATURE)]) == SIGNATURE:
        return codec_by_id(read_first_head(data, limits).codec)
    if (name := _standard_name(bytes(data))) is None:
        begin = bytes(data[:12]).hex(" ") or "nothing"
        raise NotFovealError(f"no codec writes a file that begins with {begin}; `foveal codecs` lists what foveal reads")
    codec = codec_by_name(name)
    return restored(codec, data) or codec


def describe_file(data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
    """What any file says of itself; a learned codec, and torch with it, is not loaded for that. Raises as ``Codec.describe``."""
    if data.startswith(SIGNATURE):
        codec_id = read_first_head(data, limits).codec
        for info in all_codecs():
            if info.learned and info.id == codec_id:
                return describe_learned(info, data, limits)
    return codec_of(data, limits).describe(data, limits)


def read_any(data: bytes, limits: Limits) -> Picture:
    """The picture in a file of samples, or in one that only a codec of foveal reads, or restores."""
    from foveal.media.image_io import read_picture

    try:
        codec = codec_of(data, limits)
    except NotFovealError:
        return read_picture(data, limits)
    as_it_is = codec.info.name in _PILLOW_READS and not isinstance(codec, RestoringCodec)
    return read_picture(data, limits) if as_it_is else codec.decode(data, limits)


def _standard_name(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")):
        return "jpeg2000"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "jxl"
    if data[4:8] == b"ftyp":
        return _iso_name(data)
    for code in _START_CODES:
        if data.startswith(code) and len(data) > len(code) + 1:
            first, second = data[len(code)], data[len(code) + 1]
            return "hevc" if first in _HEVC_FIRST and second == 1 else "vvc" if not first & 0xC0 else None
    if data.startswith((b"\x12\x00\x0a", b"\x0a")):
        return "av1"
    return None


def _iso_name(data: bytes) -> str | None:
    """AVIF by its brands, an MP4 by the kind of its first sample entry."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[i : i + 4] for i in range(8, size, 4)}
    for brand, name in _ISO_BRANDS.items():
        if brand in brands:
            return name
    return next((name for entry, name in _MP4_ENTRIES if entry in data), None)
