"""Compact-and-restore around a standard codec, and restoration alone: files of that codec, with a note that says what restores them.

Quality 1..100 is the host's own, of the picture that it is given: a halved picture has a quarter of the pixels, so a file of equal
size has a higher quality than one without. Targets of bits, bytes and decibels are searched on that scale as on any other.

A file is a plain one of the host. Programs that do not know the note show the picture as it was coded, at half its size if it
was halved. Restoration is float arithmetic: two machines may differ by 1 in a sample. What a host does not hold, such as alpha, is refused as
it refuses it; ICC and Exif travel where they do with the host.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, final

from foveal.codecs.around.note import RestoreNote, check_host, read_note, with_note
from foveal.codecs.base import Codec, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.wrapped import WrappedCodec
from foveal.errors import FormatError, PictureError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture

if TYPE_CHECKING:
    from foveal.codecs.around.restoration import RestoreNetworks


def restoring(codec: Codec, *, compact: bool) -> Codec:
    """The codec with a picture of half the size (``compact``), or the full one, restored when it is read.

    Raises:
        UnknownWeightsError: no networks for it came with this installation. UnsupportedError: its files have no place for the note.
    """
    from foveal.codecs.around.cards import card_for  # it imports torch

    check_host(codec.info.name)
    card_for("compact" if compact else "restore", codec.info.name)
    return RestoringCodec(codec, compact=compact)


def restored(codec: Codec, data: bytes | memoryview) -> Codec | None:
    """What decodes a file of ``codec`` that has a note, or None if it has none; neither torch nor weights are loaded.

    Raises:
        FormatError: the note is damaged or cut off. UnsupportedError: it is of a later version.
    """
    note = read_note(codec.info.name, data)
    return None if note is None else RestoringCodec(codec, compact=note.compact)


@final
class RestoringCodec(WrappedCodec):
    """What ``restoring`` and ``restored`` give. Files without a note are read as the host reads them."""

    def __init__(self, codec: Codec, *, compact: bool) -> None:
        super().__init__(codec)
        self._compact = compact

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        from foveal.codecs.around.cards import card_for
        from foveal.codecs.around.restoration import load_networks

        host = self.info.name
        check_host(host)
        if picture.alpha is not None:
            raise PictureError(f"{host} holds no alpha; lay the picture over a colour first with --background")
        card = card_for("compact" if self._compact else "restore", host)
        if self._compact:
            return _Compacted(self._codec, picture, settings, load_networks(card), bytes.fromhex(card.id))
        return _Noted(self._codec, picture, settings, bytes.fromhex(card.id))

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        whole = replace(settings, crop=None)  # a crop is of the true picture, and the caller's to take
        if (note := read_note(self.info.name, data)) is None:
            return self._codec.decode(data, limits, whole)
        limits.check_size(note.width, note.height)
        networks = _networks_of(note, self.info.name)
        coded = self._codec.decode(data, limits, whole)
        note.check_fits(coded.width, coded.height)
        return replace(coded, samples=networks.restored(coded.samples, note.quality, note.width, note.height, settings.threads))

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        """As ``Codec.describe``, with the true size, the coded one and the id of the weights; they need not be here."""
        found = self._codec.describe(data, limits)
        if (note := read_note(self.info.name, data)) is None:
            return found
        limits.check_size(note.width, note.height)
        note.check_fits(found.width, found.height)
        return replace(
            found, width=note.width, height=note.height, weights=note.weights.hex(), restored_from=(found.width, found.height)
        )


def _networks_of(note: RestoreNote, host: str) -> RestoreNetworks:
    """Raises UnknownWeightsError: they are not here. FormatError: they are for another codec."""
    from foveal.codecs.around.cards import card_named
    from foveal.codecs.around.restoration import load_networks

    card = card_named("compact" if note.compact else "restore", note.weights)
    if card.host != host:
        raise FormatError(f"the note in a file of {host} names weights {card.id}, which are for {card.host}; the file is wrong")
    return load_networks(card)


def _hundredths(codec: Codec, quality: float) -> int:
    """The quality in hundredths, at the nearest that has a file of its own where the host's parameter is an integer.

    Raises:
        SettingsError: it is not in 1..100.
    """
    codec.info.scale.native(quality)
    steps = codec.info.scale.steps()
    nearest = quality if steps is None else min(steps, key=lambda step: abs(step - quality))
    return round(100 * nearest)


def _finished(codec: Codec, data: bytes, settings: EncodeSettings, note: RestoreNote) -> bytes:
    """The bare file with its note, in MP4 where that is asked for."""
    noted = with_note(codec.info.name, data, note)
    if settings.suffix != ".mp4":
        return noted
    from foveal.codecs.standard.av_frames import wrap_mp4
    from foveal.codecs.standard.still_stream import StillStreamCodec

    assert isinstance(codec, StillStreamCodec), "no other host writes MP4"
    return wrap_mp4(noted, codec.kind.demuxer, codec.kind.mp4_tag)


@final
class _Compacted(Prepared):
    """A picture to be halved at each quality, as the network before the codec has it."""

    def __init__(
        self, codec: Codec, picture: Picture, settings: EncodeSettings, networks: RestoreNetworks, weights: bytes
    ) -> None:
        self._codec, self._picture, self._settings = codec, picture, settings
        self._networks, self._weights = networks, weights

    def encode(self, quality: float) -> bytes:
        picture = self._picture
        note = RestoreNote(True, picture.width, picture.height, _hundredths(self._codec, quality), self._weights)
        small = self._networks.compacted(picture.samples, note.quality, self._settings.threads)
        settings = replace(self._settings, quality=note.quality, suffix=self._codec.info.suffixes[0])
        return _finished(self._codec, self._codec.encode(replace(picture, samples=small), settings), self._settings, note)


@final
class _Noted(Prepared):
    """A picture that the codec is given as it is; its files tell that restoration applies."""

    def __init__(self, codec: Codec, picture: Picture, settings: EncodeSettings, weights: bytes) -> None:
        self._codec, self._settings, self._weights = codec, settings, weights
        self._width, self._height = picture.width, picture.height
        self._host = codec.prepare(picture, replace(settings, suffix=codec.info.suffixes[0]))

    def encode(self, quality: float) -> bytes:
        note = RestoreNote(False, self._width, self._height, _hundredths(self._codec, quality), self._weights)
        return _finished(self._codec, self._host.encode(note.quality), self._settings, note)
