from __future__ import annotations

import json
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from foveal.bench.plan import parse_codecs
from foveal.cli.bench_show import choose_anchor, published_files
from foveal.cli.main import main
from foveal.codecs.learned.weights import cards
from foveal.errors import InputError

SHORT = "rounded for an error of 70 dB"
RECIPE = """
codec = "gdn"
steps = 2
batch = 1
crop = 64
warmup_steps = 1
[model]
channels = 48
latent_channels = 16
gain_nodes = 2
[data]
held_out_every = 2
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for number, photo in enumerate((skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea())):
        Image.fromarray(photo[100:196, 100:228]).save(tmp_path / f"photos/{number}.png")
    return tmp_path / "photos"


def test_a_bench_ends_with_a_report_and_goes_on(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("bjontegaard")
    out = photos.parent / "report"
    arguments = [
        "bench",
        str(photos),
        "--codecs",
        "webp,jpeg,jpeg:444",
        "--out",
        str(out),
        "--qualities",
        "10,30,50,70,90",
        "--no-ssim",
    ]
    assert main([*arguments, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["measured"], about["reused"], about["failed"], about["anchor"]) == (45, 0, 0, "jpeg")
    assert Path(about["report"]).read_text().startswith("<!doctype html>")
    figures = {(bd["label"], bd["metric"]): bd["percent"] for bd in about["bd_rates"]}
    assert figures["webp", "psnr_rgb"] < 0 < figures["jpeg:444", "psnr_rgb"] + 60
    assert main([*arguments, "--anchor", "webp"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("0 rows measured, 45 reused, 0 failed")
    assert "BD-rate of jpeg against webp in PSNR: +" in text


def test_a_failed_row_is_told_and_gives_status_1(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("bjontegaard")
    (photos / "bad.png").write_bytes(b"junk")
    arguments = ["bench", str(photos), "--codecs", "jpeg", "--out", str(photos.parent / "r"), "--qualities", "20,80", "--no-ssim"]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert "6 rows measured, 0 reused, 2 failed" in out
    assert "error: jpeg bad.png quality 20: " in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--codecs", "nope", "--out", "r"], "'nope'"),
        (["--codecs", "jpeg:411", "--out", "r"], "'411'"),
        (["--codecs", "jpeg", "--out", "r", "--qualities", "1;2"], "'1;2'"),
        (["--codecs", "jpeg", "--out", "r", "--qualities", "0"], "0"),
        (["--codecs", "jpeg", "--out", "r", "--published", "none.json"], "none.json"),
    ],
)
def test_a_mistaken_bench_does_not_begin(
    photos: Path, arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photos.parent)
    assert main(["bench", str(photos), *arguments]) == 1
    assert words in capsys.readouterr().err
    assert not Path("r").exists()


def test_the_default_anchor_and_published_curves(tmp_path: Path) -> None:
    assert choose_anchor(None, parse_codecs("webp,jpeg")) == "jpeg"
    assert choose_anchor(None, parse_codecs("webp,jpeg:444")) == "webp"
    runs = parse_codecs("hevc:machine:npp,jpeg,jpeg:lowpass=0.7")
    assert choose_anchor("hevc:machine:npp", runs) == runs[0].label == "hevc:npp:machine"
    assert choose_anchor("jpeg:lowpass=0.70", runs) == runs[2].label
    assert choose_anchor("published:frequency", runs) == "published:frequency"
    for name in ("b.json", "a.json", "c.txt"):
        (tmp_path / name).write_text("{}")
    assert published_files([tmp_path, tmp_path / "c.txt"]) == (tmp_path / "a.json", tmp_path / "b.json", tmp_path / "c.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        published_files([tmp_path / "empty"])


def test_a_run_is_trained_resumed_and_exported(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, run, out = photos.parent / "tiny.toml", photos.parent / "run", photos.parent / "weights"
    recipe.write_text(RECIPE)
    out.mkdir()
    base = ["train", str(recipe), "--run", str(run)]
    assert main([*base, "--data", str(photos), "--threads", "1", "--device", "cpu"]) == 0
    assert "step 2 of 2" in capsys.readouterr().out
    assert main([*base, "--export", str(out), "--name", "tiny1", "--photos", "three", "--terms", "none"]) == 0
    assert "exported tiny1" in capsys.readouterr().out
    card = json.loads((out / "tiny1.json").read_text())
    assert (card["data"], card["steps"]) == ("three", 2)
    assert (card["recipe"], card["figures"], card["preset"]) == (f"tiny.toml; {SHORT}", "not measured yet", None)
    said = ["--preset", "ms-ssim", "--figures", "30 dB, by hand", "--recipe-note", "stopped early"]
    assert main([*base, "--export", str(out), "--name", "tiny2", *said]) == 0
    capsys.readouterr()
    card = json.loads((out / "tiny2.json").read_text())
    assert (card["recipe"], card["figures"], card["preset"]) == (
        f"tiny.toml; {SHORT}; stopped early",
        "30 dB, by hand",
        "ms-ssim",
    )
    other = ["train", str(recipe), "--run", str(photos.parent / "run2"), "--data", str(photos), "--minutes", "0"]
    assert main([*other, "--from", str(run / "average.safetensors"), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["steps"] == 2
    assert "from step 0" in printed.err


def test_weights_of_another_codec_are_named(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    theirs = next(card for card in cards() if card.name == "hyperprior-2")
    (tmp_path / "bare.safetensors.xz").write_bytes(theirs.path.read_bytes())
    begin = ["train", str(tmp_path / "tiny.toml"), "--data", str(photos), "--run", str(tmp_path / "run"), "--minutes", "0"]
    for start in ("hyperprior-2", str(theirs.path)):
        assert main([*begin, "--from", start]) == 1
        assert capsys.readouterr().err == (
            f"error: the weights {start} are of hyperprior, the recipe trains gdn; start from gdn-2, take a recipe of hyperprior, "
            "or leave --from out\n"
        )
    assert main([*begin, "--from", str(tmp_path / "bare.safetensors.xz")]) == 1
    err = capsys.readouterr().err
    assert "do not fit gdn" in err
    assert "start from weights of gdn" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["none.toml", "--run", "r", "--data", "photos"], 1, "none.toml"),
        (["tiny.toml", "--run", "r"], 2, "--data"),
        (["tiny.toml", "--run", "r", "--data", "nowhere"], 1, "nowhere"),
        (["tiny.toml", "--run", "r", "--data", "photos", "--from", "tiny.toml"], 1, "tiny.toml"),
        (["tiny.toml", "--run", "r", "--export", "weights"], 1, "no run"),
        (["bad.toml", "--run", "r", "--data", "photos"], 1, "'wings'"),
    ],
)
def test_a_mistaken_training_is_an_error_in_words(
    photos: Path,
    arguments: list[str],
    status: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photos.parent)
    Path("tiny.toml").write_text(RECIPE)
    Path("bad.toml").write_text("wings = 2\n" + RECIPE)
    assert main(["train", *arguments]) == status
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
