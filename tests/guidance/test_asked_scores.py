"""How importance is found, as callers ask for it: on the command line and in Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.cli.main import main
from foveal.codecs.base import EncodeSettings
from foveal.codecs.registry import codec_by_name
from foveal.errors import SettingsError
from foveal.files import EncodeRequest
from foveal.folders import encode_batch
from foveal.guidance import importance as module
from foveal.guidance.allocation import DEFAULT_ALLOCATION
from foveal.guidance.importance import ProxyReader
from foveal.guidance.machine import MachineCodec
from foveal.guidance.reader import TASKS, Machine, Scores
from foveal.guidance.showing import ImportanceRequest, importance_batch
from foveal.picture import Picture
from foveal.tasks.proxy.network import Proxy, ProxyConfig

SMALL = ProxyConfig(8, 8, 8, 16, 16, 1, 1, 1, features=8, scene_coarse=8, scene_whole=8, classes=5)
KINDS: tuple[Scores, ...] = ("harm", "gradients")
SETTINGS = EncodeSettings(40, threads=1)


@pytest.fixture(autouse=True)
def part(tmp_path: Path, photo: Picture, monkeypatch: pytest.MonkeyPatch) -> Picture:
    """A picture in the current folder, and a small proxy in place of the one that comes with foveal."""
    torch.manual_seed(1)
    proxy = Proxy(SMALL, folded=True).eval().requires_grad_(False)
    monkeypatch.setattr(module, "shipped_proxy", lambda: proxy)
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    found = Picture(photo.samples[:96, :144].copy())
    Image.fromarray(found.samples).save("in/a.png")
    return found


def test_importance_is_shown_as_it_is_asked_for(part: Picture) -> None:
    expected = {scores: DEFAULT_ALLOCATION.drawn(ProxyReader().importance(part, TASKS, scores)) for scores in KINDS}
    assert np.abs(expected["harm"] - expected["gradients"]).max() > 0.05
    for more, scores in (([], "harm"), (["--scores", "harm"], "harm"), (["--scores", "gradients"], "gradients")):
        assert main(["importance", "in/a.png", "--out", "map.npy", *more]) == 0
        assert np.allclose(np.load("map.npy"), expected[scores], atol=1e-3)


def test_a_folder_is_read_again_for_other_scores() -> None:
    made = {scores: importance_batch("in", "out", ImportanceRequest(scores=scores)) for scores in KINDS}
    assert made["harm"][0].settings == importance_batch("in", "out", ImportanceRequest())[0].settings
    assert made["harm"][0].settings != made["gradients"][0].settings
    Path("out").mkdir()
    drawn: list[bytes] = []
    for plan, worker in made.values():
        worker(plan.jobs[0])
        drawn.append(Path("out/a.png").read_bytes())
    assert drawn[0] != drawn[1]


def for_machine(scores: Scores, part: Picture) -> bytes:
    return MachineCodec(codec_by_name("gdn"), Machine(scores=scores)).encode(part, SETTINGS)


def by_command(part: Picture, *more: str) -> bytes:
    arguments = ["encode", "in/a.png", "a.fvl", "--codec", "gdn", "--quality", "40", "--threads", "1", "--for", "machine"]
    assert main([*arguments, *more, "--overwrite"]) == 0
    return Path("a.fvl").read_bytes()


def by_call(part: Picture, *more: str) -> bytes:
    options = dict(zip((name.removeprefix("--") for name in more[::2]), more[1::2], strict=True))
    return foveal.encode(part, codec="gdn", quality=40, threads=1, reader="machine", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("encode", [by_command, by_call])
def test_files_for_machines_go_by_the_asked_scores(encode: Callable[..., bytes], part: Picture) -> None:
    harm, gradients = (for_machine(scores, part) for scores in KINDS)
    assert harm != gradients
    assert encode(part) == encode(part, "--scores", "harm") == harm
    assert encode(part, "--scores", "gradients") == gradients


def test_a_folder_is_coded_again_for_other_scores() -> None:
    machines = (Machine(), Machine(scores="gradients"), Machine(scores="harm"), Machine(reads=300))
    digests = [encode_batch("in", "out", EncodeRequest("gdn", SETTINGS, machine=machine))[0].settings for machine in machines]
    assert digests[0] == digests[2]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["importance", "in/a.png", "--out", "o.npy", "--scores", "heat"], "scores = 'heat'; harm or gradients is allowed"),
        (["importance", "in", "--out", "o.npy", "--scores", ""], "scores = ''; harm or gradients is allowed"),
        (
            ["encode", "in/a.png", "o.fvl", "--for", "machine", "--scores", "heat"],
            "scores = 'heat'; harm or gradients is allowed",
        ),
        (["encode", "in/a.png", "o.fvl", "--for", "machine", "--scores", ""], "scores = ''; harm or gradients is allowed"),
        (["encode", "in/a.png", "o.fvl", "--scores", "harm"], "scores = 'harm' for a person; ask --for machine"),
    ],
)
def test_what_cannot_be_is_named_on_the_command_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert words in err
    assert not [*Path().glob("o.*")]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"reader": "machine", "scores": "heat"}, "scores = 'heat'; harm or gradients is allowed"),
        ({"scores": "gradients"}, "scores = 'gradients' for a person"),
    ],
)
def test_what_cannot_be_is_named_in_python(more: dict[str, str], words: str, part: Picture) -> None:
    with pytest.raises(SettingsError, match=words):
        foveal.encode(part, codec="gdn", **more)  # type: ignore[arg-type]
