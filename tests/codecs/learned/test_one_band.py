"""What files of one band hold beside their symbols, the same for each codec that writes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from foveal.codecs.base import DecodeSettings, EncodeSettings
from foveal.codecs.learned.one_band import OneBandPrepared, padded_pixels, read_one_band
from foveal.codecs.registry import codec_by_name
from foveal.errors import TruncatedError
from foveal.limits import DEFAULT_LIMITS
from foveal.picture import Picture


@pytest.mark.parametrize("name", ["gdn", "hyperprior", "cae-pca"])
def test_a_file_gives_back_what_is_beside_the_symbols(name: str, photo: Picture) -> None:
    codec, samples = codec_by_name(name), photo.samples[:50, :70]
    color = Picture(samples.copy(), alpha=samples[:, :, 1].copy(), icc=b"a profile", exif=b"a block")
    for picture in (color, Picture(samples[:, :, :1].copy())):
        prepared = codec.prepare(picture)
        assert isinstance(prepared, OneBandPrepared)
        data = prepared.encode(34.0)
        file = read_one_band(codec.info, data, DEFAULT_LIMITS, DecodeSettings())
        assert (file.head.width, file.head.height, file.head.gray) == (70, 50, picture.is_gray)
        assert file.parameter == 65535 // 3
        assert (file.icc, file.exif) == (picture.icc, picture.exif)
        assert (file.alpha is None) == (picture.alpha is None)
        assert file.alpha is None or np.array_equal(file.alpha, picture.alpha)  # type: ignore[arg-type]
        assert abs(prepared.size(34.0) - len(data)) <= 8
        back = codec.decode(data)
        assert back.samples.shape == picture.samples.shape
        with pytest.raises(TruncatedError):
            read_one_band(codec.info, data[:-3], DEFAULT_LIMITS, DecodeSettings())


def test_pixels_are_padded_by_the_edge_and_come_back(photo: Picture) -> None:
    picture = Picture(photo.samples[:17, :30].copy())
    x = padded_pixels(picture, 16)
    assert x.shape == (1, 3, 32, 32)
    assert torch.equal(x[:, :, 17:], x[:, :, 16:17].expand(-1, -1, 15, -1))
    data = codec_by_name("gdn").encode(picture, EncodeSettings(5))
    file = read_one_band(codec_by_name("gdn").info, data, DEFAULT_LIMITS, DecodeSettings())
    assert np.array_equal(file.picture(x).samples, picture.samples)
    gray = replace(file, head=replace(file.head, gray=True)).picture(x).samples
    assert gray.shape == (17, 30, 1)
    assert np.abs(gray[:, :, 0] - picture.samples.mean(2)).max() <= 0.51
