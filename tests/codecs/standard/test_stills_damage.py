"""Damaged stills: one of foveal's own errors or a picture, never anything else; a truncated file is never a picture."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image
from skimage import data as photos

from foveal.codecs.base import EncodeSettings
from foveal.codecs.registry import codec_by_name
from foveal.errors import DamagedError, FormatError, FovealError, LimitError, NotFovealError, TruncatedError
from foveal.limits import Limits
from foveal.media.image_io import image_bytes
from foveal.picture import Picture

pytest.importorskip("imagecodecs", reason="jxl needs imagecodecs")

NAMES = ("jpeg", "jpeg2000", "webp", "avif", "jxl")
SMALL = np.ascontiguousarray(photos.astronaut()[60:108, 180:252])
ALPHA = np.add.outer(np.arange(48), np.arange(72)).astype(np.uint8)
BOUNDS = Limits(pixels=1 << 20, side=1 << 16)


def small_file(name: str, *, rich: bool = False) -> bytes:
    codec = codec_by_name(name)
    alpha = ALPHA if rich and codec.info.alpha else None
    icc, exif = (b"no profile" * 20, b"II*\0\x08\0\0\0\0\0\0\0\0\0") if rich and codec.info.metadata else (None, None)
    return codec.encode(Picture(SMALL, alpha, icc, exif), EncodeSettings(quality=40))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rich", [False, True])
def test_a_truncated_file_is_refused(name: str, rich: bool) -> None:
    codec, data = codec_by_name(name), small_file(name, rich=rich)
    last = len(data) - (2 if name == "jpeg" else 1)  # a JPEG whose end marker is cut still holds the whole picture
    for end in {*range(40), *range(40, last, 11), *range(last - 20, last)}:
        with pytest.raises(FormatError):
            codec.decode(data[:end], BOUNDS)
    with pytest.raises((TruncatedError, DamagedError)):
        codec.decode(data[: len(data) // 2], BOUNDS)


@pytest.mark.parametrize("name", ["jpeg2000", "webp", "avif", "jxl"])
def test_truncation_is_named(name: str) -> None:
    data = small_file(name)
    with pytest.raises(TruncatedError):
        codec_by_name(name).decode(data[: len(data) * 3 // 4])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_changed_bytes_raise_nothing_foreign(name: str) -> None:
    codec, generator = codec_by_name(name), np.random.default_rng(11)
    data = small_file(name, rich=True)
    refused, start = 0, time.perf_counter()
    for at in [*range(0, min(len(data), 320), 2), *generator.integers(0, len(data), 100).tolist()]:
        for value in (0, 255, data[at] ^ 1 << int(generator.integers(8))):
            bad = data[:at] + bytes([value]) + data[at + 1 :]
            for read in (codec.decode, codec.describe):
                try:
                    read(bad, BOUNDS)
                except FovealError:
                    refused += 1
    assert refused > 20
    assert time.perf_counter() - start < 120


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_random_bytes_behind_a_true_beginning(name: str) -> None:
    codec, generator = codec_by_name(name), np.random.default_rng(5)
    data = small_file(name)
    refused = 0
    for keep in (0, 2, 12, 40, 100, len(data) // 2):
        for size in (0, 1, 300, 3000):
            for read in (codec.decode, codec.describe):
                try:
                    read(data[:keep] + generator.bytes(size), BOUNDS)
                except FovealError:
                    refused += 1
    assert refused > 24


@pytest.mark.parametrize("name", NAMES)
def test_empty_and_foreign_bytes(name: str) -> None:
    for data in (b"", b"\0", b"GIF89a", bytes(1000)):
        for read in (codec_by_name(name).decode, codec_by_name(name).describe):
            with pytest.raises(NotFovealError):
                read(data)


def test_a_size_of_2_to_the_31_is_refused_at_once() -> None:
    vast = (1 << 31).to_bytes(4, "big")
    jp2 = small_file("jpeg2000")
    at = jp2.index(b"\xff\x4f\xff\x51") + 8
    both = bytearray(jp2)
    both[at : at + 4] = vast
    ihdr = jp2.index(b"ihdr") + 8
    both[ihdr : ihdr + 4] = vast
    avif = small_file("avif")
    ispe = avif.index(b"ispe") + 8
    wide = avif[:ispe] + vast + avif[ispe + 4 :]
    for name, data in (("jpeg2000", bytes(both)), ("avif", wide)):
        with pytest.raises(LimitError):
            codec_by_name(name).decode(data)


def test_jpeg2000_whose_two_sizes_differ_is_refused() -> None:
    jp2 = bytearray(small_file("jpeg2000"))
    at = jp2.index(b"\xff\x4f\xff\x51") + 8
    jp2[at : at + 4] = (5000).to_bytes(4, "big")
    with pytest.raises(DamagedError, match="differ in size"):
        codec_by_name("jpeg2000").decode(bytes(jp2))


def test_jpeg2000_without_its_end_marker_is_refused() -> None:
    bare = image_bytes(Image.fromarray(SMALL), "JPEG2000", no_jp2=True)
    with pytest.raises(TruncatedError, match="end marker"):
        codec_by_name("jpeg2000").decode(bare[:-40])


def test_boxes_that_say_too_much_are_refused() -> None:
    for name in ("jpeg2000", "avif"):
        data = small_file(name)
        at = data.index(b"jp2c" if name == "jpeg2000" else b"mdat") - 4
        for length, error in ((1 << 31, TruncatedError), (4, DamagedError)):
            with pytest.raises(error):
                codec_by_name(name).decode(data[:at] + length.to_bytes(4, "big") + data[at + 4 :])
