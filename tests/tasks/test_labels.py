"""Labels of a user's own, in each form, and what is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.errors import LabelError, LimitError
from foveal.limits import Limits
from foveal.tasks.labels import NetworkTruths, read_labels
from foveal.tasks.labels.fit import fit
from foveal.tasks.labels.spelling import parse_spelling
from foveal.tasks.results import VOID, ClassLabel, ClassMap, Joints, TrueBoxes
from foveal.tasks.vocabulary import vocabulary


def _pictures(folder: Path, *names: str, size: tuple[int, int] = (20, 10)) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(folder / name)
    return [folder / name for name in names]


def _json(path: Path, values: object) -> Path:
    path.write_text(json.dumps(values))
    return path


# spelling


def test_spelling() -> None:
    spelled = parse_spelling("masks:a@b/c@names=camvid-11,void=11")
    assert (spelled.form, spelled.path, spelled.names, spelled.void) == ("masks", Path("a@b/c"), "camvid-11", 11)
    assert parse_spelling("yolo:d@detect,absent-is-empty").absent_is_empty


def test_an_at_in_a_path_that_exists_belongs_to_it(tmp_path: Path) -> None:
    (tmp_path / "a@detect").mkdir()
    assert parse_spelling(f"yolo:{tmp_path}/a@detect").task is None


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("nothing", "FORM:PATH"),
        ("yolo:", "FORM:PATH"),
        ("voc:a", "folders, csv, coco"),
        ("yolo:a@depth", "'depth'"),
        ("yolo:a@void=x", "'void=x'"),
        ("yolo:a", "could be for detect or segment"),
        ("coco:a.json", "say which, as coco:a.json@detect"),
        ("csv:a.csv@detect", "serve classify, not detect"),
        ("csv:a.csv@void=3", "void says nothing"),
    ],
)
def test_wrong_spellings_say_what_is_allowed(spelling: str, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        read_labels(spelling, [Path("a.png")])


def test_spelling_and_wish_must_agree(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="wanted for segment"):
        read_labels("yolo:a@detect", [Path("a.png")], "segment")
    with pytest.raises(LabelError, match="no picture"):
        read_labels("yolo:a@detect", [])


# folders


def test_folders(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "zebra/1.png", "ant/1.png", "ant/deep/2.png")
    labels = read_labels(f"folders:{tmp_path}", pictures)
    assert labels.vocabulary.names == ("ant", "zebra")
    assert [labels.truth(picture) for picture in pictures] == [ClassLabel(1), ClassLabel(0), ClassLabel(0)]
    assert labels.pictures == tuple(pictures)
    (tmp_path / "classes.txt").write_text("n00000001 zebra\nn00000002 ant\nn00000003 cat\n")
    assert read_labels(f"folders:{tmp_path}", pictures).truth(pictures[0]) == ClassLabel(0)


def test_folders_refuse_empty_classes_and_strangers(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "ant/1.png", "stray.png")
    with pytest.raises(
        LabelError, match=r"1 of 2 pictures lie in no class folder of it, .*; allow it with leave_out \(--leave-out\)"
    ):
        read_labels(f"folders:{tmp_path}", pictures)
    with pytest.raises(LabelError, match=r"none of the 1 pictures lies in a class folder .*; name the folder whose folders are"):
        read_labels(f"folders:{tmp_path}", pictures[1:], leave_out=True)
    assert read_labels(f"folders:{tmp_path}", pictures, leave_out=True).left_out == (pictures[1],)
    (tmp_path / "bee").mkdir()
    with pytest.raises(LabelError, match=r"the class 'bee' .* allow it with leave_out \(--leave-out\)"):
        read_labels(f"folders:{tmp_path}", pictures[:1])
    (tmp_path / "classes.txt").write_text("bee\n")
    with pytest.raises(LabelError, match="'ant' is none of the 1 classes"):
        read_labels(f"folders:{tmp_path}", pictures, leave_out=True)
    with pytest.raises(LabelError, match="no folder"):
        read_labels(f"folders:{tmp_path / 'none'}", pictures)


# csv


@pytest.mark.parametrize(
    "table", ["file,index\n1.jpg,2\n2.jpg,0\n", "file,wordnet_id\n1.jpg,n3\n2.jpg,n1\n", "file,name\n1.jpg,big_cat\n2.jpg,ant\n"]
)
def test_csv(tmp_path: Path, table: str) -> None:
    pictures = _pictures(tmp_path, "1.png", "2.png")
    (tmp_path / "t.csv").write_text(table.replace("n3", "n00000003").replace("n1", "n00000001"))
    (tmp_path / "classes.txt").write_text("n00000001 ant\nn00000002 bee\nn00000003 big cat\n")
    labels = read_labels(f"csv:{tmp_path / 't.csv'}", pictures)
    assert [labels.truth(picture) for picture in pictures] == [ClassLabel(2), ClassLabel(0)]
    assert labels.vocabulary.names[2] == "big cat"


@pytest.mark.parametrize(
    ("table", "classes", "message"),
    [
        ("picture,class\n1.png,a\n", None, "columns"),
        ("", None, "columns"),
        ("file,class\n1.png,\n", None, "row 2: an empty class"),
        ("file,class\n1.png,a\n1.png,b\n", None, "row 3.*second time"),
        ("file,index\n1.png,0\n", None, "classes.txt"),
        ("file,index\n1.png,3\n", "a\nb\n", r"class 3; 0\.\.1"),
        ("file,name\n1.png,c\n", "a\nb\n", "no class 'c'"),
        ("file,name\n1.png,a\n", "a\na\n", "two classes"),
        ("file,name\n1.png,a\n", "a\n\nb\n", "class 1 has an empty name"),
        ("file,name\n2.png,a\n", "a\n", "none of its 1 labels"),
        ("file,name\n1.png,a\n2.png,a\n", "a\n", "pictures of 1 of 2 labels are missing: 2.png"),
    ],
)
def test_csv_refuses(tmp_path: Path, table: str, classes: str | None, message: str) -> None:
    pictures = _pictures(tmp_path, "1.png")
    (tmp_path / "t.csv").write_text(table)
    if classes is not None:
        (tmp_path / "classes.txt").write_text(classes)
    with pytest.raises(LabelError, match=message):
        read_labels(f"csv:{tmp_path / 't.csv'}", pictures)


def test_pictures_without_labels_are_named_or_left_out(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "t.csv").write_text("file,class\n1.png,a\n9.png,b\n")
    with pytest.raises(LabelError, match=r"2 of 3 pictures have no label: .*2\.png, .*3\.png"):
        read_labels(f"csv:{tmp_path / 't.csv'}", pictures)
    labels = read_labels(f"csv:{tmp_path / 't.csv'}", pictures, leave_out=True)
    assert (labels.pictures, labels.left_out, labels.unused) == ((pictures[0],), tuple(pictures[1:]), ("9.png",))
    with pytest.raises(LabelError, match="has no label"):
        labels.truth(pictures[1])


def test_labels_find_pictures_in_folders(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "x/1.png", "y/1.png")
    (tmp_path / "t.csv").write_text("file,class\nx/1.jpg,a\ny\\1.jpg,b\n")
    labels = read_labels(f"csv:{tmp_path / 't.csv'}", pictures)
    assert [labels.truth(picture) for picture in pictures] == [ClassLabel(0), ClassLabel(1)]
    (tmp_path / "t.csv").write_text("file,class\n1.jpg,a\n")
    with pytest.raises(LabelError, match="could be of"):
        read_labels(f"csv:{tmp_path / 't.csv'}", pictures)
    (tmp_path / "t.csv").write_text("file,class\nx/1.jpg,a\nx/1.png,b\n")
    with pytest.raises(LabelError, match="two labels"):
        read_labels(f"csv:{tmp_path / 't.csv'}", pictures)


def test_imagenets_own_classes_are_known(tmp_path: Path) -> None:
    """By the WordNet ids, since lists of names differ in words."""
    names = vocabulary("imagenet-1000").names
    ids = ["n01440764", *(f"n{2_000_000 + n:08d}" for n in range(998)), "n15075141"]
    (tmp_path / "classes.txt").write_text("".join(f"{i} {n.split()[0]}\n" for i, n in zip(ids, names, strict=True)))
    pictures = _pictures(tmp_path, "n01440764/1.png")
    labels = read_labels(f"folders:{tmp_path}", pictures)
    assert labels.vocabulary is vocabulary("imagenet-1000")
    assert labels.truth(pictures[0]) == ClassLabel(0)


# yolo


def _yolo(tmp_path: Path, **files: str) -> str:
    (tmp_path / "labels").mkdir(exist_ok=True)
    for name, text in files.items():
        (tmp_path / "labels" / f"{name}.txt").write_text(text)
    return f"yolo:{tmp_path / 'labels'}"


def test_yolo_boxes(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "a.png", "b.png")
    labels = read_labels(_yolo(tmp_path, a="2 0.5 0.5 0.5 1.0\n0 0 0 0.5 0 0.5 0.5\n", b=""), pictures, "detect")
    truth = labels.truth(pictures[0])
    assert isinstance(truth, TrueBoxes)
    np.testing.assert_allclose(truth.corners, [[5, 0, 15, 10], [0, 0, 10, 5]])
    assert truth.classes.tolist() == [2, 0]
    assert labels.vocabulary is vocabulary("coco-80")
    empty = labels.truth(pictures[1])
    assert isinstance(empty, TrueBoxes)
    assert empty.corners.shape == (0, 4)


def test_yolo_sizes_are_those_of_the_upright_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg", exif=exif)
    labels = read_labels(_yolo(tmp_path, a="0 0.5 0.5 1 1\n"), [tmp_path / "a.jpg"], "detect")
    truth = labels.truth(tmp_path / "a.jpg")
    assert isinstance(truth, TrueBoxes)
    np.testing.assert_allclose(truth.corners, [[0, 0, 10, 20]])


def test_a_picture_without_a_yolo_file_is_unlabelled_unless_said_otherwise(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "a.png", "b.png")
    spelling = _yolo(tmp_path, a="0 0.5 0.5 1 1\n")
    with pytest.raises(LabelError, match="1 of 2 pictures have no label"):
        read_labels(spelling, pictures, "detect")
    labels = read_labels(f"{spelling}@absent-is-empty", pictures, "detect")
    truth = labels.truth(pictures[1])
    assert isinstance(truth, TrueBoxes)
    assert not len(truth.classes)


def test_yolo_outlines_become_a_class_map(tmp_path: Path) -> None:
    """The smaller object lies over the larger, whatever their order."""
    pictures = _pictures(tmp_path, "a.png", "b.png")
    small, large = "5 0 0 0.25 0 0.25 0.5 0 0.5", "7 0 0 0.5 0 0.5 1 0 1"
    labels = read_labels(_yolo(tmp_path, a=f"{small}\n{large}\n", b=""), pictures, "segment")
    truth = labels.truth(pictures[0])
    assert isinstance(truth, ClassMap)
    wanted = np.zeros((10, 20), np.int16)
    wanted[:, :10], wanted[:5, :5] = 8, 6
    np.testing.assert_array_equal(truth.classes, wanted)
    assert labels.vocabulary.names[8] == vocabulary("coco-80").names[7]
    assert labels.vocabulary.background == 0
    empty = labels.truth(pictures[1])
    assert isinstance(empty, ClassMap)
    assert not empty.classes.any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.5\n", "line 1: 3 numbers"),
        ("\n0 0.1 0.1 0.2 0.2 0.3 0.3 0.4\n", "line 2: 7 numbers"),
        ("0 0.5 0.5 x 1\n", "a class index and numbers"),
        ("person 0.5 0.5 1 1\n", "a class index and numbers"),
        ("80 0.5 0.5 1 1\n", r"class 80; 0\.\.79"),
        ("-1 0.5 0.5 1 1\n", "class -1"),
        ("0 50 50 10 10\n", r"50.0; numbers are parts"),
        ("0 nan 0.5 1 1\n", "nan; numbers are parts"),
        ("0 0.5 0.5 1 1\n0 0.5 0.5 0 1\n", r"a\.txt, line 2: an object of width 0 and height 1"),
        ("0 0.5 0.5 0.1 0\n", "line 1: an object of width 0.1 and height 0;"),
        ("0 0.1 0.2 0.1 0.3 0.1 0.4\n", "line 1: an object of width 0 and height 0.2"),
    ],
)
def test_yolo_refuses(tmp_path: Path, text: str, message: str) -> None:
    pictures = _pictures(tmp_path, "a.png")
    with pytest.raises(LabelError, match=message):
        read_labels(_yolo(tmp_path, a=text), pictures, "detect")


def test_yolo_boxes_are_no_class_map(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "a.png")
    with pytest.raises(LabelError, match="segment needs outlines"):
        read_labels(_yolo(tmp_path, a="0 0.5 0.5 1 1\n"), pictures, "segment")


@pytest.mark.parametrize(
    "text",
    [
        "path: .\nnames:\n  0: ant\n  2: 'big cat'  # a comment\nnc: 3\n",
        "names:\n- ant\n- unused 1\n- big cat\ntrain: x\n",
        "nc: 3\nnames: [ant, 'unused 1', \"big cat\"]\n",
    ],
)
def test_names_in_yaml(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.yaml").write_text(text)
    pictures = _pictures(tmp_path, "a.png")
    labels = read_labels(_yolo(tmp_path, a="2 0.5 0.5 1 1\n"), pictures, "detect")
    assert labels.vocabulary.names == ("ant", "unused 1", "big cat")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("n.yaml", "train: x\n", "no block names"),
        ("n.yaml", "names:\n  ant\n", "neither '3: name'"),
        ("n.yaml", "names: ant\n", "in one line"),
        ("n.yaml", "names:\n  99999: ant\n", "class indices"),
        ("n.json", "{", "no JSON"),
        ("n.json", "3", "names no classes"),
        ("n.json", "[1]", "no text"),
        ("n.json", '["a", " "]', "class 1 has an empty name"),
        ("n.json", "[]", "names no class"),
        ("n.ini", "", "neither a file"),
    ],
)
def test_names_that_cannot_be_read(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(LabelError, match=message):
        read_labels(f"{_yolo(tmp_path, a='')}@names={tmp_path / name}", _pictures(tmp_path, "a.png"), "detect")


# coco


def _coco(**changes: object) -> dict[str, object]:
    things = [
        {"id": 1, "image_id": 5, "category_id": 9, "bbox": [2, 1, 4, 3], "segmentation": [[0, 0, 10, 0, 10, 10, 0, 10]]},
        {"id": 2, "image_id": 5, "category_id": 3, "bbox": [0, 0, 5, 5], "iscrowd": 1,
         "segmentation": {"size": [10, 20], "counts": [0, 5, 195]}},
    ]  # fmt: skip
    names = ["nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    return {
        "images": [{"id": 5, "file_name": "a.jpg", "width": 20, "height": 10}],
        "categories": [{"id": 9, "name": "person", "keypoints": names}, {"id": 3, "name": "dog"}],
        "annotations": things,
        **changes,
    }


def test_coco_boxes_and_class_maps(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "a.png")
    spelling = f"coco:{_json(tmp_path / 'c.json', _coco())}"
    truth = read_labels(spelling, pictures, "detect").truth(pictures[0])
    assert isinstance(truth, TrueBoxes)
    np.testing.assert_array_equal(truth.corners, [[2, 1, 6, 4], [0, 0, 5, 5]])
    assert truth.classes.tolist() == [1, 0]
    assert truth.crowd.tolist() == [False, True]
    labels = pickle.loads(pickle.dumps(read_labels(f"{spelling}@segment", pictures)))
    assert labels.vocabulary.names == ("background", "dog", "person")
    wanted = np.zeros((10, 20), np.int16)
    wanted[:, :10], wanted[:5, 0] = 2, 1
    np.testing.assert_array_equal(labels.truth(pictures[0]).classes, wanted)


def test_coco_keypoints_of_one_person(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "a.png", "b.png")
    points = [1, 2, 2, 3, 4, 1, 0, 0, 0, 5, 6, 2, 7, 8, 2]
    person = {"image_id": 5, "category_id": 9, "keypoints": points}
    images = [{"id": 5, "file_name": "a.jpg"}, {"id": 6, "file_name": "b.jpg"}]
    spelling = f"coco:{tmp_path / 'c.json'}@pose"
    _json(tmp_path / "c.json", _coco(images=images, annotations=[person, {**person, "image_id": 6}]))
    labels = read_labels(spelling, pictures)
    truth = labels.truth(pictures[0])
    assert isinstance(truth, Joints)
    assert labels.vocabulary.names[1] == "left shoulder"
    assert truth.scores.tolist() == [1, 1, 0, 1, 1]
    assert truth.points[1].tolist() == [3, 4]
    _json(tmp_path / "c.json", _coco(images=images, annotations=[person, *[{**person, "image_id": 6}] * 2]))
    with pytest.raises(LabelError, match=r"1 picture of several people, such as b\.jpg; .* \(--leave-out\)"):
        read_labels(spelling, pictures)
    assert read_labels(spelling, pictures, leave_out=True).left_out == (pictures[1],)


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("detect", {"images": 3}, "'images' is 3; a list"),
        ("detect", {"images": [{"id": 5}]}, "'file_name' is None"),
        ("detect", {"images": [{"id": 5, "file_name": ""}], "annotations": []}, "without a name"),
        ("detect", {"images": [{"id": 5, "file_name": "a"}, {"id": 5, "file_name": "b"}]}, "two images of the id 5"),
        ("detect", {"images": [{"id": 5, "file_name": "a"}, {"id": 6, "file_name": "a"}]}, "two images of the file_name 'a'"),
        ("detect", {"images": [{"id": 5, "file_name": "a.jpg", "width": 0, "height": 10}]}, "0x10 pixels; width and height"),
        ("detect", {"images": [{"id": 5, "file_name": "a.jpg", "width": 20}]}, "'height' is None"),
        ("detect", {"categories": [{"id": 9, "name": " "}], "annotations": []}, "class 0 has an empty name"),
        ("detect", {"categories": []}, "names no class"),
        ("detect", {"categories": [{"id": 1, "name": "a"}]}, "category_id 9"),
        ("detect", {"annotations": [{"image_id": 7}]}, "image 7, which is not among"),
        ("detect", {"annotations": [3]}, "'image_id' is None"),
        ("detect", {"annotations": [{"image_id": 5, "category_id": 9}]}, "4 numbers are wanted"),
        ("detect", {"annotations": [{"image_id": 5, "category_id": 9, "bbox": [0, 0, -1, 2]}]}, "width, height are wanted"),
        ("detect", {"annotations": [{"image_id": 5, "category_id": 9, "bbox": [0, 0, float("nan"), 2]}]}, "no finite number"),
        ("segment", {"annotations": [{"image_id": 5, "category_id": 9}]}, "outlines, or run lengths"),
        ("segment", {"annotations": [{"image_id": 5, "category_id": 9, "segmentation": [[0, 0, 1, 1]]}]}, "three points"),
        ("segment", {"annotations": [{"image_id": 5, "category_id": 9, "segmentation": [[0, 0, 1, 1, 1e9, 5]]}]}, "far outside"),
        ("segment", {"annotations": [{"image_id": 5, "category_id": 9, "segmentation": {"counts": [3, -1]}}]}, "0 or more"),
        ("segment", {"images": [{"id": 5, "file_name": "a.jpg"}]}, "'width' is None"),
        ("pose", {"categories": [{"id": 9, "name": "person"}]}, "0 categories have keypoints"),
        ("pose", {"annotations": [{"image_id": 5, "category_id": 9, "keypoints": [1, 2, 2]}]}, "15 numbers are wanted"),
    ],
)  # fmt: skip
def test_coco_refuses(tmp_path: Path, task: str, changes: dict[str, object], message: str) -> None:
    pictures = _pictures(tmp_path, "a.png")
    _json(tmp_path / "c.json", _coco(**changes))
    with pytest.raises(LabelError, match=message):
        read_labels(f"coco:{tmp_path / 'c.json'}", pictures, task)


@pytest.mark.parametrize("size", [(40, 20), (10, 5), (41, 20)])
def test_coco_labels_are_scaled_with_their_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    """Labels of 20x10 on pictures of another size; 41x20 is what 20.4x10 would be, rounded."""
    pictures = _pictures(tmp_path, "a.png", size=size)
    things = _coco()["annotations"]
    things[0]["keypoints"] = [2, 1, 2, 10, 5, 1, 0, 0, 0, 20, 10, 2, 4, 4, 2]  # type: ignore[index]
    spelling = f"coco:{_json(tmp_path / 'c.json', _coco(annotations=things))}"
    width, height = size
    boxes = read_labels(spelling, pictures, "detect").truth(pictures[0])
    assert isinstance(boxes, TrueBoxes)
    wanted = np.array([[0.1, 0.1, 0.3, 0.4], [0, 0, 0.25, 0.5]]) * (width, height, width, height)
    np.testing.assert_allclose(boxes.corners, wanted, rtol=1e-6)
    joints = read_labels(spelling, pictures, "pose").truth(pictures[0])
    assert isinstance(joints, Joints)
    np.testing.assert_allclose(joints.points[[0, 1, 3]], np.array([[0.1, 0.1], [0.5, 0.5], [1, 1]]) * size, rtol=1e-6)
    classes = read_labels(spelling, pictures, "segment").truth(pictures[0])
    assert isinstance(classes, ClassMap)
    assert classes.classes.shape == (height, width)
    column, row = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    person, dog = column < 0.5, (column < 0.05) & (row < 0.5)  # an outline, and run lengths
    sure = (np.abs(column - 0.5) > 1 / width) & (np.abs(column - 0.05) > 0.4 / width)
    np.testing.assert_array_equal(classes.classes[sure], np.where(dog, 1, np.where(person, 2, 0))[sure])


@pytest.mark.parametrize("task", ["detect", "segment", "pose"])
def test_coco_labels_of_another_shape_are_refused(tmp_path: Path, task: str) -> None:
    pictures = _pictures(tmp_path, "a.png", size=(10, 20))
    things = [
        {"image_id": 5, "category_id": 9, "bbox": [0, 0, 1, 1], "segmentation": [[0, 0, 9, 0, 9, 9]], "keypoints": [1] * 15}
    ]
    spelling = f"coco:{_json(tmp_path / 'c.json', _coco(annotations=things))}"
    with pytest.raises(LabelError, match=r"image 5, .*a\.png: labelled at 20x10, and the picture has 10x20 .*: give the picture"):
        read_labels(spelling, pictures, task)
    pictures[0].write_bytes(b"broken")  # that is for those to say who read the picture
    assert read_labels(spelling, pictures, task).pictures == tuple(pictures)


@pytest.mark.parametrize(("size", "fits"), [((481, 321), True), ((480, 322), False), ((960, 640), True), ((960, 643), False)])
def test_shapes_agree_but_for_the_rounding_of_sides(size: tuple[int, int], fits: bool) -> None:
    if fits:
        np.testing.assert_allclose(fit((480, 320), size, "here").points(np.array([[480.0, 320.0]])), [size])
    else:
        with pytest.raises(LabelError, match="here: labelled at 480x320"):
            fit((480, 320), size, "here")


def test_what_lies_outside_of_the_picture_is_taken_as_pycocotools_takes_it(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "a.png")
    thing = {"image_id": 5, "category_id": 9, "bbox": [-4, 5, 30, 9], "segmentation": [[-4, 5, 26, 5, 26, 14, -4, 14]]}
    spelling = f"coco:{_json(tmp_path / 'c.json', _coco(annotations=[thing]))}"
    boxes, classes = (read_labels(spelling, pictures, task).truth(pictures[0]) for task in ("detect", "segment"))
    assert isinstance(boxes, TrueBoxes)
    assert boxes.corners.tolist() == [[-4, 5, 26, 14]]
    assert isinstance(classes, ClassMap)
    np.testing.assert_array_equal(classes.classes, np.repeat([[0] * 20, [2] * 20], 5, axis=0))


@pytest.mark.parametrize("counts", [[0, 5, 100], [0, 5, 100_000], "oo", "\u00e9"])
def test_run_lengths_of_another_picture_are_refused_when_read(tmp_path: Path, counts: object) -> None:
    pictures = _pictures(tmp_path, "a.png")
    thing = {"image_id": 5, "category_id": 9, "segmentation": {"size": [10, 20], "counts": counts}}
    labels = read_labels(f"coco:{_json(tmp_path / 'c.json', _coco(annotations=[thing]))}@segment", pictures)
    with pytest.raises(LabelError, match="cannot be filled"):
        labels.truth(pictures[0])
    thing["segmentation"] = {"size": [20, 10], "counts": [0, 5, 195]}
    with pytest.raises(LabelError, match=r"run lengths of size \[20, 10\]; \[height, width\] of the image are \[10, 20\]"):
        read_labels(f"coco:{_json(tmp_path / 'c.json', _coco(annotations=[thing]))}@segment", pictures)


def test_large_and_broken_files(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "a.png")
    path = _json(tmp_path / "c.json", _coco())
    with pytest.raises(LimitError):
        read_labels(f"coco:{path}@detect", pictures, limits=Limits(payload_bytes=10))
    with pytest.raises(LimitError):
        read_labels(f"coco:{path}@segment", pictures, limits=Limits(pixels=10))
    for text, message in (("{", "no JSON"), ("[" * 100_000, "no JSON"), ("[]", "'images' is None")):
        path.write_text(text)
        with pytest.raises(LabelError, match=message):
            read_labels(f"coco:{path}@detect", pictures)
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(LabelError, match="UTF-8"):
        read_labels(f"coco:{path}@detect", pictures)
    with pytest.raises(LabelError, match="No such file"):
        read_labels(f"coco:{tmp_path / 'none.json'}@detect", pictures)


# masks


def test_masks(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "a.jpg")
    (tmp_path / "m").mkdir()
    values = np.array([[0, 1, 255], [9, 1, 0]], np.uint8)
    Image.fromarray(values).save(tmp_path / "m" / "a.png")
    (tmp_path / "m" / "classes.txt").write_text("road\nUnlabeled\n")
    labels = read_labels(f"masks:{tmp_path / 'm'}@void=9", pictures)
    with pytest.raises(LabelError, match=r"the value 255; 0\.\.1 are classes and 1, 9 is void"):
        labels.truth(pictures[0])
    values[0, 2] = 0
    image = Image.fromarray(values)
    image.putpalette(list(range(256)) * 3)  # the colours do not count
    image.save(tmp_path / "m" / "a.png")
    truth = labels.truth(pictures[0])
    assert isinstance(truth, ClassMap)
    np.testing.assert_array_equal(truth.classes, [[0, VOID, 0], [VOID, VOID, 0]])


def test_masks_refuse(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "a.jpg")
    (tmp_path / "m").mkdir()
    with pytest.raises(LabelError, match=r"no file ending in \.png"):
        read_labels(f"masks:{tmp_path / 'm'}@names=camvid-11", pictures)
    Image.new("RGB", (3, 2)).save(tmp_path / "m" / "a.png")
    with pytest.raises(LabelError, match="@names=camvid-11"):
        read_labels(f"masks:{tmp_path / 'm'}", pictures)
    with pytest.raises(LabelError, match="is in colour"):
        read_labels(f"masks:{tmp_path / 'm'}@names=camvid-11", pictures).truth(pictures[0])
    (tmp_path / "m" / "a.png").write_bytes(b"not a picture")
    with pytest.raises(LabelError, match="cannot read the mask"):
        read_labels(f"masks:{tmp_path / 'm'}@names=camvid-11", pictures).truth(pictures[0])


# joints


def test_joints(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "a.png")
    values = {"joints": ["neck", "left hip"], "columns": ["x", "y", "visible"], "images": {"a.jpg": [[1, 2, 1], [0, -3, 0]]}}
    spelling = f"joints:{_json(tmp_path / 'j.json', values)}"
    truth = read_labels(spelling, pictures).truth(pictures[0])
    assert isinstance(truth, Joints)
    assert truth.points.tolist() == [[1, 2], [0, -3]]
    assert truth.scores.tolist() == [1, 0]
    for change, message in (
        ({"images": {"a.jpg": [[1, 2, 1]]}}, "each of the 2 joints"),
        ({"images": {"a.jpg": [[1, 2], [1, 2]]}}, "3 numbers are wanted"),
        ({"columns": ["y", "x", "visible"]}, "columns"),
        ({"joints": 3}, "a list is wanted"),
    ):
        _json(tmp_path / "j.json", {**values, **change})
        with pytest.raises(LabelError, match=message):
            read_labels(spelling, pictures)


# in a network's classes


def test_truths_of_a_network(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path, "goldfish/1.png", "tench/2.png")
    labels = read_labels(f"folders:{tmp_path}", pictures)
    truths = NetworkTruths(labels, vocabulary("imagenet-1000"), {pictures[0]: "one", pictures[1]: "two"})
    assert dict(pickle.loads(pickle.dumps(truths))) == {"one": ClassLabel(1), "two": ClassLabel(0)}
    assert truths.get("three") is None
    assert len(truths) == 2
