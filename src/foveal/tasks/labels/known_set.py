"""Data sets that are recognised by what is in their folder: nothing has to be said of their labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, final

from foveal.errors import LabelError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.tasks.labels.labelled_set import LabelledSet
from foveal.tasks.labels.reading import read_labels

SUFFIXES: Final = (".avif", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm")
CAMVID_VOID: Final = 11


@final
@dataclass(frozen=True)
class KnownSet:
    """name: as reports say it, such as ``camvid/test``. pictures: all, sorted. spellings: by task, how ``read_labels`` is told of its labels."""

    name: str
    pictures: tuple[Path, ...]
    spellings: Mapping[str, str]

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that it has labels for."""
        return tuple(self.spellings)

    def labels(self, task: str, limits: Limits = DEFAULT_LIMITS) -> LabelledSet:
        """The labels for a task; pictures that have none are left out. Raises LabelError: it has none for that task, or as ``read_labels``."""
        if task not in self.spellings:
            raise LabelError(f"{self.name} has no labels for {task}; it has them for {', '.join(self.tasks)}")
        return read_labels(self.spellings[task], self.pictures, task, leave_out=True, limits=limits)


def known_set(folder: Path) -> KnownSet | None:
    """The data set that a folder holds, or a part of it: ``camvid`` (its test part), ``camvid/train``, ``coco`` (val2017), ``coco/train2017``,
    ``imagenet500``, ``pose``; None if it is none of these. The part need not be a folder of its own.
    """
    root = Path(folder)
    for recognise in (partial(_whole, root), partial(_part, root)):
        if (found := recognise()) is not None:
            return found
    return None


def _whole(root: Path) -> KnownSet | None:
    for find in _WHOLE:
        if (found := find(root, None)) is not None:
            return found
    return None


def _part(folder: Path) -> KnownSet | None:
    """``coco/val2017`` as well as ``coco/images/val2017`` and ``pose/images``."""
    above = folder.absolute().parent
    for root in (above, above.parent) if above.name == "images" else (above,):
        for find in _WHOLE:
            if (found := find(root, folder.name)) is not None:
                return found
    if folder.name == "images":
        return _whole(above)
    return None


def _camvid(root: Path, part: str | None) -> KnownSet | None:
    part = part or "test"
    if part not in ("train", "val", "test") or not (root / f"{part}_labels").is_dir() or not (root / part).is_dir():
        return None
    return _set(f"camvid/{part}", root / part, {"segment": f"masks:{root / f'{part}_labels'}@names=camvid-11,void={CAMVID_VOID}"})


def _coco(root: Path, part: str | None) -> KnownSet | None:
    """Outlines, not the panoptic masks, are the truth of segment: they name the classes that networks for objects know."""
    part = part or "val2017"
    boxes, outlines = (root / kind / "labels" / part for kind in ("object_detection", "instance_segmentation"))
    if not boxes.is_dir() or not (root / "images" / part).is_dir():
        return None
    spellings = {"detect": f"yolo:{boxes}@detect"}
    if outlines.is_dir():
        spellings["segment"] = f"yolo:{outlines}@segment"
    return _set(f"coco/{part}", root / "images" / part, spellings)


def _imagenet(root: Path, part: str | None) -> KnownSet | None:
    if part is not None or not all((root / name).is_file() for name in ("labels.csv", "classes.txt")):
        return None
    return _set(root.absolute().name, root / "images", {"classify": f"csv:{root / 'labels.csv'}"})


def _pose(root: Path, part: str | None) -> KnownSet | None:
    if part is not None or not (root / "joints.json").is_file():
        return None
    return _set(root.absolute().name, root / "images", {"pose": f"joints:{root / 'joints.json'}"})


_WHOLE: Final[tuple[Callable[[Path, str | None], KnownSet | None], ...]] = (_camvid, _coco, _imagenet, _pose)


def _set(name: str, folder: Path, spellings: Mapping[str, str]) -> KnownSet | None:
    if not folder.is_dir():
        return None
    pictures = tuple(sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES))
    return KnownSet(name, pictures, spellings) if pictures else None
