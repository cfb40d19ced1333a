"""Heads that feed third-party networks, taught by the network itself on the picture before it was coded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from foveal.codecs.learned.frequency.transforms import BANDS
from foveal.errors import NetworkError, RecipeError
from foveal.picture import Picture
from foveal.tasks.input import Geometry, prepare
from foveal.tasks.latent.cuts import Cut
from foveal.tasks.latent.network import LatentNetwork, TrunkFeatures
from foveal.tasks.latent.onnx_parts import open_between, open_front, open_tail
from foveal.tasks.latent.tensor_heads import StemHead
from foveal.tasks.record import Record, shipped_record
from foveal.tasks.results import Result, Truth
from foveal.tasks.scorings import scoring
from foveal.training.config import LatentTraining
from foveal.training.feature_answers import TailAnswers
from foveal.training.latent_pictures import Crops, LatentPictures, ScaledCrops, Source, padded_picture
from foveal.training.latent_teaching import CodedFeatures, Features, Teaching, as_pixels
from foveal.training.stem_fit import Seen, fit_stem

_MEASURED: Final = 32
"""Pictures that mean and spread of the tensors are measured on, and what is linear is solved for."""

Maps = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Told:
    """What a network's front says of a batch: a tensor ``(batch, channels, rows, columns)`` of each of the cut's.

    geometry: how the pictures lie in its input.
    """

    geometry: Geometry
    tensors: tuple[Maps, ...]


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """A picture, what the front says of it, and what the whole network answers, taken as the truth."""

    picture: npt.NDArray[np.uint8]
    told: Told
    truth: Truth


@final
class FeatureTeaching(Teaching):
    """The loss is the squared distance of the tensors, in spreads of their channels, and how far the tail's answers are from each other.

    source: crops of ``pictures``. folder: that holds the network's file. record: the network's; the one that comes with foveal if left out.

    Raises:
        NetworkError: the file is missing or another network. MissingDependencyError: onnx or onnxruntime is not installed.
    """

    def __init__(
        self,
        cut: Cut,
        folder: Path,
        pictures: LatentPictures,
        source: ScaledCrops,
        config: LatentTraining,
        record: Record | None = None,
    ) -> None:
        self.head, self.source, self._cut = cut.network, source, cut
        known = record or shipped_record(cut.network)
        if known is None:
            raise RecipeError(f"there is no record of {cut.network}, so what it is given is not known")
        file = folder / f"{cut.network}.onnx"
        self._record, self._pictures = known, pictures
        self._front, self._tail, self._between = open_front(file, cut, 1), open_tail(file, cut, 1), open_between(file, cut, 1)
        self._answers = TailAnswers(file, cut, known) if config.answers else None
        self._qualities = config.coarsest, config.finest
        self._weight, self._answers_from = config.answers, config.answers_from * config.steps

    def begin(self, network: LatentNetwork) -> frozenset[str]:
        network.feature_head(self.head).measured(*self._spread)
        return frozenset()

    @torch.no_grad()
    def fit(self, network: LatentNetwork, features: CodedFeatures) -> frozenset[str]:
        """What the network's first filters give is solved for, over the qualities that are learned, of all bands."""
        fitted = set[str]()
        if self._between is not None:
            return frozenset()  # its first filters are those of other weights
        for number, part in enumerate(network.feature_head(self.head).parts):
            if isinstance(part, StemHead):
                fit_stem(part, list(self._seen(number, features)))
                fitted |= {f"{self.head}.heads.{number}.{name}" for name, _ in part.named_parameters()}
        return frozenset(fitted)

    def _seen(self, number: int, features: CodedFeatures) -> Iterator[Seen]:
        """Some of the training's pictures, coded, and a tensor that the front makes of them before."""
        coarsest, finest = self._qualities
        for source, part in zip(self._some, np.linspace(0, 1, len(self._some)), strict=True):
            told = self._told(source.pixels[None])
            x = as_pixels(padded_picture(source.pixels)[None], torch.device("cpu"))
            quality = coarsest + (finest - coarsest) * float(part)
            yield Seen(
                features(x, torch.tensor([quality]), BANDS).shared, x, torch.from_numpy(told.tensors[number]), told.geometry
            )

    @property
    def _some(self) -> list[Source]:
        sources = self._pictures.training
        return sources[:: max(1, len(sources) // _MEASURED)][:_MEASURED]

    @cached_property
    def _spread(self) -> tuple[list[Tensor], list[Tensor]]:
        """Mean and spread of the channels of each tensor, over some of the training's pictures."""
        told = [self._told(source.pixels[None]).tensors for source in self._some]
        means, spreads = list[Tensor](), list[Tensor]()
        for maps in zip(*told, strict=True):
            values = torch.from_numpy(np.concatenate(maps)).double()
            means.append(values.mean((0, 2, 3)).float())
            spreads.append(values.std((0, 2, 3)).float())
        return means, spreads

    def told(self, shown: Crops) -> Told:
        return self._told(shown.pictures[:, : shown.height, : shown.width])

    def _told(self, pictures: npt.NDArray[np.uint8]) -> Told:
        ready = [prepare(Picture(np.ascontiguousarray(picture)), self._record.input) for picture in pictures]
        rows = [self._front.run([one.batch]) for one in ready]
        tensors = tuple(np.concatenate(maps) for maps in zip(*rows, strict=True))
        for found, wanted in zip(tensors, self._cut.tensors, strict=True):
            if found.shape[1:] != (wanted.channels, wanted.rows, wanted.columns):
                raise NetworkError(
                    f"{wanted.name} of {self.head} is {found.shape[1:]}, where {wanted.channels}, {wanted.rows}, {wanted.columns} was expected"
                )
        return Told(ready[0].geometry, tensors)

    def loss(
        self, network: LatentNetwork, features: TrunkFeatures, x: Tensor, told: Told, step: int, mixed: torch.autocast
    ) -> Tensor:
        head = network.feature_head(self.head)
        with mixed:
            made = [tensor.float() for tensor in head(features.shared, told.geometry, self._between)]
        wanted = [torch.from_numpy(maps).to(x.device) for maps in told.tensors]
        apart = [functional.mse_loss(own, grid.normal(maps)) for own, grid, maps in zip(made, head.parts, wanted, strict=True)]
        loss = torch.stack(apart).mean()
        if self._answers is None or step < self._answers_from:
            return loss
        return loss + self._weight * self._answers.loss(head.real(made), wanted)

    def measure(self, network: LatentNetwork, features: Features, device: torch.device) -> str:
        """The part of the tensors' variance, in percent, that is not explained, and how far the tail's answers agree with the network's own."""
        head = network.feature_head(self.head)
        errors, tallies = list[float](), list[object]()
        score = scoring(self._record.task, self._record.classes)
        for held in self._held_out:
            x = as_pixels(padded_picture(held.picture)[None], device)
            made = [tensor.float() for tensor in head(features(x).shared, held.told.geometry, self._between)]
            wanted = [torch.from_numpy(maps).to(device) for maps in held.told.tensors]
            parts = zip(made, head.parts, wanted, strict=True)
            errors.append(float(np.mean([float((own - grid.normal(maps)).square().mean()) for own, grid, maps in parts])))
            answer = self._answer([tensor.cpu().numpy() for tensor in head.real(made)], held.told.geometry)
            tallies.append(score.tally(answer, held.truth))
        metric, agreed = score.metrics[0], score.scores(tallies)[0]
        return f"{self.head}: {100 * np.mean(errors):.1f} % unexplained, {agreed:.1f} {metric.title} against its own"

    @cached_property
    def _held_out(self) -> list[_HeldOut]:
        """Worked out when it is first asked for."""
        found = list[_HeldOut]()
        score = scoring(self._record.task, self._record.classes)
        for source in self._pictures.held_out:
            told = self._told(source.pixels[None])
            found.append(_HeldOut(source.pixels, told, score.truth_of(self._answer(told.tensors, told.geometry))))
        return found

    def _answer(self, tensors: Sequence[Maps], geometry: Geometry) -> Result:
        outputs = self._tail.run([np.ascontiguousarray(tensor) for tensor in tensors])
        return self._record.output.read(outputs, geometry, len(self._record.classes), self.head)
