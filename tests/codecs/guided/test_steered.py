"""Guides for codecs that take no map: where the bits go, how large the files are, and that they are plain ones."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from foveal.codecs.base import Codec, EncodeSettings
from foveal.codecs.guide import Guide
from foveal.codecs.guided.jpeg_blocks import thin_blocks
from foveal.codecs.guided.steered import Steered
from foveal.codecs.registry import codec_by_name
from foveal.codecs.standard.process import ffmpeg_program, run_program
from foveal.errors import PictureError, SettingsError
from foveal.picture import Picture

MIDDLE = (slice(80, 176), slice(80, 176))
PRESETS = {"av1": "12", "vvc": "faster"}
PILLOW = ("jpeg", "webp", "avif", "jpeg2000")


def guide(inside: float, outside: float, *, hold_rate: bool = False) -> Guide:
    octaves = np.full((256, 256), outside, np.float32)
    octaves[MIDDLE] = inside
    return Guide(octaves, hold_rate)


def steered(name: str, picture: Picture, asked: Guide) -> Steered:
    codec = codec_by_name(name)

    def thinned(given: Picture, wanted: Guide, quality: float) -> Picture:
        return thin_blocks(given, wanted, int(codec.info.scale.native(quality)), "420")

    settings = EncodeSettings(guide=asked, preset=PRESETS.get(name), threads=1)
    return Steered(codec, picture, settings, filtered=thinned if name == "jpeg" else None)


def plain(name: str, picture: Picture, quality: float) -> bytes:
    return codec_by_name(name).encode(picture, EncodeSettings(quality, preset=PRESETS.get(name), threads=1))


def errors(codec: Codec, picture: Picture, data: bytes) -> tuple[float, float]:
    """The mean squared error of the middle, and of the rest."""
    square = (codec.decode(data).samples.astype(float) - picture.samples) ** 2
    inside = float(square[MIDDLE].mean())
    return inside, float((square.sum() - square[MIDDLE].sum()) / (square.size - square[MIDDLE].size))


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif", "jxl", "av1", pytest.param("vvc", marks=pytest.mark.slow)])
def test_the_rest_pays_and_the_middle_does_not(photo: Picture, name: str) -> None:
    codec = codec_by_name(name)
    even = plain(name, photo, 60)
    one, two = (steered(name, photo, guide(0, octaves)).encode(60) for octaves in (1, 2))
    before, after = errors(codec, photo, even), errors(codec, photo, two)
    assert len(two) < len(one) < 0.95 * len(even)
    assert len(two) < 0.85 * len(even)
    assert after[0] < 1.15 * before[0]
    assert after[1] > 1.7 * before[1]


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif", "jpeg2000", "jxl"])
@pytest.mark.parametrize("octaves", [1, 3])
def test_a_held_rate_is_held_and_the_middle_gains(photo: Picture, name: str, octaves: float) -> None:
    codec = codec_by_name(name)
    even = plain(name, photo, 45)
    held = steered(name, photo, guide(0, octaves, hold_rate=True))
    data = held.encode(45)
    assert abs(len(data) / len(even) - 1) < 0.015
    assert errors(codec, photo, data)[0] < 0.9 * errors(codec, photo, even)[0]
    assert held.encode(45) is data
    assert held.size(45) == len(data)


def test_a_rate_is_held_at_the_end_of_the_scale_by_a_weaker_guide(photo: Picture) -> None:
    even = plain("jpeg", photo, 98)
    data = steered("jpeg", photo, guide(0, 4, hold_rate=True)).encode(98)
    assert abs(len(data) / len(even) - 1) < 0.02


@pytest.mark.parametrize("name", ["jpeg", "avif", "jxl"])
def test_the_finest_place_sets_the_quality(photo: Picture, name: str) -> None:
    codec = codec_by_name(name)
    even, finer = plain(name, photo, 40), steered(name, photo, guide(-1, 0)).encode(40)
    before, after = errors(codec, photo, even), errors(codec, photo, finer)
    assert after[0] < 0.65 * before[0]
    assert 0.5 * before[1] < after[1] < 1.5 * before[1]
    assert len(finer) > 1.05 * len(even)


def test_a_flat_guide_is_a_quality_and_moves_nothing_at_a_held_rate(photo: Picture) -> None:
    prepared = steered("avif", photo, Guide(np.full((2, 2), 1, np.float32)))
    files = {plain("avif", photo, float(quality)) for quality in range(20, 50)}
    assert prepared.encode(50) in files
    held = steered("avif", photo, Guide(np.full((2, 2), 1, np.float32), hold_rate=True))
    assert held.encode(50) == plain("avif", photo, 50)
    assert steered("avif", photo, Guide(np.zeros((2, 2), np.float32))).encode(50) == plain("avif", photo, 50)


def test_a_speck_does_not_set_the_quality_of_all(photo: Picture) -> None:
    octaves = np.zeros((32, 32), np.float32)
    octaves[3, 5] = -3
    assert steered("jpeg", photo, Guide(octaves)).encode(50) == plain("jpeg", photo, 50)


def test_qualities_between_two_steps_of_the_scale_give_one_file(photo: Picture) -> None:
    prepared = steered("webp", photo, guide(0, 2))
    assert prepared.encode(50.4) == prepared.encode(49.6) != prepared.encode(50.6)


@pytest.mark.parametrize("name", [*PILLOW, "jxl", "av1"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 40, 1), (37, 35, 3)])
def test_any_size_is_served(photo: Picture, name: str, shape: tuple[int, int, int]) -> None:
    picture = Picture(np.ascontiguousarray(photo.samples[: shape[0], : shape[1], : shape[2]]))
    asked = Guide(np.linspace(-1, 2, 12, dtype=np.float32).reshape(3, 4))
    back = codec_by_name(name).decode(steered(name, picture, asked).encode(70))
    assert back.samples.shape[:2] == shape[:2]
    assert np.mean((back.rgb().astype(float) - picture.rgb()) ** 2) < 300


def test_alpha_and_metadata_travel(photo: Picture) -> None:
    alpha = np.add.outer(np.arange(256), np.arange(256)).clip(0, 255).astype(np.uint8)
    for name in ("webp", "avif"):
        back = codec_by_name(name).decode(steered(name, Picture(photo.samples, alpha), guide(0, 2)).encode(60))
        assert back.alpha is not None
        assert np.array_equal(back.alpha, alpha)
    exif = Image.Exif()
    exif[0x010E] = "a description"
    tagged = Picture(photo.samples, exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    back = codec_by_name("jpeg").decode(steered("jpeg", tagged, guide(0, 2)).encode(60))
    assert back.exif is not None
    assert b"a description" in back.exif


def test_plain_decoders_open_the_files(photo: Picture) -> None:
    for name in PILLOW:
        with Image.open(io.BytesIO(steered(name, photo, guide(-0.5, 1)).encode(60))) as image:
            image.load()
            assert image.size == (256, 256)
    for name in ("av1", "avif"):
        data = steered(name, photo, guide(-0.5, 1)).encode(60)
        raw = run_program(
            [ffmpeg_program(), "-loglevel", "error", "-i", "pipe:0", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"],
            stdin=data, timeout_s=60,
        )  # fmt: skip
        assert len(raw) == photo.samples.size


def test_what_cannot_be_done_is_named(photo: Picture) -> None:
    codec = codec_by_name("jpeg")
    with pytest.raises(SettingsError, match="steering without a guide"):
        Steered(codec, photo, EncodeSettings())
    with pytest.raises(SettingsError, match="quality 0; a number from 1"):
        steered("jpeg", photo, guide(0, 1)).encode(0)
    with pytest.raises(PictureError, match="alpha"):
        steered("jpeg", Picture(photo.samples, photo.samples[:, :, 0]), guide(0, 1))
