"""The low-pass that guides are measured against."""

from __future__ import annotations

import numpy as np
import pytest

from foveal.codecs.base import EncodeSettings
from foveal.codecs.guided import low_pass as module
from foveal.codecs.guided.low_pass import LowPassCodec, LowPassed, low_pass
from foveal.codecs.registry import codec_by_name
from foveal.errors import LimitError, PictureError, SettingsError
from foveal.limits import Limits
from foveal.picture import Picture


@pytest.mark.parametrize("sigma", [0.5, 1.3, 6.0])
def test_it_is_a_gaussian_with_edges_repeated(photo: Picture, sigma: float, monkeypatch: pytest.MonkeyPatch) -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="the low-pass is compared with SciPy's")
    picture = Picture(np.ascontiguousarray(photo.samples[:50, :37]))
    whole = low_pass(picture, sigma).samples
    wanted = ndimage.gaussian_filter(picture.samples.astype(np.float32), (sigma, sigma, 0), mode="nearest", truncate=5)
    assert np.abs(whole - wanted).max() < 0.6
    monkeypatch.setattr(module, "_ROWS", 7)
    assert np.array_equal(low_pass(picture, sigma).samples, whole)


def test_0_is_the_picture_itself_and_next_to_it_nothing_changes(photo: Picture) -> None:
    assert low_pass(photo, 0) is photo
    assert np.array_equal(low_pass(photo, 0.1).samples, photo.samples)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 1), (9, 1, 3), (5, 7, 1)])
def test_any_size_keeps_its_form(shape: tuple[int, int, int]) -> None:
    samples = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    alpha = np.full(shape[:2], 9, np.uint8)
    passed = low_pass(Picture(samples, alpha, b"icc", b"exif"), 2)
    assert passed.samples.shape == shape
    assert (passed.alpha is alpha, passed.icc, passed.exif) == (True, b"icc", b"exif")
    assert np.ptp(passed.samples) <= np.ptp(samples)


def test_files_shrink_with_sigma_and_are_plain_ones(photo: Picture) -> None:
    codec = codec_by_name("jpeg")
    prepared = [LowPassed(codec, photo, EncodeSettings(), sigma) for sigma in (0.0, 0.6, 1.2, 2.4)]
    sizes = [one.size(60) for one in prepared]
    assert sizes == sorted(set(sizes), reverse=True)
    assert prepared[1].size(30) == len(prepared[1].encode(30)) < sizes[1]
    assert prepared[0].encode(60) == codec.encode(photo, EncodeSettings(60))
    assert prepared[2].encode(60) == codec.encode(low_pass(photo, 1.2), EncodeSettings(60))


def test_what_cannot_be_done_is_named(photo: Picture) -> None:
    for sigma in (-1, 65, float("nan"), True, "1"):
        with pytest.raises(SettingsError, match=r"a low-pass of sigma = .* pixels; a number of 0 to 64 is needed"):
            low_pass(photo, sigma)  # type: ignore[arg-type]
    with pytest.raises(PictureError, match="alpha"):
        LowPassed(codec_by_name("jpeg"), Picture(photo.samples, photo.samples[:, :, 0]), EncodeSettings(), 1)


def test_quality_rises_until_the_file_is_as_large(photo: Picture) -> None:
    pytest.importorskip("av")
    codec = codec_by_name("hevc")
    passing = LowPassCodec(codec, 0.7)
    for quality in (20, 50):
        plain, data = (one.encode(photo, EncodeSettings(quality)) for one in (codec, passing))
        assert len(data) == pytest.approx(len(plain), rel=0.01)
        assert len(codec.encode(low_pass(photo, 0.7), EncodeSettings(quality))) < 0.99 * len(plain)
        shown = passing.decode(data).samples.astype(float)
        assert ((shown - low_pass(photo, 0.7).samples) ** 2).mean() < ((shown - photo.samples) ** 2).mean()
    assert passing.describe(data) == codec.describe(data)
    assert passing.bytes_needed(data) == len(data)
    with pytest.raises(SettingsError, match="a low-pass of sigma = 65"):
        LowPassCodec(codec, 65)


def test_whole_steps_of_quality_come_as_near_as_they_can(photo: Picture) -> None:
    codec = codec_by_name("jpeg")
    passing, sizes = LowPassCodec(codec, 0.7), []
    plain = codec.prepare(photo).size(40)
    matched = passing.prepare(photo).size(40)
    filtered = LowPassed(codec, photo, EncodeSettings(), 0.7)
    sizes = [filtered.size(quality) for quality in range(1, 101)]
    assert matched in sizes
    assert abs(matched - plain) == min(abs(size - plain) for size in sizes)


def test_its_limits_are_the_callers(photo: Picture) -> None:
    with pytest.raises(LimitError):
        LowPassCodec(codec_by_name("gdn"), 0.7, Limits(pixels=100)).encode(photo)
