"""How far the answers of a network's tail are from those that it gives for its own tensors, with gradients to the tensors."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import RecipeError
from foveal.tasks.decode_boxes import OffsetBoxes
from foveal.tasks.decode_scores import Scores
from foveal.tasks.latent.cuts import Cut
from foveal.tasks.latent.onnx_parts import joined_tail
from foveal.tasks.proxy.onnx_graph import OnnxGraph
from foveal.tasks.record import Record

_MOST: Final = 3
"""Of a batch so many pictures go through the tail, one by one, as its file asks for: more would take most of a step's time."""
_LEAST: Final = 1e-7
"""What probabilities are kept above, so that their logarithm is a number."""
_BOX: Final = 0.2
"""What a cell's error in place and size counts, beside its objectness and its class."""


@final
class TailAnswers:
    """The tail in torch. Of class scores it compares the distributions (KL divergence), of YOLOX's cells objectness, class and box, the
    last two as much as there is an object.

    Raises:
        RecipeError: outputs of another form. NetworkError: the file does not fit, or torch cannot run it.
        MissingDependencyError: onnx or onnxruntime is not installed.
    """

    def __init__(self, file: Path, cut: Cut, record: Record) -> None:
        if not isinstance(record.output, Scores | OffsetBoxes):
            raise RecipeError(
                f"answers of {cut.network}: how far apart two of its answers are is not known for {type(record.output).__name__}; leave answers out"
            )
        self._form = record.output
        model, output = joined_tail(file, cut)
        with tempfile.TemporaryDirectory(prefix="foveal-tail-") as folder:
            path = Path(folder, "tail.onnx")
            path.write_bytes(model)
            self._graph = OnnxGraph(path, [output])

    def loss(self, made: Sequence[Tensor], told: Sequence[Tensor]) -> Tensor:
        """The mean over pictures, the first few of a batch. made, told: the tensors of a cut, each ``(batch, channels, rows, columns)``."""
        apart: list[Tensor] = []
        for number in range(min(_MOST, len(made[0]))):
            with torch.no_grad():
                wanted = self._answer(told, number)
            own = self._answer(made, number)
            apart.append(self._classes(own, wanted) if isinstance(self._form, Scores) else _cells(own, wanted))
        return torch.stack(apart).mean()

    def _answer(self, tensors: Sequence[Tensor], number: int) -> Tensor:
        device = tensors[0].device
        flat = torch.cat([tensor[number].flatten() for tensor in tensors])[None]
        return self._graph(flat.cpu())[0].to(device)

    def _classes(self, own: Tensor, wanted: Tensor) -> Tensor:
        form: Any = self._form
        likely = own.flatten().log_softmax(0) if form.logits else own.flatten().clamp_min(_LEAST).log()
        known = wanted.flatten().log_softmax(0) if form.logits else wanted.flatten().clamp_min(_LEAST).log()
        return functional.kl_div(likely, known, reduction="sum", log_target=True)


def _cells(own: Tensor, wanted: Tensor) -> Tensor:
    """Of cells ``(1, cells, 5 + classes)`` as ``OffsetBoxes`` has them."""
    own, wanted = own[0], wanted[0]
    there = wanted[:, 4]
    objects = there.sum() + 1
    likely = own[:, 4:].clamp(_LEAST, 1 - _LEAST)
    crossed = functional.binary_cross_entropy(likely, wanted[:, 4:], reduction="none")
    boxes = functional.smooth_l1_loss(own[:, :4], wanted[:, :4], reduction="none").sum(1)
    return (crossed[:, 0].sum() + (there * (crossed[:, 1:].sum(1) + _BOX * boxes)).sum()) / objects
