"""Tasks that read pictures."""

from __future__ import annotations

from functools import cached_property
from typing import Any, final

import numpy as np

from foveal.errors import NetworkError
from foveal.picture import Picture
from foveal.tasks.base import Scoring, Task
from foveal.tasks.input import Prepared, prepare
from foveal.tasks.networks.base import Network, check_declared
from foveal.tasks.record import RESULTS, Record
from foveal.tasks.results import Result


@final
class PixelTask(Task[Picture, Prepared]):
    """A network that reads a picture of any size. Gray becomes three equal channels; alpha is left out, and so is an ICC profile.

    record: what the network is given and says; its ``task`` names the scoring.

    Raises:
        NetworkError: the network declares another input than the record.
    """

    def __init__(self, network: Network, record: Record, label: str) -> None:
        check_declared(network.declared, record.input.shape, record.input.type, label)
        self.label, self.record, self.classes = label, record, record.classes
        self._network = network

    @property
    def identity(self) -> str:
        """A hash of the network itself, without its record; another one where its numbers change."""
        return self._network.identity

    @cached_property
    def scoring(self) -> Scoring[Any, Any, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How its results are scored; made when first asked for, since not every set of joints that can be shown can be scored."""
        from foveal.tasks.scorings import scoring

        return scoring(self.record.task, self.classes)

    def prepare(self, source: Picture) -> Prepared:
        return prepare(source, self.record.input)

    def predict(self, prepared: Prepared) -> Result:
        outputs = self._network.run(prepared.batch)
        for number, output in enumerate(outputs):
            if np.issubdtype(output.dtype, np.floating) and np.isnan(output).any():
                raise NetworkError(f"{self.label}: output {number} has values that are no numbers (NaN)")
        result = self.record.output.read(outputs, prepared.geometry, len(self.classes), self.label)
        assert isinstance(result, RESULTS[self.record.task])
        return result
