"""Weights of float networks in as few bits as a stated error of what the networks give allows.

A weight ships as a whole number of steps, and a step is ``2^(row + column)``: for each row of a tensor (its first dimension) and
each column (its second) a whole exponent. How far a network's outputs move with a weight is measured, on noise like
photographs; steps are as fine as that asks for, so that every weight adds about the same error. What carries the means of
a picture keeps more bits than float16 has, most of the rest needs three or four.

Reference: the measure is the diagonal of the Gauss-Newton matrix (LeCun, Denker, Solla, "Optimal brain damage", NIPS
1989), by random signs (Hutchinson, Communications in Statistics 1990); the same error for all is the high-rate optimum
of transform coding. Steps by row and column are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call  # pyright: ignore[reportUnknownVariableType]  (torch leaves it untyped)

from foveal.codecs.learned.pink_noise import pink_noise

PICTURE_ERROR_DB = 70.0
"""The PSNR at which the rounding of transforms alone would leave a picture; the finest files are at 40 to 45 dB."""
_QUALITY = 95.0
_DRAWS = 2
_LEAST = 1e-3  # of a tensor's mean: what noise like photographs hardly excites, other pictures may
_MOST = 32512  # steps in a weight: two bytes
_FEW = 126  # steps in a weight of one byte, of those that move by two
_FITS = 8  # rounds in which steps are fitted to the error
_PARTS = (".row", ".column", ".high")
_LEAST_SPREAD = 2.0**-18
"""Of a row whose weights are all alike."""

Outputs = Callable[[dict[str, Tensor]], Tensor]
"""What a network gives for one input, with weights by name in the place of its own."""


def short_transforms(model: nn.Module, near: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The tensors that ship of ``analysis`` and ``synthesis`` of a codec's model; their error is one of the picture.

    near: those of the weights that training went on from, if it did: then ``in_steps_of`` theirs.
    """

    def outputs_of(x: Tensor) -> Outputs:
        return lambda weights: functional_call(model, weights, (x, torch.full((1,), _QUALITY)))[1]

    state, kept = model.state_dict(), [name for name, _ in model.named_buffers()]
    state = {name: t for name, t in state.items() if name.startswith(("analysis.", "synthesis."))}
    learned = {name: t for name, t in state.items() if name not in kept}
    if near is None:
        short = shortened(learned, [outputs_of(x[None]) for x in pink_noise()], 10 ** (-PICTURE_ERROR_DB / 20))
    else:
        short = in_steps_of(near, learned)
    return short | {name: state[name].half() for name in state.keys() - learned.keys()}


@torch.no_grad()
def shortened(state: dict[str, Tensor], outputs: Sequence[Outputs], error: float) -> dict[str, Tensor]:
    """Tensors of two and more dimensions as steps, those of one in float16; ``widened`` makes weights of them.

    ``error``: how far the outputs may move, as the root of the mean square over all of them, by the sum of all rounding.
    """
    weights = {name: t for name, t in state.items() if t.ndim > 1}
    sensitivity = _sensitivity(weights, outputs)
    scale, steps = error, dict[str, tuple[Tensor, Tensor]]()
    for _ in range(_FITS):
        steps = {name: _steps(weights[name], sensitivity[name], scale) for name in weights}
        added = sum(_error(weights[name], sensitivity[name], *steps[name]) for name in weights)
        scale *= error / max(added, 1e-30) ** 0.5
    out = {name: t.half() for name, t in state.items() if name not in weights}
    for name, weight in weights.items():
        out |= _packed(name, weight, *steps[name])
    return out


def on_grid(state: Mapping[str, Tensor], parts: int) -> dict[str, Tensor]:
    """Tensors as those of ``shortened``, where no outputs were measured: steps are at most ``1 / parts`` of the standard deviation of
    each row.
    """
    out = {name: t.half() for name, t in state.items() if t.ndim <= 1}
    for name, weight in state.items():
        if weight.ndim > 1:
            spread = weight.float().std(tuple(range(1, weight.ndim)), correction=0).clamp_min(_LEAST_SPREAD)
            row = torch.floor(torch.log2(spread / parts))
            row += (weight.float().flatten(1).abs().amax(1) / torch.exp2(row) / _MOST).clamp_min(1).log2().ceil()
            out |= _packed(name, weight.float(), row, torch.zeros(weight.shape[1]))
    return out


@torch.no_grad()
def in_steps_of(near: Mapping[str, Tensor], state: Mapping[str, Tensor], apart: int = 2) -> dict[str, Tensor]:
    """Tensors of the same names and sizes as those of ``shortened`` that are ``near``, and few that differ: the difference packs small.

    A weight is that of ``near`` and so many times ``apart`` of its steps more or less; where it needs more bits than that has, steps of the
    row are larger.
    """
    out = {name: t.half() for name, t in state.items() if t.ndim <= 1}
    for name, weight in state.items():
        if weight.ndim <= 1:
            continue
        row, column, high = near[f"{name}.row"].float(), near[f"{name}.column"].float(), near.get(f"{name}.high")
        size = (weight / _step(weight, row, column)).abs().flatten(1).amax(1)
        wider = (size / (_FEW if high is None else _MOST)).clamp_min(1).log2().ceil()
        place = weight / _step(weight, row + wider, column)
        known = near[name].float() + (0 if high is None else 256 * high.float())
        moved = known + ((place - known) / apart).round() * apart
        same = (wider == 0).reshape(-1, *[1] * (weight.ndim - 1))
        out |= _bytes(
            name, torch.where(same & (moved.abs() <= _MOST), moved, place.round()), row + wider, column, high is not None
        )
    return out


def widened(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of ``shortened``, and other tensors, in float32."""
    out: dict[str, Tensor] = {}
    for name, t in tensors.items():
        if name.endswith(_PARTS):
            continue
        whole, row = t.float(), tensors.get(f"{name}.row")
        if (high := tensors.get(f"{name}.high")) is not None:
            whole += 256 * high.float()
        out[name] = whole if row is None else whole * _step(whole, row.float(), tensors[f"{name}.column"].float())
    return out


def _sensitivity(weights: dict[str, Tensor], outputs: Sequence[Outputs]) -> dict[str, Tensor]:
    """For rows and columns of each weight, how much the mean square of the outputs rises by for each square of a change."""
    own = {name: weight.detach().clone().requires_grad_() for name, weight in weights.items()}
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    chance = torch.Generator().manual_seed(0)
    for output in outputs:
        with torch.enable_grad():
            y = output(own)
        for draw in range(_DRAWS):
            signs = torch.randint(0, 2, y.shape, generator=chance).to(y.device) * 2.0 - 1
            gradients = torch.autograd.grad(y, list(own.values()), signs, retain_graph=draw + 1 < _DRAWS, allow_unused=True)
            for sum_, gradient in zip(total.values(), cast("tuple[Tensor | None, ...]", gradients), strict=True):
                sum_ += 0 if gradient is None else gradient.square() / (y.numel() * _DRAWS * len(outputs))
    found = {name: sum_.reshape(*sum_.shape[:2], -1).mean(2) for name, sum_ in total.items()}
    usual = torch.stack([each.mean() for each in found.values()]).mean()
    least = {name: each.mean() if each.any() else usual for name, each in found.items()}
    return {name: each.clamp_min(float(_LEAST * least[name].clamp_min(1e-30))) for name, each in found.items()}


def _steps(weight: Tensor, sensitivity: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Exponents of rows and of columns."""
    by_row = sensitivity.mean(1, keepdim=True)
    column = (-0.5 * (sensitivity / by_row).mean(0).log2()).round()
    row = (torch.tensor(scale).log2() - 0.5 * by_row[:, 0].log2()).round()
    most = (weight.reshape(len(row), len(column), -1).abs().amax(2) * torch.exp2(-row[:, None] - column)).amax(1)
    row += (most / _MOST).clamp_min(1).log2().ceil()
    return row.clamp(-100, 100), column.clamp(-100, 100)


def _step(weight: Tensor, row: Tensor, column: Tensor) -> Tensor:
    exponent = row[:, None] + column
    return torch.exp2(exponent).reshape(*exponent.shape, *[1] * (weight.ndim - 2))


def _error(weight: Tensor, sensitivity: Tensor, row: Tensor, column: Tensor) -> float:
    """The mean square by which the outputs move: a twelfth of a step's square for each weight, unless it becomes zero.

    Not what rounding does to these very weights: those that come from an earlier export lie on steps already.
    """
    squared = (_step(weight, row, column).square() / 12).minimum(weight.square())
    return float((squared.reshape(*sensitivity.shape, -1).sum(2) * sensitivity).sum())


def _packed(name: str, weight: Tensor, row: Tensor, column: Tensor) -> dict[str, Tensor]:
    """Steps as int8, a byte above it where one does not hold them: apart they compress better."""
    whole = (weight / _step(weight, row, column)).round()
    return _bytes(name, whole, row, column, bool(((whole < -128) | (whole > 127)).any()))


def _bytes(name: str, whole: Tensor, row: Tensor, column: Tensor, two: bool) -> dict[str, Tensor]:
    low = (whole + 128).remainder(256) - 128
    parts = {name: low, f"{name}.row": row, f"{name}.column": column}
    parts |= {f"{name}.high": (whole - low) / 256} if two else {}
    return {part: t.to(torch.int8) for part, t in parts.items()}
