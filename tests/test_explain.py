"""What each band of a file adds, as pictures and numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import foveal
from foveal.cli.main import main
from foveal.codecs.base import EncodeSettings
from foveal.codecs.registry import codec_by_name
from foveal.errors import InputError, SettingsError
from foveal.files import EncodeRequest, encode_file
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture


@pytest.fixture
def source(tmp_path: Path, photo: Picture) -> Path:
    path = tmp_path / "p.png"
    foveal.write_picture(Picture(np.ascontiguousarray(photo.samples[:70, :90])), path)
    return path


@pytest.mark.parametrize(("codec", "quality", "count"), [("rnn-2017", 1 + 99 * 2 / 15, 3), ("frequency", 50, 3)])
def test_each_band_is_shown_with_what_is_left_and_its_numbers(
    source: Path, tmp_path: Path, codec: str, quality: float, count: int
) -> None:
    folder, out = tmp_path / "steps", tmp_path / "p.fvl"
    report = encode_file(str(source), str(out), EncodeRequest(codec, EncodeSettings(quality), explain=folder))
    picture, stages = foveal.read_picture(source), json.loads((folder / "stages.json").read_text())
    assert [stage["number"] for stage in stages] == list(range(1, count + 1))
    assert stages[-1]["bytes"] == report.bytes
    sizes = [stage["bytes"] for stage in stages]
    assert sizes == sorted(sizes)
    shown = [foveal.read_picture(folder / stage["reconstruction"]) for stage in stages]
    assert np.array_equal(shown[-1].samples, foveal.decode(out.read_bytes()).samples)
    assert np.array_equal(shown[0].samples, foveal.decode(out.read_bytes(), bands=1).samples)
    for stage, reconstruction in zip(stages, shown, strict=True):
        difference = picture.samples.astype(int) - reconstruction.samples
        assert stage["psnr_db"] == pytest.approx(psnr_rgb_db(picture, reconstruction))
        assert stage["residual"] == pytest.approx(np.abs(difference).mean())
        assert stage["bpp"] == pytest.approx(8 * stage["bytes"] / (70 * 90))
        left = foveal.read_picture(folder / stage["shown"]).samples.astype(int) - 128
        assert np.array_equal(left, np.clip(difference, -128, 127))


def test_a_folder_holds_the_last_call_and_nothing_of_the_user_is_lost(source: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "steps", str(tmp_path / "p.fvl")
    for iterations in (5, 2):
        encode_file(str(source), out, EncodeRequest("rnn-2017", EncodeSettings(1 + 99 * (iterations - 1) / 15), explain=folder))
        assert len(json.loads((folder / "stages.json").read_text())) == iterations
        assert len(list(folder.iterdir())) == 2 * iterations + 1
    (folder / "reconstruction-03.png").write_bytes(b"mine")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"reconstruction-03\.png exists and no earlier --explain wrote it"):
        encode_file(str(source), out, EncodeRequest("rnn-2017", EncodeSettings(30), explain=folder))
    assert (folder / "reconstruction-03.png").read_bytes() == b"mine"
    (folder / "reconstruction-03.png").unlink()
    (folder / "stages.json").write_text('[{"reconstruction": "notes.txt", "shown": "../p.png", "number": 1}]')
    for name in ("reconstruction-01.png", "residual-01.png", "reconstruction-02.png", "residual-02.png"):
        (folder / name).unlink()
    encode_file(str(source), out, EncodeRequest("rnn-2017", EncodeSettings(1), explain=folder))
    assert (folder / "notes.txt").read_text() == "mine"
    assert source.exists()
    (folder / "stages.json").write_text("mine")
    with pytest.raises(InputError, match=r"stages\.json exists and no earlier --explain wrote it"):
        encode_file(str(source), out, EncodeRequest("rnn-2017", EncodeSettings(1), explain=folder))


def test_bands_of_a_codec_in_one_piece_are_one(photo: Picture) -> None:
    part = Picture(np.ascontiguousarray(photo.samples[:20, :20]))
    for name in ("gdn", "jpeg"):
        codec = codec_by_name(name)
        data = codec.encode(part)
        (only,) = codec.decode_bands(data)
        assert np.array_equal(only.samples, codec.decode(data).samples)


def test_a_codec_in_one_piece_a_folder_and_a_file_in_the_way_are_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError, match="jpeg codes a picture in one piece"):
        encode_file(str(source), str(tmp_path / "p.jpg"), EncodeRequest("jpeg", EncodeSettings(), explain=tmp_path / "x"))
    assert not (tmp_path / "p.jpg").exists()
    with pytest.raises(InputError, match="cannot write into"):
        encode_file(str(source), str(tmp_path / "p.fvl"), EncodeRequest("frequency", EncodeSettings(), explain=source / "x"))
    assert not (tmp_path / "p.fvl").exists()
    status = main(["encode", str(tmp_path), str(tmp_path / "out"), "--explain", str(tmp_path / "x")])
    assert status == 2
    assert "--explain is for one picture" in capsys.readouterr().err
