from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import foveal
import foveal.cli.codec_table
from foveal.cli.codec_table import codec_rows, print_table
from foveal.cli.main import main
from foveal.cli.show import info_json, info_text
from foveal.codecs.base import BandInfo, FileInfo
from foveal.codecs.registry import all_codecs
from foveal.errors import MissingDependencyError
from foveal.picture import Picture


def test_info_goes_on_after_a_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
    assert main(["info", str(tmp_path / "none.jpg"), str(tmp_path / "a.jpg"), "--json"]) == 1
    out, err = capsys.readouterr()
    about = json.loads(out)
    assert (about["codec"], about["width"], about["height"], about["bytes"]) == (
        "jpeg",
        40,
        30,
        (tmp_path / "a.jpg").stat().st_size,
    )
    assert "none.jpg" in err
    assert main(["info", str(tmp_path / "a.jpg")]) == 0
    assert "40x30 RGB" in capsys.readouterr().out


def test_info_shows_what_a_learned_file_holds_and_nothing_else() -> None:
    about = FileInfo("gdn", 1000, 80, 100, 1, alpha=True, weights="ab12", format_version=1, bands=(BandInfo(0, 960, 0xBEEF),))
    text = info_text("a.fvl", about)
    for words in ("a.fvl\n", "80x100 gray with alpha", "1000 bytes, 1.000 bpp", "ab12"):
        assert words in text
    for words in ("chroma", "icc", "tiles", "importance"):
        assert words not in text


@pytest.mark.parametrize("name", [info.name for info in all_codecs()])
def test_info_says_whether_there_is_alpha(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codec = foveal.codec_by_name(name)
    samples = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.uint8)
    for alpha in (None, samples[:, :, 0].copy()) if codec.info.alpha else (None,):
        path = tmp_path / f"a{codec.info.suffixes[0]}"
        try:
            path.write_bytes(codec.encode(Picture(samples, alpha)))
        except MissingDependencyError as error:
            pytest.skip(str(error))
        has = codec.decode(path.read_bytes()).alpha is not None
        assert has == (alpha is not None)
        assert main(["info", str(path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["alpha"] is has
        assert main(["info", str(path)]) == 0
        assert f"RGB {'with' if has else 'without'} alpha, " in capsys.readouterr().out


def test_info_gives_each_band_a_row() -> None:
    bands = (BandInfo(0, 100, 0xBEEF, 4), BandInfo(1, 250, 7, 4), BandInfo(2, 600, 0xFFFFFFFF, 4))
    about = FileInfo("frequency", 1000, 80, 100, 3, bands=bands, tiles=(512, 384), importance_bytes=33)
    lines = [line.split() for line in info_text("a.fvl", about).splitlines()]
    assert lines[-4:] == [
        ["band", "units", "bytes", "bpp", "share", "CRC"],
        ["0", "4", "100", "0.1000", "10.0%", "0000beef"],
        ["1", "4", "250", "0.2500", "25.0%", "00000007"],
        ["2", "4", "600", "0.6000", "60.0%", "ffffffff"],
    ]
    assert ["tiles", "512x384"] in lines
    assert ["importance", "33", "bytes"] in lines
    row = json.loads(info_json("a.fvl", about))
    assert row["bands"][1] == {"number": 1, "bytes": 250, "symbols_crc": 7, "units": 4, "bpp": 0.25, "share": 0.25}
    assert (row["tiles"], row["importance_bytes"]) == ([512, 384], 33)


def test_codecs_lists_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codecs", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["name"], row["id"]) for row in rows] == [(info.name, info.id) for info in all_codecs()]
    for row, info in zip(rows, all_codecs(), strict=True):
        assert (row["bands"], row["tiles"], row["importance"]) == (info.bands, info.tiles, info.importance)
    assert main(["codecs"]) == 0
    table = capsys.readouterr().out
    for info in all_codecs():
        assert info.title in table
        assert all(suffix in table for suffix in info.suffixes)


def test_the_table_of_codecs_says_bands_tiles_and_maps(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row.name: row for row in codec_rows()}
    print_table((replace(rows["gdn"], bands=3, tiles=True, importance=True), replace(rows["jpeg"], bands=1, importance=False)))
    ours, theirs = (line for line in capsys.readouterr().out.splitlines() if line.startswith((" gdn", " jpeg")))
    assert "alpha icc+exif 3\N{NO-BREAK SPACE}bands tiles map" in ours
    assert "icc+exif" in theirs
    assert not any(word in theirs for word in ("bands", "tiles", "map"))
    assert "thresholds" in theirs
    assert {row.guided_by for row in rows.values()} == {"map", "thresholds", "filter"}
    assert rows["kvazaar"].guided_by == "map"
    assert rows["avif"].guided_by == "filter"


def test_codecs_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(
        foveal.cli.codec_table.importlib.util, "find_spec", lambda name: None if name == "imageio_ffmpeg" else name
    )
    assert main(["codecs", "--json"]) == 0
    rows = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["vvc"]["missing"] == ["imageio-ffmpeg"]
    assert not rows["vvc"]["installed"]
    assert rows["hevc"]["installed"]
    assert main(["codecs"]) == 0
    assert "imageio-ffmpeg (missing)" in capsys.readouterr().out


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"foveal {foveal.__version__}\n"
    for verb in ("encode", "decode", "info", "bench", "train", "codecs"):
        assert main([verb, "--help"]) == 0
        assert "Usage" in capsys.readouterr().out


def test_standard_codecs_and_the_help_import_no_torch(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    script = """
import sys
from foveal.cli.main import main
for arguments in (["--help"], ["encode", "a.png", "a.jpg"], ["info", "a.jpg"], ["codecs"], ["decode", "a.jpg", "b.png", "--threads", "1"]):
    assert main(arguments) == 0, arguments
    assert "torch" not in sys.modules, arguments
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_info_on_a_learned_file_imports_no_torch(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    (tmp_path / "a.fvl").write_bytes(foveal.encode(Picture(samples), quality=40))
    script = """
import sys
import foveal
from foveal.cli.main import main
assert main(["info", "a.fvl", "--json"]) == 0
assert foveal.info(open("a.fvl", "rb").read()).width == 30
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    about = json.loads(done.stdout)
    assert (about["codec"], about["parameter"], about["bands"][0]["units"]) == ("frequency", "quality 40.00", 1)
