"""The head that tells which things a picture shows, taught by YOLOX's boxes, and by labels where there are some."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import RecipeError
from foveal.picture import Picture
from foveal.tasks.latent.network import LatentNetwork, TrunkFeatures
from foveal.tasks.latent.running import HEADS, in_picture, seen_things
from foveal.tasks.opening import open_task
from foveal.tasks.results import Boxes, TrueBoxes
from foveal.tasks.things import Things, ThingsTally
from foveal.tasks.vocabulary import vocabulary
from foveal.training.config import LatentTraining
from foveal.training.latent_pictures import COCO, Crops, LatentPictures, ScaledCrops, Source, Window, padded_picture
from foveal.training.latent_teaching import Features, Teaching, as_pixels

DETECTOR: Final = "yolox_nano_coco"
_SURE, _UNSURE = 0.3, 0.1
"""A box of the detector counts from the first score on; below the second it is none, and between them nobody knows."""
_LABELS: Final = "coco/object_detection/labels/train2017"
_SHOWN, _HIDDEN = 0.5, 0.1
"""A thing of whose box so much is inside is shown, of less than the second is not; between them nobody knows."""
_LEAST_PIXELS: Final = 12.0
"""The longer side of a thing in the picture that is coded, below which nobody has to know it."""
_PLACE: Final = 32
"""Pixels a side of a place."""
_MIDDLE: Final = 0.7
"""The part of a box's sides, around its centre, in which a thing is taken to be."""
_FILLED: Final = 0.25
"""A place shows a thing of whose middle it holds so much of its own area."""
_UNKNOWN: Final = -1


@dataclass(frozen=True, eq=False)
class Told:
    """Of a batch of pictures, ``width`` x ``height`` without their padding: 1 for things that are shown, 0 for others, -1 where nobody knows,
    int8: of each picture ``(batch, classes)``, and of each of its places ``(batch, classes, height / 32, width / 32)``, rounded up.
    """

    pictures: npt.NDArray[np.int8]
    places: npt.NDArray[np.int8]
    width: int
    height: int


@final
class ThingsTeaching(Teaching):
    """Taught by a detector, and by labels.

    source: crops of ``pictures``. data: the folder in which COCO's labels are looked for. networks: the folder of ``yolox_nano_coco.onnx``.

    Raises:
        NetworkError: the detector's file is missing or cannot be opened. MissingDependencyError: onnxruntime is not installed.
        RecipeError: another number of classes than COCO's.
    """

    head = "things"

    def __init__(self, data: Path, networks: Path, pictures: LatentPictures, source: ScaledCrops, config: LatentTraining) -> None:
        self._classes = len(vocabulary(HEADS[self.head]))
        if (asked := config.model.get("things")) != self._classes:
            raise RecipeError(f"[model] things = {asked}; the detector that teaches it knows {self._classes}")
        self._labels = data / _LABELS
        self._detector = open_task(f"onnx:{networks / DETECTOR}.onnx", threads=1)
        self._pictures, self._known = pictures, dict[Path, TrueBoxes]()
        self.source = source

    def told(self, shown: Crops) -> Told:
        inside = [
            in_window(self._things(self._pictures.training[window.source]), window, shown.width, shown.height)
            for window in shown.windows
        ]
        pictures = np.stack([shown_in(things, self._classes) for things in inside])
        places = np.stack([places_of(things, shown.width, shown.height, self._classes) for things in inside])
        return Told(pictures, places, shown.width, shown.height)

    def loss(
        self, network: LatentNetwork, features: TrunkFeatures, x: Tensor, told: Told, step: int, mixed: torch.autocast
    ) -> Tensor:
        """Cross entropy, summed over the classes, of pictures and of their places."""
        assert network.things is not None
        with mixed:
            places = network.things.places(in_picture(features.shared, told.width, told.height)).float()
        pictures = network.things.of_picture(places)
        return _crossed(pictures, told.pictures) + _crossed(places, told.places)

    def measure(self, network: LatentNetwork, features: Features, device: torch.device) -> str:
        """Mean average precision, in percent, by labels where there are some and by the detector's boxes else."""
        score, tallies = Things(), list[ThingsTally]()
        for source in self._pictures.held_out:
            height, width = source.pixels.shape[:2]
            made = features(as_pixels(padded_picture(source.pixels)[None], device))
            known = self._things(source)
            sure = TrueBoxes(known.corners[~known.crowd], known.classes[~known.crowd], known.crowd[~known.crowd])
            tallies.append(score.tally(seen_things(network, made.shared, width, height), sure))
        return f"things: {score.scores(tallies)[0]:.1f} % mAP"

    def _things(self, source: Source) -> TrueBoxes:
        """What is to be seen in a picture, as ``crowd`` what may be; worked out once, when it is first asked for."""
        if source.path not in self._known:
            self._known[source.path] = self._labelled(source) or self._found(source)
        return self._known[source.path]

    def _labelled(self, source: Source) -> TrueBoxes | None:
        """COCO's own boxes. Lines of its files are class, centre, width and height, in parts of the picture."""
        file = self._labels / f"{source.path.stem}.txt"
        if not source.path.parent.match(COCO) or not file.is_file():
            return None
        height, width = source.pixels.shape[:2]
        try:
            rows = np.array([line.split() for line in file.read_text().splitlines() if line.strip()], np.float64).reshape(-1, 5)
        except ValueError as error:
            raise RecipeError(f"{file}: lines of a class and four numbers are needed: {error}") from error
        middle, half = rows[:, 1:3], rows[:, 3:] / 2
        corners = np.concatenate([middle - half, middle + half], 1) * (width, height, width, height)
        return TrueBoxes(corners.astype(np.float32), rows[:, 0].astype(np.int64), np.zeros(len(rows), bool))

    def _found(self, source: Source) -> TrueBoxes:
        boxes = self._detector.analyze(Picture(source.pixels))
        assert isinstance(boxes, Boxes)
        kept = boxes.scores > _UNSURE
        return TrueBoxes(boxes.corners[kept], boxes.classes[kept], boxes.scores[kept] <= _SURE)


@dataclass(frozen=True, eq=False)
class Inside:
    """Things that lie in a window at least in part, in pixels of the picture that it became: classes ``(n,)``, the part of each that is inside,
    ``corners (n, 4)`` of that part, and whether it is sure that the window shows it.
    """

    classes: npt.NDArray[np.int64]
    corners: npt.NDArray[np.float64]
    sure: npt.NDArray[np.bool_]


def in_window(things: TrueBoxes, window: Window, width: int, height: int) -> Inside:
    """What a window shows that became a picture of ``width`` x ``height`` pixels; things of which hardly anything is inside are left out."""
    x0, y0, x1, y1 = window.box
    whole = (things.corners.astype(np.float64) - (x0, y0, x0, y0)) * np.tile((width / (x1 - x0), height / (y1 - y0)), 2)
    if window.flipped:
        whole = np.stack([width - whole[:, 2], whole[:, 1], width - whole[:, 0], whole[:, 3]], 1)
    inside = np.clip(whole, 0, np.tile((width, height), 2))
    area, held = (np.prod(c[:, 2:] - c[:, :2], axis=1) for c in (whole, inside))
    part = np.divide(held, area, out=np.zeros_like(held), where=area > 0)
    side = (inside[:, 2:] - inside[:, :2]).max(1, initial=0)
    sure = (part >= _SHOWN) & (side >= _LEAST_PIXELS) & ~things.crowd
    some = part >= _HIDDEN
    return Inside(things.classes[some], inside[some], sure[some])


def shown_in(things: Inside, classes: int) -> npt.NDArray[np.int8]:
    """Of each class 1 if a picture shows it, 0 if not, -1 if nobody knows."""
    shown = np.zeros(classes, np.int8)
    shown[things.classes[~things.sure]] = _UNKNOWN
    shown[things.classes[things.sure]] = 1
    return shown


def places_of(things: Inside, width: int, height: int, classes: int) -> npt.NDArray[np.int8]:
    """The same of each place of a picture of ``width`` x ``height`` pixels: a thing is where the middle of its box is, and beside that, as far as
    its box goes, nobody knows.
    """
    places = np.zeros((classes, -(-height // _PLACE), -(-width // _PLACE)), np.int8)
    low, high = things.corners[:, :2], things.corners[:, 2:]
    middle, half = (low + high) / 2, _MIDDLE * (high - low) / 2
    held, filled = _cover(low, high, places.shape[1:]), _cover(middle - half, middle + half, places.shape[1:])
    filled /= np.minimum(1, filled.max((1, 2), keepdims=True, initial=1e-9) / _FILLED)  # a small thing is where most of it is
    for index, touched in zip(things.classes, held > 0, strict=True):
        places[index][touched] = _UNKNOWN
    for index, shown in zip(things.classes[things.sure], filled[things.sure] >= _FILLED * (1 - 1e-9), strict=True):
        places[index][shown] = 1
    return places


def _cover(low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """The part of each place that boxes cover, ``(n, rows, columns)``, of their corners ``(n, 2)`` as x and y in pixels."""

    def along(axis: int, count: int) -> npt.NDArray[np.float64]:
        begin = _PLACE * np.arange(count)
        return np.clip(np.minimum(high[:, axis, None], begin + _PLACE) - np.maximum(low[:, axis, None], begin), 0, None) / _PLACE

    return along(1, shape[0])[:, :, None] * along(0, shape[1])[:, None]


def _crossed(logits: Tensor, told: npt.NDArray[np.int8]) -> Tensor:
    """Cross entropy of logits ``(batch, classes, ...)``, summed over the classes; what nobody knows costs nothing."""
    wanted = torch.from_numpy(told).to(logits.device)
    crossed = functional.binary_cross_entropy_with_logits(logits, wanted.clamp_min(0).float(), reduction="none")
    return (crossed * (wanted != _UNKNOWN)).sum(1).mean()
