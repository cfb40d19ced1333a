"""Bands, crops, partial files, importance maps and tiles on the command line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

import foveal
from foveal.cli.main import main
from foveal.cli.options import parse_crop
from foveal.codecs.base import DecodeSettings, Region
from foveal.errors import InputError, LimitError, SettingsError
from foveal.files import DecodeRequest, decode_file
from foveal.folders import decode_batch
from foveal.importance_maps import read_importance
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture
from foveal.sources import map_source


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photo and its coded forms, in the current folder."""
    samples = np.ascontiguousarray(skimage.data.astronaut()[:96, 160:288])
    Image.fromarray(samples).save(tmp_path / "a.png")
    for name in ("a.jpg", "a.fvl"):
        codec = "jpeg" if name == "a.jpg" else "gdn"
        (tmp_path / name).write_bytes(foveal.encode(Picture(samples), codec=codec))
    Image.new("L", (8, 6), 51).save(tmp_path / "map.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pixels(name: str) -> np.ndarray:
    with Image.open(name) as image:
        return np.asarray(image)


def test_texts_of_crops() -> None:
    assert parse_crop(None) is None
    assert parse_crop("1,2,30,40") == parse_crop(" 1, 2 ,30,40 ") == Region(1, 2, 30, 40)
    assert parse_crop("-1,0,3,4") == Region(-1, 0, 3, 4)
    for text in ("", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1.5,2,3,4", "1 2 3 4", "1,2,3,"):
        with pytest.raises(SettingsError, match="x,y,width,height in pixels are needed"):
            parse_crop(text)


def test_a_map_is_the_luma_of_a_picture_or_the_numbers_of_a_file(folder: Path) -> None:
    assert (read_importance("map.png", DEFAULT_LIMITS) == np.full((6, 8), 0.2, np.float32)).all()
    Image.new("RGB", (5, 4), (255, 0, 0)).save("red.png")
    assert (read_importance("red.png", DEFAULT_LIMITS) == np.float32(76) / np.float32(255)).all()
    given = np.random.default_rng(0).random((5, 7))
    np.save("map.npy", given)
    found = read_importance("map.npy", DEFAULT_LIMITS)
    assert found.dtype == np.float32
    assert (found == given.astype(np.float32)).all()


def test_maps_that_cannot_be_read_are_named(folder: Path) -> None:
    np.save("cube.npy", np.zeros((2, 2, 2)))
    np.save("objects.npy", np.array([[None]]), allow_pickle=True)
    np.save("large.npy", np.zeros((30, 30), np.uint8))
    Path("junk.npy").write_bytes(b"junk")
    Path("empty.npy").write_bytes(b"")
    np.savez("zip.npz", np.zeros((2, 2)))
    Path("zip.npz").rename("zip.npy")
    whole = io.BytesIO()
    np.save(whole, np.zeros((50, 50)))
    Path("short.npy").write_bytes(whole.getvalue()[:-9])
    for name in ("none.npy", "junk.npy", "empty.npy", "short.npy", "objects.npy", "zip.npy", "none.png", "a.fvl"):
        with pytest.raises(InputError, match=name):
            read_importance(name, DEFAULT_LIMITS)
    with pytest.raises(InputError, match=r"cube\.npy holds float64 of shape \(2, 2, 2\); an importance map is numbers"):
        read_importance("cube.npy", DEFAULT_LIMITS)
    with pytest.raises(LimitError, match="30x30"):
        read_importance("large.npy", Limits(pixels=100))
    with pytest.raises(SettingsError, match="a map is read from a file"):
        read_importance("-", DEFAULT_LIMITS)


@pytest.mark.parametrize("name", ["a.jpg", "a.fvl"])
def test_a_crop_is_the_part_of_the_whole(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", name, "whole.png"]) == 0
    capsys.readouterr()
    assert main(["decode", name, "part.png", "--crop", "10,20,64,48", "--bands", "1", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["width"], about["height"], about["bands"]) == (64, 48, 1)
    assert about["bytes_read"] == Path(name).stat().st_size
    assert (pixels("part.png") == pixels("whole.png")[20:68, 10:74]).all()


def test_a_cut_file_is_decoded_when_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = foveal.encode(Picture(pixels("a.png")), quality=40)
    finest = foveal.info(data).bands[2].bytes
    Path("f.fvl").write_bytes(data)
    Path("cut.fvl").write_bytes(data[: 6 - finest])
    assert main(["decode", "cut.fvl", "b.png"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: cut.fvl: the file ends")
    assert "more are needed" in err
    assert main(["decode", "cut.fvl", "b.png", "--allow-partial"]) == 0
    assert "2 of 3 bands are whole" in capsys.readouterr().out
    assert main(["decode", "f.fvl", "two.png", "--bands", "2"]) == 0
    assert (pixels("b.png") == pixels("two.png")).all()
    capsys.readouterr()
    for name, asked, decoded in (("cut.fvl", [], 2), ("cut.fvl", ["--bands", "1"], 1), ("f.fvl", [], 3)):
        assert main(["decode", name, "b.png", "--allow-partial", "--json", *asked]) == 0
        about = json.loads(capsys.readouterr().out)
        assert (about["bands_decoded"], about["partial"]) == (decoded, name == "cut.fvl")
    assert main(["info", "cut.fvl"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["cut", "1", "unit", "is", "missing;", "decode", "with", "--allow-partial"] in lines
    assert ["cut", "chunk", "6", "bytes"] in lines
    assert ["beside", "bands", f"{len(data) - sum(band.bytes for band in foveal.info(data).bands)}", "bytes"] in lines
    assert lines[-1] == ["2", "0", "0", "0.0000", "0.0%", "-"]
    assert main(["info", "cut.fvl", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["bands"][2]["symbols_crc"], about["cut_bytes"], about["decodable"]) == (None, 6, True)
    Path("stub.fvl").write_bytes(data[:40])
    assert main(["info", "stub.fvl"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "128x96 RGB" in told
    assert "3 units are missing; cut within the first band, so it cannot be decoded" in told


def test_standard_input_takes_a_crop_too(folder: Path) -> None:
    data = Path("a.jpg").read_bytes()
    command = [sys.executable, "-m", "foveal", "decode", "-", "-", "--crop", "0,0,16,8", "--json"]
    done = subprocess.run(command, input=data, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr)["bytes_read"] == len(data)
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert image.size == (16, 8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["decode", "a.jpg", "b.png", "--bands", "2"], "bands = 2; jpeg has 1 band"),
        (["decode", "a.fvl", "b.png", "--bands", "0"], "bands = 0; gdn has 1 band"),
        (["decode", "a.jpg", "b.png", "--allow-partial"], "jpeg has no partial decoding"),
        (["decode", "a.jpg", "b.png", "--crop", "100,0,64,48"], "crop 100,0,64,48; the picture is 128x96"),
        (["decode", "a.fvl", "b.png", "--crop", "-1,0,4,4"], "crop -1,0,4,4"),
        (["decode", "a.jpg", "b.png", "--crop", "5"], "crop '5'"),
        (["decode", "empty", "b.png", "--crop", "0,0,1,1"], "empty is empty, 0 bytes"),
        (["encode", "a.png", "b.jpg", "--importance", "none.png"], "none.png"),
        (["encode", "a.png", "b.jpg", "--hold-rate"], "hold_rate without an importance map"),
        (["encode", "a.png", "b.jpg", "--tile", "512"], "jpeg has no tiles"),
        (["encode", ".", "out", "--codec", "jpeg", "--importance", "map.png"], "a map belongs to one picture"),
    ],
)
def test_a_mistake_is_an_error_in_words(
    folder: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").write_bytes(b"")
    before = sorted(Path().rglob("*"))
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert words in err.replace("importance map belongs", "map belongs").replace("an map", "a map")
    assert sorted(Path().rglob("*")) == before


def test_a_file_is_mapped_only_where_that_can_be(folder: Path) -> None:
    mapped = map_source("a.fvl", DEFAULT_LIMITS)
    assert mapped is not None
    assert mapped.readonly
    assert mapped == Path("a.fvl").read_bytes()
    Path("empty").write_bytes(b"")
    for name in ("empty", "-", "none", "."):
        assert map_source(name, DEFAULT_LIMITS) is None
    with pytest.raises(LimitError, match="payload_bytes"):
        map_source("a.fvl", Limits(payload_bytes=10))


@pytest.mark.parametrize("part", [{"crop": Region(0, 0, 8, 8)}, {"bands": 1}, {"bands": 2, "allow_partial": True}])
def test_for_a_part_the_file_is_mapped_and_the_codec_says_what_it_read(
    folder: Path, part: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    frequency, given = foveal.codec_by_name("frequency"), list[object]()

    def needed(data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> int:
        given.append((type(data), settings))
        return 123

    Path("f.fvl").write_bytes(foveal.encode(Picture(pixels("a.png")), codec="frequency", quality=20))
    monkeypatch.setattr(frequency, "bytes_needed", needed)
    request = DecodeRequest(**part)  # type: ignore[arg-type]
    assert decode_file("f.fvl", "b.png", request).bytes_read == 123
    assert given == [(memoryview, request.settings)]
    for whole in (DecodeRequest(), DecodeRequest(bands=3), DecodeRequest(allow_partial=True)):
        assert decode_file("f.fvl", "b.png", whole).bytes_read == Path("f.fvl").stat().st_size
    one_part = DecodeRequest(bands=1, crop=Region(0, 0, 8, 8))
    done = decode_file("a.fvl", "b.png", one_part)  # gdn has one band and no tiles: it reads all for any part
    assert (done.width, done.bytes_read) == (8, Path("a.fvl").stat().st_size)
    assert len(given) == 1


def test_a_batch_is_done_again_for_other_parts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("in").mkdir()
    Path("a.jpg").rename("in/a.jpg")
    requests = [
        DecodeRequest(),
        DecodeRequest(bands=1),
        DecodeRequest(crop=Region(0, 0, 8, 8)),
        DecodeRequest(crop=Region(0, 0, 8, 9)),
        DecodeRequest(allow_partial=True),
    ]
    digests = [decode_batch("in", "out", request)[0].settings for request in requests]
    assert len(set(digests)) == len(digests)
    assert decode_batch("in", "out", DecodeRequest(threads=2))[0].settings == digests[0]
    for crop in ("0,0,8,8", "0,0,16,8"):
        assert main(["decode", "in", "out", "--crop", crop, "--workers", "1"]) == 0
        assert capsys.readouterr().out == "1 decoded, 0 up to date, 0 failed\n"
    assert pixels("out/a.png").shape == (8, 16, 3)
