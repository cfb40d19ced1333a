"""The segmenter as a network of tasks, and its record."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from foveal.codecs.learned.weights import WeightsCard
from foveal.tasks.camvid_segment.network import Segmenter, SegmenterConfig, full_size, load_frozen
from foveal.tasks.decode_maps import ClassIndices
from foveal.tasks.input import InputRecord
from foveal.tasks.networks.torch_module import TorchNetwork
from foveal.tasks.record import Record
from foveal.tasks.vocabulary import vocabulary

_LONG_SIDE = 2048


@final
class ClassOfEachPixel(nn.Module):
    """The class of each pixel, ``(batch, height, width)`` uint8, of pictures ``(batch, 3, height, width)`` in 0..1."""

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self._segmenter = segmenter

    def forward(self, x: Tensor) -> Tensor:
        """In float32, whatever the caller has set."""
        with torch.autocast(x.device.type, enabled=False):
            logits = self._segmenter(x.contiguous(memory_format=torch.channels_last))
            return full_size(logits, x.shape[2], x.shape[3]).argmax(1).to(torch.uint8)


def open_segmenter(tensors: dict[str, Tensor], card: WeightsCard, threads: int | None) -> tuple[TorchNetwork, Record]:
    """The network of a card's weights, and its record.

    Raises:
        RuntimeError, TypeError: the tensors or the card's sizes are of another network.
    """
    sizes: dict[str, Any] = card.config
    module = ClassOfEachPixel(load_frozen(tensors, SegmenterConfig(**sizes)))
    record = Record(
        task="segment",
        classes=vocabulary("camvid-11"),
        input=InputRecord(fit="scale", long_side=_LONG_SIDE),
        output=ClassIndices(),
        source=f"foveal train recipes/{card.recipe.split(';')[0]}; {card.data}",
        licence=f"{card.licence}; {card.data_terms}",
    )
    return TorchNetwork(module, threads, f"builtin:{card.name}"), record
