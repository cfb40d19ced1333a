"""Features brought to a network's grid: at the right places, by area where they shrink, and nothing outside of the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from foveal.picture import Picture
from foveal.tasks.input import InputRecord, place_of, prepare
from foveal.tasks.latent.cuts import CutTensor
from foveal.tasks.latent.resampling import axis_weights, lie

CPU = torch.device("cpu")
CROP = InputRecord(fit="crop", short_side=256, width=224, height=224)
LETTERBOX = InputRecord(fit="letterbox", width=416, height=416, pad=114)
CENTRED = InputRecord(fit="letterbox", width=416, height=416, place="centre")


def test_weights_by_hand() -> None:
    weights, held = axis_weights(4, 32, 0, 100, 7, 16)  # two samples a cell, the last of which lie outside
    assert held.tolist() == [1, 1, 1, 0.125]
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(weights[1], np.array([0, 1, 3, 3, 1, 0, 0]) / 8)
    enlarged, _ = axis_weights(8, 8, 0, 64, 4, 16)  # half a sample a cell: bilinear between neighbours
    np.testing.assert_allclose(enlarged[2], [0.25, 0.75, 0, 0])
    np.testing.assert_allclose(enlarged[0], [1, 0, 0, 0])  # beyond the middle of the first
    same, _ = axis_weights(4, 16, 0, 64, 6, 16)
    np.testing.assert_allclose(same, np.eye(4, 6))
    outside, held = axis_weights(3, 16, -16, 16, 1, 16)
    assert outside[:, 0].tolist() == held.tolist() == [0, 1, 0]


@pytest.mark.parametrize("record", [CROP, LETTERBOX, CENTRED], ids=["crop", "letterbox", "centred"])
@pytest.mark.parametrize("size", [(640, 480), (375, 500), (300, 90), (200, 130)], ids=str)
def test_places_are_those_of_the_network_s_own_preparation(record: InputRecord, size: tuple[int, int]) -> None:
    """Positions as features come to the grid as the pixels of a picture of positions come to it."""
    width, height = size
    tensor = CutTensor("t", 1, record.height // 16, record.width // 16, 16)
    geometry, _ = place_of(width, height, record)
    h, w = 4 * -(-height // 64), 4 * -(-width // 64)
    down, across = torch.meshgrid(16.0 * torch.arange(h) + 8, 16.0 * torch.arange(w) + 8, indexing="ij")
    lies = lie(tensor, geometry, (h, w), 16, CPU)
    found = lies.of(torch.stack([down, across])[None])[0]

    y, x = np.mgrid[0:height, 0:width]
    ramps = np.stack([x * 255 / width, y * 255 / height, np.full((height, width), 255)], 2).round().astype(np.uint8)
    seen = prepare(Picture(ramps), record).batch[0].reshape(3, tensor.rows, 16, tensor.columns, 16).mean((2, 4))
    inside = lies.held[0, 0].numpy() > 0.999
    assert inside.sum() > 10
    inner = np.zeros_like(inside)
    inner[1:-1, 1:-1] = inside[1:-1, 1:-1] & inside[2:, 1:-1] & inside[:-2, 1:-1] & inside[1:-1, 2:] & inside[1:-1, :-2]
    edge = 8 + 8  # within half a feature of the border, features say where the next middle is
    for ramp, places, side in ((seen[0], found[1], width), (seen[1], found[0], height)):
        error = np.abs(ramp * side - places.numpy())[inner]
        wanted = (ramp * side)[inner]
        free = (wanted > edge + 16) & (wanted < side - edge - 16)
        assert error[free].max(initial=0) < 2.5  # a level of the ramp is as many pixels
    np.testing.assert_array_equal(found[0].numpy()[lies.held[0, 0].numpy() == 0], 0)
    if record is not CROP:
        covered = prepare(Picture(np.full((height, width, 3), 255, np.uint8)), InputRecord(**{**vars(record), "pad": 0}))
        parts = covered.batch[0, 0].reshape(tensor.rows, 16, tensor.columns, 16).mean((1, 3))
        np.testing.assert_allclose(lies.held[0, 0].numpy(), parts, atol=0.05)


def test_what_shrinks_is_averaged() -> None:
    geometry, _ = place_of(1024, 1024, LETTERBOX)
    tensor = CutTensor("t", 1, 13, 13, 32)
    checks = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    lies = lie(tensor, geometry, (64, 64), 16, CPU)
    found = lies.of(checks[None, None].float())
    assert float((found - 0.5).abs().max()) < 0.05
    assert lies.scale.tolist() == pytest.approx([np.log2(1024 / 13) - 4] * 2)


def test_scale_is_told_for_each_side() -> None:
    stretch = InputRecord(fit="stretch", width=224, height=224)
    geometry, _ = place_of(448, 896, stretch)
    scale: Any = lie(CutTensor("t", 1, 14, 14, 16), geometry, (56, 28), 16, CPU).scale
    assert scale.tolist() == [2, 1]
