"""Recipes and digits: what is read, and what is refused by name."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveal.digits.data import Digits, read_digits
from foveal.digits.plan import Point, points_of
from foveal.digits.recipe import read_recipe
from foveal.errors import InputError, RecipeError

ROOT = Path(__file__).parents[2]


def test_the_shipped_recipe_is_read_and_has_a_grid_of_three_seeds() -> None:
    recipe = read_recipe(ROOT / "recipes" / "rdc-digits.toml")
    points = points_of(recipe.grid)
    assert recipe.grid.classification_weights[0] == 0
    assert len(set(points)) == len({point.name for point in points}) == 6 * 4 * 3
    assert points[0] == Point(0.001, 0.0, 1)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("latents = 5", "latents = 5\nspeed = 3", "unknown key 'speed'"),
        ("latents = 5", "latents = 0", "1 to 256"),
        ("latents = 5", "latents = 'five'", "not of type int"),
        ("seeds = [1, 2, 3]", "seeds = [1, 2]", "three or more"),
        ("seeds = [1, 2, 3]", "seeds = [1, 2, 2]", "three or more"),
        ("seeds = [1, 2, 3]", "seeds = 3", "a list"),
        ("[0.005, 0.05]", "[0.0, 0.05]", "above 0"),
        ("[0.005, 0.05]", "[nan, 0.05]", "above 0"),
        ("[0, 32]", "[32, 32]", "different numbers"),
        ("[0, 32]", "[-1, 32]", "of 0 or more"),
        ("[0, 32]", "['much']", "of 0 or more"),
        ("[0, 32]", "[]", "a list of one or more"),
        ("learning_rate = 1e-2", "learning_rate = 0.0", "above 0"),
        ("[start]", "[begin]", r"\[start\]"),
        ("learning_rate = 1e-2", "learning_rate = nan", "above 0"),
        ("learning_rate = 1e-2", "learning_rate = inf", "above 0"),
        ("least_accuracy = 90", "start_weight = nan", "start_weight = nan"),
        ("least_accuracy = 90", "least_accuracy = 101", "0 to 100"),
        ("least_accuracy = 90", "least_accuracy = nan", "0 to 100"),
        ("least_accuracy = 90", "least_accuracy = ", "not TOML"),
    ],
)
def test_wrong_recipes_are_refused_by_name(recipe_file: Path, tmp_path: Path, old: str, new: str, words: str) -> None:
    text = recipe_file.read_text()
    assert old in text
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace(old, new, 1))
    with pytest.raises(RecipeError, match=words) as told:
        read_recipe(wrong)
    assert "wrong.toml" in str(told.value)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        read_recipe(tmp_path / "none.toml")


def test_digits_come_back_and_have_a_name_of_their_own(digits: Digits, digits_file: Path) -> None:
    found = read_digits(digits_file)
    assert (found.test_images == digits.test_images).all()
    assert found.digest == digits.digest
    other = Digits(found.train_images, found.train_labels, found.test_images, found.test_labels[::-1])
    assert other.digest != digits.digest


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_labels": None}, "lacks the array train_labels"),
        ({"test_images": np.zeros((60, 27, 28), np.uint8)}, "test_images is uint8"),
        ({"test_images": np.zeros((60, 28, 28), np.float32)}, "test_images is float32"),
        ({"test_labels": np.zeros(59, np.int64)}, "one a picture"),
        ({"test_labels": np.full(60, 10)}, "0 to 9 is allowed"),
        ({"test_labels": np.zeros(60)}, "whole numbers"),
        ({"train_images": np.full((600, 28, 28), np.nan)}, "train_images is float64"),
        ({"train_labels": np.full(600, np.nan)}, "train_labels is float64"),
        ({"train_labels": np.full(600, -1)}, "0 to 9 is allowed"),
        ({"test_images": np.zeros((0, 28, 28), np.uint8), "test_labels": np.zeros(0, np.int64)}, "test_images is uint8"),
        ({"test_images": np.uint8(3)}, "test_images is uint8"),
        ({"test_labels": np.array([None] * 60)}, "no .npz of digits"),
    ],
)
def test_wrong_digits_are_refused_by_name(digits: Digits, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    arrays = {name: array for name, array in (vars(digits) | change).items() if array is not None}
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(InputError, match=words):
        read_digits(tmp_path / "d.npz")


def test_files_that_are_no_digits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the digits"):
        read_digits(tmp_path / "none.npz")
    for name, data in (("a.npz", b"junk"), ("b.npz", b"PK\3\4junk"), ("c.npz", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=r"no \.npz of digits"):
            read_digits(tmp_path / name)
    np.save(tmp_path / "d.npy", np.zeros(3))
    with pytest.raises(InputError, match=r"no \.npz of digits"):
        read_digits(tmp_path / "d.npy")


def test_a_damaged_file_of_digits_is_refused_or_whole(digits: Digits, tmp_path: Path) -> None:
    """Every third byte of the last 900, where the directory of the zip lies, and some of the rest."""
    few = {name: array[:2] for name, array in vars(digits).items()}
    np.savez(tmp_path / "d.npz", **few)
    data = (tmp_path / "d.npz").read_bytes()
    refused = 0
    for at in [*range(0, len(data) - 900, 211), *range(len(data) - 900, len(data), 3)]:
        for value in {0, 255, data[at] ^ 1} - {data[at]}:
            (tmp_path / "d.npz").write_bytes(data[:at] + bytes([value]) + data[at + 1 :])
            try:
                read_digits(tmp_path / "d.npz")
            except InputError:
                refused += 1
    assert refused > 150


def test_an_array_that_says_it_is_huge_is_refused(digits: Digits, tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **vars(digits))
    with zipfile.ZipFile(tmp_path / "d.npz", "a") as held:
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000000,), }\n"
        held.writestr("more.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InputError, match=r"no \.npz of digits"):
        read_digits(tmp_path / "d.npz")
