from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from PIL import Image

from foveal.batch_log import LOG_NAME
from foveal.cli.main import main

FOVEAL = (sys.executable, "-m", "foveal")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(skimage.data.astronaut()[:200, 100:300]).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def pixels(path: Path) -> npt.NDArray[np.int64]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), np.int64)


def report(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def error(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err


def test_a_picture_becomes_a_file_of_the_suffix_and_comes_back(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coded, back = photo.with_suffix(".jpg"), photo.with_name("back.png")
    assert main(["encode", str(photo), str(coded), "--quality", "90", "--json"]) == 0
    about = report(capsys)
    assert (about["codec"], about["quality"], about["width"], about["height"]) == ("jpeg", 90, 200, 200)
    assert about["bytes"] == coded.stat().st_size
    assert about["bpp"] == pytest.approx(8 * about["bytes"] / 40_000)
    assert about["target"] is None
    assert coded.read_bytes().startswith(b"\xff\xd8\xff")
    assert main(["decode", str(coded), str(back), "--json"]) == 0
    assert report(capsys)["codec"] == "jpeg"
    assert np.abs(pixels(back) - pixels(photo)).mean() < 5


@pytest.mark.parametrize("command", [["encode", "-", "out.fvl"], ["decode", "-", "out.png"], ["info", "-"]])
def test_empty_input_is_called_empty(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    assert main(command) == 1
    assert "standard input is empty; pipe a file into it" in error(capsys)
    (tmp_path / "none.fvl").touch()
    assert main(["none.fvl" if word == "-" else word for word in command]) == 1
    assert "none.fvl is empty, 0 bytes; write or copy it again" in error(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["none.fvl"]


def test_an_empty_file_is_called_empty_where_a_part_is_asked_for(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo.with_name("none.fvl").touch()
    command = ["decode", str(photo.with_name("none.fvl")), str(photo.with_name("back.png"))]
    for part in (["--bands", "1"], ["--crop", "0,0,8,8"]):
        assert main([*command, *part]) == 1
        assert "none.fvl is empty, 0 bytes" in error(capsys)


def test_a_person_gets_one_line(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(photo), str(photo.with_suffix(".jpg")), "--verify"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    for word in ("jpeg", "bytes", "bpp", "quality 50", " s, verified"):
        assert word in line


@pytest.mark.parametrize("suffix", [".jpg", ".jp2", ".webp"])
def test_a_size_target_is_never_exceeded(photo: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    coded = photo.with_suffix(suffix)
    assert main(["encode", str(photo), str(coded), "--target-size", "6KB", "--json"]) == 0
    about = report(capsys)
    assert coded.stat().st_size == about["bytes"] <= 6000
    assert about["bytes"] > (5820 if about["within"] else 5000)
    assert about["within"] or suffix != ".jp2"
    assert about["target"]["size_bytes"] == 6000
    assert "of 6000 bytes" in about["reached"]


def test_targets_of_rate_and_psnr(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(photo), str(photo.with_suffix(".jpg")), "--target-bpp", "1.5", "--json"]) == 0
    assert 1.3 < report(capsys)["bpp"] <= 1.5
    assert main(["encode", str(photo), str(photo.with_suffix(".jpg")), "--target-psnr", "33", "--json"]) == 0
    assert 33 <= report(capsys)["psnr_db"] < 33.6
    assert main(["encode", str(photo), str(photo.with_suffix(".jpg")), "--target-size", "100"]) == 1
    assert "smallest file" in error(capsys)


def test_chroma_and_codec_are_passed_on(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(photo), str(photo.with_suffix(".jpeg")), "--chroma", "4:4:4", "--codec", "jpeg"]) == 0
    capsys.readouterr()
    assert main(["info", str(photo.with_suffix(".jpeg")), "--json"]) == 0
    assert report(capsys)["chroma"] == "444"
    assert main(["encode", str(photo), str(photo.with_suffix(".jpg")), "--chroma", "411"]) == 1
    assert "'411'" in error(capsys)


def test_transparency_is_never_lost_without_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, coded = tmp_path / "a.png", tmp_path / "a.jpg"
    Image.new("RGBA", (32, 32), (0, 0, 0, 0)).save(source)
    assert main(["encode", str(source), str(coded)]) == 1
    assert "--background" in error(capsys)
    assert not coded.exists()
    assert main(["encode", str(source), str(coded), "--background", "#ff0000"]) == 0
    red = pixels(coded)[16, 16]
    assert red[0] > 240 > 20 > red[1]
    Image.new("RGBA", (32, 32), (9, 9, 9, 255)).save(source)
    assert main(["encode", str(source), str(coded)]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["encode", "none.png", "a.jpg"], "none.png"),
        (["encode", "photo.png", "a.xyz"], "'.xyz'"),
        (["encode", "photo.png", "a.mp4"], "name one"),
        (["encode", "photo.png", "a.jpg", "--quality", "101"], "quality 101"),
        (["encode", "photo.png", "a.jpg", "--codec", "nope"], "'nope'"),
        (["encode", "photo.png", "a.jpg", "--codec", "webp"], "'.jpg'"),
        (["encode", "photo.png", "a.jpg", "--target-size", "1 pear"], "1 pear"),
        (["encode", "photo.png", "a.jpg", "--background", "red"], "'red'"),
        (["encode", "photo.png", "a.jpg", "--max-pixels", "100"], "40000 pixels"),
        (["encode", "photo.png", "missing/a.jpg"], "missing/a.jpg"),
        (["encode", "photo.png", "folder.jpg"], "is a folder"),
        (["encode", ".", "photo.png", "--codec", "jpeg"], "is a file"),
        (["encode", ".", "-"], "standard output"),
        (["encode", "junk.png", "a.jpg"], "6a 75 6e 6b"),
        (["decode", "photo.png", "b.png"], "89 50 4e 47"),
        (["decode", "junk.png", "b.png"], "6a 75 6e 6b"),
        (["info", "photo.png"], "photo.png"),
    ],
)
def test_a_mistake_is_an_error_in_words(
    photo: Path, arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photo.parent)
    Path("junk.png").write_bytes(b"junk")
    Path("folder.jpg").mkdir()
    before = sorted(Path().rglob("*"))
    assert main(arguments) == 1
    message = error(capsys)
    assert message.startswith("error: ")
    assert words in message
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [["encode"], ["encode", "a", "b", "--nope"], ["frobnicate"], ["encode", "a", "b", "--quality", "3", "--target-bpp", "1"]],
)
def test_a_wrong_command_has_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Usage" in error(capsys)


def test_an_input_is_not_replaced_by_its_own_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "a.jpg")
    before = (tmp_path / "a.jpg").read_bytes()
    assert main(["encode", str(tmp_path / "a.jpg"), str(tmp_path / "a.jpg"), "--quality", "7"]) == 1
    assert "--overwrite" in error(capsys)
    assert (tmp_path / "a.jpg").read_bytes() == before
    assert main(["encode", str(tmp_path / "a.jpg"), str(tmp_path / "a.jpg"), "--quality", "7", "--overwrite"]) == 0
    assert (tmp_path / "a.jpg").read_bytes() != before


def test_verify_keeps_the_old_file_when_the_new_one_does_not_decode(
    photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from foveal.codecs.registry import codec_by_name
    from foveal.picture import Picture

    coded = photo.with_suffix(".jpg")
    coded.write_bytes(b"old")
    small = Picture(np.zeros((8, 8, 3), np.uint8))
    monkeypatch.setattr(type(codec_by_name("jpeg")), "decode", lambda *_, **__: small)
    assert main(["encode", str(photo), str(coded), "--verify"]) == 1
    assert "8x8" in error(capsys)
    assert coded.read_bytes() == b"old"
    assert main(["encode", str(photo), str(coded)]) == 0


def test_a_warning_is_a_line_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.arange(1024, dtype=np.uint16).reshape(32, 32) * 60).save(tmp_path / "deep.png")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["encode", str(tmp_path / "deep.png"), str(tmp_path / "deep.jpg")]) == 0
    err = capsys.readouterr().err
    assert err.startswith("warning: ")
    assert "test_cli" not in err


def test_standard_input_and_output(photo: Path) -> None:
    coded = subprocess.run(
        [*FOVEAL, "encode", "-", "-", "--codec", "jpeg", "--json"], input=photo.read_bytes(), capture_output=True
    )
    assert coded.returncode == 0, coded.stderr
    assert coded.stdout.startswith(b"\xff\xd8\xff")
    assert json.loads(coded.stderr)["bytes"] == len(coded.stdout)
    decoded = subprocess.run([*FOVEAL, "decode", "-", "-"], input=coded.stdout, capture_output=True)
    assert decoded.stdout.startswith(b"\x89PNG")
    assert b"200x200 from jpeg" in decoded.stderr


def test_a_reader_that_goes_away_makes_no_noise(photo: Path) -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    read, write = os.pipe()
    os.close(read)
    for verb in (["encode", str(photo), "-", "--codec", "jpeg"], ["codecs"], ["codecs", "--json"], ["--help"]):
        done = subprocess.run([*FOVEAL, *verb], stdout=write, stderr=subprocess.PIPE, env=buffered)
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr
    os.close(write)


def test_ctrl_c_has_status_130(tmp_path: Path) -> None:
    fifo = tmp_path / "never.png"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [*FOVEAL, "encode", str(fifo), str(tmp_path / "a.jpg")],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        with fifo.open("wb"):  # opens once the command reads
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in err


def folder_of(photo: Path) -> Path:
    folder = photo.parent / "in"
    (folder / "more").mkdir(parents=True)
    with Image.open(photo) as image:
        image.crop((0, 0, 64, 48)).save(folder / "a.png")
        image.crop((9, 9, 50, 60)).save(folder / "more/b.bmp")
    return folder


def test_a_folder_is_a_batch_there_and_back(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out, back = folder_of(photo), photo.parent / "out", photo.parent / "back"
    (folder / "bad.png").write_bytes(b"junk")
    assert main(["encode", str(folder), str(out), "--codec", "jpeg", "--workers", "2", "--json"]) == 1
    captured = capsys.readouterr()
    rows = {row["name"]: row for row in map(json.loads, captured.out.splitlines())}
    assert {name: row["state"] for name, row in rows.items()} == {"a.png": "done", "more/b.bmp": "done", "bad.png": "failed"}
    assert rows["a.png"]["bytes"] == (out / "a.jpg").stat().st_size
    assert "2 encoded, 0 up to date, 1 failed" in captured.err
    assert "error: bad.png: " in captured.err
    (folder / "bad.png").unlink()
    assert main(["encode", str(folder), str(out), "--codec", "jpeg", "--threads", "2", "--verify"]) == 0
    assert capsys.readouterr().out == "0 encoded, 2 up to date, 0 failed\n"
    assert main(["encode", str(folder), str(out), "--codec", "jpeg", "--quality", "20"]) == 0
    assert capsys.readouterr().out == "2 encoded, 0 up to date, 0 failed\n"
    assert main(["decode", str(out), str(back)]) == 0
    assert pixels(back / "more/b.png").shape == (51, 41, 3)
    assert (back / LOG_NAME).exists()


def test_a_missing_input_is_named_before_anything_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(tmp_path / "none"), str(tmp_path / "out")]) == 1
    assert "no such file or folder" in capsys.readouterr().err


def test_a_full_disk_behind_standard_output_is_one_line(photo: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*FOVEAL, "encode", str(photo), "-", "--codec", "jpeg"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: cannot write to standard output")
    assert b"Traceback" not in done.stderr
