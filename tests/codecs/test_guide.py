"""Guides: what they may hold, how they lie over a picture, and how callers ask for them."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import foveal
from foveal.codecs.base import EncodeSettings
from foveal.codecs.guide import MOST, SWING, Guide, asked_guide
from foveal.codecs.learned.quality_map import CELL, guide_steps, map_of
from foveal.codecs.registry import all_codecs, codec_by_name
from foveal.container.reader import read_container
from foveal.errors import SettingsError
from foveal.limits import DEFAULT_LIMITS
from foveal.picture import Picture
from foveal.pillow_plugin import register_pillow

RAMP = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize(
    ("octaves", "words"),
    [
        (np.zeros((2, 2, 1), np.float32), r"a guide's octaves of float32, shape \(2, 2, 1\); numbers in \(rows, columns\)"),
        (np.zeros((0, 4), np.float32), r"shape \(0, 4\)"),
        (np.array([["a"]]), "octaves of <U1"),
        (np.array([[0.0, MOST + 0.5]]), r"of up to 8\.5 octaves; -8 to 8 are allowed"),
        (np.array([[-9.0, 1.0]]), "of up to 9 octaves"),
        (np.array([[np.nan, 1.0]]), "of up to nan octaves"),
    ],
)
def test_octaves_are_checked(octaves: Any, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Guide(octaves)


def test_a_drawn_map_is_finer_where_it_is_white_and_keeps_the_mean() -> None:
    guide = Guide.of_importance(RAMP)
    assert guide.octaves.mean() == pytest.approx(0, abs=1e-6)
    assert guide.octaves[0, 0] - guide.octaves[2, 3] == pytest.approx(SWING)
    assert not guide.hold_rate
    assert not guide.is_flat
    assert Guide.of_importance(np.full((9, 7), 0.7, np.float32)).is_flat


def test_a_guide_travels_to_a_worker() -> None:
    guide = replace(Guide.of_importance(RAMP, hold_rate=True), chroma_octaves=-0.5, sharp=False, matrices=True)
    there = pickle.loads(pickle.dumps(guide))
    assert guide.is_flat == there.is_flat
    assert (there.octaves == guide.octaves).all()
    assert (there.hold_rate, there.chroma_octaves, there.sharp, there.matrices) == (True, -0.5, False, True)


def test_drawn_maps_are_sharp_and_of_the_same_quantiser_for_all_frequencies() -> None:
    for guide in (Guide(RAMP), Guide.of_importance(RAMP)):
        assert (guide.sharp, guide.matrices, guide.chroma_octaves) == (True, False, 0)


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.integers(1, 16), st.integers(0, 99))
def test_cells_take_the_mean_of_what_they_cover(rows: int, columns: int, height: int, width: int, side: int, seed: int) -> None:
    guide = Guide(np.random.default_rng(seed).uniform(-2, 2, (rows, columns)).astype(np.float32))
    cells = guide.on_cells(width, height, side)
    assert cells.shape == (-(-height // side), -(-width // side))
    # A picture whose pixels are cut up so that each part lies within one sample of the guide.
    parts = guide.octaves.repeat(height, 0).repeat(width, 1)
    for row, column in np.ndindex(cells.shape):
        covered = parts[row * side * rows : (row + 1) * side * rows, column * side * columns : (column + 1) * side * columns]
        assert cells[row, column] == pytest.approx(float(covered.mean(dtype=np.float64)), abs=1e-5)


@pytest.mark.parametrize("name", ["frequency", "gdn"])
def test_a_map_lies_over_the_picture_and_not_over_its_padding(name: str) -> None:
    """The left half of 130 pixels is 65 wide, wherever the padded picture ends."""
    importance = np.array([[1, 0]], np.float32)
    guide = Guide.of_importance(importance)
    expected = guide_steps(guide, 130, 40, 18.0)
    assert expected is not None
    assert expected.tolist() == [[10, 10, -9, -10, -10]] * 2
    data = foveal.encode(Picture(np.zeros((40, 130, 3), np.uint8)), codec=name, importance=importance)
    stride = 64 if name == "frequency" else CELL
    rows, columns = (-(-side // stride) * stride // CELL for side in (40, 130))
    steps = map_of(read_container(data, DEFAULT_LIMITS).head, rows, columns)
    assert steps is not None
    assert (np.sign(steps) == np.sign(np.pad(expected, ((0, 0), (0, columns - 5)), mode="edge"))).all()


def test_callers_ask_by_a_map_or_by_a_guide() -> None:
    guide = Guide(RAMP)
    assert asked_guide(None) is None
    assert asked_guide(None, guide=guide) is guide
    held = asked_guide(None, guide=guide, hold_rate=True)
    assert held is not None
    assert held.hold_rate
    drawn = asked_guide(RAMP, hold_rate=True)
    assert drawn is not None
    assert drawn.hold_rate
    assert (drawn.octaves == Guide.of_importance(RAMP).octaves).all()
    with pytest.raises(SettingsError, match="an importance map and a guide are both given; leave one out"):
        asked_guide(RAMP, guide=guide)
    with pytest.raises(SettingsError, match="hold_rate without an importance map; give a map too"):
        asked_guide(None, hold_rate=True)


def test_every_way_to_ask_gives_the_same_file(photo: Picture) -> None:
    small = Picture(np.ascontiguousarray(photo.samples[:64, :128]))
    half = np.array([[1, 0]], np.float32)
    drawn = foveal.encode(small, codec="gdn", quality=40, importance=half, hold_rate=True)
    assert drawn != foveal.encode(small, codec="gdn", quality=40, importance=half)
    guide = Guide.of_importance(half, hold_rate=True)
    assert foveal.encode(small, codec="gdn", quality=40, guide=guide) == drawn
    assert foveal.encode(small, codec="gdn", quality=40, guide=Guide.of_importance(half), hold_rate=True) == drawn
    assert codec_by_name("gdn").encode(small, EncodeSettings(40, guide=guide)) == drawn
    register_pillow()
    saved = io.BytesIO()
    Image.fromarray(small.samples).save(saved, "FVL", codec="gdn", quality=40, importance=half, hold_rate=True)
    assert saved.getvalue() == drawn
    with pytest.raises(OSError, match="hold_rate without an importance map"):
        Image.fromarray(small.samples).save(io.BytesIO(), "FVL", codec="gdn", hold_rate=True)


@pytest.mark.parametrize("name", [info.name for info in all_codecs()])
def test_every_codec_follows_a_guide_and_writes_a_plain_file(name: str, photo: Picture) -> None:
    codec = codec_by_name(name)
    part = Picture(np.ascontiguousarray(photo.samples[:96, :128]))
    octaves = np.full((6, 8), 1.5, np.float32)
    octaves[:, :4] = -0.5
    quality = 30.0 if codec.info.learned else 45.0
    plain = codec.decode(codec.encode(part, EncodeSettings(quality)))
    data = codec.encode(part, EncodeSettings(quality, guide=Guide(octaves, hold_rate=True)))
    back = codec.decode(data)
    assert (back.width, back.height) == (128, 96)
    assert len(data) <= 1.1 * len(codec.encode(part, EncodeSettings(quality)))

    def error(picture: Picture, columns: slice) -> float:
        return float(np.square(picture.samples[:, columns].astype(float) - part.samples[:, columns]).mean())

    fine, coarse = slice(0, 60), slice(68, 128)
    assert error(back, fine) / error(back, coarse) < error(plain, fine) / error(plain, coarse)


@pytest.mark.parametrize("name", [info.name for info in all_codecs() if info.name != "hevc"])
def test_codecs_look_past_what_they_do_not_follow(name: str, photo: Picture) -> None:
    """Whether blocks are sharp, which hevc alone follows, and the standard's matrices, which kvazaar does too."""
    part = Picture(np.ascontiguousarray(photo.samples[:96, :128]))
    plain = Guide(np.array([[-0.5, 0.5]], np.float32))
    codec, soft = codec_by_name(name), replace(plain, sharp=False)
    data = codec.encode(part, EncodeSettings(45, threads=1, guide=plain))
    assert codec.encode(part, EncodeSettings(45, threads=1, guide=soft)) == data
    assert (codec.encode(part, EncodeSettings(45, threads=1, guide=replace(plain, matrices=True))) == data) == (name != "kvazaar")
