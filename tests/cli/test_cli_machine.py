"""Files for machines and pictures of importance, from the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import skimage.data
from PIL import Image

import foveal
from foveal.cli.main import main
from foveal.codecs.base import EncodeSettings
from foveal.errors import InputError, SettingsError
from foveal.files import EncodeRequest
from foveal.folders import encode_batch
from foveal.guidance.reader import Machine
from foveal.guidance.showing import ImportanceRequest, importance_batch
from foveal.importance_maps import read_importance
from foveal.limits import DEFAULT_LIMITS

PLAIN = EncodeRequest("gdn", EncodeSettings(40, threads=1))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("in/more").mkdir(parents=True)
    for name, top in (("in/a.png", 0), ("in/more/b.png", 90)):
        Image.fromarray(skimage.data.astronaut()[top : top + 96, 160:304]).save(name)
    return tmp_path


def test_a_file_for_a_machine_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    encode = ["encode", "in/a.png", "a.fvl", "--codec", "gdn", "--quality", "40"]
    assert main([*encode, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert (plain["tasks"], plain["search"], plain["scores"], plain["reads"]) == (None, None, None, None)
    assert main([*encode, "--for", "machine", "--tasks", "pose,detect", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["tasks"], report["search"], report["scores"], report["reads"]) == (["detect", "pose"], None, "harm", 416)
    assert abs(report["bytes"] / plain["bytes"] - 1) < 0.02
    assert report["quality"] != 40  # the codec moved it, and the file says where to
    about = foveal.info(Path("a.fvl").read_bytes())
    assert about.parameter is not None
    assert float(about.parameter.split()[1]) == report["quality"]
    assert about.importance_bytes > 0
    assert main([*encode, "--for", "machine", "--search", "fast", "--verify"]) == 0
    assert ", for a machine: classify, detect, segment, pose by fast search, verified" in capsys.readouterr().out


@pytest.mark.parametrize("more", [[], ["--search", "fast"]])
def test_a_target_may_be_for_a_machine(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["encode", "in/a.png", "a.fvl", "--codec", "gdn", "--for", "machine", *more, "--target-size", "1200", "--json"]
    assert main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["within"] is True
    assert 1164 <= report["bytes"] <= 1200


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--for", "machine", "--importance", "in/a.png"], "leave one out"),
        (["--for", "machine", "--hold-rate"], "leave hold_rate out"),
        (["--for", "machine", "--tasks", "fly"], "one or more of classify, detect, segment, pose are needed"),
        (["--for", "machine", "--search", "slow"], "fast or full is allowed"),
        (["--for", "dogs"], "person or machine is allowed"),
        (["--tasks", "detect"], "for a person; ask --for machine"),
        (["--search", "full"], "for a person; ask --for machine"),
    ],
)
@pytest.mark.parametrize("source", ["in/a.png", "in"])
def test_what_cannot_be_is_named_before_anything_is_written(
    source: str, more: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = "a.fvl" if source == "in/a.png" else "out"
    assert main(["encode", source, out, *more]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert words in err
    assert not Path(out).exists()


def test_a_folder_is_coded_again_for_another_machine() -> None:
    machines = (None, Machine(), Machine(("pose",)), Machine(search="fast"), Machine())
    digests = [encode_batch("in", "out", EncodeRequest("gdn", PLAIN.settings, machine=m))[0].settings for m in machines]
    assert digests[1] == digests[4]
    assert len(set(digests)) == 4


def test_a_picture_in_a_folder_is_coded_for_a_machine() -> None:
    plan, worker = encode_batch("in", "out", EncodeRequest("gdn", PLAIN.settings, machine=Machine(("detect",))))
    Path("out").mkdir()
    report = worker(plan.jobs[0])
    assert report.tasks == ("detect",)
    assert foveal.info(plan.jobs[0].target.read_bytes()).importance_bytes > 0


def test_importance_is_drawn_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["importance", "in/a.png", "--out", "map.png", "--tasks", "detect"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("map.png: 144x96 for detect; highest ")
    assert "27 of 54 blocks in the region of interest" in out
    drawn = foveal.read_picture("map.png")
    assert drawn.width == 480
    assert drawn.height > 320
    assert main(["importance", "in/a.png", "--out", "all.png", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["tasks"] == ["classify", "detect", "segment", "pose"]
    assert (report["rows"], report["columns"], report["blocks"], report["region_blocks"]) == (96, 144, 54, 27)
    assert report["highest"] > 1
    assert Path("all.png").read_bytes() != Path("map.png").read_bytes()


def test_importance_becomes_a_map_that_encode_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["importance", "in/a.png", "--out", "map.npy"]) == 0
    found = read_importance("map.npy", DEFAULT_LIMITS)
    assert found.shape == (96, 144)
    assert 0 <= found.min() < 0.3 < 0.6 < found.max() <= 1
    assert main(["encode", "in/a.png", "a.fvl", "--importance", "map.npy", "--hold-rate"]) == 0
    assert foveal.info(Path("a.fvl").read_bytes()).importance_bytes > 0
    assert "map map.npy" in capsys.readouterr().out


def test_a_coded_file_is_read_and_a_pipe_gets_png(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["encode", "in/a.png", "a.fvl"]) == 0
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", SimpleNamespace(buffer=written, flush=lambda: None, write=lambda _: None))
    assert main(["importance", "a.fvl", "--out", "-"]) == 0
    assert written.getvalue().startswith(b"\x89PNG")


def test_a_folder_is_drawn_or_mapped() -> None:
    for raw, suffix in ((False, ".png"), (True, ".npy")):
        plan, worker = importance_batch("in", "out", ImportanceRequest(raw=raw))
        assert [job.target.as_posix() for job in plan.jobs] == [f"out/a{suffix}", f"out/more/b{suffix}"]
        Path("out").mkdir(exist_ok=True)
        report = worker(plan.jobs[0])
        assert report.output == f"out/a{suffix}"
    assert np.load("out/a.npy").shape == (96, 144)
    first, second = (importance_batch("in", "out", ImportanceRequest(tasks))[0] for tasks in (("pose",), ("detect",)))
    assert first.settings != second.settings


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in/a.png", "--out", "a.xyz"], "pictures are not written as '.xyz'"),
        (["in/a.png", "--out", "in"], "in is a folder"),
        (["in/a.png", "--out", "in/a.png"], "would replace its own input"),
        (["none.png", "--out", "a.png"], "no such file or folder"),
        (["in/a.png", "--out", "a.png", "--tasks", "detect;pose"], "tasks = 'detect;pose'; one or more of"),
        (["in", "--out", "-"], "needs a folder to write to"),
        (["in", "--out", "in/a.png"], "needs a folder to write to"),
    ],
)
def test_wrong_askings_are_named(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["importance", *arguments]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert words in err


def test_raw_is_for_folders(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["importance", "in/a.png", "--out", "a.npy", "--raw"]) == 2
    assert "--raw is for a folder" in capsys.readouterr().err
    with pytest.raises(InputError):
        importance_batch("in", "-", ImportanceRequest())
    with pytest.raises(SettingsError):
        Machine(())
