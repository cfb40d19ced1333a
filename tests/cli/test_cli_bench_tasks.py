"""Networks in ``foveal bench`` on the command line: from spellings to a report."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from foveal.cli.main import main

SEGMENT = ["--network", "builtin:camvid-segment"]
FAST = ["--codecs", "jpeg,webp", "--qualities", "5,20,40,60,90", "--no-ssim", "--draws", "10", "--threads", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photographs, and masks of the eleven classes of CamVid for three of them."""
    root = tmp_path_factory.mktemp("scenes")
    (root / "pictures").mkdir()
    (root / "masks").mkdir()
    for number in range(4):
        samples = np.ascontiguousarray(skimage.data.astronaut()[64 * number : 64 * number + 96, 100:228])
        Image.fromarray(samples).save(root / "pictures" / f"{number}.png")
        if number < 3:
            Image.fromarray((samples[:, :, 0] // 24).astype(np.uint8)).save(root / "masks" / f"{number}.png")
    return root


def bench(folder: Path, out: Path, *words: str) -> int:
    return main(["bench", str(folder / "pictures"), "--out", str(out), *FAST, *words])


def test_a_report_by_labels_and_by_agreement(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = f"masks:{folder / 'masks'}@names=camvid-11,void=11"
    words = [*SEGMENT, "--tasks", "segment", "--labels", labels, "--leave-out", "--cache", str(tmp_path / "kept"), "--json"]
    assert bench(folder, tmp_path / "out", *words) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["measured"], about["failed"]) == (4 * (2 * 5 * 2 + 1), 0)
    assert [(one["label"], one["task"], one["truths"]) for one in about["accuracy"]] == [
        ("webp", "segment", "labels"),
        ("webp", "segment", "agreement"),
    ]
    assert sum(path.is_file() for path in (tmp_path / "kept").rglob("*")) == 40
    text = (tmp_path / "out" / "report.md").read_text()
    assert "3 pictures" in text  # the fourth has no label
    assert "segment by camvid-segment, against its own results on the uncompressed pictures" in text
    assert (tmp_path / "out" / "segment_camvid-segment_agreement.png").is_file()
    assert bench(folder, tmp_path / "out", *words) == 0
    assert json.loads(capsys.readouterr().out)["measured"] == 0


@pytest.fixture
def little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A network that tells ants from bees by their colour."""
    place = tmp_path / "networks"
    place.mkdir()
    (place / "little.py").write_text(
        "import torch\nclass Little(torch.nn.Module):\n    def forward(self, x):\n        return x.mean((2, 3))[:, :2]\nnetwork = Little\n"
    )
    record = 'task = "classify"\nclasses = "little.txt"\n[input]\nwidth = 8\nheight = 8\n[output]\nform = "scores"\n'
    (place / "little.toml").write_text(record)
    (place / "little.txt").write_text("ant\nbee\n")
    monkeypatch.syspath_prepend(place)
    monkeypatch.delitem(sys.modules, "little", raising=False)
    return ["--network", "torch:little"]


def test_pictures_of_classes_that_the_network_lacks_are_told_first_or_left_out(
    folder: Path, tmp_path: Path, little: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "classes.csv"
    table.write_text("file,class\n0.png,ant\n1.png,yak\n2.png,bee\n3.png,yak\n")
    words = [*little, "--labels", f"csv:{table}", "--json"]
    assert bench(folder, tmp_path / "out", *words) == 1
    said = "little: csv:CSV: 2 of 4 pictures are of classes that are none of the network's (little), such as 1.png of 'yak'"
    assert said.replace("CSV", str(table)) in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out" / "rows.jsonl").exists()
    assert bench(folder, tmp_path / "out", *words, "--leave-out") == 0
    assert json.loads(capsys.readouterr().out)["failed"] == 0
    text = (tmp_path / "out" / "report.md").read_text()
    by_labels, by_itself = text.index("by little, against labels"), text.index("by little, against its own")
    assert "(%), 2 pictures." in text[by_labels:by_itself]
    assert "(%), 4 pictures." in text[by_itself:]


def test_labels_that_a_data_set_brings_and_the_network_does_not_know_are_told_first(
    folder: Path, tmp_path: Path, little: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "known"
    shutil.copytree(folder / "pictures", known / "images")
    (known / "labels.csv").write_text("file,index\n0.png,0\n1.png,1\n2.png,1\n3.png,0\n")
    (known / "classes.txt").write_text("yak\nzebra\n")
    assert main(["bench", str(known), "--out", str(tmp_path / "out"), *FAST, *little]) == 1
    told = capsys.readouterr().err.replace("\n", " ")
    assert "share no name; call the classes what the network calls them" in told
    assert "copied elsewhere, the pictures have none" in told
    assert not (tmp_path / "out" / "rows.jsonl").exists()


def test_labels_of_pictures_outside_a_sample_are_no_fault(folder: Path, tmp_path: Path) -> None:
    labels = f"masks:{folder / 'masks'}@names=camvid-11,void=11"
    assert bench(folder, tmp_path / "out", *SEGMENT, "--labels", labels, "--leave-out", "--sample", "2") == 0


def test_a_sample_and_the_rows_of_another_bench(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(folder / "pictures"), "--out", str(tmp_path / "a"), *FAST, "--sample", "2"]) == 0
    more = ["--codecs", "gdn", "--qualities", "5,40,60,70,90", "--sample", "2", "--no-ssim", "--threads", "1"]
    words = ["--also", str(tmp_path / "a"), "--anchor", "jpeg", "--json"]
    capsys.readouterr()
    assert main(["bench", str(folder / "pictures"), "--out", str(tmp_path / "b"), *more, *words]) == 0
    assert {one["label"] for one in json.loads(capsys.readouterr().out)["bd_rates"]} == {"webp", "gdn"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--tasks", "detect"], "--tasks detect needs a network"),
        (["--tasks", "segment"], "such as --network builtin:camvid-segment"),
        (["--tasks", "find"], "no task 'find'; there are classify, detect, segment, pose"),
        ([*SEGMENT, "--tasks", "pose"], "camvid-segment answers segment, but --tasks asks for pose"),
        (["--labels", "folders:."], "--labels without --network"),
        ([*SEGMENT, "--labels", "masks:MASKS@names=camvid-11,void=11"], "1 of 4 pictures have no label"),
        ([*SEGMENT, "--labels", "folders:PICTURES", "--leave-out"], "is for classify, but the networks answer segment"),
        ([*SEGMENT, *SEGMENT], "camvid-segment is asked for twice"),
        ([*SEGMENT, "--labels", "masks:MASKS@names=NAMES", "--leave-out"], "share no name; call the classes what the network"),
        (["--network", "onnx:none.onnx"], "there is no such file"),
        (["--sample", "9"], "a sample of 9 pictures"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_runs(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    (tmp_path / "names.txt").write_text("".join(f"thing {number}\n" for number in range(11)))
    places = {"MASKS": folder / "masks", "PICTURES": folder, "NAMES": tmp_path / "names.txt"}
    for mark, place in places.items():
        words = [word.replace(mark, str(place)) for word in words]
    assert bench(folder, tmp_path / "out", *words) in (1, 2)
    assert says in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out" / "rows.jsonl").exists()
