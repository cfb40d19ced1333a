"""Weights on a grid: near what they were, of few values, for each output its own step."""

from __future__ import annotations

import lzma

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from foveal.codecs.learned.short_weights import on_grid, widened


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), parts=st.sampled_from([2, 8, 32]), size=st.sampled_from([1e-3, 0.1, 30.0]))
def test_weights_move_by_half_a_step_at_most(seed: int, parts: int, size: float) -> None:
    chance = torch.Generator().manual_seed(seed)
    x = (torch.randn(6, 5, 3, 3, generator=chance) * size * torch.logspace(-1, 0, 6)[:, None, None, None]).half()
    short = on_grid({"x": x, "bias": x[:, 0, 0, 0]}, parts)
    assert torch.equal(short["bias"], x[:, 0, 0, 0])
    found = widened(short)
    spread = x.float().std((1, 2, 3), correction=0)
    away = (found["x"].float() - x.float()).abs().amax((1, 2, 3))
    assert short["x"].dtype == torch.int8
    assert (away <= spread / parts / 2 + 2.0**-24).all()
    for row, deviation in zip(found["x"].float(), spread, strict=True):
        step = 2.0 ** torch.floor(torch.log2(deviation / parts))
        assert torch.equal((row / step).round() * step, row)
        assert step > deviation / parts / 2


def test_outputs_of_one_value_and_of_none_but_zero_stay() -> None:
    flat = {"same": torch.full((2, 3), 0.5).half(), "zero": torch.zeros(2, 3).half(), "single": torch.tensor([[0.25]]).half()}
    for name, tensor in widened(on_grid(flat, 8)).items():
        assert torch.equal(tensor, flat[name])


def test_they_are_smaller_when_compressed() -> None:
    x = torch.randn(64, 576, generator=torch.Generator().manual_seed(1)).half() * 0.05
    before, after = (len(lzma.compress(save(t))) for t in ({"x": x}, on_grid({"x": x}, 8)))
    assert after < 0.45 * before
