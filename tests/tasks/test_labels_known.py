"""Data sets that are recognised: by made folders, and by real ones where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.errors import LabelError
from foveal.tasks.labels import NetworkTruths, known_set
from foveal.tasks.results import VOID, ClassLabel, ClassMap, Joints, TrueBoxes
from foveal.tasks.vocabulary import vocabulary


def _picture(path: Path, mode: str = "RGB", color: int | str = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (8, 6), color).save(path)


def test_camvid_and_its_parts(tmp_path: Path) -> None:
    root = tmp_path / "camvid"
    for part, count in (("train", 2), ("test", 3)):
        for number in range(count):
            _picture(root / part / f"{number}.png")
            _picture(root / f"{part}_labels" / f"{number}.png", "L", 11 if number else 3)
    for folder, name, count in ((root, "camvid/test", 3), (root / "train", "camvid/train", 2), (root / "test", "camvid/test", 3)):
        found = known_set(folder)
        assert found is not None
        assert (found.name, len(found.pictures), found.tasks) == (name, count, ("segment",))
        labels = found.labels("segment")
        maps = [labels.truth(picture) for picture in found.pictures]
        assert [int(m.classes.max()) for m in maps if isinstance(m, ClassMap)] == [3, *[VOID] * (count - 1)]
        with pytest.raises(LabelError, match="for segment"):
            found.labels("detect")
    assert known_set(root / "val") is None


def test_other_folders_are_not_recognised(tmp_path: Path) -> None:
    _picture(tmp_path / "photos" / "1.png")
    assert known_set(tmp_path / "photos") is None
    assert known_set(tmp_path / "nothing") is None


def test_real_sets(data_folder: Path) -> None:
    for name, task, count, kind in (
        ("imagenet500", "classify", 500, ClassLabel),
        ("pose", "pose", 600, Joints),
        ("coco", "detect", 128, TrueBoxes),
        ("coco/val2017", "segment", 100, ClassMap),
        ("camvid/val", "segment", 101, ClassMap),
    ):
        found = known_set(data_folder / name)
        assert found is not None
        labels = found.labels(task)
        assert len(labels.pictures) == count
        assert isinstance(labels.truth(labels.pictures[0]), kind)


def test_the_classes_of_real_labels(data_folder: Path) -> None:
    found = known_set(data_folder / "imagenet500")
    assert found is not None
    labels = found.labels("classify")
    assert labels.vocabulary is vocabulary("imagenet-1000")
    assert labels.truth(data_folder / "imagenet500" / "images" / "n01443537.avif") == ClassLabel(1)


def test_outlines_of_coco_agree_with_its_panoptic_masks(data_folder: Path) -> None:
    """Two labels of one picture, read by two readers, each brought to the classes of Pascal VOC."""
    found = known_set(data_folder / "coco/val2017")
    assert found is not None
    voc, outlines = vocabulary("voc-21"), found.labels("segment")
    pictures = outlines.pictures[:12]
    names = {picture: picture.stem for picture in pictures}
    truths = NetworkTruths(outlines, voc, names)
    masks = data_folder / "coco/semantic_segmentation/masks/val2017"
    same, both = 0, 0
    panoptic = vocabulary("coco-panoptic-201")
    to_voc = np.array([voc.index(name) or 0 for name in panoptic.names])
    for picture in pictures:
        truth = truths[picture.stem]
        assert isinstance(truth, ClassMap)
        other = to_voc[np.asarray(Image.open(masks / f"{picture.stem}.png"))]
        same += int(((truth.classes == other) & (other > 0)).sum())
        both += int(((truth.classes > 0) | (other > 0)).sum())
    assert same / both > 0.85


def test_parts_of_a_real_set_that_are_no_folder(data_folder: Path) -> None:
    for name in ("coco/train2017", "coco/images/train2017"):
        found = known_set(data_folder / name)
        assert found is not None
        assert (found.name, found.tasks) == ("coco/train2017", ("detect", "segment"))
    assert known_set(data_folder / "kodak") is None
    assert known_set(data_folder / "coco/test2017") is None
