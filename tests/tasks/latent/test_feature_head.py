"""Heads that make a network's tensors: of the tensor's own shape at any stride, by way of a grid that is as fine as they need."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from foveal.tasks.input import InputRecord, place_of
from foveal.tasks.latent import tensor_heads
from foveal.tasks.latent.cuts import Cut, CutTensor
from foveal.tasks.latent.feature_head import FeatureHead
from foveal.tasks.latent.network import LatentConfig, LatentNetwork
from foveal.tasks.latent.tensor_heads import GridHead, StemHead
from foveal.tasks.residual import Normed

SIDE = 96
LETTERBOX = InputRecord(fit="letterbox", width=SIDE, height=SIDE, pad=114)


def _head(stride: int, channels: int = 16) -> GridHead:
    torch.manual_seed(stride)
    return GridHead(
        6, CutTensor("t", 5, SIDE // stride, SIDE // stride, stride), channels=channels, blocks=1, folded=False
    ).eval()


@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_the_tensor_has_its_shape_whatever_its_stride(stride: int) -> None:
    head, (geometry, _) = _head(stride), place_of(70, 100, LETTERBOX)
    with torch.no_grad():
        made = head(torch.randn(2, 6, 16, 16), geometry)
    assert made.shape == (2, 5, SIDE // stride, SIDE // stride)
    assert (head.grid.rows, head.grid.columns, head.grid.stride) == (24, 24, 4)
    widths = [down.conv.out_channels for down in head.down.modules() if isinstance(down, Normed)]
    assert widths == [16 >> (stride.bit_length() - 4 - at) for at in range(stride.bit_length() - 3)]


def _stem(stride: int = 2) -> StemHead:
    torch.manual_seed(stride)
    return StemHead(6, CutTensor("t", 5, SIDE // stride, SIDE // stride, stride)).eval()


def test_a_cut_s_first_filters_are_made_otherwise_than_what_lies_deeper() -> None:
    tensors = tuple(CutTensor("t", 5, SIDE // stride, SIDE // stride, stride) for stride in (2, 4, 16))
    head = FeatureHead(6, Cut("n", "", tensors, 50.0), channels=16, blocks=1, folded=False)
    assert [type(part) for part in head.parts] == [StemHead, GridHead, GridHead]


@pytest.mark.parametrize("stride", [1, 2])
def test_a_stem_is_made_from_every_pixel_of_the_input(stride: int) -> None:
    head, (geometry, _) = _stem(stride), place_of(70, 100, LETTERBOX)
    assert (head.grid.rows, head.grid.columns, head.grid.stride) == (96, 96, 1)
    with torch.no_grad():
        assert head(torch.randn(1, 6, 16, 16), geometry).shape == (1, 5, SIDE // stride, SIDE // stride)


@torch.no_grad()
def test_a_stem_is_linear() -> None:
    head, (geometry, _) = _stem(), place_of(96, 96, LETTERBOX)
    one, other = torch.randn(2, 1, 6, 12, 12)
    made = [head(x, geometry) for x in (one, other, one + other, torch.zeros_like(one))]
    assert torch.allclose(made[0] + made[1], made[2] + made[3], atol=1e-4)
    assert float((made[0] - made[3]).abs().max()) > 0.01


@torch.no_grad()
def test_a_stem_whose_colours_are_known_gives_what_filters_see_of_the_picture_at_half_its_size() -> None:
    """Features that hold the colours of their 4 x 4 places; the picture is laid as the preparation lays it, and its edge is told."""
    small = functional.interpolate(torch.rand(1, 3, 3, 4), (24, 32), mode="bilinear")
    features = functional.pixel_unshuffle(small, 4)
    head = StemHead(48, CutTensor("t", 4, SIDE // 2, SIDE // 2, 2)).eval()
    head.colours.weight.zero_()
    head.colours.weight[:, :, 1, 1] = torch.eye(48)
    assert head.colours.bias is not None
    head.colours.bias.zero_()
    geometry, _ = place_of(64, 48, LETTERBOX)
    laid = head.laid(features, geometry)
    assert laid.shape == (1, 4, SIDE, SIDE)
    offset, height = round(geometry.offset_y), round(48 * geometry.scale_y)
    inside = torch.zeros(SIDE, SIDE)
    inside[offset : offset + height] = 1
    assert torch.equal(laid[0, 3], inside)
    assert float(laid[0, :3, inside == 0].abs().max()) == 0
    back = functional.interpolate(laid[:, :3, offset : offset + height], size=(24, 32), mode="area")
    assert float((back - small).abs().mean()) < 0.03
    assert float((back.flip(3) - small).abs().mean()) > 0.1


def test_features_are_brought_to_more_places_before_they_are_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feature is 8 coded pixels a side, a place of the grid 4 pixels of the network's input; four times for first filters."""
    asked, lie = list[tuple[object, ...]](), tensor_heads.lie

    def seen(tensor: CutTensor, geometry: object, size: tuple[int, int], pixels: int, device: torch.device) -> object:
        asked.append((tensor.stride, size, pixels))
        return lie(tensor, geometry, size, pixels, device)  # type: ignore[arg-type]

    monkeypatch.setattr(tensor_heads, "lie", seen)
    with torch.no_grad():
        for head in (_head(16), _stem()):
            head(torch.randn(1, 6, 16, 24), place_of(190, 120, LETTERBOX)[0])
    assert asked == [(4, (32, 48), 4), (1, (64, 96), 2)]


@pytest.mark.parametrize("stride", [4, 32])
def test_what_changes_in_the_picture_changes_where_it_lies(stride: int) -> None:
    """On the left of the tensor lies what is on the left of the picture; at the finest stride no layer reaches across."""
    head, (geometry, _) = _head(stride), place_of(SIDE, SIDE, LETTERBOX)
    x = torch.randn(1, 6, 12, 12)
    changed = x.clone()
    changed[:, :, :, :1] += 3
    with torch.no_grad():
        apart: Tensor = (head(changed, geometry) - head(x, geometry)).abs().amax((0, 1, 2))
    assert float(apart[0]) > 1e-4
    assert float(apart[-1]) == 0 or stride == 32
    assert float(apart[0]) > float(apart[-1])


def test_a_network_tells_which_weights_were_solved_for() -> None:
    network = LatentNetwork(LatentConfig(segment=11, yolox_nano_coco=4, mobilenet_v2_imagenet=1))
    assert network.solved == [f"yolox_nano_coco.heads.0.{part}.weight" for part in ("colours", "filters")]
    assert set(network.solved) <= network.state_dict().keys()
