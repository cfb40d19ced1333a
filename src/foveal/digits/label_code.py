"""The simplest code for the machine alone: a file names a class, and its picture is that of the class. Ours.

It stands beside the trained codecs as a point that is certainly in reach, where hardly any bits are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from foveal.digits.coding import table_frequencies
from foveal.digits.data import CLASSES, Digits
from foveal.entropy.short import Bounds, shortest_file
from foveal.entropy.tables import TABLE_BITS, Table

if TYPE_CHECKING:
    from torch import nn


@final
@dataclass(frozen=True)
class LabelCode:
    """Means over the test digits, in the units of ``Row``."""

    rate_bits: float
    ideal_bits: float
    mse: float
    frozen_percent: float
    held_out_percent: float


def label_code(digits: Digits, frozen: nn.Module, held_out: nn.Module) -> LabelCode:
    """Codes each test digit as what the frozen classifier answers, and decodes the mean of the training digits with that answer."""
    from foveal.digits.training import answers, surprise_and_errors

    learned = answers(frozen, digits.train_images)
    counts = np.bincount(learned, minlength=CLASSES)
    total = np.zeros((CLASSES, *digits.train_images.shape[1:]))
    np.add.at(total, learned, digits.train_images)
    pictures = np.rint(total / np.maximum(counts, 1)[:, None, None]).astype(np.uint8)
    frequencies = table_frequencies(counts[None] + 1)[0]
    bounds = Bounds.of(Table(0, frequencies))
    sizes = np.array([len(shortest_file([(label, bounds)])) for label in range(CLASSES)])
    coded = answers(frozen, digits.test_images)
    back = pictures[coded]
    return LabelCode(
        rate_bits=8 * float(sizes[coded].mean()),
        ideal_bits=float((TABLE_BITS - np.log2(frequencies[coded])).mean()),
        mse=float(np.square(back.astype(np.float64) - digits.test_images).mean()),
        frozen_percent=100 * float(surprise_and_errors(frozen, back, digits.test_labels)[1].mean()),
        held_out_percent=100 * float(surprise_and_errors(held_out, back, digits.test_labels)[1].mean()),
    )
