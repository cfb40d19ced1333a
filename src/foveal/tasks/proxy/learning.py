"""What the proxy minimises: the distance to what its teachers see, and to how a codec changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from foveal.tasks.proxy.crops import NO_PART
from foveal.tasks.proxy.network import STRIDES, Seen

_FEATURES: Final = tuple(f"features{s}" for s in STRIDES)
_OBJECTS: Final = tuple(f"objects{s}" for s in STRIDES)
_SCENE: Final = ("scene16", "scene32")
_FACTORS: Final = {
    "features": 1.0,
    "changes": 0.5,
    "scene": 0.7,
    "objects": 2.0,
    "classes": 0.2,
    "parts": 0.4,
    "faces": 4.0,
    "harm": 1.0,
}
_SURE = 20.0  # how much more a place with an object counts than one without


@final
@dataclass(frozen=True, eq=False)
class Shown:
    """A batch: squares ``(2n, 3, side, side)`` in 0..1, each followed by itself after a codec, and the teachers' arrays by name."""

    x: Tensor
    told: Mapping[str, Tensor]

    def on(self, device: torch.device) -> Shown:
        """The same on a device."""
        return Shown(self.x.to(device), {name: t.to(device) for name, t in self.told.items()})


@final
@dataclass(frozen=True, eq=False)
class Harmed:
    """A batch of lessons of harm: squares ``(n, 3, side, side)`` in 0..1, and harm ``(n, tasks, rows, columns)``, -1 where none is told."""

    x: Tensor
    harm: Tensor

    def on(self, device: torch.device) -> Harmed:
        """The same on a device."""
        return Harmed(self.x.to(device), self.harm.to(device))


def harm_loss(own: Tensor, told: Tensor) -> Tensor:
    """How far the places of the root of harm are from the told ones: their divergence, the mean over all maps that are told; 0 without any.

    The root, because harm is measured on few draws, and steps follow a power of it well below 1 anyway.
    """
    wanted, there = _places(told)
    return _FACTORS["harm"] * _divergence(own, wanted, there).sum() / there.sum().clamp_min(1)


@torch.no_grad()
def harm_explained(own: Tensor, told: Tensor) -> list[float]:
    """For each task, how much nearer to the told places the own are than even ones (1: they are the same); NaN without any told."""
    wanted, there = _places(told)
    out: list[float] = []
    for task in range(told.shape[1]):
        part = np.s_[:, task : task + 1]
        own_far, even_far = (_divergence(x[part], wanted[part], there[part]).mean() for x in (own, torch.zeros_like(own)))
        out.append(float(1 - own_far / even_far))
    return out


def _places(told: Tensor) -> tuple[Tensor, Tensor]:
    """Shares of the root of harm, and which maps are told."""
    root = told.clamp_min(0).sqrt()
    return root / root.sum((2, 3), keepdim=True).clamp_min(1e-9), (told >= 0).all(3).all(2)


def _divergence(own: Tensor, wanted: Tensor, there: Tensor) -> Tensor:
    """Of each told map ``(maps,)``."""
    logs = own.float().flatten(2).log_softmax(2)
    wanted = wanted.flatten(2)
    return (torch.xlogy(wanted, wanted) - wanted * logs).sum(2)[there]


def losses(seen: Seen, told: Mapping[str, Tensor], spread: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each part of the loss, by name, as it is weighed. spread: mean and deviation ``(2, channels)`` of the teachers' features."""
    s16, s32 = (_pooled(s, told[n]) for s, n in zip(seen.scene, _SCENE, strict=True))
    own = dict(zip((*_FEATURES, *_SCENE), (*(f.float() for f in seen.features), s16, s32), strict=True))
    wanted = {name: _normal(told[name], spread[name]) for name in own}
    errors = {name: functional.mse_loss(own[name], wanted[name]) for name in own}
    changes = [
        functional.mse_loss(own[n][1::2] - own[n][::2], wanted[n][1::2] - wanted[n][::2])
        / (wanted[n][1::2] - wanted[n][::2]).square().mean().clamp_min(0.05)
        for n in own
    ]
    parts = told["parts"].long()
    labelled = (parts != NO_PART).any()
    found = {
        "features": torch.stack([errors[n] for n in _FEATURES]).mean(),
        "changes": torch.stack(changes).mean(),
        "scene": torch.stack([errors[n] for n in _SCENE]).mean(),
        "objects": torch.stack([_objects(o.float(), told[n]) for o, n in zip(seen.objects, _OBJECTS, strict=True)]).mean(),
        "classes": -(told["classes"] * seen.classes.float().log_softmax(1)).sum(1).mean(),
        "parts": functional.cross_entropy(seen.parts.float(), parts, ignore_index=NO_PART)
        if labelled
        else 0 * seen.parts.float().sum(),
        "faces": functional.binary_cross_entropy_with_logits(seen.faces.float()[:, 0], told["faces"]),
    }
    return {name: _FACTORS[name] * value for name, value in found.items()}


def _pooled(x: Tensor, like: Tensor) -> Tensor:
    """The mean over the areas of ``like``'s places."""
    return functional.adaptive_avg_pool2d(x.float(), (like.shape[2], like.shape[3]))


def _normal(x: Tensor, spread: Tensor) -> Tensor:
    mean, deviation = spread
    return (x - mean[:, None, None]) / deviation[:, None, None]


def _objects(own: Tensor, told: Tensor) -> Tensor:
    """Binary entropy of objectness; where there is an object also of the classes, and the distance of the boxes."""
    there = told[:, 4]
    weight = 1 + _SURE * there
    objectness = (weight * functional.binary_cross_entropy_with_logits(own[:, 4], there, reduction="none")).sum() / weight.sum()
    share = there / (there.sum() + 1)
    classes = functional.binary_cross_entropy_with_logits(own[:, 5:], told[:, 5:], reduction="none").sum(1)
    boxes = functional.smooth_l1_loss(own[:, :4], told[:, :4], reduction="none").sum(1)
    return objectness + (share * (0.2 * classes + 0.3 * boxes)).sum()


@torch.no_grad()
def explained(seen: Seen, told: Mapping[str, Tensor], spread: Mapping[str, Tensor]) -> dict[str, float]:
    """How much of what the teachers see, and of how a codec changes it, is explained (1 is all); by name of the features."""
    out: dict[str, float] = {}
    for name, own in zip((*_FEATURES, *_SCENE), (*seen.features, *seen.scene), strict=True):
        pooled = _pooled(own, told[name])
        wanted = _normal(told[name], spread[name])
        out[name] = 1 - float(functional.mse_loss(pooled, wanted) / wanted.square().mean())
        moved = wanted[1::2] - wanted[::2]
        out[f"{name} change"] = 1 - float(functional.mse_loss(pooled[1::2] - pooled[::2], moved) / moved.square().mean())
    return out


def as_shown(squares: np.ndarray, told: Mapping[str, np.ndarray]) -> Shown:
    """A batch of squares ``(2n, side, side, 3)`` in 0..255, and arrays by name."""
    x = torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255
    return Shown(
        x, {name: torch.from_numpy(a) if a.dtype == np.uint8 else torch.from_numpy(a).float() for name, a in told.items()}
    )
