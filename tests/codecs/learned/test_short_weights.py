"""Weights as whole steps: outputs move as far as was stated, and steps are fine where it matters."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call  # pyright: ignore[reportUnknownVariableType]

from foveal.codecs.learned.gdn import GdnConfig, GdnModel
from foveal.codecs.learned.pink_noise import pink_noise
from foveal.codecs.learned.short_weights import PICTURE_ERROR_DB, in_steps_of, short_transforms, shortened, widened
from foveal.codecs.learned.weights import pack_weights


@pytest.fixture
def net() -> nn.Sequential:
    """Two convolutions, the first with outputs of very unequal size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.LeakyReLU(0.1), nn.ConvTranspose2d(16, 4, 4, stride=2))
    with torch.no_grad():
        net[0].weight.mul_(torch.exp2(torch.linspace(-3, 3, 16))[:, None, None, None])
    return net.eval()


def _inputs() -> tuple[Tensor, ...]:
    numbers = torch.Generator().manual_seed(4)
    return torch.randn(4, 8, 24, 24, generator=numbers).split(1)


def _short(net: nn.Module, error: float) -> dict[str, Tensor]:
    return shortened(net.state_dict(), [partial(functional_call, net, args=(x,)) for x in _inputs()], error)


@pytest.mark.parametrize("error", [0.003, 0.03, 0.3])
def test_outputs_move_as_far_as_stated(net: nn.Sequential, error: float) -> None:
    state = {name: t.half().float() for name, t in net.state_dict().items()}  # biases ship so
    x = torch.cat(_inputs())
    with torch.no_grad():
        moved = functional_call(net, widened(_short(net, error)), (x,)) - functional_call(net, state, (x,))
    assert error / 1.3 < float(moved.square().mean().sqrt()) < 1.3 * error


def test_weights_that_went_on_from_others_take_their_steps_and_pack_to_little(net: nn.Sequential) -> None:
    near, old = _short(net, 0.003), widened(_short(net, 0.003))
    numbers = torch.Generator().manual_seed(5)
    new = {name: t + 0.02 * t.std() * torch.randn(t.shape, generator=numbers) for name, t in old.items()}
    short = in_steps_of(near, new)
    assert {name: t.shape for name, t in short.items()} == {name: t.shape for name, t in near.items()}
    for name, t in widened(short).items():
        if t.ndim > 1:
            step = torch.exp2(near[f"{name}.row"].float()[:, None] + near[f"{name}.column"].float())[..., None, None]
            moved = ((t - old[name]) / step).round()
            assert float(((new[name] - t) / step).abs().max()) <= 1.001
            assert not (moved % 2).any()
            assert moved.any()
            assert len(moved.unique()) < len((new[name] / step).round().unique())


@torch.no_grad()
def test_a_row_that_outgrows_its_bytes_gets_larger_steps(net: nn.Sequential) -> None:
    near = _short(net, 0.03)
    new = widened(near)
    name = next(name for name, t in new.items() if t.ndim > 1 and f"{name}.high" not in near)
    new[name][1] *= 300
    new[name][2] += 1e-9
    short = in_steps_of(near, new)
    assert short.keys() == near.keys()
    wider = (short[f"{name}.row"] - near[f"{name}.row"]).tolist()
    assert wider[1] >= 2
    assert not any(wider[:1] + wider[2:])
    away = (widened(short)[name] - new[name]).abs()
    assert float(away[1].max() / new[name][1].abs().max()) < 0.01
    assert torch.equal(short[name][2], near[name][2])


def test_steps_follow_what_goes_in_and_what_becomes_of_it() -> None:
    """Twice as loud an input, or twice as loud a use of an output, asks for half the step."""
    net = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.Conv2d(4, 4, 1, bias=False, groups=4))
    loud, used = torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([8.0, 4.0, 2.0, 1.0])
    net[1].weight.data.copy_(used[:, None, None, None])
    inputs = (torch.randn(64, 4, 16, 16, generator=torch.Generator().manual_seed(1)) * loud[:, None, None]).split(1)
    short = shortened(net.state_dict(), [partial(functional_call, net, args=(x,)) for x in inputs], 1e-3)
    for exponents, factor in ((short["0.weight.column"], loud), (short["0.weight.row"], used)):
        off = exponents.float() + factor.log2()
        assert off.max() - off.min() <= 1  # they are whole


def test_large_weights_take_a_second_byte_and_come_back(net: nn.Sequential) -> None:
    fine, coarse = _short(net, 1e-5), _short(net, 3.0)
    assert "0.weight.high" in fine
    assert not any(name.endswith(".high") for name in coarse)
    assert {t.dtype for name, t in fine.items() if "bias" not in name} == {torch.int8}
    state = net.state_dict()
    assert all((t - state[name]).abs().max() <= 2**-9 * state[name].abs().max() for name, t in widened(fine).items())
    assert widened(fine).keys() == state.keys()


def test_weights_that_nothing_hangs_on_are_kept(net: nn.Sequential) -> None:
    """A part that starts at zero hides what is before it; training on still needs that."""
    nn.init.zeros_(net[2].weight)
    before, after = net.state_dict()["0.weight"], widened(_short(net, 0.001))["0.weight"]
    assert (after - before).square().mean() < 0.05 * before.square().mean()


def test_a_codecs_picture_is_as_near_as_stated_at_less_than_half_the_room() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = GdnModel(GdnConfig(48, 64)).eval()
        model.gains.log_gain.data.add_(3)  # hardly any rounding of latents, which would be another error
    short = short_transforms(model)
    x = pink_noise()[1:2].flip(2)
    with torch.no_grad():
        moved = functional_call(model, widened(short), (x, torch.tensor([95.0])))[1] - model(x, torch.tensor([95.0]))[1]
    assert -10 * math.log10(float(moved.square().mean())) == pytest.approx(PICTURE_ERROR_DB, abs=1.5)
    plain = {name: t.half() for name, t in model.state_dict().items() if name.startswith(("analysis.", "synthesis."))}
    assert len(pack_weights(short)[1]) < 0.5 * len(pack_weights(plain)[1])
