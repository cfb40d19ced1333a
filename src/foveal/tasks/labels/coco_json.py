"""COCO JSON: ``images``, ``annotations`` and ``categories`` in one file; boxes, outlines and run lengths, or keypoints.

Positions are in pixels of an image of its ``width`` and ``height``, and are scaled where the picture itself was enlarged or reduced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from foveal.errors import LabelError, LimitError
from foveal.limits import Limits
from foveal.tasks.labels.fit import Fit, fit
from foveal.tasks.labels.labelled_set import LabelledSet, LaterTruth
from foveal.tasks.labels.matching import labelled_set, match_labels
from foveal.tasks.labels.names import from_names
from foveal.tasks.labels.picture_sizes import picture_size
from foveal.tasks.labels.polygons import Region, Regions, polygon, with_background
from foveal.tasks.labels.spelling import LabelSpelling
from foveal.tasks.labels.text_files import member, numbers, read_json
from foveal.tasks.results import Joints, TrueBoxes, Truth
from foveal.tasks.vocabulary import Vocabulary
from foveal.tasks.wording import counted


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

    An image of the file without annotations holds no object. Boxes and keypoints outside of the picture stay as they are, and
    outlines are cut at its border, as by pycocotools. Where detect and pose are not told an image's size, it is the picture's.

    Raises:
        LabelError: the file is broken, names ids that it does not hold, is of pictures of another shape than those that are
            given, or (pose) labels several people in one picture.
    """
    coco = _read(spelled.path, limits)
    if spelled.task == "pose":
        classes, chosen = _joint_names(coco, spelled), _of_one_person(coco, spelled, leave_out)
    else:
        classes, chosen = from_names(spelled.label, tuple(str(category["name"]) for category in coco.categories)), coco.objects
    shift = 0
    if spelled.task == "segment":
        classes, shift = with_background(classes)
    files = {coco.images[number]["file_name"]: number for number in chosen}
    owners = {number: picture for picture, (_, number) in match_labels(files, pictures).items()}
    labels: dict[str, Truth | LaterTruth] = {}
    for number, things in chosen.items():
        image, picture = coco.images[number], owners.get(number)
        fitted = _fit(coco, image, picture, limits, needed=spelled.task == "segment")
        if spelled.task == "segment":
            assert fitted is not None
            labels[image["file_name"]] = _regions(coco, fitted, things, shift, classes)
        elif spelled.task == "pose":
            labels[image["file_name"]] = _joints(coco, things[0], len(classes), fitted)
        else:
            labels[image["file_name"]] = _boxes(coco, things, fitted)
    return labelled_set(spelled.label, spelled.task or "detect", classes, labels, pictures, leave_out=leave_out)


def _of_one_person(coco: _Coco, spelled: LabelSpelling, leave_out: bool) -> dict[int, list[dict[str, Any]]]:
    """The images with one labelled person, and that person."""
    people = {number: [thing for thing in things if _is_person(thing)] for number, things in coco.objects.items()}
    crowded = [coco.images[number]["file_name"] for number, found in people.items() if len(found) > 1]
    if crowded and not leave_out:
        raise LabelError(
            f"{spelled.label}: {counted(len(crowded), 'picture')} of several people, such as {crowded[0]}; leave them out with leave_out (--leave-out)"
        )
    return {number: found for number, found in people.items() if len(found) == 1}


def _fit(coco: _Coco, image: dict[str, Any], picture: Path | None, limits: Limits, *, needed: bool) -> Fit | None:
    """How the image's labels lie on its picture; of an image whose picture is not given, as they are. None: the image has no size."""
    where = f"{coco.path}, image {image['id']}"
    if not needed and image.get("width") is None and image.get("height") is None:
        return None
    made_for = member(image, "width", int, where), member(image, "height", int, where)
    if min(made_for) < 1:
        raise LabelError(f"{where}: {made_for[0]}x{made_for[1]} pixels; width and height of 1 or more are wanted")
    limits.check_size(*made_for)
    try:
        size = made_for if picture is None else picture_size(picture, limits)
    except (LabelError, LimitError):
        size = made_for  # whoever reads the picture is told why it cannot be read
    return fit(made_for, size, f"{where}, {picture}")


def _read(path: Path, limits: Limits) -> _Coco:
    values, where = read_json(path, limits), str(path)
    images: dict[int, dict[str, Any]] = {}
    names: set[str] = set()
    for image in cast("list[Any]", member(values, "images", list, where)):
        number = member(image, "id", int, f"{where}, images")
        name = member(image, "file_name", str, f"{where}, image {number}")
        if number in images or name in names:
            raise LabelError(f"{where}: two images of the {f'id {number}' if number in images else f'file_name {name!r}'}")
        images[number] = image
        names.add(name)
    categories = cast("list[Any]", member(values, "categories", list, where))
    ids = [member(category, "id", int, f"{where}, categories") for category in categories]
    if len(set(ids)) != len(ids):
        raise LabelError(f"{where}: two categories of one id")
    for category in categories:
        member(category, "name", str, f"{where}, category {category['id']}")
    objects: dict[int, list[dict[str, Any]]] = {number: [] for number in images}
    for thing in cast("list[Any]", member(values, "annotations", list, where)):
        number = member(thing, "image_id", int, f"{where}, annotations")
        if number not in images:
            raise LabelError(f"{where}: an annotation of image {number}, which is not among its images")
        objects[number].append(thing)
    indices = {number: index for index, number in enumerate(sorted(ids))}
    return _Coco(path, tuple(sorted(categories, key=lambda category: category["id"])), indices, images, objects)


def _boxes(coco: _Coco, things: Sequence[dict[str, Any]], fitted: Fit | None) -> TrueBoxes:
    boxes = [numbers(thing.get("bbox"), 4, f"{coco.path}: bbox of annotation {thing.get('id')}") for thing in things]
    for box, thing in zip(boxes, things, strict=True):
        if min(box[2:]) < 0:
            raise LabelError(f"{coco.path}: bbox {box} of annotation {thing.get('id')}; x, y, width, height are wanted")
    table = np.array(boxes, np.float64).reshape(-1, 2, 2)
    corners = np.stack([table[:, 0], table[:, 0] + table[:, 1]], axis=1)
    corners = (fitted.points(corners) if fitted else corners).reshape(-1, 4).astype(np.float32)
    classes = np.array([coco.index_of(thing) for thing in things], np.int64)
    return TrueBoxes(corners, classes, np.array([bool(thing.get("iscrowd", 0)) for thing in things], bool))


def _regions(coco: _Coco, fitted: Fit, things: Sequence[dict[str, Any]], shift: int, classes: Vocabulary) -> Regions:
    regions = tuple(_region(coco, thing, shift, fitted) for thing in things)
    return Regions(coco.path, *fitted.size, regions, classes.background or 0, runs_size=fitted.made_for)


def _region(coco: _Coco, thing: dict[str, Any], shift: int, fitted: Fit) -> Region:
    """Outlines further outside than the longer side are refused: they would take long to fill."""
    where, outline, index = (
        f"{coco.path}: segmentation of annotation {thing.get('id')}",
        thing.get("segmentation"),
        coco.index_of(thing),
    )
    if isinstance(outline, dict):
        counts, of = (cast("dict[str, Any]", outline).get(key) for key in ("counts", "size"))
        if of is not None and of != [*reversed(fitted.made_for)]:
            raise LabelError(
                f"{where}: run lengths of size {of!r:.40}; [height, width] of the image are {[*reversed(fitted.made_for)]}"
            )
        if isinstance(counts, str):
            return Region(index + shift, runs=counts)
        runs = tuple(int(count) for count in numbers(counts, None, where))
        if not runs or min(runs) < 0:
            raise LabelError(f"{where}: run lengths are 0 or more")
        return Region(index + shift, runs=runs)
    if not isinstance(outline, list) or not outline:
        raise LabelError(f"{where}: {outline!r:.60}; a list of outlines, or run lengths are wanted")
    parts = [polygon(numbers(part, None, where), where) for part in cast("list[Any]", outline)]
    side = max(fitted.made_for)
    if any(not -side <= value <= 2 * side for part in parts for value in part):
        raise LabelError(f"{where}: an outline far outside of its picture; positions are in pixels")
    scaled = (fitted.points(np.array(part).reshape(-1, 2)).ravel() for part in parts)
    return Region(index + shift, tuple(tuple(part.tolist()) for part in scaled))


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


def _joints(coco: _Coco, thing: dict[str, Any], joints: int, fitted: Fit | None) -> Joints:
    table = np.array(numbers(thing["keypoints"], 3 * joints, f"{coco.path}: keypoints of annotation {thing.get('id')}"))
    points, seen = np.split(table.reshape(joints, 3), [2], axis=1)
    return Joints((fitted.points(points) if fitted else points).astype(np.float32), (seen[:, 0] > 0).astype(np.float32))
