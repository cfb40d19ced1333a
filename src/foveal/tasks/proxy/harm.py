"""How much a codec's error in each place harms a teacher: what the proxy learns to foresee. Ours.

Answers are drawn from the teacher's own beliefs. The error of a block moves the log-likelihood of a draw by its inner product with the
gradient; the mean square of that is, to second order, twice the divergence of the answers. Divided by the error's energy it is the harm
of a unit of squared error there. White noise, which the gradients alone speak of, is not what codecs do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from foveal.codecs.learned.weights import load_weights
from foveal.tasks.builtin import network_card
from foveal.tasks.camvid_segment.network import Segmenter, SegmenterConfig, load_frozen
from foveal.tasks.proxy import TASKS
from foveal.tasks.proxy.crops import Pixels
from foveal.tasks.proxy.onnx_graph import OnnxGraph
from foveal.tasks.proxy.surprise import bernoulli, normal
from foveal.tasks.proxy.teachers import CLASSIFIER, DETECTOR, FACES

GRID: Final = 32
"""Blocks a side of a square."""
_DRAWS: Final = 4
_SURE: Final = 1e-5
_DETECTOR_SIDE, _CLASSIFIER_SIDE, _SEGMENTER_SIDE, _FACE_SIZE = 416, 224, 352, (320, 240)
_PERSON: Final = 5

Grid = npt.NDArray[np.float32]
LogLikelihoods = Callable[[Tensor, torch.Generator], list[Tensor]]
"""For each kind of answer the log-likelihoods of some draws of it ``(draws,)``, up to a constant, given what a network reads."""


@final
class HarmTeachers:
    """The networks of a folder, and the segmenter of road scenes that comes with foveal.

    Raises:
        MissingDependencyError, NetworkError: as ``OnnxGraph``.
    """

    def __init__(self, folder: Path) -> None:
        self._detector = OnnxGraph(folder / DETECTOR, ["output"])
        self._classifier = OnnxGraph(folder / CLASSIFIER, ["out"])
        self._faces = OnnxGraph(folder / FACES, ["scores"])
        card = network_card("camvid-segment")
        sizes: dict[str, Any] = card.config
        self._segmenter: Segmenter = load_frozen(load_weights(card), SegmenterConfig(**sizes))

    def harm(self, square: Pixels, coded: Sequence[Pixels], *, road: bool, seed: int) -> Grid:
        """For each of ``TASKS`` the harm of a unit of error in each of 32x32 blocks: ``(4, 32, 32)``, each of mean 1.

        square: ``(side, side, 3)``; coded: the same after codecs. A task of which nothing can be said, as of segments where there is no
        road, has -1 everywhere.
        """
        chance = torch.Generator().manual_seed(seed)
        energy = np.stack([energy_of(square, other) for other in coded])
        found = {
            "classify": measured_harm(_for_classifier, self._classes, (square, *coded), energy, chance)[:1],
            "segment": measured_harm(_for_segmenter, self._parts, (square, *coded), energy, chance)[:1] if road else [],
        }
        objects, persons = measured_harm(_for_detector, self._objects, (square, *coded), energy, chance)
        (faces,) = measured_harm(_for_faces, self._face, (square, *coded), energy, chance)
        found |= {"detect": [objects], "pose": [persons, faces]}
        return np.stack([_joined(found[task]) for task in TASKS]).astype(np.float32)

    def _objects(self, x: Tensor, chance: torch.Generator) -> list[Tensor]:
        """Of objects: whether there is one, and as likely as that of its class and its box. Then of persons alone."""
        (told,) = self._detector(x)
        boxes, sure = told[0, :, :4], told[0, :, 4:].clamp(_SURE, 1 - _SURE)
        logits, there = sure.logit(), sure[:, :1].detach()
        person = (there * sure[:, _PERSON - 4 : _PERSON - 3].detach()).sqrt()
        objects, persons = list[Tensor](), list[Tensor]()
        for _ in range(_DRAWS):
            drawn, placed = bernoulli(logits, chance), (boxes * normal(boxes, chance)).sum(1, keepdim=True)
            objects.append((drawn[:, :1] + there.sqrt() * (drawn[:, 1:].sum(1, keepdim=True) + placed)).sum())
            persons.append((person * (drawn[:, :1] + drawn[:, _PERSON - 4 : _PERSON - 3] + placed)).sum())
        return [torch.stack(objects), torch.stack(persons)]

    def _classes(self, x: Tensor, chance: torch.Generator) -> list[Tensor]:
        p = self._classifier(x)[0][0].clamp_min(_SURE)
        drawn = torch.multinomial(p.detach(), _DRAWS, replacement=True, generator=chance)
        return [p.log()[drawn]]

    def _face(self, x: Tensor, chance: torch.Generator) -> list[Tensor]:
        logits = self._faces(x)[0][0, :, 1].clamp(_SURE, 1 - _SURE).logit()
        return [torch.stack([bernoulli(logits, chance).sum() for _ in range(_DRAWS)])]

    def _parts(self, x: Tensor, chance: torch.Generator) -> list[Tensor]:
        logs = self._segmenter(x).permute(0, 2, 3, 1).flatten(0, 2).log_softmax(1)
        drawn = torch.multinomial(logs.detach().exp(), _DRAWS, replacement=True, generator=chance)
        return [logs.gather(1, drawn).sum(0)]


def measured_harm(
    read: Callable[[Pixels], Tensor],
    draw: LogLikelihoods,
    squares: Sequence[Pixels],
    energy: npt.NDArray[np.float64],
    chance: torch.Generator,
) -> list[npt.NDArray[np.float64]]:
    """The harm ``(32, 32)`` of a unit of error, the mean over codings, by each kind of answer that ``draw`` gives likelihoods of.

    read: from a square to what the network reads. squares: the picture, then its codings. energy: of their errors, ``(codings, 32, 32)``.
    """
    x = read(squares[0]).requires_grad_(True)
    errors = torch.cat([read(other) for other in squares[1:]]) - x.detach()
    rows, columns = (_cells(side) for side in x.shape[2:])
    out: list[npt.NDArray[np.float64]] = []
    for likelihoods in draw(x, chance):
        total = torch.zeros(len(errors), GRID, GRID)
        for likelihood in likelihoods:
            (slope,) = torch.autograd.grad(likelihood, x, retain_graph=True)
            total += (rows @ (slope * errors).sum(1) @ columns.T).square()
        out.append((total.double().numpy() / energy).mean(0) / len(likelihoods))
    return out


def _joined(kinds: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """The mean of what has a mean of 1 each; -1 without any."""
    brought = [kind / kind.mean() for kind in kinds if kind.mean() > 0]
    return np.mean(brought, 0) if brought else np.full((GRID, GRID), -1.0)


def energy_of(square: Pixels, coded: Pixels) -> npt.NDArray[np.float64]:
    """Mean squared error in each block, and that of rounding."""
    error = np.square(square.astype(np.float32) - coded).sum(2)
    return np.asarray(Image.fromarray(error).resize((GRID, GRID), Image.Resampling.BOX), np.float64) + 0.5


def _cells(side: int) -> Tensor:
    """Which of the blocks each row, or column, of a reading is in: ``(32, side)`` of 0 and 1."""
    return torch.nn.functional.one_hot((torch.arange(side) * GRID) // side, GRID).T.float()


def _resized(square: Pixels, width: int, height: int) -> Tensor:
    image = Image.fromarray(square).resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()


def _for_detector(square: Pixels) -> Tensor:
    return _resized(square, _DETECTOR_SIDE, _DETECTOR_SIDE).flip(1).contiguous()


def _for_classifier(square: Pixels) -> Tensor:
    return _resized(square, _CLASSIFIER_SIDE, _CLASSIFIER_SIDE) / 255


def _for_segmenter(square: Pixels) -> Tensor:
    return _resized(square, _SEGMENTER_SIDE, _SEGMENTER_SIDE) / 255


def _for_faces(square: Pixels) -> Tensor:
    return (_resized(square, *_FACE_SIZE) - 127) / 128
