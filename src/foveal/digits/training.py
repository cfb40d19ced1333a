"""How the networks of the experiment learn: two classifiers, a start for each seed, and from it the codec of each point."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from foveal.digits.coding import DigitTables, counted_tables
from foveal.digits.data import Digits, Labels, Pixels
from foveal.digits.model import STEP_ERROR_BITS, DigitModel
from foveal.digits.plan import Point
from foveal.digits.recipe import CodecSizes, Learning, Recipe

_WARMUP: Final = 50
_SHIFT: Final = 2  # pixels that a classifier's digits are moved by, at most
_PLACED_ON: Final = 8000  # digits that clusters are laid among
_STRAYING: Final = 4.0  # what a squared rounding error in steps costs in training, in bits: it keeps latents near their clusters
_TRIED_ON: Final = 2000
_COUNTS: Final = (1, 4, 16, 64)  # of clusters, beside as many as there are: as many are laid as cost least before training
_CHUNK: Final = 1000
_RECOUNTS: Final = 2


def floats(images: Pixels) -> Tensor:
    """uint8 ``(n, 28, 28)`` as float ``(n, 1, 28, 28)`` in 0..1."""
    return torch.from_numpy(images)[:, None].float() / 255


def parts(images: Pixels) -> list[Tensor]:
    """As ``floats``, a thousand at a time."""
    return [floats(images[start : start + _CHUNK]) for start in range(0, len(images), _CHUNK)]


def train_classifier(net: nn.Module, digits: Digits, how: Learning, seed: int) -> None:
    """Trains a classifier on training digits, each batch moved by up to two pixels."""
    x, labels, chance = floats(digits.train_images), torch.from_numpy(digits.train_labels), _chance(seed)

    def loss(rows: Tensor) -> Tensor:
        down, across = (int(n) for n in torch.randint(-_SHIFT, _SHIFT + 1, (2,), generator=chance))
        return functional.cross_entropy(net(torch.roll(x[rows], (down, across), (2, 3))), labels[rows])

    net.train()
    _descend(net, how, len(x), loss, chance)
    net.eval().requires_grad_(False)


def train_start(recipe: Recipe, digits: Digits, seed: int) -> DigitModel:
    """The codec that all points of a seed go on from: one cluster, no classifier."""
    torch.manual_seed(seed)
    model = DigitModel(CodecSizes(recipe.codec.latents, recipe.codec.channels, 1))
    x = floats(digits.train_images)

    def loss(rows: Tensor) -> Tensor:
        coded = model(x[rows])
        return coded.bits.mean() + recipe.start_weight * _squared_error(coded.picture, x[rows])

    _descend(model, recipe.start, len(x), loss, _chance(seed))
    return model


def train_point(recipe: Recipe, digits: Digits, point: Point, start: DigitModel, frozen: nn.Module) -> DigitModel:
    """Trains ``R + lambda_d D + lambda_c H(label | classifier's answer)`` from a start whose latents are cut into clusters."""
    seed = point.seed + 1_000_003
    torch.manual_seed(seed)
    model, chance = DigitModel(recipe.codec), _chance(seed)
    model.analysis.load_state_dict(start.analysis.state_dict())
    model.synthesis.load_state_dict(start.synthesis.state_dict())
    x, labels = floats(digits.train_images), torch.from_numpy(digits.train_labels)

    def cost(rows: Tensor, straying: float = 0.0) -> Tensor:
        coded = model(x[rows])
        cost = coded.bits.mean() + straying * coded.strayed.mean()
        cost = cost + point.distortion_weight * _squared_error(coded.picture, x[rows])
        if point.classification_weight:
            surprise = functional.cross_entropy(frozen(coded.picture), labels[rows]) / math.log(2)
            cost = cost + point.classification_weight * surprise
        return cost

    gain = math.exp(float(start.log_gain.detach().mean())) * math.sqrt(point.distortion_weight / recipe.start_weight)
    among = torch.randperm(len(x), generator=chance)[:_PLACED_ON]

    @torch.no_grad()
    def placed(count: int) -> float:
        model.place(x[among], count, gain, torch.Generator().manual_seed(seed))
        return float(cost(among[:_TRIED_ON]))

    counts = [count for count in _COUNTS if count < recipe.codec.clusters] + [recipe.codec.clusters]
    placed(min(counts, key=placed))

    def loss(rows: Tensor) -> Tensor:
        return cost(rows, _STRAYING)

    _descend(model, recipe.point, len(x), loss, chance)
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def tables_of(model: DigitModel, digits: Digits) -> DigitTables:
    """Coding tables counted on training digits: first of what the densities choose, then of what those tables choose.

    The model's clusters are first put in order, the most frequent in the middle, where the files of 0 bytes are.
    """
    some = [
        model.cheapest(*model.near(x))[0] for x in parts(digits.train_images[:: max(1, len(digits.train_images) // _PLACED_ON)])
    ]
    rising = torch.bincount(torch.cat(some), minlength=model.sizes.clusters).argsort(stable=True)
    model.arrange(torch.cat([rising[::2], rising[1::2].flip(0)]))
    near = [model.near(x) for x in parts(digits.train_images)]
    count = model.sizes.clusters
    first = [model.cheapest(clusters, steps) for clusters, steps in near]
    tables = counted_tables(torch.cat([s for _, s in first]).long().numpy(), torch.cat([c for c, _ in first]).numpy(), count)
    for _ in range(_RECOUNTS):
        chosen = [tables.choose(clusters.numpy(), steps.double().numpy(), STEP_ERROR_BITS) for clusters, steps in near]
        tables = counted_tables(np.concatenate([c[1] for c in chosen]), np.concatenate([c[0] for c in chosen]), count)
    return tables


@torch.inference_mode()
def answers(net: nn.Module, images: Pixels) -> Labels:
    """What a classifier says of each picture, ``(n,)``."""
    return torch.cat([net(x).argmax(1) for x in parts(images)]).numpy()


@torch.inference_mode()
def surprise_and_errors(net: nn.Module, images: Pixels, labels: Labels) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A classifier's cross entropy in bits, float32 ``(n,)``, and where it errs, bool ``(n,)``."""
    logits = torch.cat([net(x) for x in parts(images)])
    truth = torch.from_numpy(labels)
    surprise = functional.cross_entropy(logits, truth, reduction="none") / math.log(2)
    return surprise.numpy(), (logits.argmax(1) != truth).numpy()


def _squared_error(picture: Tensor, x: Tensor) -> Tensor:
    return 255**2 * functional.mse_loss(picture, x)


def _chance(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _descend(net: nn.Module, how: Learning, digits: int, loss: Callable[[Tensor], Tensor], chance: torch.Generator) -> None:
    """Adam over random batches of row numbers, the rate warmed up and then falling along a cosine to 0."""
    optimizer = torch.optim.Adam(net.parameters(), how.learning_rate)
    for step in range(how.steps):
        rate = how.learning_rate * min(1.0, (step + 1) / _WARMUP) * (1 + math.cos(math.pi * step / how.steps)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        value = loss(torch.randint(digits, (how.batch,), generator=chance))
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # pyright: ignore[reportUnknownMemberType]
        optimizer.step()
