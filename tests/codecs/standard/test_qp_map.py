"""A guide as QPs of blocks: fractions by area, few regions, and the true place of each block."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from foveal.codecs.guide import Guide
from foveal.codecs.standard.qp_map import block_offsets, blocks, held, regions_of, shared_out
from foveal.media.color import to_ycbcr


def planes(width: int, height: int):
    return to_ycbcr(np.zeros((height, width, 3), np.uint8), "444")


class TestOffsets:
    def test_an_octave_is_six_qp_and_each_block_has_the_mean_of_its_pixels(self):
        guide = Guide(np.repeat(np.array([[-1, 0, 0.5, 1]], np.float32), 3, 0))
        assert np.allclose(block_offsets(guide, 128, 48, planes(128, 48), 32), [[-6, 0, 3, 6]] * 2)
        assert np.allclose(block_offsets(guide, 128, 48, planes(128, 48), 64), [[-3, 4.5]])

    def test_padding_moves_nothing(self):
        """The map lies over the 33 true pixels, not over the 80 that are coded."""
        guide = Guide(np.array([[-1, 1, 2]], np.float32))
        offsets = block_offsets(guide, 33, 16, planes(80, 32), 11)
        assert np.allclose(offsets, [[-6, 6, 12, 12, 12, 12, 12, 12]] * 3)

    def test_a_flat_guide_is_exactly_flat(self):
        offsets = block_offsets(Guide(np.full((51, 38), -0.92, np.float32)), 134, 31, planes(134, 31), 16)
        assert offsets.shape == blocks(planes(134, 31), 16) == (2, 9)
        assert offsets.min() == offsets.max() == pytest.approx(-5.52)


class TestFractions:
    @pytest.mark.parametrize("share", [0, 0.004, 0.25, 0.5, 0.999])
    def test_equal_blocks_share_it_out_from_the_top(self, share):
        steps = shared_out(np.full((9, 13), 20 + share)).ravel()
        assert steps.tolist() == sorted(steps.tolist(), reverse=True)
        assert steps.sum() == 20 * 117 + round(share * 117)

    def test_no_block_is_a_whole_step_away(self):
        wanted = np.random.default_rng(0).uniform(-30, 60, (17, 23))
        assert np.abs(shared_out(wanted) - wanted).max() < 1

    def test_whole_steps_stay(self):
        wanted = np.random.default_rng(0).integers(-30, 60, (17, 23))
        assert (shared_out(wanted.astype(np.float64)) == wanted).all()


def painted(regions, side: int, rows: int, columns: int):
    """What an encoder makes of regions: of those that overlap the first counts, and what has none is 0."""
    steps = np.zeros((rows * side, columns * side), np.int64)
    for region in reversed(regions):
        steps[region.y : region.y + region.height, region.x : region.x + region.width] = region.offset
    return steps


class TestRegions:
    @pytest.mark.parametrize("levels", [1, 2, 3, 9])
    @pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 1), (11, 6)])
    def test_they_paint_the_map(self, levels, size):
        chance = np.random.default_rng(levels)
        for _ in range(20):
            steps = chance.integers(-1, levels - 1, size)
            regions = regions_of(steps, 4, size[1] * 4, size[0] * 4)
            assert (painted(regions, 4, *size) == np.kron(steps, np.ones((4, 4), np.int64))).all()

    def test_they_end_with_the_picture(self):
        regions = regions_of(np.arange(6).reshape(2, 3), 16, 41, 19)
        assert max(region.x + region.width for region in regions) == 41
        assert max(region.y + region.height for region in regions) == 19

    def test_they_are_few(self):
        steps = np.full((100, 100), 3)
        steps[20:80, 30:60] = 5
        steps[40:50, 30:60] = 7
        assert len(regions_of(steps, 16, 1600, 1600)) == 4  # three parts of the tower, and the ground
        assert regions_of(np.zeros((100, 100), np.int64), 16, 1600, 1600) == ()


class TestHeld:
    def test_it_is_the_stream_nearest_in_size(self):
        found = held(lambda qp: bytes(round(90000 * 2 ** (-qp / 6))), 30, 3000)
        assert abs(len(found) / 3000 - 1) < 0.002

    def test_it_begins_where_it_was(self):
        asked = []
        held(lambda qp: bytes(asked.append(qp) or 1000), 21.5, 1000)
        assert asked == [21.5]

    def test_steps_that_miss_give_the_nearest(self):
        found = held(lambda qp: bytes(1000 if qp < 30 else 500), 30, 900)
        assert len(found) == 1000


def test_a_guide_says_how_far_chroma_may_go():
    guide = Guide(np.zeros((1, 1), np.float32), chroma_octaves=-2)
    assert dataclasses.replace(guide, hold_rate=True).chroma_octaves == -2
