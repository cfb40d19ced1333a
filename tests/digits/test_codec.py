"""The codec of digits: every file comes back, is the one that its symbols have, and nothing else is taken."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foveal.codecs.base import Codec, EncodeSettings
from foveal.digits.codec import DigitCodec, DigitPrepared, load_networks
from foveal.digits.coding import counted_tables
from foveal.digits.data import Digits
from foveal.errors import DamagedError, FormatError, LimitError, PictureError, SettingsError, UnknownWeightsError
from foveal.limits import Limits
from foveal.picture import Picture


def prepared(codec: DigitCodec, image: np.ndarray) -> DigitPrepared:
    found = codec.prepare(Picture(np.ascontiguousarray(image)[:, :, None]))
    assert isinstance(found, DigitPrepared)
    return found


def check_round_trip(codec: DigitCodec, image: np.ndarray) -> None:
    ready = prepared(codec, image)
    data = ready.encode(50.0)
    assert len(data) <= math.ceil(ready.bits / 8 + 1e-6)
    cluster, symbols = codec.networks.tables.read(data)
    assert (cluster, symbols.tolist()) == (ready.cluster, ready.symbols.tolist())
    back = codec.decode(data)
    with torch.inference_mode():
        made = codec.networks.model.pictures(torch.tensor([cluster]), torch.from_numpy(symbols[None]).float())
    assert (back.samples[:, :, 0] == made[0, 0].numpy()).all()
    about = codec.describe(data)
    assert (about.bytes, about.width, about.height, about.channels, about.weights) == (len(data), 28, 28, 1, codec.networks.id)


def test_digits_come_back_smaller_and_alike(codec: DigitCodec, digits: Digits) -> None:
    assert isinstance(codec, Codec)
    for image in digits.test_images:
        check_round_trip(codec, image)
    back = np.stack([codec.decode(codec.encode(Picture(image[:, :, None]))).samples[:, :, 0] for image in digits.test_images])
    error = np.square(back.astype(float) - digits.test_images).mean()
    assert error < 0.5 * np.square(digits.test_images - digits.train_images.mean(0)).mean()


@settings(max_examples=60)
@given(arrays(np.uint8, (28, 28)))
def test_any_picture_of_the_size_comes_back(codec: DigitCodec, image: np.ndarray) -> None:
    check_round_trip(codec, image)


@settings(max_examples=200)
@given(st.binary(max_size=16))
def test_any_bytes_are_the_one_file_of_a_digit_or_are_refused(codec: DigitCodec, data: bytes) -> None:
    tables = codec.networks.tables
    try:
        cluster, symbols = tables.read(data)
    except FormatError:
        return
    assert tables.file(cluster, symbols) == data
    assert codec.decode(data).samples.shape == (28, 28, 1)


def test_files_with_bytes_too_many_are_damage(codec: DigitCodec, digits: Digits) -> None:
    """A byte more means nearly the same place in the interval, so the same symbols, which have a shorter file."""
    data = codec.encode(Picture(digits.test_images[4][:, :, None]))
    refused = [middle for middle in (127, 128) if not _read(codec, data + bytes([middle]))]
    assert refused
    with pytest.raises(DamagedError, match="up to 12"):
        codec.decode(data + bytes(13))


def _read(codec: DigitCodec, data: bytes) -> bool:
    try:
        codec.decode(data)
    except DamagedError:
        return False
    return True


@pytest.mark.parametrize(
    ("shape", "words"), [((28, 28, 3), "colour picture of 28x28"), ((27, 28, 1), "gray picture of 28x27"), ((1, 1, 1), "1x1")]
)
def test_other_pictures_are_refused_by_name(codec: DigitCodec, shape: tuple[int, int, int], words: str) -> None:
    with pytest.raises(PictureError, match=words):
        codec.encode(Picture(np.zeros(shape, np.uint8)))


def test_alpha_settings_and_limits_are_refused_by_name(codec: DigitCodec) -> None:
    blank = np.zeros((28, 28, 1), np.uint8)
    with pytest.raises(PictureError, match="alpha"):
        codec.encode(Picture(blank, alpha=blank[:, :, 0]))
    with pytest.raises(SettingsError, match="quality 0"):
        codec.encode(Picture(blank), EncodeSettings(quality=0))
    with pytest.raises(SettingsError, match="no chroma"):
        codec.encode(Picture(blank), EncodeSettings(chroma="444"))
    with pytest.raises(LimitError):
        codec.decode(codec.encode(Picture(blank)), Limits(pixels=10))


def test_the_most_frequent_cluster_lies_in_the_middle_and_files_of_no_bytes_are_there(codec: DigitCodec) -> None:
    sizes = codec.networks.tables.clusters[:-1]
    largest = int(sizes.argmax())
    assert sizes[:largest].sum() < sizes.sum() / 2 + sizes[largest]
    assert sizes[largest + 1 :].sum() < sizes.sum() / 2 + sizes[largest]
    assert codec.networks.tables.read(b"")[0] == np.searchsorted(sizes.cumsum(), 1 << 15, side="right")


def test_quality_changes_nothing(codec: DigitCodec, digits: Digits) -> None:
    ready = prepared(codec, digits.test_images[3])
    assert ready.encode(1) == ready.encode(100)


def test_damaged_or_foreign_weights_are_refused(saved: Path, tmp_path: Path) -> None:
    for data in (b"", b"junk", saved.read_bytes()[:-9]):
        (tmp_path / "w").write_bytes(data)
        with pytest.raises(UnknownWeightsError, match="no weights of digits"):
            load_networks(tmp_path / "w")
    with pytest.raises(UnknownWeightsError):
        load_networks(tmp_path / "none")


def test_tables_are_integers_that_sum_up_and_hold_all_that_was_counted() -> None:
    chance = np.random.default_rng(0)
    symbols = np.rint(chance.normal(0, [0.01, 2, 40], (500, 3))).astype(np.int64)
    symbols[0, 2] = 4000
    tables = counted_tables(symbols, chance.integers(0, 4, 500), 5)
    assert (tables.frequencies.sum(2) == 1 << 16).all()
    assert tables.clusters.sum() == 1 << 16
    assert (tables.low + tables.counts - 1)[2] == 127
    for row, count in zip(tables.frequencies.swapaxes(0, 1), tables.counts.tolist(), strict=True):
        assert (row[:, : count + 1] >= 1).all()
        assert not row[:, count + 1 :].any()
    tables.read(tables.file(4, tables.low))


def test_an_encoder_takes_the_cheapest_symbols() -> None:
    """Where a table says that a symbol is rare, a rounding error of half a step is cheaper than the nearest one."""
    symbols = np.array([[0]] * 999 + [[1]])
    tables = counted_tables(symbols, np.zeros(1000, np.int64), 1)
    near = np.zeros((2, 1), np.int64)
    steps = np.array([[[0.55]], [[1.4]]])
    _, chosen, bits = tables.choose(near, steps, 8.7)
    assert chosen[:, 0].tolist() == [0, 1]
    assert bits[0] < 0.1 < 5 < bits[1]
    assert tables.choose(near, steps, 1000.0)[1][:, 0].tolist() == [1, 1]
