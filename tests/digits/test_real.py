"""On real digits, where they are: a codec of a few seconds' learning, and its files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from foveal.digits.codec import DigitCodec, save_networks
from foveal.digits.data import read_digits
from foveal.digits.measure import measure
from foveal.digits.networks import frozen_classifier, held_out_classifier
from foveal.digits.plan import Point
from foveal.digits.recipe import Learning, read_recipe
from foveal.digits.training import tables_of, train_point, train_start

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_hasty_codec_of_real_digits_beats_the_mean_picture_at_four_bytes(data_folder: Path, tmp_path: Path) -> None:
    path = data_folder / "mnist" / "mnist.npz"
    if not path.is_file():
        pytest.skip(f"no handwritten digits at {path}; set FOVEAL_DATA to measure on them")
    whole = read_digits(path)
    every = np.s_[::10]
    digits = dataclasses.replace(
        whole,
        train_images=whole.train_images[every],
        train_labels=whole.train_labels[every],
        test_images=whole.test_images[every],
        test_labels=whole.test_labels[every],
    )
    hasty = Learning(steps=300, batch=64, learning_rate=3e-3)
    recipe = dataclasses.replace(
        read_recipe(ROOT / "recipes" / "rdc-digits.toml"), start=hasty, point=dataclasses.replace(hasty, steps=20)
    )
    frozen = frozen_classifier().eval()
    model = train_point(recipe, digits, Point(0.01, 0.0, 1), train_start(recipe, digits, 1), frozen)
    codec = DigitCodec(save_networks(tmp_path / "hasty.safetensors", model, tables_of(model, digits)))
    trip = measure(codec, digits, frozen, held_out_classifier().eval())
    assert trip.differ <= trip.checked // 10
    assert trip.digits.file_bits.mean() < 30
    mean = digits.train_images.mean(0)
    assert trip.digits.mse.mean() < 0.8 * np.square(digits.test_images - mean).mean()
