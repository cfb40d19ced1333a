"""Rate and PSNR against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from foveal.errors import InputError, PictureError
from foveal.metrics.psnr import psnr_rgb_db, psnr_y_db
from foveal.metrics.rate import bpp, file_bits, file_bytes
from foveal.picture import Picture


def flat(red, green, blue, height=4, width=6):
    return Picture(np.full((height, width, 3), (red, green, blue), np.uint8))


def test_file_size_is_what_lies_on_disk(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(b"x" * 123)
    assert (file_bytes(file), file_bits(file)) == (123, 984)
    assert bpp(123, 12, 10) == pytest.approx(8.2)


def test_missing_file_and_empty_picture_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.jpg"):
        file_bytes(tmp_path / "none.jpg")
    with pytest.raises(PictureError, match="0x5"):
        bpp(10, 0, 5)


def test_psnr_of_known_pairs():
    black = flat(0, 0, 0)
    assert psnr_rgb_db(black, flat(255, 255, 255)) == pytest.approx(0)
    assert psnr_rgb_db(black, flat(1, 1, 1)) == pytest.approx(48.1308036)
    # One channel of three is off by 3: MSE 3.
    assert psnr_rgb_db(black, flat(0, 0, 3)) == pytest.approx(10 * math.log10(255**2 / 3))


def test_psnr_y_weighs_colours_by_bt601():
    black = flat(0, 0, 0)
    for colour, weight in (((10, 0, 0), 0.299), ((0, 10, 0), 0.587), ((0, 0, 10), 0.114)):
        assert psnr_y_db(black, flat(*colour)) == pytest.approx(20 * math.log10(255 / (10 * weight)))


def test_errors_of_both_signs_count():
    a = Picture(np.array([[[10], [10]]], np.uint8))
    b = Picture(np.array([[[13], [7]]], np.uint8))
    assert psnr_rgb_db(a, b) == psnr_rgb_db(b, a) == pytest.approx(10 * math.log10(255**2 / 9))


def test_identical_is_infinite_and_gray_equals_its_rgb():
    gray = Picture(np.arange(24, dtype=np.uint8).reshape(4, 6, 1))
    colour = Picture(gray.rgb().copy())
    assert psnr_rgb_db(gray, colour) == psnr_y_db(colour, gray) == math.inf


def test_alpha_is_ignored():
    opaque = flat(9, 9, 9)
    clear = Picture(opaque.samples, alpha=np.zeros((4, 6), np.uint8))
    assert psnr_rgb_db(opaque, clear) == math.inf


def test_another_size_is_refused():
    with pytest.raises(PictureError, match="4x6 cannot be compared with 6x4"):
        psnr_rgb_db(flat(0, 0, 0, 4, 6), flat(0, 0, 0, 6, 4))
