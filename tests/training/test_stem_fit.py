"""Least squares for what is linear of features."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from foveal.tasks.input import InputRecord, place_of
from foveal.tasks.latent.cuts import CutTensor
from foveal.tasks.latent.tensor_heads import StemHead
from foveal.training.stem_fit import Seen, fit_convolution, fit_stem

SIDE = 64
INPUT = InputRecord(fit="letterbox", width=SIDE, height=SIDE, pad=114)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (7, 2)])
@torch.no_grad()
def test_a_convolution_is_found_again(size: int, stride: int) -> None:
    torch.manual_seed(size)
    wanted, found = (nn.Conv2d(3, 5, size, stride, size // 2) for _ in range(2))
    shown = torch.randn(6, 1, 3, 24, 20)
    fit_convolution(found, ((x, wanted(x)) for x in shown))
    assert torch.allclose(found.weight, wanted.weight, atol=1e-3)
    assert found.bias is not None
    assert wanted.bias is not None
    assert torch.allclose(found.bias, wanted.bias, atol=1e-3)


@torch.no_grad()
def test_what_is_hardly_there_gets_no_large_weights() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 1, 1)
    shown = torch.randn(4, 1, 2, 16, 16) * torch.tensor([1.0, 1e-6])[:, None, None]
    fit_convolution(conv, ((x, x[:, :1] + 0.3 * torch.randn(1, 1, 16, 16)) for x in shown))
    assert float(conv.weight[0, 0]) == pytest.approx(1, abs=0.05)
    assert abs(float(conv.weight[0, 1])) < 1


@torch.no_grad()
def test_a_head_is_solved_for_from_pictures_and_what_a_network_makes_of_them() -> None:
    """Features that hold the picture at half its size, mixed; and a network whose first filters are three pixels a side."""
    torch.manual_seed(1)
    mixed, stem = torch.linalg.qr(torch.randn(48, 48))[0], nn.Conv2d(3, 4, 3, 2, 1)
    tensor = CutTensor("t", 4, SIDE // 2, SIDE // 2, 2)
    head = StemHead(48, tensor)

    def seen(height: int, width: int) -> Seen:
        picture = functional.interpolate(torch.rand(1, 3, height // 16, width // 16), (height, width), mode="bicubic")
        features = torch.einsum("oi,nihw->nohw", mixed, functional.pixel_unshuffle(functional.avg_pool2d(picture, 2), 4))
        geometry, _ = place_of(width, height, INPUT)
        top, left = round(geometry.offset_y), round(geometry.offset_x)
        rows, columns = round(height * geometry.scale_y), round(width * geometry.scale_x)
        given = torch.full((1, 3, SIDE, SIDE), 0.4)
        given[:, :, top : top + rows, left : left + columns] = functional.interpolate(picture, (rows, columns), mode="area")
        return Seen(features, picture, stem(given), geometry)

    shown = [seen(*sides) for sides in ((128, 128), (128, 192), (192, 128), (128, 64), (64, 128), (256, 128))]
    made = torch.cat([one.tensor for one in shown])
    head.measured(made.mean((0, 2, 3)), made.std((0, 2, 3)))
    other = seen(128, 192)
    before = float((head(other.features, other.geometry) - head.normal(other.tensor)).square().mean())
    fit_stem(head, shown)
    colours = functional.pixel_shuffle(head.colours(other.features), 4)
    assert float((colours - functional.avg_pool2d(other.picture, 2)).abs().mean()) < 0.01
    after = float((head(other.features, other.geometry) - head.normal(other.tensor)).square().mean())
    assert after < 0.1 < 1 < before
