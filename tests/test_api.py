"""The calls of users: any codec by name, any file by its first bytes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import foveal
from foveal.codecs.sniff import codec_of
from foveal.errors import DamagedError, InputError, LimitError, NotFovealError, PictureError, SettingsError, UnknownCodecError
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture

NAMES = [info.name for info in foveal.all_codecs()]
CASES = [(info.name, suffix) for info in foveal.all_codecs() for suffix in info.suffixes]
READERS = {"kvazaar": "hevc"}  # a second encoder of a format; the format's first codec knows its files and reads them


@pytest.mark.parametrize(("name", "suffix"), CASES)
def test_every_codec_and_suffix_is_known_by_its_first_bytes(name: str, suffix: str, photo: Picture) -> None:
    small = Picture(np.ascontiguousarray(photo.samples[:64, :96]))
    preset = "faster" if name == "vvc" else None
    data = foveal.encode(small, codec=name, quality=80, suffix=suffix, preset=preset)
    reader = READERS.get(name, name)
    assert codec_of(data).info.name == reader
    described = foveal.info(data)
    assert (described.codec, described.width, described.height, described.bytes) == (reader, 96, 64, len(data))
    assert psnr_rgb_db(small, foveal.decode(data)) > 26


def test_a_target_takes_the_place_of_quality(photo: Picture) -> None:
    data = foveal.encode(photo, target=foveal.Target(size_bytes=6000))
    assert 0.97 * 6000 <= len(data) <= 6000


def test_a_crop_and_a_partial_file(photo: Picture) -> None:
    small = Picture(np.ascontiguousarray(photo.samples[:64, :96]))
    for codec in ("jpeg", "gdn"):
        data = foveal.encode(small, codec=codec)
        part = foveal.decode(memoryview(data), crop=(8, 4, 40, 30))
        assert (part.samples == foveal.decode(data, bands=1).samples[4:34, 8:48]).all()
    assert foveal.decode(data, allow_partial=True).width == 96
    with pytest.raises(DamagedError):
        foveal.decode(data + b"\xee", allow_partial=True)
    assert (foveal.decode(memoryview(np.frombuffer(data, np.int8)), crop=(8, 4, 40, 30)).samples == part.samples).all()
    assert foveal.decode(memoryview(data + data)[: len(data)], crop=np.array([0, 0, 9, 9])).width == 9  # type: ignore[arg-type]
    for crop in ((1, 2, 3), (1, 2, 3, 4, 5), (1, 2, 3.5, 4), "0,0,1,1", 7):
        with pytest.raises(SettingsError, match="four whole numbers are needed"):
            foveal.decode(data, crop=crop)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="gdn has 1 band"):
        foveal.decode(data, bands=2)
    with pytest.raises(SettingsError, match="hold_rate without"):
        foveal.encode(small, codec="gdn", hold_rate=True)
    with pytest.raises(SettingsError, match="hold_rate with a target"):
        foveal.encode(small, hold_rate=True, importance=np.ones((2, 2), np.float32), target=foveal.Target(bpp=1))
    with pytest.raises(SettingsError, match="gdn has no tiles"):
        foveal.encode(small, codec="gdn", tile=256)


def test_ids_are_frozen() -> None:
    """This table only grows: a line that changes breaks files."""
    assert {info.name: info.id for info in foveal.all_codecs()} == {
        "gdn": 1,
        "frequency": 2,
        "hyperprior": 3,
        "hevc-blocks": 4,
        "cae-pca": 5,
        "rnn-2015": 6,
        "rnn-2017": 7,
        "jpeg": 64,
        "jpeg2000": 65,
        "webp": 66,
        "avif": 67,
        "jxl": 68,
        "hevc": 69,
        "av1": 70,
        "vvc": 71,
        "kvazaar": 72,
    }


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x01", b"GIF89a" + bytes(99), b"PK\x03\x04", b"<svg>"])
def test_foreign_files_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(NotFovealError):
        foveal.decode(data)


def test_unknown_codecs_are_named_with_those_that_are(photo: Picture) -> None:
    with pytest.raises(UnknownCodecError, match=r"gdn, .*jpeg, "):
        foveal.encode(photo, codec="bpg")


def test_wrong_types_are_named(photo: Picture) -> None:
    with pytest.raises(PictureError, match=r"ndarray is no foveal\.Picture"):
        foveal.encode(photo.samples)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="str is not the bytes"):
        foveal.decode("x.fvl")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="'40'"):
        foveal.encode(photo, quality="40")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="both given"):
        foveal.encode(photo, quality=40, target=foveal.Target(bpp=1))
    with pytest.raises(SettingsError, match=r"target = 5; a foveal\.Target is needed"):
        foveal.encode(photo, target=5)  # type: ignore[arg-type]
    for call in (foveal.decode, foveal.info):
        with pytest.raises(SettingsError, match=r"limits = None; a foveal\.Limits is needed"):
            call(b"", limits=None)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="quality True"):
        foveal.encode(photo, quality=True)


@pytest.mark.parametrize("codec", [info.name for info in foveal.all_codecs() if info.learned])
def test_a_learned_codec_takes_pictures_as_large_as_the_limits_say(codec: str, photo: Picture) -> None:
    small = Picture(np.ascontiguousarray(photo.samples[:64, :96]))
    least, target = foveal.Limits(pixels=64 * 96 - 1), foveal.Target(bpp=2)
    for asked in ({"quality": 5}, {"target": target}):
        with pytest.raises(LimitError, match=r"96x64 is 6144 pixels, 6143 are allowed; .*pixels=\.\.\.\), or --max-pixels"):
            foveal.encode(small, codec=codec, limits=least, **asked)  # type: ignore[arg-type]
    foveal.encode(small, codec=codec, limits=foveal.Limits(pixels=64 * 96))


@pytest.mark.parametrize("codec", ["gdn", "jpeg"])
def test_any_kind_of_bytes_decodes(codec: str, photo: Picture) -> None:
    data = foveal.encode(photo, codec=codec)
    assert (foveal.decode(bytearray(data)).samples == foveal.decode(memoryview(data)).samples).all()
    assert foveal.info(bytearray(data)).bytes == len(data)


def test_the_readme_examples_run(tmp_path: Path, photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    foveal.write_picture(photo, "photo.jpg")
    exec(compile(code, "README.md", "exec"), {})
    assert foveal.read_picture("photo.png").width == photo.width
