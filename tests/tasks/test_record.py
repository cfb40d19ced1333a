"""Records: what they hold, and what they refuse."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from foveal.errors import NetworkError
from foveal.tasks.decode_boxes import AnchorBoxes, OffsetBoxes
from foveal.tasks.decode_scores import Scores
from foveal.tasks.input import InputRecord
from foveal.tasks.record import Record, parse_record, read_record, shipped_record
from foveal.tasks.vocabulary import vocabulary

GOOD = """
task = "detect"
classes = "coco-80"
[input]
width = 416
height = 320
fit = "letterbox"
mean = [0, 0.5, 1]
[output]
form = "yolox"
strides = [8, 16]
"""


def test_a_record_is_what_its_file_says() -> None:
    record = parse_record(GOOD, None, "here")
    assert record.task == "detect"
    assert record.classes == vocabulary("coco-80")
    assert record.input == InputRecord(width=416, height=320, fit="letterbox", mean=(0, 0.5, 1))
    assert record.output == OffsetBoxes(strides=(8, 16))
    assert record.input.shape == (1, 3, 320, 416)


@pytest.mark.parametrize(
    "file", sorted(e.name for e in (files("foveal.tasks") / "records").iterdir() if e.name.endswith(".toml"))
)
def test_records_that_come_with_foveal_can_be_read(file: str) -> None:
    record = shipped_record(file.removesuffix(".toml"))
    assert record is not None
    assert record.source
    assert record.licence
    assert len(record.classes) > 10


def test_no_record_of_that_name() -> None:
    assert shipped_record("no-such-network") is None
    assert shipped_record("../records/yolox_nano_coco") is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('task = "detect"', 'task = "count"', "task 'count'; one of classify, detect"),
        ('task = "detect"\n', "", "missing"),
        ('"coco-80"', '"coco-81"', "classes = 'coco-81'"),
        ('"coco-80"', '"names.txt"', "cannot read the class names"),
        ("width = 416", 'width = "416"', "width = '416' is not of type int"),
        ("width = 416", "width = true", "is not of type int"),
        ("width = 416", "width = 0", "needs width and height"),
        ("width = 416", "width = 416\ndepth = 3", "unknown key 'depth'"),
        ('"letterbox"', '"squeeze"', "fit = 'squeeze'; one of stretch"),
        ('"letterbox"', '"crop"', "short_side = 0"),
        ('"letterbox"', '"scale"', "fit = 'scale' takes"),
        ("mean = [0, 0.5, 1]", "mean = [0, 0.5]", "three numbers"),
        ("mean = [0, 0.5, 1]", "mean = 0.5", "no list of numbers"),
        ("mean = [0, 0.5, 1]", "std = [1, 0, 1]", "none of them may be 0"),
        ("mean = [0, 0.5, 1]", "mean = [0, nan, 1]", "three numbers"),
        ("mean = [0, 0.5, 1]", "range = -1", "here: [input] range = -1; a number above 0 is allowed: samples become 0..range"),
        ("mean = [0, 0.5, 1]", "range = 0.0", "range = 0.0; a number above 0"),
        ("mean = [0, 0.5, 1]", "range = inf", "range = inf; a number above 0"),
        ("mean = [0, 0.5, 1]", "range = nan", "range = nan; a number above 0"),
        ("mean = [0, 0.5, 1]", "scale = 0", "scale = 0; a number above 0 is allowed: the quantiser's step"),
        ("mean = [0, 0.5, 1]", 'filter = "box"\nantialias = false', "antialias = false"),
        ('"yolox"', '"yolo-v99"', "form = 'yolo-v99'; detect has yolox"),
        ('form = "yolox"', "", "form = None"),
        ("strides = [8, 16]", "strides = [8, 1.5]", "no list of whole numbers"),
        ("strides = [8, 16]", "strides = []", "strides = []"),
        ("strides = [8, 16]", "iou = 0", "iou = 0"),
        ("strides = [8, 16]", "classes = 80", "unknown key 'classes'"),
        ("[input]", "input = 3\n[other]", "is no table|unknown key"),
        ("[output]", "[output", "is not TOML"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(NetworkError, match=message.replace("[", r"\[").replace("]", r"\]")):
        parse_record(GOOD.replace(old, new), None, "here")


def test_classes_of_a_users_own(tmp_path: Path) -> None:
    (tmp_path / "animals.txt").write_text("cat\n\n dog \nbackground\n")
    path = tmp_path / "own.toml"
    path.write_text(GOOD.replace("coco-80", "animals.txt"))
    classes = read_record(path).classes
    assert classes.names == ("cat", "dog", "background")
    assert classes.background == 2
    (tmp_path / "animals.txt").write_text("\n")
    with pytest.raises(NetworkError, match="no class name"):
        read_record(path)
    with pytest.raises(NetworkError, match="cannot read the record"):
        read_record(tmp_path / "none.toml")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(NetworkError, match="is not TOML"):
        read_record(path)


def test_forms_belong_to_tasks() -> None:
    size = InputRecord(width=8, height=8)
    with pytest.raises(NetworkError, match="Scores is no form of segment"):
        Record("segment", vocabulary("voc-21"), size, Scores())
    with pytest.raises(NetworkError, match="without a class"):
        parse_record(
            'task = "segment"\nclasses = "voc-21"\n[input]\nfit="crop"\nshort_side=9\nwidth=8\nheight=8\n[output]\nform="logits"',
            None,
            "here",
        )
    with pytest.raises(NetworkError, match="equally many pairs"):
        AnchorBoxes(strides=(16, 32), anchors=(1.0, 2.0))
