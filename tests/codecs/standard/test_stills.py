"""The five still codecs on Pillow and imagecodecs: round trips, sizes, colours, alpha, metadata."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from skimage import data as photos

from foveal.codecs.base import Codec, EncodeSettings, FileInfo
from foveal.codecs.registry import codec_by_name
from foveal.errors import LimitError, NotFovealError, PictureError, SettingsError
from foveal.limits import Limits
from foveal.media.image_io import read_picture
from foveal.picture import Picture

imagecodecs = pytest.importorskip("imagecodecs", reason="jxl and the foreign decoders need imagecodecs")

NAMES = ("jpeg", "jpeg2000", "webp", "avif", "jxl")
PHOTO = photos.astronaut()
SMALL = np.ascontiguousarray(PHOTO[60:125, 180:277])
GRAY = np.ascontiguousarray(SMALL[:, :, 1:2])
ALPHA = np.add.outer(np.arange(65) * 2, np.arange(97)).clip(0, 255).astype(np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((one.astype(float) - other) ** 2))))


def coded(name: str, picture: Picture, **settings: object) -> tuple[Codec, bytes, Picture]:
    codec = codec_by_name(name)
    data = codec.encode(picture, EncodeSettings(**settings))
    return codec, data, codec.decode(data)


@pytest.mark.parametrize(
    ("name", "least_db"), [("jpeg", 32.0), ("jpeg2000", 35.5), ("webp", 33.0), ("avif", 32.8), ("jxl", 31.0)]
)
def test_a_photograph_at_quality_50(name: str, least_db: float) -> None:
    codec, data, back = coded(name, Picture(PHOTO))
    assert psnr_db(back.samples, PHOTO) > least_db
    assert len(data) < PHOTO.size / 25
    assert back.alpha is None
    chroma = "444" if name in ("jpeg2000", "jxl") else "420"
    parameter = "quality 50" if name == "jpeg" else None
    assert codec.describe(data) == FileInfo(name, len(data), 512, 512, 3, chroma=chroma, parameter=parameter)


@pytest.mark.parametrize("name", NAMES)
def test_size_and_psnr_rise_with_quality(name: str) -> None:
    prepared = codec_by_name(name).prepare(Picture(np.ascontiguousarray(PHOTO[:256, 128:384])))
    files = [prepared.encode(quality) for quality in (1, 20, 40, 60, 80, 100)]
    sizes = [len(data) for data in files]
    quality_db = [psnr_db(codec_by_name(name).decode(data).samples, PHOTO[:256, 128:384]) for data in files]
    assert sizes == sorted(set(sizes))
    assert quality_db == sorted(quality_db)
    assert sizes[-1] > 12 * sizes[0]
    assert prepared.size(40) == sizes[2]


@pytest.mark.parametrize("name", NAMES)
def test_every_step_of_the_scale_is_served(name: str) -> None:
    codec = codec_by_name(name)
    steps = codec.info.scale.steps() or (1.0, 20.0, 33.3, 60.5, 100.0)
    prepared = codec.prepare(Picture(SMALL), EncodeSettings(preset={"avif": "10"}.get(name)))
    files = [prepared.encode(quality) for quality in steps]
    assert len(set(files)) > 0.6 * len(steps)
    if codec.info.scale.continuous:
        fine = codec.prepare(Picture(PHOTO))
        assert fine.size(50.0) < fine.size(50.5) < 1.03 * fine.size(50.0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 1), (1, 2), (3, 5), (17, 31), (1, 5000), (5000, 1), (97, 65)])
def test_sizes_at_the_edge(name: str, width: int, height: int) -> None:
    image = Image.fromarray(PHOTO).resize((width, height), Image.Resampling.BOX)
    codec, data, back = coded(name, Picture(np.asarray(image)), quality=95)
    assert back.samples.shape == (height, width, 3)
    assert psnr_db(back.samples, np.asarray(image)) > 19
    info = codec.describe(data)
    assert (info.width, info.height, info.bytes) == (width, height, len(data))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 70), height=st.integers(1, 70), gray=st.booleans(), value=st.integers(0, 255), alpha=st.booleans())
def test_any_small_size_keeps_shape_and_flat_colours(
    name: str, width: int, height: int, gray: bool, value: int, alpha: bool
) -> None:
    codec = codec_by_name(name)
    samples = np.full((height, width, 1 if gray else 3), value, np.uint8)
    mask = np.full((height, width), value, np.uint8) if alpha and codec.info.alpha else None
    back = codec.decode(codec.encode(Picture(samples, mask), EncodeSettings(quality=90)))
    assert back.samples.shape == (height, width, 3 if name == "webp" or not gray else 1)
    dropped = name in ("webp", "avif") and value == 255  # an opaque alpha is left out
    assert (back.alpha is None) == (mask is None or dropped)
    pairs = [] if mask is not None and value == 0 else [(back.samples, samples)]  # what is transparent may change
    if mask is not None and back.alpha is not None:
        pairs.append((back.alpha, mask))
        assert name == "jpeg2000" or np.array_equal(back.alpha, mask)
    for one, other in pairs:
        assert psnr_db(one, np.broadcast_to(other, one.shape)) > 35


SATURATED = np.zeros((96, 128, 3), np.uint8)
SATURATED[:48, :64], SATURATED[:48, 64:], SATURATED[48:, :64], SATURATED[48:, 64:] = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 0),
)


@pytest.mark.parametrize(
    ("name", "chroma"),
    [("jpeg", c) for c in ("420", "422", "444")]
    + [("avif", c) for c in ("420", "422", "444")]
    + [("jpeg2000", None), ("webp", None), ("jxl", None)],
)
def test_saturated_colours_come_back(name: str, chroma: str | None) -> None:
    codec, data, back = coded(name, Picture(SATURATED), quality=90, chroma=chroma)
    for top, left in ((8, 8), (8, 72), (56, 8), (56, 72)):
        inside = (slice(top, top + 32), slice(left, left + 48))
        assert np.abs(back.samples[inside].astype(int) - SATURATED[inside]).mean() < 4
    assert codec.describe(data).chroma == (chroma or ("420" if name == "webp" else "444"))


def test_avif_says_its_matrix_and_its_full_range() -> None:
    data = coded("avif", Picture(SATURATED))[1]
    colour = data[data.index(b"nclx") + 4 :][:7]
    assert colour == bytes([0, 1, 0, 13, 0, 6, 0x80])  # BT.709 primaries, sRGB transfer, BT.601 matrix, full range


@pytest.mark.parametrize("name", ["jpeg", "avif"])
def test_more_chroma_costs_bytes_and_gives_sharper_edges(name: str) -> None:
    results = [coded(name, Picture(SATURATED), quality=80, chroma=chroma) for chroma in ("420", "422", "444")]
    errors = [np.abs(back.samples.astype(int) - SATURATED).mean() for _, _, back in results]
    assert errors[2] < errors[0]
    assert len({data for _, data, _ in results}) == 3


@pytest.mark.parametrize("name", NAMES)
def test_gray(name: str) -> None:
    codec, data, back = coded(name, Picture(GRAY), quality=80)
    info = codec.describe(data)
    assert back.is_gray == (name != "webp")
    assert (info.channels, info.chroma) == ((3, "420") if name == "webp" else (1, "400"))
    assert psnr_db(back.samples, np.broadcast_to(GRAY, back.samples.shape)) > 31


@pytest.mark.parametrize("name", ["jpeg2000", "webp", "avif", "jxl"])
@pytest.mark.parametrize("samples", [SMALL, GRAY], ids=["rgb", "gray"])
@pytest.mark.parametrize("quality", [5, 80])
def test_alpha(name: str, samples: np.ndarray, quality: int) -> None:
    codec, data, back = coded(name, Picture(samples, ALPHA), quality=quality)
    assert codec.info.alpha
    assert codec.describe(data).alpha
    assert back.alpha is not None
    if name != "jpeg2000":
        assert np.array_equal(back.alpha, ALPHA)
    elif quality == 80:
        assert psnr_db(back.alpha, ALPHA) > 40
    assert psnr_db(back.samples, np.broadcast_to(samples, back.samples.shape)) > (27 if quality == 80 else 15)
    assert back.is_gray == (samples is GRAY and name != "webp")


def test_jpeg_refuses_alpha() -> None:
    assert not codec_by_name("jpeg").info.alpha
    with pytest.raises(PictureError, match="--background"):
        codec_by_name("jpeg").encode(Picture(SMALL, ALPHA))


@pytest.mark.parametrize("name", NAMES)
def test_icc_and_exif_travel_or_samples_become_srgb(name: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    swapped = bytearray(SRGB)
    for at in range(132, 132 + 12 * int.from_bytes(SRGB[128:132], "big"), 12):
        if SRGB[at : at + 4] in (b"rXYZ", b"gXYZ"):
            swapped[at : at + 4] = b"gXYZ" if SRGB[at : at + 4] == b"rXYZ" else b"rXYZ"
    codec, data, back = coded(name, Picture(SMALL, icc=bytes(swapped), exif=block), quality=90)
    info = codec.describe(data)
    if codec.info.metadata:
        assert (back.icc, back.exif) == (bytes(swapped), block)
        assert (info.icc_bytes, info.exif_bytes) == (len(swapped), len(block))
        expected = SMALL
    else:
        assert (back.icc, back.exif, info.icc_bytes, info.exif_bytes) == (None, None, 0, 0)
        expected = SMALL[:, :, (1, 0, 2)]
    assert psnr_db(back.samples, expected) > 28


def test_what_carries_metadata() -> None:
    assert [name for name in NAMES if codec_by_name(name).info.metadata] == ["jpeg", "webp", "avif"]


@pytest.mark.parametrize("name", NAMES)
def test_limits(name: str) -> None:
    codec, data, _ = coded(name, Picture(SMALL))
    for limits in (Limits(pixels=6000), Limits(side=90), Limits(payload_bytes=20)):
        with pytest.raises(LimitError):
            codec.decode(data, limits)
        with pytest.raises(LimitError):
            codec.describe(data, limits)
    codec.decode(data, Limits(pixels=97 * 65, side=97, payload_bytes=len(data)))


@pytest.mark.parametrize(("name", "width"), [("jpeg", 65_501), ("webp", 16_384), ("avif", 32_769)])
def test_sides_that_a_format_cannot_hold_are_refused(name: str, width: int) -> None:
    with pytest.raises(PictureError, match=str(width)):
        codec_by_name(name).encode(Picture(np.zeros((1, width, 3), np.uint8)))
    _, _, back = coded(name, Picture(np.full((1, width - 1, 1), 90, np.uint8)))
    assert back.width == width - 1


@pytest.mark.parametrize(("name", "width"), [("jpeg2000", 65_535), ("jxl", 65_535)])
def test_the_longest_side_of_the_other_formats(name: str, width: int) -> None:
    _, _, back = coded(name, Picture(np.full((1, width, 1), 90, np.uint8)))
    assert back.width == width


def test_an_exif_block_too_long_for_jpeg_is_refused() -> None:
    with pytest.raises(PictureError, match="65527"):
        codec_by_name("jpeg").encode(Picture(SMALL, exif=b"II*\0" + bytes(65_530)))


def test_noise_is_coded_by_jpeg_at_any_quality() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    for quality in (50, 94, 100):
        _, data, back = coded("jpeg", Picture(noise), quality=quality, chroma="444")
        assert back.samples.shape == noise.shape
    assert psnr_db(back.samples, noise) > 35
    assert len(data) > 2 * 300 * 300


@pytest.mark.parametrize("name", ["webp", "avif", "jxl"])
def test_presets_trade_time_for_size(name: str) -> None:
    presets = codec_by_name(name).info.presets
    fast, slow = {"webp": ("0", "6"), "avif": ("10", "3"), "jxl": ("1", "7")}[name]
    assert {fast, slow} <= set(presets)
    crop = Picture(np.ascontiguousarray(PHOTO[:256, :256]))
    sizes = {preset: len(coded(name, crop, preset=preset)[1]) for preset in (fast, slow)}
    assert sizes[slow] != sizes[fast]
    with pytest.raises(SettingsError, match="preset"):
        coded(name, crop, preset="best")


@pytest.mark.parametrize("name", NAMES)
def test_files_of_others_are_not_taken(name: str) -> None:
    codec = codec_by_name(name)
    for other in set(NAMES) - {name}:
        data = coded(other, Picture(SMALL[:8, :8].copy()))[1]
        with pytest.raises(NotFovealError):
            codec.decode(data)
        with pytest.raises(NotFovealError):
            codec.describe(data)


@pytest.mark.parametrize("name", NAMES)
def test_threads_give_the_same_file(name: str) -> None:
    codec, picture = codec_by_name(name), Picture(np.ascontiguousarray(PHOTO[:160, :160]))
    alone = codec.encode(picture, EncodeSettings(threads=1))
    assert codec.encode(picture, EncodeSettings(threads=2)) == alone
    prepared, samples, start = codec.prepare(picture), codec.decode(alone).samples, threading.Barrier(4)

    def work() -> bool:
        start.wait()
        return prepared.encode(50) == alone and np.array_equal(codec.decode(alone).samples, samples)

    with ThreadPoolExecutor(4) as pool:
        assert all(task.result() for task in [pool.submit(work) for _ in range(4)])


def test_read_picture_reads_all_but_jxl() -> None:
    for name in NAMES[:-1]:
        _, data, back = coded(name, Picture(SMALL))
        assert np.array_equal(read_picture(data).samples, back.samples)
