"""How pictures become inputs, and that positions come back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from foveal.picture import Picture
from foveal.tasks.input import FITS, InputRecord, place_of, prepare

SIDES = st.integers(1, 5000)


def _record(fit: str, place: str = "top-left") -> InputRecord:
    if fit == "scale":
        return InputRecord(fit=fit, short_side=100, long_side=333, multiple=8)
    return InputRecord(width=96, height=64, fit=fit, place=place, short_side=100 if fit == "crop" else 0)


@given(
    st.sampled_from(FITS),
    st.sampled_from(["top-left", "centre"]),
    SIDES,
    SIDES,
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_positions_come_back(fit: str, place: str, width: int, height: int, parts: list[float]) -> None:
    geometry, placed = place_of(width, height, _record(fit, place))
    points = np.array(parts).reshape(2, 2) * (width, height)
    np.testing.assert_allclose(geometry.to_picture(geometry.to_input(points)), points, atol=1e-6)
    # The corners of the part that was taken lie on the corners of the place that it was put at.
    x0, y0, x1, y1 = placed.box
    corners = [[placed.left, placed.top], [placed.left + placed.width, placed.top + placed.height]]
    np.testing.assert_allclose(geometry.to_input(np.array([[x0, y0], [x1, y1]])), corners, atol=1e-6)
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    if fit == "letterbox":  # the aspect is kept, to a pixel of the input
        assert abs(placed.width - min(96, 64 / height * width)) <= 1
        assert abs(placed.height - min(64, 96 / width * height)) <= 1
        assert place == "top-left" or abs(2 * placed.left + placed.width - 96) <= 1


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (63, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_is_prepared(fit: str, size: tuple[int, int], channels: int) -> None:
    picture = Picture(np.full((*size, channels), 200, np.uint8), alpha=np.zeros(size, np.uint8))
    batch = prepare(picture, _record(fit)).batch
    assert batch.dtype == np.float32
    if fit == "scale":
        assert batch.shape[:2] == (1, 3)
        assert all(32 <= side <= 336 and side % 8 == 0 for side in batch.shape[2:])
    else:
        assert batch.shape == (1, 3, 64, 96)
    assert set(np.unique(batch)) <= {np.float32(200 / 255), 0}  # what is not the picture is the pad, 0; alpha plays no part


def test_a_crop_is_the_middle_of_the_resized_picture() -> None:
    photo = np.random.default_rng(1).integers(0, 256, (300, 401, 3), dtype=np.uint8)
    record = InputRecord(width=224, height=192, fit="crop", short_side=256, range=255)
    batch = prepare(Picture(photo), record).batch[0].transpose(1, 2, 0)
    whole = np.asarray(Image.fromarray(photo).resize((int(256 / 300 * 401), 256), Image.Resampling.BILINEAR)).astype(np.float32)
    top, left = 32, round((whole.shape[1] - 224) / 2)
    assert np.abs(batch - whole[top : top + 192, left : left + 224]).max() <= 1


def test_numbers_channels_and_layouts() -> None:
    picture = Picture(np.array([[[0, 51, 255]]], np.uint8))
    plain = prepare(picture, InputRecord(width=1, height=1)).batch
    np.testing.assert_allclose(plain[0, :, 0, 0], [0, 0.2, 1])
    normal = InputRecord(width=1, height=1, layout="nhwc", channels="bgr", mean=(0.0, 0.1, 0.5), std=(1.0, 0.5, 2.0))
    np.testing.assert_allclose(prepare(picture, normal).batch[0, 0, 0], [0.25, 0.2, 0], atol=1e-6)  # mean and std are R, G, B
    quantised = InputRecord(width=1, height=1, type="int8", mean=(0.5,) * 3, std=(0.5,) * 3, scale=1 / 127, zero_point=-1)
    batch = prepare(picture, quantised).batch
    assert batch.dtype == np.int8
    assert batch[0, :, 0, 0].tolist() == [-128, round(-0.6 * 127) - 1, 126]
    raw = prepare(picture, InputRecord(width=1, height=1, type="uint8", range=255)).batch
    assert raw[0, :, 0, 0].tolist() == [0, 51, 255]


def test_the_letterbox_is_padded_where_it_says() -> None:
    picture = Picture(np.full((10, 20, 3), 255, np.uint8))
    for place, rows in (("top-left", range(10)), ("centre", range(5, 15))):
        batch = prepare(picture, InputRecord(width=20, height=20, fit="letterbox", place=place, pad=51)).batch[0, 0]
        assert [row for row in range(20) if (batch[row] == 1).all()] == list(rows)
        assert np.isclose(np.delete(batch, list(rows), axis=0), 0.2).all()


def test_without_antialias_single_pixels_count() -> None:
    stripes = np.zeros((8, 64, 3), np.uint8)
    stripes[:, ::4] = 255
    smooth, rough = (prepare(Picture(stripes), InputRecord(width=16, height=8, antialias=how)).batch for how in (True, False))
    assert smooth.std() < 0.05
    assert abs(smooth.mean() - 0.25) < 0.02
    assert rough.max() == 0  # the centres fall between the stripes
