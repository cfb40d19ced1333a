"""The filter before a codec: what it leaves alone, what it takes away, and what that saves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal.codecs.base import EncodeSettings
from foveal.codecs.guide import Guide
from foveal.codecs.guided import prefilter as module
from foveal.codecs.guided.planes import SIDE, cosine_matrix
from foveal.codecs.guided.prefilter import prefilter
from foveal.codecs.registry import codec_by_name
from foveal.errors import SettingsError
from foveal.picture import Picture

EVERYWHERE = Guide(np.ones((1, 1), np.float32))


def surround(octaves: float) -> Guide:
    """Nothing asked of the middle of a picture, ``octaves`` around it."""
    return Guide(np.pad(np.zeros((2, 2), np.float32), 1, constant_values=octaves))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


def test_the_transform_is_orthonormal_and_its_first_row_the_mean() -> None:
    matrix = cosine_matrix().astype(np.float64)
    assert np.abs(matrix @ matrix.T - np.eye(SIDE * SIDE)).max() < 1e-6
    assert np.allclose(matrix[0], 1 / SIDE)


@pytest.mark.parametrize("width", [64, 61])
def test_samples_are_untouched_where_the_guide_is_not_above_0(photo: Picture, width: int) -> None:
    picture = Picture(np.ascontiguousarray(photo.samples[:64, :width]))
    octaves = np.zeros((64, width), np.float32)
    octaves[:, 30:], octaves[20:, :30] = 2, -1
    filtered = prefilter(picture, Guide(octaves), 12)
    changed = (filtered.samples != picture.samples).any(axis=2)
    assert not changed[octaves <= 0].any()
    assert changed[octaves > 0].mean() > 0.5


@pytest.mark.parametrize("octaves", [0.0, -3.0])
def test_a_guide_that_is_nowhere_above_0_changes_nothing(photo: Picture, octaves: float) -> None:
    assert prefilter(photo, Guide(np.full((3, 5), octaves, np.float32)), 50) is photo
    assert np.array_equal(prefilter(photo, EVERYWHERE, 0).samples, photo.samples)


def test_it_takes_away_more_the_more_octaves_and_the_larger_the_step(photo: Picture) -> None:
    def lost(octaves: float, step: float) -> float:
        filtered = prefilter(photo, Guide(np.full((1, 1), octaves, np.float32)), step)
        return float(np.mean((filtered.samples.astype(float) - photo.samples) ** 2))

    by_octaves = [lost(octaves, 10) for octaves in (0.25, 0.5, 1, 2, 4)]
    by_step = [lost(1, step) for step in (2, 10, 40, 160)]
    assert by_octaves == sorted(set(by_octaves))
    assert by_step == sorted(set(by_step))
    assert 1 < by_octaves[2] < 15**2  # no coefficient loses more than the threshold


def test_what_is_far_above_the_step_stays_and_means_stay() -> None:
    edge = np.zeros((64, 64, 1), np.uint8)
    edge[:, 32:] = 200
    kept = prefilter(Picture(edge), EVERYWHERE, 5).samples
    assert np.abs(kept.astype(int) - edge).max() <= 6
    flat = prefilter(Picture(noise(64, 64, 1) // 4 + 90), EVERYWHERE, 1000).samples
    assert np.ptp(flat[8:-8, 8:-8]) < 20
    assert abs(float(flat.mean()) - float((noise(64, 64, 1) // 4 + 90).mean())) < 0.5


def test_colour_is_filtered_too() -> None:
    luma = np.array([0.299, 0.587, 0.114])
    tinted = np.full((64, 64, 3), 128, np.int64)
    tinted[..., 0] += noise(64, 64) // 16
    tinted[..., 1] -= np.rint(noise(64, 64) // 16 * luma[0] / luma[1]).astype(np.int64)
    before = tinted.astype(np.uint8)
    after = prefilter(Picture(before), EVERYWHERE, 15).samples
    assert after[..., 0].std() < 0.4 * before[..., 0].std()


def test_bands_have_no_seams(photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Picture(np.ascontiguousarray(photo.samples[:75, :53]))
    guide = Guide(np.linspace(-1, 3, 30, dtype=np.float32).reshape(5, 6))
    whole = prefilter(odd, guide, 20).samples
    monkeypatch.setattr(module, "_BAND_PIXELS", 1)
    apart = np.abs(prefilter(odd, guide, 20).samples.astype(int) - whole)
    assert apart.max() <= 1  # a matrix product of fewer rows may round otherwise
    assert apart.mean() < 0.001


@settings(max_examples=40)
@given(width=st.integers(1, 40), height=st.integers(1, 40), gray=st.booleans(), alpha=st.booleans(), rows=st.integers(1, 60))
def test_any_size_keeps_its_form(width: int, height: int, gray: bool, alpha: bool, rows: int) -> None:
    mask = noise(height, width) if alpha else None
    picture = Picture(noise(height, width, 1 if gray else 3), mask, icc=b"profile", exif=b"exif")
    filtered = prefilter(picture, Guide(np.full((rows, 3), 1.5, np.float32)), 30)
    assert filtered.samples.shape == picture.samples.shape
    assert (filtered.alpha, filtered.icc, filtered.exif) == (mask, b"profile", b"exif")
    flat = Picture(np.full((height, width, 1 if gray else 3), 77, np.uint8))
    assert np.array_equal(prefilter(flat, Guide(np.full((rows, 3), 1.5, np.float32)), 30).samples, flat.samples)


@pytest.mark.parametrize(("name", "one", "three"), [("webp", 0.85, 0.65), ("avif", 0.9, 0.88)])
def test_files_shrink_with_the_guide(photo: Picture, name: str, one: float, three: float) -> None:
    codec = codec_by_name(name)

    def size(octaves: float) -> int:
        return len(codec.encode(prefilter(photo, surround(octaves), 14), EncodeSettings(50)))

    sizes = [size(octaves) for octaves in (0, 0.5, 1, 2, 3)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[2] < one * sizes[0]
    assert sizes[4] < three * sizes[0]


@pytest.mark.parametrize("step", [-1, float("nan"), float("inf"), 4097, True, "10", None])
def test_a_wrong_step_is_named(photo: Picture, step: object) -> None:
    with pytest.raises(SettingsError, match=r"a step of .* levels; a number of 0 to 4096 is needed"):
        prefilter(photo, EVERYWHERE, step)  # type: ignore[arg-type]
