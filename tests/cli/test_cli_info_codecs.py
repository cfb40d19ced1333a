from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import foveal.cli.codec_table
from foveal.cli.main import main
from foveal.cli.show import info_text
from foveal.codecs.base import BandInfo, FileInfo
from foveal.codecs.registry import all_codecs


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
    for words in ("a.fvl\n", "80x100 gray with alpha", "1000 bytes, 1.000 bpp", "ab12", "band 0", "960 bytes, CRC 0000beef"):
        assert words in text
    assert "chroma" not in text
    assert "icc" not in text


def test_codecs_lists_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codecs", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["name"], row["id"]) for row in rows] == [(info.name, info.id) for info in all_codecs()]
    assert main(["codecs"]) == 0
    table = capsys.readouterr().out
    for info in all_codecs():
        assert info.title in table
        assert all(suffix in table for suffix in info.suffixes)


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
