"""The parts of ``hevc-blocks`` alone: resampling, the map, borders, the choice, networks in blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foveal.codecs.around.blocks.choice import block_sums, filled, least_cost, shared_bits
from foveal.codecs.around.blocks.composed import composed
from foveal.codecs.around.blocks.kinds import FULL, LEARNED, PLAIN, read_kinds, write_kinds
from foveal.codecs.around.blocks.resampling import doubled, halved
from foveal.codecs.around.blocks.upsampling import UpsampleConfig, UpsampleModel, UpsampleNetworks
from foveal.codecs.learned import runtime
from foveal.errors import DamagedError, RecipeError
from foveal.media.color import Matrix, YCbCr
from foveal.picture import Picture

ALL = (FULL, PLAIN, LEARNED)


def test_doubling_keeps_samples_and_reads_waves_between_them() -> None:
    y, x = np.mgrid[0:40, 0:600]
    wave = np.rint(128 + 50 * np.sin(x / 5) + 40 * np.cos(y / 4)).astype(np.uint8)
    back = doubled(wave[::2, ::2], 40, 600)
    assert (back[::2, ::2] == wave[::2, ::2]).all()
    assert np.abs(back.astype(int) - wave)[8:-8, 8:-8].max() <= 1
    step = np.where(np.arange(32) < 16, 0, 64).astype(np.uint8)[None].repeat(8, 0)
    assert doubled(step, 16, 64)[0, 25:40:2].tolist() == [0, 3, 0, 32, 72, 61, 65, 64]  # the taps, by hand, and clipped
    tall = np.random.default_rng(0).integers(0, 256, (600, 9)).astype(np.uint8)  # more than a strip
    assert (doubled(tall, 1200, 18)[500:560] == doubled(tall[240:290], 100, 18)[20:80]).all()


@given(height=st.integers(1, 40), width=st.integers(1, 40))
def test_any_size_is_halved_and_doubled(height: int, width: int) -> None:
    flat = np.full((height, width), 77, np.uint8)
    small = halved(flat)
    assert small.shape == ((height + 1) // 2, (width + 1) // 2)
    assert (small == 77).all()
    assert (doubled(small, height, width) == flat).all()


def test_halving_takes_off_what_half_the_samples_cannot_hold(photo: Picture) -> None:
    plane = photo.samples[:, :, 1]
    checks = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.ptp(halved(checks)[3:-3, 3:-3]) <= 2
    again = doubled(halved(plane), *plane.shape)
    assert (
        np.square(again.astype(float) - plane).mean()
        < np.square(doubled(plane[::2, ::2], *plane.shape).astype(float) - plane).mean()
    )


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([ALL, (PLAIN, LEARNED)]), st.integers(0, 2**32 - 1))
def test_a_map_comes_back(rows: int, columns: int, allowed: tuple[int, ...], seed: int) -> None:
    kinds = np.random.default_rng(seed).choice(allowed, (rows, columns)).astype(np.int32)
    assert (read_kinds(write_kinds(kinds, allowed), rows, columns, allowed) == kinds).all()


def test_a_map_is_small_where_neighbours_are_alike() -> None:
    half = np.zeros((8, 12), np.int32)
    half[:, 5:] = LEARNED
    assert len(write_kinds(half, ALL)) <= 7
    assert len(write_kinds(np.full((8, 12), PLAIN, np.int32), (PLAIN, LEARNED))) <= 3
    noise = np.random.default_rng(0).integers(0, 3, (8, 12)).astype(np.int32)
    assert len(write_kinds(noise, ALL)) > 16
    with pytest.raises(DamagedError):
        read_kinds(write_kinds(noise, ALL), 8, 11, ALL)


def test_borders_between_sizes_are_smoothed_and_no_others() -> None:
    low, high = np.full((128, 192), 100, np.uint8), np.full((128, 192), 108, np.uint8)
    kinds = np.array([[FULL, PLAIN, LEARNED], [FULL, FULL, FULL]], np.int32)
    (out,) = composed((low,), (high,), (high,), kinds, qp=42)
    assert out[10, 60:68].tolist() == [100, 100, 100, 103, 105, 108, 108, 108]
    assert (out[10, 70:] == 108).all()
    assert out[60:68, 150].tolist() == [108, 108, 108, 105, 103, 100, 100, 100]
    assert (out[70:] == 100).all()
    (fine,) = composed((low,), (high,), (high,), kinds, qp=20)
    assert fine[10, 60:68].tolist() == [100, 100, 100, 101, 107, 108, 108, 108]
    chroma = composed(
        (low, low[::2, ::2], low[::2, ::2]), None, (high, high[::2, ::2], high[::2, ::2]), np.minimum(kinds * 2, 2), 42
    )[1]
    assert chroma[5, 29:35].tolist() == [100, 100, 103, 105, 108, 108]


def test_the_choice_weighs_gain_against_borders() -> None:
    gain = np.full((6, 8), -10.0)
    gain[1:4, 2:6] = 12
    gain[5, 0] = 25
    assert (least_cost(gain, 0) == (gain > 0)).all()
    some = least_cost(gain, 8)
    assert some[1:4, 2:6].all()
    assert some.sum() == 12 + (25 > 16)
    assert not least_cost(gain, 40).any()
    assert least_cost(-gain + 8, 40).all()
    rng = np.random.default_rng(3)
    for border in (0.5, 2.0):
        random = rng.normal(size=(3, 4))
        found = least_cost(random, border)
        costs = []
        for number in range(1 << 12):
            half = np.array([number >> i & 1 for i in range(12)], bool).reshape(3, 4)
            edges = (half[1:] != half[:-1]).sum() + (half[:, 1:] != half[:, :-1]).sum()
            costs.append(border * edges - random[half].sum())
        edges = (found[1:] != found[:-1]).sum() + (found[:, 1:] != found[:, :-1]).sum()
        assert border * edges - random[found].sum() <= min(costs) + 1.5


def test_bits_are_shared_out_by_what_blocks_hold(photo: Picture) -> None:
    luma = photo.samples[:130, :200, 1].copy()
    luma[:64, :64] = 90
    bits = shared_bits((luma, luma[::2, ::2], luma[::2, ::2]), 1000, 30, 64)
    assert bits.shape == (3, 4)
    assert bits.sum() == pytest.approx(1000)
    assert bits[0, 0] < 0.02 * bits[1, 1]
    assert block_sums(np.ones((130, 200), np.float32)).tolist() == [[4096] * 3 + [512]] * 2 + [[128] * 3 + [16]]


def test_what_is_left_out_has_the_mean_of_the_rest() -> None:
    plane: npt.NDArray[np.uint8] = np.arange(128 * 128, dtype=np.uint32).reshape(128, 128).astype(np.uint8)
    keep = np.array([[True, False], [False, False]])
    luma, chroma = filled((plane, plane[::2, ::2]), keep, 64)
    assert (luma[:64, :64] == plane[:64, :64]).all()
    assert set(luma[:, 64:].flat) == set(luma[64:].flat) == {round(float(plane[:64, :64].mean()))}
    assert (chroma[:32, :32] == plane[:64:2, :64:2]).all()


def _networks(**sizes: int) -> UpsampleNetworks:
    torch.manual_seed(0)
    model = UpsampleModel(
        UpsampleConfig(**{"luma_channels": 6, "luma_blocks": 1, "chroma_channels": 4, "chroma_blocks": 1} | sizes)
    )
    for net in (model.luma, model.chroma):
        torch.nn.init.normal_(net.tail.weight, std=0.02)
        for block in net.blocks:
            torch.nn.init.normal_(block.get_submodule("scale.second").weight)  # type: ignore[arg-type]
    return UpsampleNetworks(model.eval().requires_grad_(False))


@pytest.mark.parametrize("shape", [(1, 1), (33, 20), (64, 50), (7, 90)])
@pytest.mark.parametrize("gray", [True, False])
def test_networks_add_to_interpolation_at_any_size(shape: tuple[int, int], gray: bool) -> None:
    rows, columns = (-(-side // 2) for side in shape)
    random = np.random.default_rng(0)
    shapes = [shape] if gray else [shape, (rows, columns), (rows, columns)]
    planes = tuple(random.integers(0, 256, (-(-h // 2), -(-w // 2))).astype(np.uint8) for h, w in shapes)
    layer = YCbCr(planes, "400" if gray else "420", Matrix.BT709, True)
    out = _networks().doubled(layer, shapes, 0.3)
    assert [plane.shape for plane in out] == shapes
    other = _networks().doubled(layer, shapes, 0.9)  # beyond the finest, as at it
    assert all((a == b).all() for a, b in zip(other, _networks().doubled(layer, shapes, 0.6), strict=True))


def test_networks_start_as_interpolation_and_blocks_leave_no_seams(photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    model = UpsampleModel(UpsampleConfig(luma_channels=6, chroma_channels=4))
    planes = tuple(photo.samples[: 120 // s, : 100 // s, 0].copy() for s in (1, 2, 2))
    layer, shapes = YCbCr(planes, "420", Matrix.BT709, True), [(240, 200), (120, 100), (120, 100)]
    with torch.no_grad():
        start = UpsampleNetworks(model.eval()).doubled(layer, shapes, 0.2)
    assert all((a == doubled(b, *a.shape)).all() for a, b in zip(start, planes, strict=True))
    whole = _networks().doubled(layer, shapes, 0.2)
    monkeypatch.setattr(runtime, "_BLOCK", 64)
    parts = _networks().doubled(layer, shapes, 0.2)
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(whole, parts, strict=True)) <= 1
    assert any((a != b).any() for a, b in zip(whole, start, strict=True))


@pytest.mark.parametrize("sizes", [{"luma_channels": 0}, {"chroma_blocks": -1}, {"finest": 0.0}, {"coarsest": -0.1}])
def test_wrong_sizes_are_refused(sizes: dict[str, float]) -> None:
    with pytest.raises(RecipeError):
        UpsampleConfig(**sizes)  # type: ignore[arg-type]
