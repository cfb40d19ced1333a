"""``foveal analyze``: one picture, several, a folder; what it prints, writes and refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

import foveal
from foveal import Picture, write_picture
from foveal.cli.main import main
from foveal.errors import FovealError, NetworkError, PictureError
from foveal.tasks.opening import open_task
from foveal.tasks.results import ClassMap

pytest.importorskip("onnxruntime", reason="onnxruntime has to be installed")

# The ONNX file of one GlobalAveragePool, "pixels" 1x3x4x8 to "scores" 1x3x1x1.
MEAN = bytes.fromhex(
    "08073a86010aa6000a8600706978656c7312860073636f726573229100476c6f62616c41766572616765506f6f6c1284006d"
    "65616e5aa8000a8600706978656c73129c000a990008011294000a820008010a820008030a820008040a8200080862a8000a"
    "860073636f726573129c000a990008011294000a820008010a820008030a820008010a820008014285000a8000100d"
)
RECORD = """
task = "segment"
classes = "colours.txt"
[input]
width = 8
height = 4
[output]
form = "logits"
"""


@pytest.fixture
def network(tmp_path: Path) -> str:
    """A network that gives a whole picture the class of its strongest channel."""
    folder = tmp_path / "network"
    folder.mkdir()
    (folder / "mean.onnx").write_bytes(MEAN)
    (folder / "mean.toml").write_text(RECORD)
    (folder / "colours.txt").write_text("red\ngreen\nblue\n")
    return f"onnx:{folder / 'mean.onnx'}"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures, one in a folder below, and a file that is none."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    write_picture(_plain(1), folder / "green.png")
    (folder / "more" / "blue.jpg").write_bytes(foveal.encode(_plain(2), codec="jpeg", quality=95))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


def _plain(channel: int) -> Picture:
    samples = np.zeros((20, 30, 3), np.uint8)
    samples[:, :, channel] = 250
    return Picture(samples)


def test_one_picture(network: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, overlay = str(pictures / "green.png"), tmp_path / "over.png"
    assert main(["analyze", picture, "--network", network, "--task", "segment", "--overlay", str(overlay)]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{picture}: segment by {network}, 30x20, ")
    assert line.split() == ["100.0%", "green"]
    assert foveal.read_picture(overlay).width >= 480
    assert main(["analyze", picture, "--network", network, "--json", "--threads", "1"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["found"] == [{"index": 1, "name": "green", "share": 1.0}]
    assert report["runs"] == [1, 600]
    assert (report["width"], report["height"], report["task"], report["overlay"]) == (30, 20, "segment", None)


def test_the_picture_may_be_any_file_that_foveal_decodes(
    network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for codec, suffix in (("webp", ".webp"), ("jpeg2000", ".jp2")):
        (tmp_path / f"blue{suffix}").write_bytes(foveal.encode(_plain(2), codec=codec, quality=80))
    assert main(["analyze", str(tmp_path / "blue.webp"), str(tmp_path / "blue.jp2"), "--network", network]) == 0
    assert capsys.readouterr().out.count("blue\n") == 2


def test_several_pictures_one_of_them_broken(
    network: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(pictures / "broken.png"), str(pictures / "green.png"), str(pictures / "more" / "blue.jpg")]
    assert main(["analyze", *names, "--network", network, "--json", "--overlay", str(tmp_path / "over")]) == 1
    told = capsys.readouterr()
    assert [json.loads(line)["found"][0]["name"] for line in told.out.splitlines()] == ["green", "blue"]
    assert told.err.startswith(f"error: {names[0]}: ")
    assert sorted(path.name for path in (tmp_path / "over").iterdir()) == ["blue.png", "green.png"]
    assert main(["analyze", names[1], names[1], "--network", network, "--overlay", str(tmp_path / "over")]) == 1
    assert "two pictures would be drawn into" in capsys.readouterr().err


def test_a_folder_is_a_batch(network: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, over = tmp_path / "out", tmp_path / "over"
    command = ["analyze", str(pictures), "--network", network, "--out", str(out), "--overlay", str(over), "--workers", "1"]
    assert main(command) == 1
    told = capsys.readouterr()
    assert told.out == "2 analyzed, 0 up to date, 1 failed\n"
    assert "error: broken.png: " in told.err
    report = json.loads((out / "more" / "blue.json").read_text())
    assert report["found"][0]["name"] == "blue"
    assert report["runs"] == [2, 600]
    assert report["overlay"] == str(over / "more" / "blue.png")
    assert foveal.read_picture(over / "more" / "blue.png").width >= 480
    (pictures / "broken.png").unlink()
    assert main(command) == 0
    assert capsys.readouterr().out == "0 analyzed, 2 up to date, 0 failed\n"
    record = Path(network.partition(":")[2]).with_suffix(".toml")
    record.write_text(record.read_text().replace("height = 4", "height = 4\nmean = [0, 0.9, 0.9]"))
    assert main([*command, "--json"]) == 0  # another record is another network: all is done again
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["state"], line["found"][0]["name"], line["runs"]) for line in lines] == [
        ("done", "green", None),
        ("done", "blue", None),
    ]


def test_overlays_of_others_stay(network: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    over = tmp_path / "over"
    over.mkdir()
    (over / "green.png").write_bytes(b"mine")
    (pictures / "broken.png").unlink()
    command = [
        "analyze",
        str(pictures),
        "--network",
        network,
        "--out",
        str(tmp_path / "out"),
        "--overlay",
        str(over),
        "--workers",
        "1",
    ]
    assert main(command) == 1
    assert "no batch of foveal wrote it" in capsys.readouterr().err
    assert (over / "green.png").read_bytes() == b"mine"
    assert main([*command, "--overwrite"]) == 0
    assert (over / "green.png").read_bytes() != b"mine"


def test_what_cannot_be_done_is_said_first(
    network: str, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    green = str(pictures / "green.png")
    for arguments, message, status in (
        ([green, "--network", network, "--task", "detect"], "mean answers segment, its record says, and detect", 1),
        (
            [str(pictures), "--network", network, "--task", "detect", "--out", str(tmp_path / "out")],
            "and detect was asked for",
            1,
        ),
        ([green, "--network", "onnx:none.onnx"], "no such file", 1),
        ([green, "--network", network, "--record", "none.toml"], "cannot read the record", 1),
        ([green, "--network", network, "--overlay", green], "would replace its own input", 1),
        ([green, "--network", network, "--overlay", str(tmp_path)], "is a folder", 1),
        ([str(tmp_path / "none.png"), "--network", network], "no such file or folder", 1),
        ([str(pictures), "--network", network], "--out", 2),
        ([green, "--network", network, "--out", "x"], "--out is for a folder", 2),
        ([green], "--network", 2),
    ):
        assert main(["analyze", *arguments]) == status
        assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_the_call_of_python(network: str, pictures: Path) -> None:
    result = foveal.analyze(pictures / "green.png", network=network)
    assert isinstance(result, ClassMap)
    assert (result.classes == 1).all()
    again = foveal.analyze(_plain(2), network=open_task(network, threads=1), task="segment")
    assert isinstance(again, ClassMap)
    assert (again.classes == 2).all()
    data = (pictures / "more" / "blue.jpg").read_bytes()
    for given in (data, bytearray(data), memoryview(data)):
        of_bytes = foveal.analyze(given, network=network)
        assert isinstance(of_bytes, ClassMap)
        assert (of_bytes.classes == 2).all()
    with pytest.raises(NetworkError, match="detect was asked for"):
        foveal.analyze(_plain(2), network=network, task="detect")
    for wrong, kind in ((_plain(2).samples, "ndarray"), (None, "NoneType")):
        with pytest.raises(
            PictureError, match=rf"a {kind} is no picture; a foveal\.Picture .* or the name or the bytes of a file"
        ):
            foveal.analyze(wrong, network=network)  # type: ignore[arg-type]
    with pytest.raises(FovealError, match="begins with nothing"):
        foveal.analyze(b"", network=network)


def test_a_picture_from_standard_input(
    network: str, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for data, status in (((pictures / "green.png").read_bytes(), 0), (b"", 1)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert main(["analyze", "-", "--network", network]) == status
    told = capsys.readouterr()
    assert "100.0%  green" in told.out
    assert "standard input is empty; pipe a file into it" in told.err
