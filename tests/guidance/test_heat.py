"""Importance as a picture for a person."""

from __future__ import annotations

import numpy as np
import pytest

from foveal.guidance.heat import OCTAVES, colors_of, draw_importance
from foveal.guidance.importance import Importance
from foveal.picture import Picture

LUMA = np.array([0.299, 0.587, 0.114])


def test_colours_get_lighter_from_end_to_end() -> None:
    luma = colors_of(np.linspace(0, 1, 50)) @ LUMA
    assert (np.diff(luma) > 1.5).all()


def test_the_picture_lies_under_colours_of_the_logarithm() -> None:
    gray = Picture(np.full((480, 640, 1), 128, np.uint8))
    score = np.repeat(2.0 ** np.linspace(-6, 6, 64, dtype=np.float32)[None], 48, 0)
    drawn = draw_importance(gray, Importance(score), ("detect",)).samples
    assert drawn.shape[1] == 640
    assert drawn.shape[0] > 480
    row = drawn[8].astype(float) @ LUMA
    assert row[600] - row[10] > 80
    ends = 640 * (6 - OCTAVES) / 12
    assert np.ptp(row[: int(ends) - 12]) < 2
    steps = np.diff(row[int(ends) + 12 : 316 : 8])
    assert (steps > 0).all()


def test_the_blocks_of_interest_are_outlined() -> None:
    score = np.ones((480, 480), np.float32)
    score[96:112, 160:192] = 9
    drawn = (
        draw_importance(Picture(np.full((480, 480, 3), 100, np.uint8)), Importance(score), ("detect",)).samples[:480].astype(int)
    )
    cyan = (drawn[:, :, 2] > 240) & (drawn[:, :, 0] < 120)
    rows, columns = np.flatnonzero(cyan.any(1)), np.flatnonzero(cyan.any(0))
    assert (rows.min(), rows.max()) == (96, 111)
    assert (columns.min(), columns.max()) == (160, 191)
    assert not cyan[100:108, 164:188].any()


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 900, 1), (700, 9, 3), (33, 47, 3)])
def test_pictures_of_any_size_are_drawn(shape: tuple[int, int, int]) -> None:
    samples = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    score = np.random.default_rng(1).random((shape[0], min(shape[1], 384))).astype(np.float32) + 0.01
    drawn = draw_importance(Picture(samples), Importance(score), ("classify", "detect", "segment", "pose"))
    assert drawn.height > max(480 * shape[0] // max(shape[:2]), 1)
    assert drawn.samples.shape[2] == 3
