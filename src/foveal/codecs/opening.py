"""Which codec a file is of, where a .fvl file may be cut, or mapped and large: of it no more than needed is read."""

from __future__ import annotations

from foveal.codecs.base import Codec, FileInfo
from foveal.codecs.learned.symbols import describe_learned
from foveal.codecs.registry import all_codecs, codec_by_id
from foveal.codecs.sniff import codec_of
from foveal.container.format import SIGNATURE
from foveal.container.reader import read_first_head
from foveal.limits import DEFAULT_LIMITS, Limits


def open_codec(data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS) -> Codec:
    """As ``codec_of``, but of a .fvl file nothing behind HEAD is looked at."""
    if bytes(data[: len(SIGNATURE)]) == SIGNATURE:
        return codec_by_id(read_first_head(data, limits).codec)
    return codec_of(bytes(data), limits)


def describe_file(data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
    """What any file says of itself; a learned codec, and torch with it, is not loaded for that. Raises as ``Codec.describe``."""
    if data.startswith(SIGNATURE):
        codec_id = read_first_head(data, limits).codec
        for info in all_codecs():
            if info.learned and info.id == codec_id:
                return describe_learned(info, data, limits)
    return codec_of(data, limits).describe(data, limits)
