"""COCO JSON: ``images``, ``annotations`` and ``categories`` in one file; boxes, outlines and run lengths, or keypoints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from foveal.errors import LabelError
from foveal.limits import Limits
from foveal.tasks.labels.labelled_set import LabelledSet, LaterTruth
from foveal.tasks.labels.matching import labelled_set
from foveal.tasks.labels.names import from_names
from foveal.tasks.labels.polygons import Region, Regions, polygon, with_background
from foveal.tasks.labels.spelling import LabelSpelling
from foveal.tasks.labels.text_files import member, numbers, read_json
from foveal.tasks.results import Joints, TrueBoxes, Truth
from foveal.tasks.vocabulary import Vocabulary


@dataclass(frozen=True)
class _Coco:
    """What the file says. categories: by their ids, indices: class by id; images by id; objects: annotations by image id."""

    path: Path
    categories: tuple[dict[str, Any], ...]
    indices: dict[int, int]
    images: dict[int, dict[str, Any]]
    objects: dict[int, list[dict[str, Any]]]

    def index_of(self, annotation: dict[str, Any]) -> int:
        """The class, by the order of category ids."""
        wanted = annotation.get("category_id")
        if not isinstance(wanted, int) or wanted not in self.indices:
            raise LabelError(
                f"{self.path}: category_id {wanted!r:.40} of an annotation is none of its {len(self.indices)} categories"
            )
        return self.indices[wanted]


def read_coco(spelled: LabelSpelling, pictures: Sequence[Path], leave_out: bool, limits: Limits) -> LabelledSet:
    """For detect boxes, crowds among them; for segment a class map of outlines and run lengths over a background; for pose the keypoints
    of pictures in which one person is labelled. Classes are numbered by the order of the category ids.

    An image of the file without annotations holds no object.

    Raises:
        LabelError: the file is broken, names ids that it does not hold, or (pose) labels several people in one picture.
    """
    coco = _read(spelled.path, limits)
    names = tuple(str(category["name"]) for category in coco.categories)
    labels: dict[str, Truth | LaterTruth] = {}
    crowded: list[str] = []
    if spelled.task == "pose":
        classes = _joint_names(coco, spelled)
        for number, image in coco.images.items():
            people = [_joints(coco, thing, len(classes)) for thing in coco.objects[number] if _is_person(thing)]
            if len(people) == 1:
                labels[image["file_name"]] = people[0]
            elif people:
                crowded.append(image["file_name"])
        if crowded and not leave_out:
            raise LabelError(
                f"{spelled.label}: {len(crowded)} pictures hold several people, such as {crowded[0]}; leave them out with leave_out"
            )
    else:
        classes = from_names(spelled.label, names)
        shift = 0
        if spelled.task == "segment":
            classes, shift = with_background(classes)
        for number, image in coco.images.items():
            things = coco.objects[number]
            labels[image["file_name"]] = (
                _regions(coco, image, things, shift, classes, limits) if spelled.task == "segment" else _boxes(coco, things)
            )
    return labelled_set(spelled.label, spelled.task or "detect", classes, labels, pictures, leave_out=leave_out)


def _read(path: Path, limits: Limits) -> _Coco:
    values, where = read_json(path, limits), str(path)
    images: dict[int, dict[str, Any]] = {}
    for image in cast("list[Any]", member(values, "images", list, where)):
        number = member(image, "id", int, f"{where}, images")
        member(image, "file_name", str, f"{where}, image {number}")
        if number in images:
            raise LabelError(f"{where}: two images of the id {number}")
        images[number] = image
    categories = cast("list[Any]", member(values, "categories", list, where))
    ids = [member(category, "id", int, f"{where}, categories") for category in categories]
    if len(set(ids)) != len(ids):
        raise LabelError(f"{where}: two categories of one id")
    for category in categories:
        member(category, "name", str, f"{where}, category {category['id']}")
    objects: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for thing in cast("list[Any]", member(values, "annotations", list, where)):
        number = member(thing, "image_id", int, f"{where}, annotations")
        if number not in images:
            raise LabelError(f"{where}: an annotation of image {number}, which is not among its images")
        objects[number].append(thing)
    indices = {number: index for index, number in enumerate(sorted(ids))}
    return _Coco(path, tuple(sorted(categories, key=lambda category: category["id"])), indices, images, objects)


def _boxes(coco: _Coco, things: Sequence[dict[str, Any]]) -> TrueBoxes:
    boxes = [numbers(thing.get("bbox"), 4, f"{coco.path}: bbox of annotation {thing.get('id')}") for thing in things]
    for box, thing in zip(boxes, things, strict=True):
        if min(box[2:]) < 0:
            raise LabelError(f"{coco.path}: bbox {box} of annotation {thing.get('id')}; x, y, width, height are wanted")
    table = np.array(boxes, np.float64).reshape(-1, 4)
    corners = np.hstack([table[:, :2], table[:, :2] + table[:, 2:]]).astype(np.float32)
    classes = np.array([coco.index_of(thing) for thing in things], np.int64)
    return TrueBoxes(corners, classes, np.array([bool(thing.get("iscrowd", 0)) for thing in things], bool))


def _regions(
    coco: _Coco, image: dict[str, Any], things: Sequence[dict[str, Any]], shift: int, classes: Vocabulary, limits: Limits
) -> Regions:
    where = f"{coco.path}, image {image['id']}"
    width, height = member(image, "width", int, where), member(image, "height", int, where)
    if min(width, height) < 1:
        raise LabelError(f"{where}: {width}x{height} pixels")
    limits.check_size(width, height)
    regions = tuple(_region(coco, thing, shift, max(width, height)) for thing in things)
    return Regions(coco.path, width, height, regions, classes.background or 0)


def _region(coco: _Coco, thing: dict[str, Any], shift: int, side: int) -> Region:
    """side: outlines further outside than that are refused."""
    where, outline, index = (
        f"{coco.path}: segmentation of annotation {thing.get('id')}",
        thing.get("segmentation"),
        coco.index_of(thing),
    )
    if isinstance(outline, dict):
        counts = cast("dict[str, Any]", outline).get("counts")
        if isinstance(counts, str):
            return Region(index + shift, runs=counts)
        runs = tuple(int(count) for count in numbers(counts, None, where))
        if not runs or min(runs) < 0:
            raise LabelError(f"{where}: run lengths are 0 or more")
        return Region(index + shift, runs=runs)
    if not isinstance(outline, list) or not outline:
        raise LabelError(f"{where}: {outline!r:.60}; a list of outlines, or run lengths are wanted")
    parts = [polygon(numbers(part, None, where), where) for part in cast("list[Any]", outline)]
    if any(not -side <= value <= 2 * side for part in parts for value in part):
        raise LabelError(f"{where}: an outline far outside of its picture; positions are in pixels")
    return Region(index + shift, tuple(parts))


def _joint_names(coco: _Coco, spelled: LabelSpelling) -> Vocabulary:
    named = [category["keypoints"] for category in coco.categories if isinstance(category.get("keypoints"), list)]
    if len(named) != 1:
        raise LabelError(f"{coco.path}: {len(named)} categories have keypoints; one, person, is wanted")
    return from_names(spelled.label, tuple(str(name).replace("_", " ") for name in named[0]))


def _is_person(thing: dict[str, Any]) -> bool:
    """Whether it labels joints: no crowd, and not all of them unlabelled."""
    points = thing.get("keypoints")
    if points is None or thing.get("iscrowd"):
        return False
    return not isinstance(points, list) or any(cast("list[Any]", points)[2::3])


def _joints(coco: _Coco, thing: dict[str, Any], count: int) -> Joints:
    table = np.array(
        numbers(thing["keypoints"], 3 * count, f"{coco.path}: keypoints of annotation {thing.get('id')}"), np.float32
    )
    table = table.reshape(count, 3)
    return Joints(table[:, :2].copy(), (table[:, 2] > 0).astype(np.float32))
