"""The code that names a class: what it takes and gives, against numbers made another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from foveal.digits.data import Digits
from foveal.digits.label_code import label_code


class Bright(nn.Module):
    """Says the class by the number of bright pixels, which is wrong as often as it likes."""

    def forward(self, x: Tensor) -> Tensor:
        bright = (x > 0.3).flatten(1).float().mean(1)
        return -(bright[:, None] * 12 - torch.arange(10)).square()


class Always(nn.Module):
    """Says 7."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.eye(10)[7].expand(len(x), 10)


def test_it_shows_the_mean_of_what_a_classifier_says_and_pays_a_byte_but_in_the_middle(digits: Digits) -> None:
    found = label_code(digits, Bright(), Always())

    def said(images: np.ndarray) -> np.ndarray:
        return np.clip(np.rint((images > 76.5).mean((1, 2)) * 12), 0, 9).astype(int)

    learned, coded = said(digits.train_images), said(digits.test_images)
    assert len(set(coded)) > 2
    pictures = {label: np.rint(digits.train_images[learned == label].mean(0)) for label in set(learned)}
    back = np.stack([pictures[label] for label in coded])
    assert found.mse == pytest.approx(np.square(back - digits.test_images).mean())
    shares = (np.bincount(learned, minlength=10) + 1) / (len(learned) + 10)
    assert found.ideal_bits == pytest.approx(-np.log2(shares[coded]).mean(), abs=0.01)
    (middle,) = np.flatnonzero((shares.cumsum() > 0.5) & (shares.cumsum() - shares <= 0.5))
    assert found.rate_bits == pytest.approx(8 * (coded != middle).mean())
    assert found.frozen_percent == pytest.approx(100 * (said(back) != digits.test_labels).mean())
    assert found.held_out_percent == 90
