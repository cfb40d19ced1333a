"""What is made twice is the same: files, tables, weights. What has another seed is not."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from foveal.codecs.base import EncodeSettings
from foveal.digits.batches import decoded_digits, encoded_digits
from foveal.digits.codec import DigitCodec, load_networks, save_networks
from foveal.digits.coding import DigitTables, counted_tables
from foveal.digits.data import Digits
from foveal.digits.networks import frozen_classifier
from foveal.digits.plan import Point
from foveal.digits.recipe import CodecSizes, Grid, Learning, Recipe
from foveal.digits.training import tables_of, train_point, train_start
from foveal.picture import Picture

HASTY = Learning(steps=5, batch=16, learning_rate=1e-2)
RECIPE = Recipe(Grid((0.05,), (0.0,), (1, 2, 3)), HASTY, HASTY, HASTY, HASTY, CodecSizes(latents=4, channels=2, clusters=4))


def trained(digits: Digits, path: Path, seed: int, before: int) -> str:
    """The id of the weights. before: the seed of what was drawn in the process before."""
    torch.manual_seed(0)
    net = frozen_classifier()
    torch.manual_seed(before)
    model = train_point(RECIPE, digits, Point(0.05, 8.0, seed), train_start(RECIPE, digits, seed), net.eval())
    return save_networks(path, model, tables_of(model, digits)).id


def test_a_point_is_the_same_again_and_another_with_another_seed(digits: Digits, tmp_path: Path) -> None:
    first = trained(digits, tmp_path / "a", 1, 5)
    assert trained(digits, tmp_path / "b", 1, 6) == first
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert trained(digits, tmp_path / "c", 2, 5) != first


def test_a_file_is_the_same_again_in_any_threads_and_from_weights_read_again(
    codec: DigitCodec, saved: Path, digits: Digits
) -> None:
    again = DigitCodec(load_networks(saved))
    for image in digits.test_images[::7]:
        picture = Picture(image[:, :, None])
        data = codec.encode(picture)
        assert codec.encode(picture) == data
        assert codec.encode(picture, EncodeSettings(threads=2)) == data
        assert again.encode(picture) == data
        assert (again.decode(data).samples == codec.decode(data).samples).all()


def test_batches_do_to_digits_what_the_codec_does(codec: DigitCodec, digits: Digits) -> None:
    """Up to the last digits of floats, so one in a hundred files may be another, and samples differ by 1 at most."""
    files, bits, clusters = encoded_digits(codec.networks, digits.test_images)
    own = [codec.encode(Picture(image[:, :, None])) for image in digits.test_images]
    assert sum(a != b for a, b in zip(files, own, strict=True)) <= len(own) // 50
    assert len(files) == len(bits) == len(clusters) == len(digits.test_images)
    alone = np.stack([codec.decode(data).samples[:, :, 0] for data in files])
    assert np.abs(decoded_digits(codec.networks, files).astype(int) - alone).max() <= 1


def known_tables() -> DigitTables:
    """Counted without chance and without floats."""
    n = np.arange(400)
    symbols = np.stack([n * n % 5 - 2, n % 3, n // 399], 1)
    return counted_tables(symbols, n % 4, 4)


@pytest.mark.parametrize(
    ("cluster", "symbols", "data"),
    [(0, [-2, 0, 0], "00"), (3, [2, 1, 0], "ef"), (1, [-1, 0, 1], "553fdc"), (2, [-1, 2, 0], "9e")],
)
def test_files_never_change(cluster: int, symbols: list[int], data: str) -> None:
    """Bytes that were written once, so that a file of one machine or release is one of all."""
    assert known_tables().file(cluster, np.array(symbols)).hex() == data
    found, back = known_tables().read(bytes.fromhex(data))
    assert (found, back.tolist()) == (cluster, symbols)


def test_symbols_are_decoded_without_torch(codec: DigitCodec) -> None:
    code = "import sys; sys.modules['torch'] = None; import foveal.digits.coding; print('ok')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "ok"


def test_one_cluster_has_one_set_of_tables(digits: Digits, tmp_path: Path) -> None:
    model = train_point(
        dataclasses.replace(RECIPE, codec=dataclasses.replace(RECIPE.codec, clusters=1)),
        digits,
        Point(0.05, 0.0, 1),
        train_start(RECIPE, digits, 1),
        frozen_classifier(),
    )
    tables = tables_of(model, digits)
    assert tables.frequencies.shape[:2] == (1, 4)
    assert save_networks(tmp_path / "one", model, tables).sizes.clusters == 1
