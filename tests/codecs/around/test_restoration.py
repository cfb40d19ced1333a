"""The networks of compact-and-restore: how they start, whose gradients flow, and that blocks leave no seams."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from foveal.codecs.around.conditioning import level_of
from foveal.codecs.around.restoration import RestoreConfig, RestoreModel, RestoreNetworks, Turn, doubled, halved
from foveal.codecs.learned import runtime
from foveal.errors import RecipeError
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture

TINY = RestoreConfig(channels=6, blocks=2, compact_channels=4)
TINY_FULL = RestoreConfig(channels=6, blocks=2, full=1)


def _stirred(config: RestoreConfig) -> RestoreModel:
    """A model whose every layer does something."""
    torch.manual_seed(3)
    model = RestoreModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return model


def test_an_untrained_model_halves_and_doubles_without_shift(photo: Picture) -> None:
    networks = RestoreNetworks(TINY, RestoreModel(TINY))
    small = networks.compacted(photo.samples, 50)
    assert small.shape == (128, 128, 3)
    means = photo.samples.reshape(128, 2, 128, 2, 3).mean((1, 3))
    assert np.abs(small - means).mean() < 3
    back = Picture(networks.restored(small, 50, 256, 256))
    shifted = Picture(np.roll(back.samples, 1, axis=1))
    assert psnr_rgb_db(photo, back) > 27
    assert psnr_rgb_db(photo, back) > psnr_rgb_db(photo, shifted) + 1


def test_an_untrained_full_model_changes_nothing(photo: Picture) -> None:
    networks = RestoreNetworks(TINY_FULL, RestoreModel(TINY_FULL))
    odd = np.ascontiguousarray(photo.samples[:33, :51])
    assert (networks.restored(odd, 50, 51, 33) == odd).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 1, 3), (5, 3, 1), (37, 20, 3)])
@pytest.mark.parametrize("config", [TINY, TINY_FULL])
def test_any_size_and_gray(config: RestoreConfig, shape: tuple[int, int, int], photo: Picture) -> None:
    samples = np.ascontiguousarray(photo.samples[: shape[0], : shape[1], : shape[2]])
    networks = RestoreNetworks(config, _stirred(config))
    coded = samples if config.full else networks.compacted(samples, 20)
    assert coded.shape[2] == shape[2]
    restored = networks.restored(coded, 20, shape[1], shape[0])
    assert restored.shape == shape
    assert restored.dtype == np.uint8


@pytest.mark.parametrize("config", [TINY, TINY_FULL])
def test_blocks_leave_no_seams(config: RestoreConfig, photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = RestoreNetworks(config, _stirred(config))
    samples = photo.samples[:200, :230]
    coded = samples if config.full else networks.compacted(samples, 30)
    whole = networks.restored(coded, 30, 230, 200)
    monkeypatch.setattr(runtime, "_BLOCK", 64)
    if not config.full:
        assert np.abs(networks.compacted(samples, 30).astype(int) - coded).max() <= 1
    assert np.abs(networks.restored(coded, 30, 230, 200).astype(int) - whole).max() <= 1


def test_quality_is_heard_within_what_was_trained(photo: Picture) -> None:
    networks = RestoreNetworks(TINY, _stirred(TINY))
    some = photo.samples[:32, :32]
    assert (networks.restored(some, 20, 64, 64) != networks.restored(some, 70, 64, 64)).any()
    assert (networks.restored(some, 95, 64, 64) == networks.restored(some, 100, 64, 64)).all()


@pytest.mark.parametrize(("turn", "learns"), [("restore", "restore."), ("compact", "compact.")])
def test_gradients_reach_the_network_whose_turn_it_is_alone(turn: Turn, learns: str) -> None:
    model, x = _stirred(TINY), torch.rand(2, 3, 32, 32)
    given = list[Tensor]()

    def through(compacted: Tensor) -> Tensor:
        given.append(compacted)
        return compacted

    compacted, restored = model(x, torch.tensor([0.2, 0.8]), through, turn)
    assert given[0] is compacted
    assert compacted.shape == (2, 3, 16, 16)
    restored.square().mean().backward()
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert reached == {name for name, _ in model.named_parameters() if name.startswith(learns)}


def test_filters_keep_what_is_flat() -> None:
    flat = torch.full((1, 3, 8, 6), 0.3)
    assert torch.allclose(halved(flat), torch.full((1, 3, 4, 3), 0.3), atol=1e-6)
    assert torch.allclose(doubled(flat), torch.full((1, 3, 16, 12), 0.3), atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(64, 2), (2, 64), (8, 2), (2, 2), (6, 4)])
def test_halving_is_the_same_lying_and_standing(height: int, width: int) -> None:
    x = torch.linspace(0, 1, height * width).reshape(1, 1, height, width).repeat(1, 3, 1, 1)
    lying = halved(x.transpose(2, 3).contiguous()).transpose(2, 3)
    assert torch.allclose(halved(x), lying, atol=1e-6)
    assert (halved(x).diff(dim=2) > 0).all()


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"full": 2}, {"coarsest": 60, "finest": 50}, {"finest": 101}])
def test_wrong_sizes_are_named(wrong: dict[str, int]) -> None:
    with pytest.raises(RecipeError):
        RestoreConfig(**wrong)


def test_level() -> None:
    assert (level_of(1), level_of(100)) == (0, 1)
