"""How far a small error in each pixel moves what the proxy believes.

Answers are drawn from its own beliefs; the mean square of the gradient of their log-likelihood is the diagonal of the Fisher
information: the expected divergence, to second order, between the answers to a picture and to one with an error in that pixel. Ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from foveal.tasks.proxy.network import HEADS, Proxy, Seen

_PERSON = 0  # of COCO's classes
_SEED = 1


def squared_gradients(proxy: Proxy, x: Tensor, weights: Mapping[str, float], draws: int) -> Tensor:
    """The score of each pixel ``(batch, height, width)`` of pictures ``(batch, 3, height, width)`` with multiples of 32 as sides.

    weights: a factor for each of the ``HEADS`` that count. draws: over how many the mean is taken; each costs a gradient.
    """
    x = x.detach().requires_grad_(True)
    chance = torch.Generator().manual_seed(_SEED)
    with torch.enable_grad():
        seen = proxy(x)
        total = torch.zeros_like(x)
        for draw in range(draws):
            (slope,) = torch.autograd.grad(_surprise(seen, weights, chance), x, retain_graph=draw < draws - 1)
            total += slope.square()
    return total.detach().sum(1) / draws


def head_scales(proxy: Proxy, x: Tensor, draws: int = 2) -> Tensor:
    """For each of ``HEADS`` the factor that brings its mean score over pictures ``x`` to 1."""
    means = [
        torch.stack([squared_gradients(proxy, picture[None], {head: 1.0}, draws).mean() for picture in x]).mean()
        for head in HEADS
    ]
    return 1 / torch.stack(means).clamp_min(1e-20)


def _surprise(seen: Seen, weights: Mapping[str, float], chance: torch.Generator) -> Tensor:
    """A sum whose gradient, squared, has the wanted score as its mean over draws."""
    return torch.stack([math.sqrt(weight) * _DRAWN[head](seen, chance) for head, weight in weights.items()]).sum()


def _features(seen: Seen, chance: torch.Generator) -> Tensor:
    """Of features as answers with errors of spread 1: any random projection."""
    maps = (*seen.features, *seen.scene)
    return torch.stack([(x * normal(x, chance)).sum() for x in maps]).sum()


def _objects(seen: Seen, chance: torch.Generator) -> Tensor:
    """Of whether there is an object, and, as likely as there is, of its class and its box."""
    sums: list[Tensor] = []
    for x in seen.objects:
        p = x[:, 4:5].sigmoid().detach()
        sums += [bernoulli(x[:, 4:5], chance).sum(), (p.sqrt() * bernoulli(x[:, 5:], chance)).sum()]
        sums.append((p.sqrt() * x[:, :4] * normal(x[:, :4], chance)).sum())
    return torch.stack(sums).sum()


def _person(seen: Seen, chance: torch.Generator) -> Tensor:
    """As of objects, but of persons alone."""
    sums: list[Tensor] = []
    for x in seen.objects:
        p = (x[:, 4:5].sigmoid() * x[:, 5 + _PERSON : 6 + _PERSON].sigmoid()).detach()
        sums.append((bernoulli(x[:, 4:5], chance) + bernoulli(x[:, 5 + _PERSON : 6 + _PERSON], chance)).mul(p.sqrt()).sum())
        sums.append((p.sqrt() * x[:, :4] * normal(x[:, :4], chance)).sum())
    return torch.stack(sums).sum()


def _classes(seen: Seen, chance: torch.Generator) -> Tensor:
    logs = seen.classes.log_softmax(1)
    return logs.gather(1, torch.multinomial(logs.detach().exp(), 1, generator=chance)).sum()


def _parts(seen: Seen, chance: torch.Generator) -> Tensor:
    logs = seen.parts.permute(0, 2, 3, 1).flatten(0, 2).log_softmax(1)
    return logs.gather(1, torch.multinomial(logs.detach().exp(), 1, generator=chance)).sum()


def _faces(seen: Seen, chance: torch.Generator) -> Tensor:
    return bernoulli(seen.faces, chance).sum()


_DRAWN: Final = {
    "features": _features, "objects": _objects, "person": _person, "classes": _classes, "parts": _parts, "faces": _faces,
}  # fmt: skip


def bernoulli(logits: Tensor, chance: torch.Generator) -> Tensor:
    """Log-likelihoods of a draw of each, up to a constant."""
    p = logits.detach().sigmoid()
    return (torch.bernoulli(p, generator=chance) - p) * logits


def normal(x: Tensor, chance: torch.Generator) -> Tensor:
    """A draw of spread 1 for each."""
    return torch.randn(x.shape, generator=chance)
