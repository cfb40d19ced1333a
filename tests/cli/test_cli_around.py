"""Networks around a standard codec, with the weights that come with foveal: from the command line, in a batch, and in a bench."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

import foveal
from foveal.cli.main import main
from foveal.errors import FovealError
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture

EVERY = [("jpeg", "jpg"), ("hevc", "hevc")]
LOW_BPP = {"jpeg": "0.5", "hevc": "0.12"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures in the current folder, one with odd sides."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name, rows in (("in/a.png", 192), ("in/b.png", 159)):
        Image.fromarray(skimage.data.astronaut()[:rows, 120:361]).save(name)
    return tmp_path


def report_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("restore", ["compact", "full"])
@pytest.mark.parametrize(("codec", "suffix"), EVERY)
def test_at_low_rate_restoration_is_nearer_than_the_plain_codec(
    codec: str, suffix: str, restore: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = foveal.read_picture("in/a.png")
    found, sizes = dict[str, float](), dict[str, int]()
    for kind in ("plain", restore):
        name = f"{kind}.{suffix}"
        more = [] if kind == "plain" else ["--restore", restore]
        report = report_of(capsys, "encode", "in/a.png", name, "--target-bpp", LOW_BPP[codec], *more)
        assert report["restore"] == (None if kind == "plain" else restore)
        sizes[kind] = Path(name).stat().st_size
        decoded = foveal.decode(Path(name).read_bytes())
        assert decoded.samples.shape == given.samples.shape
        report_of(capsys, "decode", name, f"{kind}.png")
        assert (foveal.read_picture(f"{kind}.png").samples == decoded.samples).all()
        found[kind] = psnr_rgb_db(given, decoded)
    assert sizes[restore] < 1.02 * sizes["plain"]
    assert found[restore] > found["plain"] + 0.1


def test_other_programs_open_the_compact_picture(capsys: pytest.CaptureFixture[str]) -> None:
    report_of(capsys, "encode", "in/b.png", "b.jpg", "--restore", "compact", "--quality", "60")
    with Image.open("b.jpg") as image:
        assert image.size == (121, 80)
    about = report_of(capsys, "info", "b.jpg")
    assert (about["width"], about["height"], about["codec"]) == (241, 159, "jpeg")
    assert about["restored_from"] == [121, 80]
    assert main(["info", "b.jpg"]) == 0
    assert "restored from  121x80" in capsys.readouterr().out


@pytest.mark.parametrize("side", [1, 2, 15, 17])
@pytest.mark.parametrize("asked", [{"restore": "compact"}, {"restore": "full"}, {"preprocess": "npp"}])
def test_pictures_smaller_than_what_networks_read(side: int, asked: dict[str, str]) -> None:
    for channels in (1, 3):
        given = Picture(skimage.data.astronaut()[:side, : side + 3, :channels].copy())
        back = foveal.decode(foveal.encode(given, codec="jpeg", quality=50, **asked))  # type: ignore[arg-type]
        assert back.samples.shape == given.samples.shape


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--codec", "webp", "--restore", "compact"], "webp"),
        (["--codec", "frequency", "--preprocess", "npp"], "frequency is learned"),
        (["--codec", "jpeg", "--preprocess", "npp", "--restore", "full"], "for machines"),
        (["--codec", "jpeg", "--preprocess", "npp:png"], "no preprocess network for png"),
        (["--codec", "jpeg", "--preprocess", "blur"], "npp or npp:CODEC is allowed"),
        (["--codec", "jpeg", "--restore", "double"], "compact or full"),
    ],
)
def test_what_cannot_be_is_named(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "in/a.png", "out.bin", *arguments]) != 0
    assert words in " ".join(capsys.readouterr().err.split())
    assert not Path("out.bin").exists()


@pytest.mark.parametrize(("codec", "suffix"), EVERY)
def test_a_cut_file_is_an_error_or_the_whole_picture(codec: str, suffix: str) -> None:
    """Some JPEG and HEVC decoders go on where data ends; then the size still is that of the picture."""
    data = foveal.encode(foveal.read_picture("in/a.png"), codec=codec, quality=40, restore="compact")
    for kept in np.linspace(0, len(data) - 1, 25).astype(int).tolist():
        try:
            back = foveal.decode(data[:kept])
        except FovealError:
            continue
        assert back.samples.shape[:2] in ((192, 241), (96, 121))


def test_a_file_for_machines_is_a_plain_one(capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of(capsys, "encode", "in/a.png", "m.jpg", "--preprocess", "npp", "--quality", "30")
    assert report["preprocess"] == "npp"
    plain = report_of(capsys, "encode", "in/a.png", "p.jpg", "--quality", "30")
    assert Path("m.jpg").stat().st_size < 0.95 * Path("p.jpg").stat().st_size
    assert report["bytes"] != plain["bytes"]
    with Image.open("m.jpg") as image:
        assert (np.asarray(image) == foveal.decode(Path("m.jpg").read_bytes()).samples).all()


def test_a_batch_and_a_bench_have_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", "in", "out", "--codec", "jpeg", "--restore", "compact", "--quality", "50"]) == 0
    assert main(["decode", "out", "back"]) == 0
    assert [foveal.read_picture(f"back/{name}.png").samples.shape for name in "ab"] == [(192, 241, 3), (159, 241, 3)]
    capsys.readouterr()
    codecs = "jpeg,jpeg:compact,jpeg:restored,jpeg:npp"
    assert main(["bench", "in", "--codecs", codecs, "--qualities", "10,40", "--no-ssim", "--out", "report"]) == 0
    rows = [json.loads(line) for line in Path("report/rows.jsonl").read_text().splitlines()]
    assert {row["codec"] for row in rows if "codec" in row} or rows
    text = Path("report/report.md").read_text()
    assert all(label in text for label in codecs.split(","))
