"""What heads that read latents are taught by: pictures, what each head should say of them, and how wrong it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from foveal.tasks.latent.network import LatentNetwork, TrunkFeatures

Features = Callable[[Tensor], TrunkFeatures]
"""From pixels ``(batch, 3, H, W)`` in 0..1, sides multiples of 64, to the trunk's features."""
CodedFeatures = Callable[[Tensor, Tensor, int], TrunkFeatures]
"""The same of pixels, qualities ``(batch,)`` and how many bands."""


class Shown(Protocol):
    """A batch of pictures uint8 ``(batch, H, W, 3)``, and what its source knows of them."""

    @property
    def pictures(self) -> npt.NDArray[np.uint8]: ...


class Source(Protocol):
    """Batches, each decided by its number. summary: how much there is to learn from, for the log."""

    @property
    def summary(self) -> str: ...

    def at(self, number: int) -> Shown: ...


@dataclass(frozen=True, eq=False)
class Lesson:
    """A batch, of which its number decides: pictures uint8 ``(batch, H, W, 3)``, and the answers of each head that learns from them, in the form
    of its teaching.
    """

    number: int
    pictures: npt.NDArray[np.uint8]
    answers: Mapping[str, Any]


class Teaching(ABC):
    """How one head learns. head: its name in the network. source: of its pictures; teachings may share one."""

    head: str
    source: Source

    def begin(self, network: LatentNetwork) -> frozenset[str]:
        """Tells a network with random weights what it has to know before its first step. Returns the parameters that begin as trained ones."""
        return frozenset()

    def fit(self, network: LatentNetwork, features: CodedFeatures) -> frozenset[str]:
        """Solves for what is best a linear map of the features that the trunk makes before its first step. Returns the parameters."""
        return frozenset()

    @abstractmethod
    def told(self, shown: Any) -> Any:
        """The answers to a batch of its source."""

    @abstractmethod
    def loss(
        self, network: LatentNetwork, features: TrunkFeatures, x: Tensor, told: Any, step: int, mixed: torch.autocast
    ) -> Tensor:
        """What a batch costs. x: its pictures in 0..1, ``(batch, 3, H, W)``. told: its answers. mixed: in which networks compute."""

    @abstractmethod
    def measure(self, network: LatentNetwork, features: Features, device: torch.device) -> str:
        """What the head scores on what is held out."""


@final
class Curriculum:
    """All teachings. Their sources take turns; from a batch learn all heads whose source it is."""

    def __init__(self, teachings: Sequence[Teaching]) -> None:
        self.teachings = {teaching.head: teaching for teaching in teachings}
        sources = {id(teaching.source): teaching.source for teaching in teachings}
        self._groups = [(source, [t for t in teachings if t.source is source]) for source in sources.values()]
        self.summary = "; ".join(f"{', '.join(t.head for t in group)}: {source.summary}" for source, group in self._groups)

    def begin(self, network: LatentNetwork, features: CodedFeatures) -> frozenset[str]:
        """Tells heads with random weights what they have to know before the first step, of a trunk that has begun. Returns the parameters
        that begin as trained ones.
        """
        known = [teaching.begin(network) | teaching.fit(network, features) for teaching in self.teachings.values()]
        return frozenset[str]().union(*known)

    def lesson(self, number: int) -> Lesson:
        """A batch; its number and the seeds of the sources alone decide which."""
        turns, turn = divmod(number, len(self._groups))
        source, group = self._groups[turn]
        shown = source.at(turns)
        return Lesson(number, shown.pictures, {teaching.head: teaching.told(shown) for teaching in group})

    def loss(
        self, network: LatentNetwork, features: TrunkFeatures, x: Tensor, lesson: Lesson, step: int, mixed: torch.autocast
    ) -> Tensor:
        """What a lesson costs: the sum over its heads."""
        parts = [self.teachings[head].loss(network, features, x, told, step, mixed) for head, told in lesson.answers.items()]
        return torch.stack(parts).sum()

    @torch.no_grad()
    def measure_at(
        self,
        places: Sequence[tuple[float, int]],
        network: LatentNetwork,
        features: CodedFeatures,
        device: torch.device,
    ) -> str:
        """What each head scores at some qualities, of some bands."""

        def told(quality: float, bands: int) -> str:
            scores = self.measure(network, lambda x: features(x, torch.full((len(x),), quality, device=x.device), bands), device)
            return f"quality {quality:.0f}, {bands} band{'s' * (bands > 1)}: {scores}"

        return "; ".join(told(*place) for place in places)

    def measure(self, network: LatentNetwork, features: Features, device: torch.device) -> str:
        """What each head scores on what is held out."""
        return ", ".join(teaching.measure(network, features, device) for teaching in self.teachings.values())


def as_pixels(pictures: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """Pictures ``(batch, H, W, 3)`` as ``(batch, 3, H, W)`` in 0..1, channels_last."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).to(device).permute(0, 3, 1, 2).float() / 255
    return x.contiguous(memory_format=torch.channels_last)
