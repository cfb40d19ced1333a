"""RGB and YCbCr: known colours of the standards, round trips, ranges and chroma formats."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from foveal.errors import PictureError
from foveal.media.color import Matrix, YCbCr, to_samples, to_ycbcr

MATRICES = [Matrix.BT709, Matrix.BT601, Matrix.BT2020_NCL]
RED = np.full((2, 2, 3), (255, 0, 0), np.uint8)
CORNERS = np.array([[[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)]], np.uint8)


def colour_cube() -> np.ndarray:
    levels = np.arange(0, 256, 3, dtype=np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), -1).reshape(86, -1, 3)


def difference(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize(
    ("matrix", "full_range", "expected"),
    [
        (Matrix.BT709, False, (63, 102, 240)),
        (Matrix.BT709, True, (54, 99, 255)),
        (Matrix.BT601, False, (81, 90, 240)),
        (Matrix.BT601, True, (76, 85, 255)),
        (Matrix.BT2020_NCL, False, (74, 97, 240)),
    ],
)
def test_red_is_the_standards_red(matrix, full_range, expected):
    planes = to_ycbcr(RED, "444", matrix=matrix, full_range=full_range).planes
    assert tuple(int(plane[0, 0]) for plane in planes) == expected


@pytest.mark.parametrize(
    ("bit_depth", "full_range", "white"), [(8, False, 235), (8, True, 255), (10, False, 940), (10, True, 1023)]
)
def test_black_and_white_meet_the_ends_of_the_range(bit_depth, full_range, white):
    picture = to_ycbcr(CORNERS, "444", full_range=full_range, bit_depth=bit_depth)
    luma = picture.planes[0][0]
    assert luma[0] == (0 if full_range else 16 << (bit_depth - 8))
    assert luma[-1] == white
    assert all(plane[0, 0] == plane[0, -1] == 1 << (bit_depth - 1) for plane in picture.planes[1:])


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize(("bit_depth", "full_range", "levels"), [(8, True, 1), (8, False, 2), (10, True, 0), (10, False, 0)])
def test_the_colour_cube_comes_back(matrix, bit_depth, full_range, levels):
    cube = colour_cube()
    back = to_samples(to_ycbcr(cube, "444", matrix=matrix, full_range=full_range, bit_depth=bit_depth))
    assert difference(back, cube) <= levels


def test_another_matrix_or_range_gives_another_picture():
    coded = to_ycbcr(CORNERS, "444")
    as_601 = to_samples(YCbCr(coded.planes, "444", Matrix.BT601))
    as_full = to_samples(YCbCr(coded.planes, "444", coded.matrix, full_range=True))
    assert difference(as_601, CORNERS) > 20
    assert difference(as_full, CORNERS) > 10


@pytest.mark.parametrize("chroma", ["420", "422", "444"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2), (64, 3), (65, 66), (130, 5)])
def test_one_colour_survives_any_size_and_chroma(chroma, size):
    samples = np.broadcast_to(np.array([200, 30, 90], np.uint8), (*size, 3)).copy()
    assert difference(to_samples(to_ycbcr(samples, chroma, full_range=True)), samples) <= 1


@pytest.mark.parametrize(("chroma", "psnr_db"), [("420", 39.0), ("422", 41.0), ("444", 52.0)])
def test_a_photograph_keeps_its_colours(chroma, psnr_db):
    photo = skimage.data.coffee()[:201, :255]
    back = to_samples(to_ycbcr(photo, chroma, full_range=True))
    assert 10 * np.log10(255**2 / np.mean((back.astype(float) - photo) ** 2)) > psnr_db


def test_a_slope_keeps_its_place():
    """Chroma that rises evenly comes back where it was: down- and upsampling agree on the siting."""
    blue = np.tile(np.arange(64, dtype=np.uint8) * 3, (64, 1))
    for samples in (np.stack([0 * blue, 0 * blue, blue], -1), np.stack([0 * blue, 0 * blue, blue.T], -1)):
        back = to_samples(to_ycbcr(samples, "420", full_range=True, bit_depth=10))
        assert difference(back[8:-8, 8:-8], samples[8:-8, 8:-8]) <= 1


def test_strips_leave_no_seam():
    photo = skimage.data.coffee()[:200, :120]
    whole = to_samples(to_ycbcr(photo, "420", full_range=True))
    shifted = to_samples(to_ycbcr(photo[32:], "420", full_range=True))
    assert difference(whole[40:], shifted[8:]) == 0


@pytest.mark.parametrize("full_range", [False, True])
def test_gray_stays_gray(full_range):
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    one = to_ycbcr(gray, "400", full_range=full_range)
    assert len(one.planes) == 1
    assert difference(to_samples(one), gray) <= 1
    three = to_samples(to_ycbcr(gray, "420", full_range=full_range))
    assert difference(three, np.repeat(gray, 3, axis=2)) <= 1
    assert (three[:, :, 0] == three[:, :, 1]).all()
    assert (three[:, :, 0] == three[:, :, 2]).all()


def test_identity_planes_are_green_blue_red():
    r, g, b = (np.full((2, 2), level, np.uint8) for level in (10, 20, 30))
    assert to_samples(YCbCr((g, b, r), "444", Matrix.IDENTITY, full_range=True))[0, 0].tolist() == [10, 20, 30]


def test_what_cannot_be_is_refused():
    luma, chroma = np.zeros((4, 4), np.uint8), np.zeros((2, 2), np.uint8)
    with pytest.raises(PictureError, match="400"):
        to_ycbcr(RED, "400")
    with pytest.raises(PictureError, match="identity"):
        to_ycbcr(RED, "444", matrix=Matrix.IDENTITY)
    with pytest.raises(PictureError, match="444"):
        YCbCr((luma, chroma, chroma), "420", Matrix.IDENTITY)
    with pytest.raises(PictureError, match="needed"):
        YCbCr((luma, chroma, chroma), "422")
    with pytest.raises(PictureError, match="uint16"):
        YCbCr((luma, chroma, chroma), "420", bit_depth=10)
