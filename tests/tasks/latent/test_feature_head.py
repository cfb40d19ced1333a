"""Heads that make a network's tensors: of the tensor's own shape at any stride, by way of a grid that is as fine as they need."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from foveal.tasks.input import InputRecord, place_of
from foveal.tasks.latent import feature_head
from foveal.tasks.latent.cuts import CutTensor
from foveal.tasks.latent.feature_head import GridHead
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
    widths = [down.conv.out_channels for down in head.down if isinstance(down, Normed)]
    assert widths == [16 >> (stride.bit_length() - 4 - at) for at in range(stride.bit_length() - 3)]


@pytest.mark.parametrize("stride", [1, 2])
def test_a_fine_tensor_is_made_from_every_pixel_of_the_input(stride: int) -> None:
    head, (geometry, _) = _head(stride), place_of(70, 100, LETTERBOX)
    assert (head.grid.rows, head.grid.columns, head.grid.stride) == (96, 96, 1)
    assert len(head.down) == stride - 1
    with torch.no_grad():
        assert head(torch.randn(1, 6, 16, 16), geometry).shape == (1, 5, SIDE // stride, SIDE // stride)


@torch.no_grad()
def test_up_to_its_first_strided_filters_a_head_is_linear() -> None:
    head, (geometry, _) = _head(2), place_of(96, 96, LETTERBOX)
    seen = list[Tensor]()
    head.down[0].register_forward_hook(lambda module, given, made: seen.append(made))
    one, other = torch.randn(2, 1, 6, 12, 12)
    for x in (one, other, one + other, torch.zeros_like(one)):
        head(x, geometry)
    assert torch.allclose(seen[0] + seen[1], seen[2] + seen[3], atol=1e-4)
    assert float((seen[0] - seen[3]).abs().max()) > 0.01


def test_features_are_brought_to_more_places_before_they_are_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feature is 8 coded pixels a side, a place of the grid 4 pixels of the network's input; four times for a tensor of a finer stride."""
    asked, lie = list[tuple[object, ...]](), feature_head.lie

    def seen(tensor: CutTensor, geometry: object, size: tuple[int, int], pixels: int, device: torch.device) -> object:
        asked.append((tensor.stride, size, pixels))
        return lie(tensor, geometry, size, pixels, device)  # type: ignore[arg-type]

    monkeypatch.setattr(feature_head, "lie", seen)
    with torch.no_grad():
        for stride in (16, 2):
            _head(stride)(torch.randn(1, 6, 16, 24), place_of(190, 120, LETTERBOX)[0])
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
