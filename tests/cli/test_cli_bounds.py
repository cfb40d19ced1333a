"""What is refused before any work begins: too many threads or processes, and settings that no file of a batch can have."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import foveal
import foveal.codecs.base
from foveal.batch import BatchPlan, run_batch
from foveal.cli.main import main
from foveal.codecs.base import DecodeSettings, EncodeSettings
from foveal.codecs.registry import codec_by_name
from foveal.errors import SettingsError
from foveal.limits import Limits
from foveal.picture import Picture
from foveal.threads import MOST_THREADS, MOST_WORKERS, available_cores, thread_limit
from foveal.training.config import read_recipe
from foveal.training.loop import train

SMALL = Picture(np.zeros((16, 16, 3), np.uint8))


@pytest.mark.parametrize(
    "arguments",
    [
        ["encode", "a", "b.jpg", "--threads", "1000"],
        ["encode", "a", "b", "--workers", "1000"],
        ["decode", "a", "b.png", "--threads", "1000"],
        ["decode", "a", "b", "--workers", "1000"],
        ["bench", "a", "--codecs", "jpeg", "--out", "b", "--threads", "1000"],
        ["train", "a", "--run", "b", "--data", "c", "--threads", "1000"],
    ],
)
def test_the_command_line_says_how_many_are_allowed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    most = MOST_WORKERS if "--workers" in arguments else MOST_THREADS
    message = " ".join(err.replace("│", " ").split())
    assert arguments[-2] in message
    assert re.search(rf"(<=|less than or equal to ) ?{most}\b", message)  # typer says it in one of two ways


def test_the_calls_say_how_many_are_allowed(tmp_path: Path) -> None:
    assert available_cores() <= MOST_THREADS < 1000
    allowed = f"threads = 1000; a whole number from 1 to {MOST_THREADS} is allowed"
    with pytest.raises(SettingsError, match=allowed):
        foveal.encode(SMALL, codec="jpeg", threads=1000)
    coded = foveal.encode(SMALL, codec="jpeg", threads=MOST_THREADS)
    with pytest.raises(SettingsError, match=allowed):
        codec_by_name("jpeg").decode(coded, settings=DecodeSettings(threads=1000))
    with pytest.raises(SettingsError, match=allowed), thread_limit(1000):
        pass
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("codec = 'gdn'\nsteps = 1\n")
    with pytest.raises(SettingsError, match=allowed):
        train(read_recipe(recipe), tmp_path, tmp_path, minutes=0, threads=1000)
    with pytest.raises(SettingsError, match=f"workers = 1000; a whole number from 1 to {MOST_WORKERS} is allowed"):
        run_batch(BatchPlan(tmp_path, (), "s"), print, workers=1000)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures, two coded files and two maps, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("in", "coded", "maps"):
        Path(name).mkdir()
    for name in ("in/a.png", "in/b.png", "coded/a.jpg", "coded/b.jpg", "maps/a.png", "maps/b.png"):
        Image.new("L" if "maps" in name else "RGB", (16, 16)).save(name)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["encode", "in", "out", "--codec", "jpeg", "--tile", "512"], "jpeg has no tiles"),
        (["encode", "in", "out", "--tile", "100"], "tile = 100"),
        (["encode", "in", "out", "--codec", "jpeg", "--chroma", "411"], "jpeg has no chroma '411'"),
        (["encode", "in", "out", "--codec", "webp", "--preset", "none"], "webp has no preset 'none'"),
        (["encode", "in", "out", "--codec", "jpeg", "--quality", "101"], "quality 101"),
        (["encode", "in", "out", "--codec", "jpeg", "--quality", "nan"], "quality nan"),
        (["encode", "in", "out", "--hold-rate"], "hold_rate without an importance map"),
        (["encode", "in", "out", "--hold-rate", "--importance", "maps", "--target-bpp", "1"], "hold_rate with a target"),
        (["encode", "in", "out", "--importance", "maps", "--tile", "100"], "tile = 100"),
        (["decode", "coded", "out", "--bands", "0"], "bands = 0"),
        (["decode", "coded", "out", "--bands", "17"], "bands = 17"),
        (["decode", "coded", "out", "--crop", "-1,0,4,4"], "crop -1,0,4,4"),
        (["decode", "coded", "out", "--crop", "0,0,4,0"], "crop 0,0,4,0"),
    ],
)
def test_a_setting_that_no_file_can_have_is_told_once_before_a_batch(
    folder: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--workers", "1"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert not Path("out").exists()


def test_checked_settings_are_those_that_the_codec_is_given() -> None:
    info = codec_by_name("webp").info
    settings = info.checked(EncodeSettings(7))
    assert (settings.quality, settings.chroma, settings.preset, settings.suffix) == (7, "420", "4", ".webp")


def test_encode_takes_as_many_pixels_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limit reaches the codec, and not only the reader of the picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(foveal.codecs.base.Codec.prepare, "__defaults__", (EncodeSettings(), Limits(pixels=9)))
    monkeypatch.setattr(foveal.codecs.base.Codec.encode, "__defaults__", (EncodeSettings(), Limits(pixels=9)))
    Image.new("RGB", (16, 16)).save("a.png")
    for more in ([], ["--target-bpp", "9"]):
        assert main(["encode", "a.png", "a.fvl", "--max-pixels", "255", *more]) == 1
        err = capsys.readouterr().err
        assert err.startswith("error: a.png: 16x16 is 256 pixels, 255 are allowed")
        assert "--max-pixels" in err
        assert main(["encode", "a.png", "a.fvl", "--max-pixels", "256", *more]) == 0
    Path("o").mkdir()
    assert main(["encode", "a.png", "o"]) == 1
    assert capsys.readouterr().err == f"error: o is a folder; name the file to write in it, such as {Path('o') / 'a.fvl'}\n"
