"""The note on restoration: where it stands, who looks past it, and what damage to it becomes."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from foveal.codecs.around.note import (
    HEVC_ID,
    JPEG_ID,
    RestoreNote,
    pack_note,
    read_note,
    unpack_note,
    with_note,
)
from foveal.codecs.base import EncodeSettings
from foveal.codecs.registry import codec_by_name
from foveal.codecs.standard.av_frames import wrap_mp4
from foveal.errors import DamagedError, FormatError, TruncatedError, UnsupportedError
from foveal.picture import Picture

NOTE = RestoreNote(compact=True, width=511, height=70_000, hundredths=4_250, weights=b"\0\0\1\0")
"""With bytes that HEVC has to escape."""


@pytest.fixture(scope="module", params=["jpeg", "hevc"])
def plain(request: pytest.FixtureRequest, photo: Picture) -> tuple[str, bytes]:
    """A host's name, and a file of it."""
    picture = Picture(photo.samples[:64, :96], exif=b"MM\0*\0\0\0\x08\0\0\0\0\0\0")
    codec = codec_by_name(request.param)
    return request.param, codec.encode(picture, EncodeSettings(40, preset=None if request.param == "jpeg" else "ultrafast"))


def test_a_note_is_read_back_and_the_picture_stays(plain: tuple[str, bytes]) -> None:
    host, data = plain
    noted = with_note(host, data, NOTE)
    assert read_note(host, data) is None
    assert read_note(host, memoryview(noted)) == NOTE
    codec = codec_by_name(host)
    assert (codec.decode(noted).samples == codec.decode(data).samples).all()
    assert len(noted) - len(data) <= 48


def test_other_programs_look_past_it(plain: tuple[str, bytes]) -> None:
    host, data = plain
    noted = with_note(host, data, NOTE)
    if host == "jpeg":
        with Image.open(io.BytesIO(noted)) as image:
            assert image.size == (96, 64)
            assert np.asarray(image.convert("RGB")).std() > 10
        return
    av = pytest.importorskip("av")
    with av.open(io.BytesIO(noted), format="hevc") as source:
        frame = next(source.decode(video=0))
    assert (frame.width, frame.height) == (96, 64)


def test_it_stands_first_in_a_jpeg_file_and_before_the_slice_in_hevc(plain: tuple[str, bytes]) -> None:
    host, data = plain
    noted = with_note(host, data, NOTE)
    if host == "jpeg":
        assert noted[:4] == b"\xff\xd8\xff\xe0"
        behind = 4 + int.from_bytes(noted[4:6], "big")
        assert noted[behind : behind + 4] == b"\xff\xe9\x00\x1d"
        assert noted.index(JPEG_ID) < noted.index(b"Exif\0\0")
    else:
        assert noted.index(HEVC_ID) < 200


def test_it_is_found_in_mp4(plain: tuple[str, bytes]) -> None:
    host, data = plain
    if host == "hevc":
        assert read_note(host, wrap_mp4(with_note(host, data, NOTE), "hevc", "hvc1")) == NOTE


def test_every_wrong_byte_is_damage_by_name(plain: tuple[str, bytes]) -> None:
    host, data = plain
    noted = with_note(host, data, NOTE)
    begin = noted.index(HEVC_ID if host == "hevc" else JPEG_ID) + len(HEVC_ID if host == "hevc" else JPEG_ID)
    for at in range(begin, begin + 20):
        wrong = noted[:at] + bytes([noted[at] ^ 0x41]) + noted[at + 1 :]
        with pytest.raises(FormatError):
            read_note(host, wrong)


def test_a_cut_note_is_named(plain: tuple[str, bytes]) -> None:
    host, data = plain
    noted = with_note(host, data, NOTE)
    begin = noted.index(HEVC_ID if host == "hevc" else JPEG_ID) + len(HEVC_ID if host == "hevc" else JPEG_ID)
    for end in (begin, begin + 3, begin + 19):
        with pytest.raises(TruncatedError):
            read_note(host, noted[:end])


def test_no_beginning_of_a_file_and_no_junk_raises_anything_else(plain: tuple[str, bytes]) -> None:
    host, data = plain
    noted = with_note(host, data, NOTE)
    chance = np.random.default_rng(0)
    for end in range(400):
        for junk in (noted[:end], chance.bytes(end), b"\xff\xd8" + b"\xff\xe9\0\2" * end, HEVC_ID * (end // 50)):
            try:
                assert read_note(host, junk) in (None, NOTE)
            except FormatError:
                assert end


def test_later_versions_are_told_from_damage() -> None:
    later = bytes([2]) + b"longer than version 1 is"
    with pytest.raises(UnsupportedError, match="version 2"):
        unpack_note(later + zlib.crc32(later).to_bytes(4, "big"))
    with pytest.raises(DamagedError):
        unpack_note(later + b"\0\0\0\0")
    early = bytes([0]) + pack_note(NOTE)[1:-4]
    with pytest.raises(DamagedError, match="version 0"):
        unpack_note(early + zlib.crc32(early).to_bytes(4, "big"))


@pytest.mark.parametrize("at", [1, 2, 6, 10])
def test_fields_that_no_writer_writes_are_damage(at: int) -> None:
    """kind 255, a width and a height of 0, a quality of 0."""
    fields = bytearray(pack_note(NOTE)[:-4])
    fields[at : at + (1 if at == 1 else 2 if at == 10 else 4)] = b"\xff" if at == 1 else bytes(2 if at == 10 else 4)
    with pytest.raises(DamagedError, match="a note of kind"):
        unpack_note(bytes(fields) + zlib.crc32(fields).to_bytes(4, "big"))


def test_the_size_has_to_fit() -> None:
    note = RestoreNote(compact=True, width=7, height=8, hundredths=100, weights=b"abcd")
    note.check_fits(4, 4)
    for width, height in ((3, 4), (4, 5), (7, 8)):
        with pytest.raises(FormatError, match="4x4"):
            note.check_fits(width, height)
    RestoreNote(compact=False, width=7, height=8, hundredths=100, weights=b"abcd").check_fits(7, 8)


def test_other_hosts_have_no_place() -> None:
    with pytest.raises(UnsupportedError, match="jpeg, hevc"):
        with_note("webp", b"RIFF", NOTE)
    assert read_note("webp", b"RIFF") is None
