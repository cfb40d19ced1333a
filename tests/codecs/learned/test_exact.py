"""Exact networks: sums stay exact, training sees the deployed network, and a float network would not do."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from foveal.codecs.learned.exact import ACTIVATION_MAX, ExactConv2d, check_sums, exact_arithmetic, rectify, to_units


@contextmanager
def _onednn(enabled: bool) -> Generator[None]:
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(enabled)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def _integers(channels: int, size: int, seed: int = 0) -> Tensor:
    values = np.random.default_rng(seed).integers(-ACTIVATION_MAX, ACTIVATION_MAX + 1, (1, channels, size, size))
    return torch.from_numpy(values.astype(np.float32))


@given(st.floats(0.001, 20), st.integers(1, 500), st.integers(0, 3))
def test_no_sum_leaves_the_exact_range(size: float, inputs: int, seed: int) -> None:
    torch.manual_seed(seed)
    net = ExactConv2d(inputs, 5, 3 if inputs < 20 else 1, gain=size)
    nn.init.normal_(net.bias, std=size)
    check_sums(**net.frozen())


def test_a_sum_out_of_range_is_seen() -> None:
    weight = torch.full((1, 200, 1, 1), 127, dtype=torch.int8)
    with pytest.raises(AssertionError, match="not exact"):
        check_sums(weight, torch.zeros(1, dtype=torch.int32), torch.ones(1, dtype=torch.int8))


def test_training_sees_the_integers_that_are_deployed() -> None:
    torch.manual_seed(1)
    net = ExactConv2d(96, 64, 3)
    nn.init.normal_(net.bias)
    x = _integers(96, 24)
    trained = net(x)
    deployed = ExactConv2d(96, 64, 3)
    deployed.settle(**net.frozen())
    with exact_arithmetic():
        assert torch.equal(deployed(x), trained.detach())
        # and both are what integers give
        frozen = net.frozen()
        power = 2 ** frozen["shift"].long()
        sums = (
            nn.functional.conv2d(x.double(), frozen["weight"].double(), padding=1).long() + frozen["bias"].long()[:, None, None]
        )
        assert torch.equal(((sums + power[:, None, None] // 2) // power[:, None, None]).float(), deployed(x))


def test_gradients_pass_through_rounding() -> None:
    torch.manual_seed(2)
    net, x = ExactConv2d(8, 8), _integers(8, 4).requires_grad_()
    rectify(net(x)).sum().backward()
    assert net.weight.grad is not None
    assert net.bias.grad is not None
    assert x.grad is not None
    assert min(float(g.abs().sum()) for g in (net.weight.grad, net.bias.grad, x.grad)) > 0


def test_units_are_bounded_integers() -> None:
    units = to_units(torch.tensor([0.0, 0.0079, 0.5, -3.3, 99.0, -99.0]))
    assert units.tolist() == [0, 1, 32, -211, 1023, -1023]


def test_the_context_restores_what_it_shuts_out() -> None:
    before = torch.backends.cuda.matmul.allow_tf32, torch.is_autocast_enabled("cpu"), torch._C._get_nnpack_enabled()
    with torch.autocast("cpu", torch.bfloat16), exact_arithmetic():
        assert not torch.is_autocast_enabled("cpu")
        assert not torch._C._get_nnpack_enabled()
    assert (torch.backends.cuda.matmul.allow_tf32, torch.is_autocast_enabled("cpu"), torch._C._get_nnpack_enabled()) == before


_ONEDNN: Any = torch.backends.mkldnn


def _shortened() -> list[str]:
    return [_ONEDNN.matmul.fp32_precision, _ONEDNN.conv.fp32_precision]


@pytest.mark.skipif(not hasattr(_ONEDNN, "matmul"), reason="torch before 2.9 has no such settings")
def test_nobody_shortens_products_as_long_as_a_thread_is_inside() -> None:
    with exact_arithmetic():
        before = _shortened()
    torch.set_float32_matmul_precision("medium")
    _ONEDNN.conv.fp32_precision = "bf16"
    try:
        inside, leave = threading.Event(), threading.Event()

        def other() -> None:
            with exact_arithmetic():
                inside.set()
                leave.wait()

        thread = threading.Thread(target=other)
        thread.start()
        inside.wait()
        with exact_arithmetic():
            assert _shortened() == ["ieee", "ieee"]
        assert _shortened() == ["ieee", "ieee"], "the other is still inside"
        leave.set()
        thread.join()
        assert _shortened() == ["bf16", "bf16"]
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
        _ONEDNN.conv.fp32_precision = "none"
    assert before[1] == _shortened()[1] == "none"


@pytest.mark.parametrize("exact", [True, False])
def test_an_exact_network_is_the_same_everywhere_and_a_float_one_is_not(exact: bool) -> None:
    """Settings are the layout, oneDNN, threads, the type, and how many pictures there are at once."""
    torch.manual_seed(3)
    nets = [ExactConv2d(192, 192, 3), ExactConv2d(192, 192, 3), ExactConv2d(192, 384)]
    deployed: list[nn.Module] = []
    for net in nets:
        nn.init.normal_(net.bias)
        if exact:
            layer = ExactConv2d(net.weight.shape[1], net.weight.shape[0], net.weight.shape[2])
            layer.settle(**net.frozen())
            deployed.append(layer)
        else:
            plain = nn.Conv2d(net.weight.shape[1], net.weight.shape[0], net.weight.shape[2], padding=net.padding)
            plain.load_state_dict(net.state_dict())
            deployed.append(plain)
    x = _integers(192, 16)

    def run(channels_last: bool, onednn: bool, threads: int, double: bool, pictures: int) -> Tensor:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with exact_arithmetic(), _onednn(onednn):
                h = (x.double() if double else x).repeat(pictures, 1, 1, 1)
                h = h.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
                for net in deployed:
                    h = rectify(net.double()(h) if double else net.float()(h))
                return h[:1].floor().float()
        finally:
            torch.set_num_threads(before)

    reference = run(True, True, 1, False, 1)
    differing = sum(
        not torch.equal(run(*setting), reference)
        for setting in itertools.product((True, False), (True, False), (1, 2), (True, False), (1, 3))
    )
    assert (differing == 0) if exact else (differing > 0)
