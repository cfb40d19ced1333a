"""A codec that prepares pictures for another in a way of its own, and whose files are that other's."""

from __future__ import annotations

from foveal.codecs.base import Codec, DecodeSettings, FileInfo
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture


class WrappedCodec(Codec):
    """Abstract: subclasses say how ``self._codec`` is given a picture; reading files is left to it."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec.info)
        self._codec = codec

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        return self._codec.decode(data, limits, settings)

    def bytes_needed(
        self, data: bytes | memoryview, limits: Limits = DEFAULT_LIMITS, settings: DecodeSettings = DecodeSettings()
    ) -> int:
        return self._codec.bytes_needed(data, limits, settings)

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        return self._codec.describe(data, limits)
