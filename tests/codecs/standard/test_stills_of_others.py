"""Files that other programs made, and other decoders on our files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data as photos

from foveal.codecs.base import EncodeSettings
from foveal.codecs.registry import codec_by_name
from foveal.errors import PrecisionWarning, UnsupportedError
from foveal.media.image_io import image_bytes
from foveal.picture import Picture

imagecodecs = pytest.importorskip("imagecodecs", reason="jxl and the foreign coders need imagecodecs")

FOREIGN = {"jpeg": "jpeg8", "jpeg2000": "jpeg2k", "webp": "webp", "avif": "avif", "jxl": "jpegxl"}
NAMES = tuple(FOREIGN)
SMALL = np.ascontiguousarray(photos.astronaut()[60:125, 180:277])
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SATURATED = np.zeros((96, 128, 3), np.uint8)
SATURATED[:48, :64, 0] = SATURATED[:48, 64:, 1] = SATURATED[48:, :64, 2] = SATURATED[48:, 64:, :2] = 255


def psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((one.astype(float) - other) ** 2))))


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_orientation_of_foreign_files_is_applied(name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    codec = codec_by_name(name)
    data = image_bytes(Image.fromarray(SMALL), name.upper(), exif=exif, quality=90)
    back, info = codec.decode(data), codec.describe(data)
    assert back.samples.shape == (97, 65, 3)
    assert (info.width, info.height) == (65, 97)
    assert psnr_db(back.samples, SMALL.transpose(1, 0, 2)[:, ::-1]) > 27


@pytest.mark.parametrize("name", NAMES)
def test_imagecodecs_decodes_our_files(name: str) -> None:
    data = codec_by_name(name).encode(Picture(SMALL), EncodeSettings(quality=80))
    back = codec_by_name(name).decode(data)
    foreign = getattr(imagecodecs, f"{FOREIGN[name]}_decode")(data)
    assert np.abs(foreign.astype(int) - back.samples).mean() < 1.5
    assert psnr_db(foreign, SMALL) > 29


@pytest.mark.parametrize("name", NAMES)
def test_our_decoders_read_files_of_imagecodecs(name: str) -> None:
    options = {"distance": 1.0} if name == "jxl" else {"level": 90}
    data = bytes(getattr(imagecodecs, f"{FOREIGN[name]}_encode")(SMALL, **options))
    back = codec_by_name(name).decode(data)
    assert psnr_db(back.samples, SMALL) > 27
    assert codec_by_name(name).describe(data).width == 97


def test_jpeg_of_others() -> None:
    codec = codec_by_name("jpeg")
    cmyk = image_bytes(Image.fromarray(SMALL).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(codec.decode(cmyk).samples.astype(int) - SMALL).mean() < 4
    assert (codec.describe(cmyk).channels, codec.describe(cmyk).chroma) == (3, None)
    tables = [[7] * 64, [9] * 64]
    custom = image_bytes(Image.fromarray(SMALL), "JPEG", qtables=tables, subsampling="4:2:2")
    assert (codec.describe(custom).parameter, codec.describe(custom).chroma) == (None, "422")


def test_webp_of_others() -> None:
    codec = codec_by_name("webp")
    data = image_bytes(Image.fromarray(SMALL).quantize(32), "WEBP", lossless=True)
    assert np.array_equal(codec.decode(data).samples, np.asarray(Image.fromarray(SMALL).quantize(32).convert("RGB")))
    assert codec.describe(data).chroma is None


def test_jpeg2000_of_others() -> None:
    codec = codec_by_name("jpeg2000")
    bare = image_bytes(Image.fromarray(SMALL), "JPEG2000", no_jp2=True)
    assert np.array_equal(codec.decode(bare).samples, SMALL)
    assert codec.describe(bare).width == 97
    plain = image_bytes(Image.fromarray(SMALL), "JPEG2000")
    at = plain.index(b"colr") - 4
    box = (15 + len(SRGB) - 4).to_bytes(4, "big") + b"colr\x02\0\0" + SRGB
    grown = int.from_bytes(plain[at - 30 : at - 26], "big") + len(box) - 15
    profiled = plain[: at - 30] + grown.to_bytes(4, "big") + plain[at - 26 : at] + box + plain[at + 15 :]
    assert codec.decode(profiled).icc == SRGB
    assert codec.describe(profiled).icc_bytes == len(SRGB)


def srgb_jxl(data: bytes, bits: int) -> bytes:
    """The file with its transfer function, which imagecodecs says to be linear for wide samples, named as that of sRGB."""
    at = data.index(b"\xff\x0a") + 2
    first = 35 + (6 if bits == 16 else 0)
    head = int.from_bytes(data[at : at + 8], "little")
    assert head >> first & 15 == 6
    return data[:at] + (head ^ (6 ^ 11) << first).to_bytes(8, "little") + data[at + 8 :]


def rounded(wide: np.ndarray, bits: int) -> np.ndarray:
    return np.rint(wide * (255 / ((1 << bits) - 1)))


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_jxl_of_more_bits_is_rounded_with_a_warning(bits: int) -> None:
    wide = np.random.default_rng(bits).integers(0, 1 << bits, SMALL.shape, np.uint16)
    linear = bytes(imagecodecs.jpegxl_encode(wide, lossless=True, bitspersample=bits))
    with pytest.raises(UnsupportedError, match="other than sRGB"):
        codec_by_name("jxl").decode(linear)
    data = srgb_jxl(linear, bits)
    with pytest.warns(PrecisionWarning, match="more than 8 bits"):
        back = codec_by_name("jxl").decode(data)
    assert np.array_equal(back.samples, rounded(wide, bits))
    assert codec_by_name("jxl").describe(data).bit_depth == bits


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_jpeg2000_of_more_bits_is_brought_to_8_in_gray_and_refused_in_colour(bits: int) -> None:
    wide = np.random.default_rng(bits).integers(0, 1 << bits, SMALL.shape, np.uint16)
    gray = bytes(imagecodecs.jpeg2k_encode(wide[:, :, 0], bitspersample=bits, reversible=True))
    with pytest.warns(PrecisionWarning, match="more than 8 bits"):
        back = codec_by_name("jpeg2000").decode(gray)
    assert np.abs(back.samples[:, :, 0] - rounded(wide[:, :, 0], bits)).max() <= 1
    colour = bytes(imagecodecs.jpeg2k_encode(wide, bitspersample=bits, reversible=True))
    with pytest.raises(UnsupportedError, match=f"{bits} bits"):
        codec_by_name("jpeg2000").decode(colour)
    assert codec_by_name("jpeg2000").describe(colour).bit_depth == bits


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_of_more_bits_is_rounded_with_a_warning(bits: int) -> None:
    wide = (SATURATED.astype(np.uint16) * 257) >> (16 - bits)
    data = bytes(imagecodecs.avif_encode(wide, level=95, bitspersample=bits))
    with pytest.warns(PrecisionWarning, match="more than 8 bits"):
        back = codec_by_name("avif").decode(data)
    assert psnr_db(back.samples, SATURATED) > 30
    assert codec_by_name("avif").describe(data).bit_depth == bits


def test_jxl_of_others() -> None:
    codec = codec_by_name("jxl")
    wrapped = bytes(imagecodecs.jpegxl_encode(SMALL, distance=1.0, usecontainer=True))
    assert np.array_equal(codec.decode(wrapped).samples, imagecodecs.jpegxl_decode(wrapped))
    exif = b"\0\0\0\0II*\0" + bytes(10)
    with_exif = wrapped + (8 + len(exif)).to_bytes(4, "big") + b"Exif" + exif
    assert codec.describe(with_exif).exif_bytes == 14
    transcoded = bytes(imagecodecs.jpegxl_encode_jpeg(image_bytes(Image.fromarray(SMALL), "JPEG", quality=90)))
    assert psnr_db(codec.decode(transcoded).samples, SMALL) > 28
    moving = bytes(imagecodecs.jpegxl_encode(np.stack([SMALL, 255 - SMALL]), distance=1.0))
    with pytest.warns(UserWarning, match="several frames"):
        assert psnr_db(codec.decode(moving).samples, SMALL) > 30
    floating = bytes(imagecodecs.jpegxl_encode(SMALL.astype(np.float32) / 255, distance=1.0))
    with pytest.raises(UnsupportedError):
        codec.decode(floating)
