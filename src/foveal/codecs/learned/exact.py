"""Networks whose arithmetic is exact: the same integers on every machine, whatever runs them.

An activation is an integer carried in a float; one unit is ``1 / UNIT`` of what it stands for. A weight is an
integer times a power of two of its output channel, and so is every sum. As long as a sum keeps below ``2^24`` such
powers, float32 holds it and every part of it exactly, in any order of summation, fused or not. ``floor`` brings it
back to an integer. So training, which rounds weights in the same way and passes gradients through, sees the very
network that decodes.

Reference: ours, after Ballé, Johnston, Minnen, "Integer networks for data compression with latent-variable models",
ICLR 2019; the powers of two in place of learned divisors are ours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

UNIT = 64
ACTIVATION_MAX = 1023
WEIGHT_MAX = 127
SUM_BITS = 24
_SHIFT_MAX = 14


def floor_through(v: Tensor) -> Tensor:
    """Rounds down; the gradient passes as if nothing had happened (straight-through)."""
    return v + (v.floor() - v).detach() if v.requires_grad else v.floor()


def to_units(v: Tensor) -> Tensor:
    """A real value as an activation: times ``UNIT``, rounded, clipped to ``ACTIVATION_MAX``."""
    return floor_through((v * UNIT).clamp(-ACTIVATION_MAX, ACTIVATION_MAX) + 0.5)


def rectify(v: Tensor) -> Tensor:
    """ReLU with a ceiling, so that what the next layer sums stays bounded."""
    return v.clamp(0, ACTIVATION_MAX)


@final
class ExactConv2d(nn.Module):
    """A stride-1 convolution of integers within ``ACTIVATION_MAX``: ``(batch, c_in, h, w)`` to ``(batch, c_out, h, w)``.

    Padded with zeros. The result is an integer again, not clipped. While it trains, the powers of two follow the weights;
    once ``settle`` has fixed them they are part of the weights.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, *, groups: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        self.groups, self.padding = groups, kernel // 2
        fan_in = c_in // groups * kernel**2
        self.weight = nn.Parameter(torch.randn(c_out, c_in // groups, kernel, kernel) * gain * (2 / fan_in) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(c_out))
        self.settled = False

    def forward(self, x: Tensor) -> Tensor:
        if self.settled and not self.padding:
            return functional.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).floor_().permute(0, 3, 1, 2)
        if self.settled:
            return functional.conv2d(x, self.weight, self.bias, padding=self.padding, groups=self.groups).floor_()
        weight, bias, shift = self._rounded()
        weight = self.weight + (weight * torch.exp2(-shift)[:, None, None, None] - self.weight).detach()
        real_bias = self.bias * UNIT
        bias = real_bias + (bias * torch.exp2(-shift) - real_bias).detach()
        return floor_through(functional.conv2d(x, weight, bias + 0.5, padding=self.padding, groups=self.groups))

    def rectified(self, x: Tensor) -> Tensor:
        """``rectify`` of the result; once settled, without another copy of it."""
        return self(x).clamp_(0, ACTIVATION_MAX) if self.settled else rectify(self(x))

    @torch.no_grad()
    def _rounded(self) -> tuple[Tensor, Tensor, Tensor]:
        """Integer weights and biases, and for each output channel the power of two that they are multiples of."""
        size = self.weight.abs().flatten(1)
        terms = size.shape[1]
        room = 2.0**SUM_BITS - (terms / 2 * ACTIVATION_MAX + 1)
        need = size.sum(1) * ACTIVATION_MAX + self.bias.abs() * UNIT + 1
        most = torch.minimum(WEIGHT_MAX / size.amax(1).clamp_min(1e-6), room / need)
        shift = most.log2().floor().clamp(1, _SHIFT_MAX)
        power = torch.exp2(shift)
        weight = (self.weight * power[:, None, None, None]).round().clamp(-WEIGHT_MAX, WEIGHT_MAX)
        return weight, (self.bias * UNIT * power).round(), shift

    def frozen(self) -> dict[str, Tensor]:
        """The integers that ship: ``weight`` int8, ``bias`` int32, ``shift`` int8.

        Raises:
            AssertionError: a sum could leave the exact range, which takes weights far beyond what training gives.
        """
        weight, bias, shift = self._rounded()
        check_sums(weight, bias, shift)
        return {"weight": weight.to(torch.int8), "bias": bias.to(torch.int32), "shift": shift.to(torch.int8)}

    @torch.no_grad()
    def settle(self, weight: Tensor, bias: Tensor, shift: Tensor) -> None:
        """Takes what ``frozen`` gave; from here on ``forward`` is the deployed network."""
        check_sums(weight.double(), bias.double(), shift.double())
        power = torch.exp2(-shift.double())
        scaled = (weight.double() * power[:, None, None, None]).float()
        self.weight = nn.Parameter(scaled.contiguous(memory_format=torch.channels_last), requires_grad=False)
        self.bias = nn.Parameter((bias.double() * power + 0.5).float(), requires_grad=False)
        self.settled = True


def exact_layers(net: nn.Module, prefix: str) -> Iterator[tuple[str, ExactConv2d]]:
    """The exact convolutions of a network, by the names of their weights that begin with ``prefix``."""
    for name, layer in cast("Iterable[tuple[str, nn.Module]]", net.named_modules(prefix=prefix.removesuffix("."))):
        if isinstance(layer, ExactConv2d):
            yield name, layer


def frozen_layers(net: nn.Module, prefix: str) -> dict[str, Tensor]:
    """The integers that ship of a network's exact convolutions, under the names of their weights."""
    return {f"{name}.{part}": t for name, layer in exact_layers(net, prefix) for part, t in layer.frozen().items()}


def settle_layers(net: nn.Module, weights: dict[str, Tensor], prefix: str) -> None:
    """Makes a network's exact convolutions the deployed ones, of what ``frozen_layers`` gave."""
    for name, layer in exact_layers(net, prefix):
        layer.settle(*(weights[f"{name}.{part}"] for part in ("weight", "bias", "shift")))


def thawed_layers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights and biases to train on from, of all exact convolutions that ship among ``weights``."""
    state: dict[str, Tensor] = {}
    for name in (n.removesuffix(".shift") for n in weights if n.endswith(".shift")):
        power = torch.exp2(-weights[f"{name}.shift"].float())
        state[f"{name}.weight"] = weights[f"{name}.weight"].float() * power[:, None, None, None]
        state[f"{name}.bias"] = weights[f"{name}.bias"].float() * power / UNIT
    return state


def check_sums(weight: Tensor, bias: Tensor, shift: Tensor) -> None:
    """Asserts for every output channel that no sum, the rounding half included, leaves the exact integers of float32."""
    bound = weight.double().abs().flatten(1).sum(1) * ACTIVATION_MAX + bias.double().abs() + torch.exp2(shift.double() - 1)
    assert bound.max() <= 2.0**SUM_BITS, f"a sum of up to {int(bound.max())} is not exact in float32"
    assert weight.abs().max() <= WEIGHT_MAX, "a weight does not fit 8 bits"
    assert shift.min() >= 1, "the rounding half is no multiple of the weights' unit"


@contextmanager
def exact_arithmetic() -> Generator[None]:
    """Shuts out whatever would not compute exact sums: autocast, shortened products, Winograd of NNPACK. Restores all of it.

    Several threads may be inside at once.
    """
    _PRODUCTS.enter()
    try:
        with (
            torch.inference_mode(),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
            torch.backends.nnpack.flags(enabled=False),
        ):
            yield
    finally:
        _PRODUCTS.leave()


@final
class _Products:
    """Products of float32 in float32, as long as a thread is inside: torch keeps one setting for all of them."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._restore: list[Callable[[], None]] = []

    def enter(self) -> None:
        """The first one in shuts out TF32 and BF16."""
        with self._lock:
            if not self._inside:
                self._restore = _whole_products()
            self._inside += 1

    def leave(self) -> None:
        """The last one out restores what was."""
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for restore in self._restore:
                    restore()


_PRODUCTS = _Products()


def _whole_products() -> list[Callable[[], None]]:
    """Has products computed whole; returns what restores the settings that this changed."""
    backends: Any = torch.backends
    if not hasattr(backends.mkldnn, "matmul"):  # torch before 2.9
        before = torch.get_float32_matmul_precision()
        restore = [partial(setattr, backends.cudnn, "allow_tf32", backends.cudnn.allow_tf32)]
        backends.cudnn.allow_tf32 = False
        torch.set_float32_matmul_precision("highest")
        return [*restore, partial(torch.set_float32_matmul_precision, before)]
    owners = [backends.mkldnn.matmul, backends.mkldnn.conv]
    if backends.cuda.is_built():
        owners += [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]
    short = [(owner, owner.fp32_precision) for owner in owners if owner.fp32_precision not in ("none", "ieee")]
    for owner, _ in short:
        owner.fp32_precision = "ieee"
    return [partial(setattr, owner, "fp32_precision", precision) for owner, precision in short]
