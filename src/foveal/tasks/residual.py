"""Convolutions with batch norm, residual blocks of them, and how batch norm becomes part of the weights that ship."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.codecs.learned.short_weights import widened


@final
class Normed(nn.Module):
    """A convolution that keeps the size, or divides it by ``stride``; then batch norm, or the bias that it became."""

    def __init__(self, into: int, out: int, *, size: int = 3, stride: int = 1, dilation: int = 1, folded: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(into, out, size, stride, dilation * (size // 2), dilation, bias=folded)
        self.norm = nn.Identity() if folded else nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


@final
class Block(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int, *, dilation: int = 1, folded: bool) -> None:
        super().__init__()
        self.first = Normed(channels, channels, dilation=dilation, folded=folded)
        self.second = Normed(channels, channels, folded=folded)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(functional.relu(self.first(x))))


def double(x: Tensor) -> Tensor:
    """Twice as many rows and columns, bilinear."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


@torch.no_grad()
def fold(model: nn.Module) -> dict[str, Tensor]:
    """The tensors that ship: batch norm folded into the convolutions, in float16."""
    tensors = {name: t for name, t in model.state_dict().items() if ".norm." not in name}
    for name, module in _normed(model):
        if isinstance(norm := module.norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            factor = norm.weight / (norm.running_var + norm.eps).sqrt()
            tensors[f"{name}.conv.weight"] = module.conv.weight * factor[:, None, None, None]
            tensors[f"{name}.conv.bias"] = norm.bias - norm.running_mean * factor
    return {name: t.half() for name, t in tensors.items()}


def shortened(tensors: dict[str, Tensor], bits: int) -> dict[str, Tensor]:
    """Float16 tensors rounded to so many bits of mantissa of its 10: compression takes off what became zeros."""
    step = 1 << (10 - bits)
    out: dict[str, Tensor] = {}
    for name, t in tensors.items():
        whole = t.view(torch.int16).int()  # the sign apart, the integers of floats rise as they do
        size = (whole & 0x7FFF) + step // 2
        out[name] = ((whole & ~0x7FFF) | size // step * step).to(torch.int16).view(torch.float16)
    return out


def unfold(tensors: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """A state of ``model`` to train on from tensors that ship: batch norms that begin by adding what had become a bias.

    Tensors of a run, with batch norms, stay as they are.
    """
    if any(".norm." in name for name in tensors):
        return tensors
    tensors = widened(tensors)
    state = model.state_dict()
    for name, module in _normed(model):
        if not isinstance(module.norm, nn.BatchNorm2d):
            continue
        state[f"{name}.norm.bias"] = tensors[f"{name}.conv.bias"].float()
        state[f"{name}.norm.running_var"] = torch.full_like(state[f"{name}.norm.running_var"], 1 - module.norm.eps)
    return state | {name: t.float() for name, t in tensors.items() if name in state}


@torch.no_grad()
def settle(model: nn.Module, run: Callable[[], object]) -> None:
    """Gives batch norms that ``unfold`` made, which change nothing, the mean and the spread of what comes to them: so that they hardly change
    it in training either, where each batch's own are taken off.

    run: a pass of the model over some of what it learns from; norms that it does not come to stay as they are.
    """
    given = dict[nn.BatchNorm2d, Tensor]()

    def note(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        given[norm] = inputs[0].float()

    fresh = [norm for _, module in _normed(model) if isinstance(norm := module.norm, nn.BatchNorm2d) and _is_as_nothing(norm)]
    hooks = [norm.register_forward_pre_hook(note) for norm in fresh]
    training = model.training
    model.eval()
    if fresh:
        run()
    model.train(training)
    for hook in hooks:
        hook.remove()
    for norm, x in given.items():
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)


def _is_as_nothing(norm: nn.BatchNorm2d) -> bool:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return not norm.running_mean.any() and bool((norm.running_var == 1 - norm.eps).all())


def ready(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Fills a folded model with tensors that ship, to run: float32 and channels_last, without gradients of the weights.

    Raises:
        RuntimeError: tensors of other sizes.
    """
    model.load_state_dict(widened(tensors))
    model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (the overload is missing in torch)
    model.eval().requires_grad_(False)


def _normed(model: nn.Module) -> list[tuple[str, Normed]]:
    modules = cast("Iterator[tuple[str, nn.Module]]", model.named_modules())
    return [(name, module) for name, module in modules if isinstance(module, Normed)]
