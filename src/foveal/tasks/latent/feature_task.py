"""Third-party networks that answer from latents: a head makes their middle tensors, and the unchanged rest of the network goes on."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from foveal.codecs.learned.frequency.latents import Latents
from foveal.codecs.learned.runtime import inference
from foveal.errors import NetworkError
from foveal.tasks.base import Scoring, Task
from foveal.tasks.input import place_of
from foveal.tasks.latent.cuts import CUTS, Cut
from foveal.tasks.latent.network import LatentNetwork
from foveal.tasks.latent.onnx_parts import open_between, open_tail
from foveal.tasks.latent.running import HEADS, LatentTask, PreparedLatents, ready_latents, trunk_features
from foveal.tasks.latent.weights import LatentCard, load_network
from foveal.tasks.record import RESULTS, Record, shipped_record
from foveal.tasks.results import Result


@final
class LatentFeatureTask(Task[Latents, PreparedLatents]):
    """The tail of a network in an ONNX file, fed by a head of a set of weights.

    head: its name, which is the network's. file: the network, whole. record: what its outputs mean; the one that comes with foveal if
    left out. threads: how many a run may use; one a core for the tail and torch's own choice for the head if left out.

    Raises:
        NetworkError: no such head, another file than it was trained for, or a record of an input of another size.
        MissingDependencyError: onnx or onnxruntime is not installed.
    """

    def __init__(
        self,
        network: LatentNetwork,
        card: LatentCard,
        head: str,
        file: Path,
        record: Record | None = None,
        threads: int | None = None,
    ) -> None:
        self._head = network.feature_head(head)
        known = record or shipped_record(head)
        assert known is not None, f"a record comes with each of {', '.join(CUTS)}"
        _check_size(known, self._head.cut)
        self._between, self._tail = open_between(file, self._head.cut, threads), open_tail(file, self._head.cut, threads)
        self.label, self.card, self.record, self.classes = f"latent:{card.name}:{head}", card, known, known.classes
        self._network, self._threads = network, threads

    @property
    def identity(self) -> str:
        """The id of the weights and the hash of the network."""
        return f"{self.card.id}:{self._head.cut.sha256}"

    @cached_property
    def scoring(self) -> Scoring[Any, Any, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How its results are scored."""
        from foveal.tasks.scorings import scoring

        return scoring(self.record.task, self.classes)

    def prepare(self, source: Latents) -> PreparedLatents:
        """Raises NetworkError: latents of other weights, or of fewer bands, than the head was trained for."""
        return ready_latents(source, self.card, self.label)

    def predict(self, prepared: PreparedLatents) -> Result:
        geometry, _ = place_of(prepared.width, prepared.height, self.record.input)
        with inference(self._threads):
            features = trunk_features(self._network, prepared)
            tensors = self._head.real(self._head(features.shared, geometry, self._between))
        outputs = self._tail.run([np.ascontiguousarray(tensor.numpy()) for tensor in tensors])
        for number, output in enumerate(outputs):
            if np.issubdtype(output.dtype, np.floating) and np.isnan(output).any():
                raise NetworkError(f"{self.label}: output {number} has values that are no numbers (NaN)")
        result = self.record.output.read(outputs, geometry, len(self.classes), self.label)
        assert isinstance(result, RESULTS[self.record.task])
        return result


def _check_size(record: Record, cut: Cut) -> None:
    """Raises NetworkError: the record's input is of another size than the tensors of the cut are for."""
    size = cut.tensors[0].columns * cut.tensors[0].stride, cut.tensors[0].rows * cut.tensors[0].stride
    if (record.input.width, record.input.height) != size:
        raise NetworkError(
            f"the record's [input] is {record.input.width}x{record.input.height}; the head that feeds {cut.network} was trained for {size[0]}x{size[1]}"
        )


def open_head(
    card: LatentCard, head: str, file: Path | None = None, threads: int | None = None
) -> LatentTask | LatentFeatureTask:
    """The task that a head of weights answers. file: the network that goes on, for heads that feed one.

    Raises:
        NetworkError: the weights have no such head, or a file is missing, in excess or another one than the head was trained for.
        UnknownWeightsError: the weights are missing or damaged. MissingDependencyError: onnx or onnxruntime is not installed.
    """
    heads = card.heads.split(",")
    if head not in heads:
        raise NetworkError(f"head {head!r}; {card.name} has {', '.join(heads)}")
    if head in HEADS:
        if file is not None:
            raise NetworkError(f"{file}: the head {head!r} of {card.name} answers by itself; leave the file out")
        return LatentTask(load_network(card), card, head, threads)
    if file is None:
        raise NetworkError(f"the head {head!r} of {card.name} feeds a network: give its file, {head}.onnx")
    return LatentFeatureTask(load_network(card), card, head, file, threads=threads)
