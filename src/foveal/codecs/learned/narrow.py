"""Weights of convolutions in 8 bits, with a scale for each output channel, in float16."""

from __future__ import annotations

from torch import Tensor

from foveal.codecs.learned.exact import WEIGHT_MAX

_SCALE = "_scale"


def narrowed(name: str, weight: Tensor) -> dict[str, Tensor]:
    """What ships of a weight ``(c_out, c_in, h, w)``: int8, and beside it the scales as ``<name>_scale``."""
    scale = (weight.abs().flatten(1).amax(1).clamp_min(1e-5) / WEIGHT_MAX).half()
    narrow = (weight / scale.float()[:, None, None, None]).round().clamp(-WEIGHT_MAX, WEIGHT_MAX)
    return {name: narrow.char(), f"{name}{_SCALE}": scale}


def widened(weights: dict[str, Tensor], prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    """The tensors under these prefixes in float32, narrowed or not."""
    state: dict[str, Tensor] = {}
    for name, t in weights.items():
        if name.startswith(prefixes) and not name.endswith(_SCALE):
            scale = weights.get(f"{name}{_SCALE}")
            state[name] = t.float() if scale is None else t.float() * scale.float()[:, None, None, None]
    return state
