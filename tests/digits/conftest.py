"""Digits that nobody wrote: ten patterns of bright patches, which small networks learn in seconds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from foveal.digits.codec import DigitCodec, load_networks, save_networks
from foveal.digits.data import Digits, Labels, Pixels
from foveal.digits.networks import frozen_classifier
from foveal.digits.plan import Point
from foveal.digits.recipe import CodecSizes, Grid, Learning, Recipe
from foveal.digits.training import tables_of, train_point, train_start

RECIPE = """
least_accuracy = 90
[grid]
distortion_weights = [0.005, 0.05]
classification_weights = [0, 32]
seeds = [1, 2, 3]
[codec]
latents = 5
channels = 4
clusters = 12
[start]
steps = 120
batch = 32
learning_rate = 1e-2
[point]
steps = 8
batch = 32
learning_rate = 1e-3
[frozen]
steps = 60
batch = 64
learning_rate = 3e-3
[held_out]
steps = 60
batch = 64
learning_rate = 3e-3
"""

_QUICK = Learning(steps=150, batch=32, learning_rate=1e-2)
_CODEC_RECIPE = Recipe(
    Grid((0.05,), (0.0,), (1, 2, 3)),
    _QUICK,
    dataclasses.replace(_QUICK, steps=8),
    _QUICK,
    _QUICK,
    CodecSizes(latents=5, channels=4, clusters=12),
)


def patches(count: int, seed: int) -> tuple[Pixels, Labels]:
    """One pattern of 7x7 patches for each class, at any brightness, with noise."""
    patterns = np.random.default_rng(0).random((10, 7, 7)) < 0.5
    chance = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    bright = patterns[labels].repeat(4, 1).repeat(4, 2) * chance.uniform(120, 250, (count, 1, 1))
    noisy = bright + chance.normal(0, 12, (count, 28, 28))
    return np.clip(noisy, 0, 255).astype(np.uint8), labels


@pytest.fixture(scope="session")
def digits() -> Digits:
    return Digits(*patches(600, 1), *patches(60, 2))


@pytest.fixture(scope="session")
def digits_file(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("digits") / "patches.npz"
    np.savez_compressed(path, **vars(digits))
    return path


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "patches.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def saved(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("codec") / "point.safetensors"
    point = Point(0.05, 0.0, 1)
    model = train_point(_CODEC_RECIPE, digits, point, train_start(_CODEC_RECIPE, digits, 1), frozen_classifier())
    save_networks(path, model, tables_of(model, digits))
    return path


@pytest.fixture(scope="session")
def codec(saved: Path) -> DigitCodec:
    return DigitCodec(load_networks(saved))
