"""Coefficients taken away on JPEG's own grid."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from foveal.codecs.base import EncodeSettings
from foveal.codecs.guide import Guide
from foveal.codecs.guided import jpeg_blocks as module
from foveal.codecs.guided.jpeg_blocks import thin_blocks
from foveal.codecs.registry import codec_by_name
from foveal.picture import Picture

Chroma = Literal["420", "422", "444"]


def guide(octaves: float) -> Guide:
    return Guide(np.full((1, 1), octaves, np.float32))


def coded(picture: Picture, quality: int, chroma: Chroma = "420") -> bytes:
    return codec_by_name("jpeg").encode(picture, EncodeSettings(quality, chroma=None if picture.is_gray else chroma))


def mean_square(one: Picture, other: Picture) -> float:
    return float(np.mean((one.samples.astype(float) - other.samples) ** 2))


def test_blocks_at_0_octaves_and_below_are_untouched(photo: Picture) -> None:
    octaves = np.zeros((256, 256), np.float32)
    octaves[:, 128:], octaves[64:128, :64] = 2, -1
    thinned = thin_blocks(photo, Guide(octaves), 50, "420").samples
    assert np.array_equal(thinned[:, :128], photo.samples[:, :128])
    assert (thinned[:, 128:] != photo.samples[:, 128:]).mean() > 0.5
    assert thin_blocks(photo, Guide(np.minimum(octaves, 0)), 50, "420") is photo


@pytest.mark.parametrize("quality", [30, 75, 92])
@pytest.mark.parametrize("chroma", ["420", "422", "444"])
def test_an_octave_saves_about_what_tables_of_twice_the_steps_do(photo: Picture, quality: int, chroma: Chroma) -> None:
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    doubled = round(5000 / (2 * scale) if 2 * scale > 100 else 100 - scale)
    plain, coarser = len(coded(photo, quality, chroma)), len(coded(photo, doubled, chroma))
    thinned = len(coded(thin_blocks(photo, guide(1), quality, chroma), quality, chroma))
    assert 0.9 < thinned / coarser < 1.15 < plain / coarser


def test_what_little_is_asked_moves_little(photo: Picture) -> None:
    plain = len(coded(photo, 75))
    sizes = [len(coded(thin_blocks(photo, guide(octaves), 75, "420"), 75)) for octaves in (0.01, 0.5, 1, 2, 4)]
    assert sizes == sorted(sizes, reverse=True)
    assert abs(sizes[0] / plain - 1) < 0.02
    assert sizes[1] < 0.95 * plain
    assert sizes[4] < 0.3 * plain


def test_coefficients_that_are_taken_away_are_zero_in_the_file() -> None:
    """A block of one wave, of 1.4 steps: an octave keeps nothing below 1.5 steps."""
    steps = np.array(Image.open(io.BytesIO(coded(Picture(np.zeros((8, 8, 1), np.uint8)), 50))).quantization[0]).reshape(8, 8)
    down, across = 1, 3
    place = np.arange(8)
    wave = np.outer(np.cos((2 * place + 1) * down * np.pi / 16), np.cos((2 * place + 1) * across * np.pi / 16)) / 4
    for share, stays in ((1.4, False), (1.7, True)):
        block = np.rint(128 + share * steps[down, across] * wave).astype(np.uint8)
        picture = Picture(np.tile(block, (4, 4))[:, :, None])
        back = codec_by_name("jpeg").decode(coded(thin_blocks(picture, guide(1), 50, "420"), 50))
        assert (np.ptp(back.samples) > 2) == stays
        assert np.ptp(codec_by_name("jpeg").decode(coded(picture, 50)).samples) > 2


def test_means_stay_however_dark() -> None:
    dark = Picture(np.full((16, 24, 3), 20, np.uint8))
    assert np.array_equal(thin_blocks(dark, guide(8), 10, "420").samples, dark.samples)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (7, 30, 3), (17, 16, 1), (33, 47, 3)])
@pytest.mark.parametrize("chroma", ["420", "422", "444"])
def test_any_size_keeps_its_form(photo: Picture, shape: tuple[int, int, int], chroma: Chroma) -> None:
    picture = Picture(np.ascontiguousarray(photo.samples[: shape[0], : shape[1], : shape[2]]), icc=b"icc", exif=b"exif")
    thinned = thin_blocks(picture, guide(2), 40, chroma)
    assert thinned.samples.shape == shape
    assert (thinned.icc, thinned.exif) == (b"icc", b"exif")
    assert mean_square(thinned, picture) < 400
    assert Image.open(io.BytesIO(coded(thinned, 40, chroma))).size == (shape[1], shape[0])


def test_bands_have_no_seams(photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Picture(np.ascontiguousarray(photo.samples[:75, :53]))
    ramp = Guide(np.linspace(-1, 3, 30, dtype=np.float32).reshape(5, 6))
    whole = thin_blocks(odd, ramp, 60, "420").samples
    monkeypatch.setattr(module, "_BAND_PIXELS", 1)
    apart = np.abs(thin_blocks(odd, ramp, 60, "420").samples.astype(int) - whole)
    assert apart.mean() < 0.001  # a matrix product of fewer rows may round otherwise
