"""Weights told apart from others: nothing is lost, and steps of any size are predicted from those of the base."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from foveal.codecs.learned.weights_difference import put_together, told_apart


def _short(seed: int, *, high: bool, exponent: int, rows: int = 3) -> dict[str, Tensor]:
    """A tensor in steps, an exact layer, floats, and something of its own."""
    numbers = torch.Generator().manual_seed(seed)

    def drawn(low: int, end: int, *sides: int) -> Tensor:
        return torch.randint(low, end, sides, generator=numbers).to(torch.int8)

    tensors = {
        "a.weight": drawn(-128, 128, rows, 4, 2, 2),
        "a.weight.row": drawn(exponent - 2, exponent + 3, rows),
        "a.weight.column": drawn(-2, 3, 4),
        "b.weight": drawn(-127, 128, 4, 2, 1, 1),
        "b.shift": drawn(1, 12, 4),
        "b.bias": torch.randint(-999, 999, (4,), generator=numbers, dtype=torch.int32),
        "c": torch.randn(5, generator=numbers).half(),
    }
    return tensors | ({"a.weight.high": drawn(-127, 128, rows, 4, 2, 2)} if high else {})


@given(st.integers(0, 99), st.booleans(), st.booleans(), st.integers(-90, 90), st.integers(-90, 90), st.integers(2, 3))
def test_nothing_is_lost(seed: int, high: bool, other_high: bool, exponent: int, other_exponent: int, rows: int) -> None:
    own = save(_short(seed, high=high, exponent=exponent))
    base = save(_short(seed + 1, high=other_high, exponent=other_exponent, rows=rows) | {"d": torch.ones(1)})
    stored = told_apart(own, base)
    assert len(stored) == len(own)
    assert put_together(stored, base) == own


def test_the_same_weights_in_other_steps_are_nearly_nothing() -> None:
    steps = torch.arange(-60, 60).reshape(3, 4, 5, 2)
    base = {"w": steps.to(torch.int8), "w.row": torch.zeros(3, dtype=torch.int8), "w.column": torch.zeros(4, dtype=torch.int8)}
    finer = 8 * steps  # rows an eighth as large, which take a byte more
    own = {
        "w": ((finer + 128) % 256 - 128).to(torch.int8),
        "w.high": torch.div(finer + 128, 256, rounding_mode="floor").to(torch.int8),
        "w.row": torch.full((3,), -1, dtype=torch.int8),
        "w.column": torch.full((4,), -2, dtype=torch.int8),
    }
    left = load(told_apart(save(own), save(base)))
    assert not left["w"].any()
    assert not left["w.high"].any()
    own["w"][1, 2] += 1
    left = load(told_apart(save(own), save(base)))
    assert int((left["w"] != 0).sum()) == 10
    exact = {"l.weight": torch.full((2, 2, 1, 1), 40, dtype=torch.int8), "l.shift": torch.tensor([5, 6], dtype=torch.int8)}
    other = {"l.weight": torch.full((2, 2, 1, 1), 80, dtype=torch.int8), "l.shift": torch.tensor([6, 7], dtype=torch.int8)}
    assert not load(told_apart(save(exact), save(other)))["l.weight"].any()


@pytest.mark.parametrize("broken", [b"", b"\x05\0\0\0\0\0\0\0{", (9).to_bytes(8, "little") + json.dumps([1, 2, 3]).encode()])
def test_what_is_no_safetensors_file_is_told(broken: bytes) -> None:
    with pytest.raises(ValueError, match="no safetensors file"):
        told_apart(broken, broken)
