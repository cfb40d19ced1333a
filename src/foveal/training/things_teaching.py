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
from foveal.tasks.latent.network import LatentNetwork
from foveal.tasks.latent.running import HEADS, in_picture, seen_things
from foveal.tasks.opening import open_task
from foveal.tasks.results import Boxes, TrueBoxes
from foveal.tasks.things import Things, ThingsTally
from foveal.tasks.vocabulary import vocabulary
from foveal.training.config import LatentTraining
from foveal.training.latent_pictures import COCO, Crops, LatentPictures, ScaledCrops, Source, Window, padded_picture
from foveal.training.latent_teaching import Features, Teaching, as_pixels

DETECTOR: Final = "yolox_nano_coco"
_SURE: Final = 0.3
"""A box of the detector counts from this score on."""
_LABELS: Final = "coco/object_detection/labels/train2017"
_SHOWN, _HIDDEN = 0.5, 0.1
"""A thing of whose box so much is inside is shown, of less than the second is not; between them nobody knows."""
_LEAST_PIXELS: Final = 12.0
"""The longer side of a thing in the picture that is coded, below which nobody has to know it."""


@dataclass(frozen=True, eq=False)
class Told:
    """Of a batch of pictures, ``width`` x ``height`` without their padding: 1 for things that are shown, and whether that is known, each
    ``(batch, classes)``.
    """

    shown: npt.NDArray[np.float32]
    known: npt.NDArray[np.bool_]
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
        rows, known = (np.stack(rows) for rows in zip(*(self._told(w, shown) for w in shown.windows), strict=True))
        return Told(rows, known, shown.width, shown.height)

    def loss(self, network: LatentNetwork, features: Tensor, x: Tensor, told: Told, step: int, mixed: torch.autocast) -> Tensor:
        """Cross entropy, summed over the classes."""
        assert network.things is not None
        shown, known = (torch.from_numpy(rows).to(x.device) for rows in (told.shown, told.known))
        with mixed:
            logits = network.things(in_picture(features, told.width, told.height))
        crossed = functional.binary_cross_entropy_with_logits(logits.float(), shown, reduction="none")
        return (crossed * known).sum(1).mean()

    def measure(self, network: LatentNetwork, features: Features, device: torch.device) -> str:
        """Mean average precision, in percent, by labels where there are some and by the detector's boxes else."""
        score, tallies = Things(), list[ThingsTally]()
        for source in self._pictures.held_out:
            height, width = source.pixels.shape[:2]
            made = features(as_pixels(padded_picture(source.pixels)[None], device))
            tallies.append(score.tally(seen_things(network, made, width, height), self._things(source)))
        return f"things: {score.scores(tallies)[0]:.1f} % mAP"

    def _told(self, window: Window, crops: Crops) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        things = self._things(self._pictures.training[window.source])
        return shown_in(things, window, max(crops.width, crops.height), self._classes)

    def _things(self, source: Source) -> TrueBoxes:
        """What is to be seen in a picture; worked out once, when it is first asked for."""
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
        sure = boxes.scores > _SURE
        return TrueBoxes(boxes.corners[sure], boxes.classes[sure], np.zeros(int(sure.sum()), bool))


def shown_in(
    things: TrueBoxes, window: Window, longest: int, classes: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Of each class 1 if a window shows it, else 0; and whether that is known. longest: pixels of the longer side that the window became."""
    x0, y0, x1, y1 = window.box
    corners = things.corners.astype(np.float64)
    inside = np.clip(corners, (x0, y0, x0, y0), (x1, y1, x1, y1))
    area, held = (np.prod(c[:, 2:] - c[:, :2], axis=1) for c in (corners, inside))
    part = np.divide(held, area, out=np.zeros_like(held), where=area > 0)
    side = (inside[:, 2:] - inside[:, :2]).max(1, initial=0) * longest / max(x1 - x0, y1 - y0)
    shown, known = np.zeros(classes, np.float32), np.ones(classes, bool)
    sure = (part >= _SHOWN) & (side >= _LEAST_PIXELS)
    known[things.classes[(part >= _HIDDEN) & ~sure]] = False
    shown[things.classes[sure]] = 1
    known[things.classes[sure]] = True
    return shown, known
