"""From importance to steps: which blocks get finer, how far, and that the bits are only moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foveal.codecs.guide import SWING, Guide
from foveal.guidance.allocation import Allocation, block_variance
from foveal.guidance.importance import Importance
from foveal.picture import Picture

PLAIN = Allocation(focus=0.5, texture=0, finest=8, coarsest=8)


def noise(rows: int = 64, columns: int = 96, spread: int = 40) -> Picture:
    chance = np.random.default_rng(0)
    return Picture(chance.integers(128 - spread, 128 + spread, (rows, columns, 3), np.uint8))


def halves(left: float, right: float) -> Importance:
    return Importance(np.repeat(np.array([[left, right]], np.float32), 48, 1).repeat(64, 0))


def test_a_step_falls_with_the_root_of_importance() -> None:
    octaves = PLAIN.octaves(halves(4, 1), noise())
    assert octaves.shape == (4, 6)
    assert np.allclose(octaves[:, 3:].mean() - octaves[:, :3].mean(), 0.5 * 0.5 * 2, atol=0.02)
    assert np.allclose(octaves, PLAIN.octaves(halves(8, 2), noise()), atol=1e-6)  # its level says nothing


def test_bits_that_move_away_come_back() -> None:
    """Weighted by what an octave costs in a block, octaves sum to 0: here the flat half costs almost nothing."""
    samples = noise().samples.copy()
    samples[:, :48] = 120
    octaves = PLAIN.octaves(halves(1, 16), Picture(samples))
    assert abs(octaves[:, 3:]).max() < 0.05
    assert octaves[:, :3].min() > 0.9
    even = PLAIN.octaves(halves(1, 16), noise())
    assert even.mean() == pytest.approx(0, abs=0.01)


def test_no_block_moves_further_than_allowed() -> None:
    finest = Allocation(focus=1, texture=0, finest=0.5, coarsest=1.5).octaves(halves(1e-6, 1e6), noise())
    assert (finest.min(), finest.max() <= 1.5) == (-0.5, True)
    coarsest = Allocation(focus=1, texture=0, finest=1.5, coarsest=0.5).octaves(halves(1e-6, 1e6), noise())
    assert (coarsest.min() >= -1.5, coarsest.max()) == (True, 0.5)


def test_texture_takes_less() -> None:
    samples = noise(spread=6).samples.copy()
    samples[:, 48:] = noise(spread=100).samples[:, 48:]
    octaves = Allocation(texture=0.3, finest=8, coarsest=8).octaves(halves(1, 1), Picture(samples))
    assert octaves[:, 3:].min() > octaves[:, :3].max() + 0.2
    assert abs(PLAIN.octaves(halves(1, 1), Picture(samples))).max() < 1e-9


def test_a_guide_is_of_what_serves_machines() -> None:
    allocation = replace(PLAIN, chroma=0.7)
    guide = allocation.guide(halves(1, 2), noise())
    assert guide.octaves.dtype == np.float32
    assert np.allclose(guide.octaves, allocation.octaves(halves(1, 2), noise()), atol=1e-6)
    assert (guide.chroma_octaves, guide.sharp, guide.matrices, guide.hold_rate) == (0.7, False, True, False)


def test_a_drawn_map_moves_steps_by_the_same_law() -> None:
    drawn = PLAIN.drawn(halves(4, 1))
    assert drawn.dtype == np.float32
    octaves = Guide.of_importance(drawn).octaves
    assert octaves[0, -1] - octaves[0, 0] == pytest.approx(0.5, abs=1e-5)
    assert (PLAIN.drawn(Importance(np.ones((2, 2), np.float32))) == 0.5).all()
    ends = PLAIN.drawn(halves(2 ** (SWING / 0.5), 2 ** (-SWING / 0.5)))
    assert np.allclose([ends.min(), ends.max()], [0, 1], atol=1e-6)
    assert set(np.unique(PLAIN.drawn(halves(1e9, 1e-9)))) == {0, 1}


def test_variance_is_that_of_each_block() -> None:
    samples = np.zeros((32, 32, 1), np.uint8)
    samples[:16, ::2, :][:, 8:] = 200
    variance = block_variance(Picture(samples), 2, 2)
    assert np.allclose(variance, [[0, 10000], [0, 0]], atol=0.5)
    assert np.allclose(block_variance(Picture(np.repeat(samples, 3, 2)), 2, 2), variance, atol=0.5)
