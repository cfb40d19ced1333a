"""A recipe's heads as one curriculum: whose batches they share, whose turn it is, and what a lesson costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from foveal.tasks.latent.network import LatentConfig, LatentNetwork
from foveal.training.latent_teaching import CodedFeatures, Curriculum, Features, Lesson, Teaching
from latent_networks import SIZES

CPU = torch.device("cpu")
MIXED = torch.autocast("cpu", enabled=False)


@dataclass(frozen=True, eq=False)
class Flat:
    """A gray picture, and the number of its batch."""

    pictures: npt.NDArray[np.uint8]
    number: int


class Grays:
    """Batches of one picture, as bright as its number and the seed; counts those that were made."""

    def __init__(self, summary: str, seed: int) -> None:
        self.summary, self._seed, self.made = summary, seed, list[int]()

    def at(self, number: int) -> Flat:
        self.made.append(number)
        shade = int(np.random.default_rng((self._seed, number)).integers(256))
        return Flat(np.full((1, 64, 64, 3), shade, np.uint8), number)


@final
class Costs(Teaching):
    """A head whose loss is ``each`` times the number of the batch."""

    def __init__(self, head: str, source: Grays, each: float) -> None:
        self.head, self.source, self._each, self.begun = head, source, each, 0

    def begin(self, network: LatentNetwork) -> frozenset[str]:
        self.begun += 1
        return frozenset({f"{self.head}.head"} if self._each > 1 else ())

    def fit(self, network: LatentNetwork, features: CodedFeatures) -> frozenset[str]:
        assert self.begun
        brightness = float(features(torch.full((1, 3, 4, 4), 0.5), torch.tensor([4.0]), 2).mean())
        return frozenset({f"{self.head}.fitted"} if self._each == brightness else ())

    def told(self, shown: Flat) -> tuple[str, int]:
        return self.head, shown.number

    def loss(
        self, network: LatentNetwork, features: Tensor, x: Tensor, told: tuple[str, int], step: int, mixed: torch.autocast
    ) -> Tensor:
        assert told[0] == self.head
        return self._each * told[1] * x.mean() + 1000 * step

    def measure(self, network: LatentNetwork, features: Features, device: torch.device) -> str:
        return f"{self.head}: {self._each:g}"


@pytest.fixture
def sources() -> tuple[Grays, Grays]:
    return Grays("5 scenes", 1), Grays("9 pictures", 2)


@pytest.fixture
def teachings(sources: tuple[Grays, Grays]) -> list[Costs]:
    scenes, pictures = sources
    return [Costs("one", pictures, 1.0), Costs("segment", scenes, 10.0), Costs("two", pictures, 100.0)]


def test_heads_of_one_source_share_its_batches_and_sources_take_turns(
    sources: tuple[Grays, Grays], teachings: list[Costs]
) -> None:
    scenes, pictures = sources
    curriculum = Curriculum(teachings)
    lessons = [curriculum.lesson(number) for number in range(6)]
    assert [list(lesson.answers) for lesson in lessons] == [["one", "two"], ["segment"]] * 3
    assert pictures.made == scenes.made == [0, 1, 2]
    assert [lesson.answers for lesson in lessons[4:]] == [{"one": ("one", 2), "two": ("two", 2)}, {"segment": ("segment", 2)}]
    for lesson, (source, number) in zip(lessons, ((source, n) for n in range(3) for source in (pictures, scenes)), strict=True):
        np.testing.assert_array_equal(lesson.pictures, source.at(number).pictures)
    assert curriculum.summary == "one, two: 9 pictures; segment: 5 scenes"


def test_a_number_decides_a_lesson(teachings: list[Costs]) -> None:
    first, again = Curriculum(teachings), Curriculum(teachings)
    for number in (3, 0, 4):
        one, other = first.lesson(number), again.lesson(number)
        np.testing.assert_array_equal(one.pictures, other.pictures)
        assert one.answers == other.answers
    assert (first.lesson(0).pictures != first.lesson(2).pictures).any()


def test_a_lesson_costs_what_its_heads_do_together(teachings: list[Costs]) -> None:
    network = LatentNetwork(LatentConfig(**SIZES))
    curriculum, x, nothing = Curriculum(teachings), torch.full((1, 3, 4, 4), 0.5), torch.zeros(1)

    def loss(lesson: Lesson, step: int) -> float:
        return float(curriculum.loss(network, nothing, x, lesson, step, MIXED))

    assert loss(curriculum.lesson(6), 0) == pytest.approx(0.5 * 3 * (1 + 100))
    assert loss(curriculum.lesson(7), 0) == pytest.approx(0.5 * 3 * 10)
    assert loss(curriculum.lesson(6), 7) == pytest.approx(0.5 * 3 * (1 + 100) + 2 * 7000)


def test_all_heads_are_begun_and_measured(teachings: list[Costs]) -> None:
    network, curriculum = LatentNetwork(LatentConfig(**SIZES)), Curriculum(teachings)

    def features(x: Tensor, quality: Tensor, bands: int) -> Tensor:
        return x * quality * bands / 4

    assert curriculum.begin(network, features) == {"segment.head", "two.head", "one.fitted"}
    assert [teaching.begun for teaching in teachings] == [1, 1, 1]
    assert curriculum.measure(network, lambda x: x, CPU) == "one: 1, segment: 10, two: 100"
