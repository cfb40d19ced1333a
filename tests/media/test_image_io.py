"""Files of samples: what is kept, what is converted, what is refused."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data as photos

from foveal.errors import (
    DamagedError,
    FormatError,
    FovealError,
    InputError,
    LimitError,
    NotFovealError,
    PictureError,
    PrecisionWarning,
    TruncatedError,
)
from foveal.limits import Limits
from foveal.media.image_io import FORMATS, open_image, picture_bytes, read_picture, write_picture
from foveal.media.profile import to_srgb
from foveal.picture import Picture

PHOTO = np.ascontiguousarray(photos.astronaut()[60:124, 180:276])
GRAY = np.ascontiguousarray(PHOTO[:, :, 1:2])
ALPHA = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG built by hand, for what Pillow does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    more = b"".join(chunk(part[:4], part[4:]) for part in extra)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def gray_profile(gamma: float) -> bytes:
    """An ICC profile of gray alone: a gamma curve and the white point of D50."""
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"gray\0" + bytes(79)
    copyright_ = b"text\0\0\0\0none\0\0\0\0"
    parts = [(b"desc", text), (b"cprt", copyright_), (b"wtpt", white), (b"kTRC", curve)]
    offset, table, body = 128 + 4 + 12 * len(parts), b"", b""
    for name, part in parts:
        part += bytes(-len(part) % 4)
        table += name + struct.pack(">II", offset + len(body), len(part))
        body += part
    head = struct.pack(">I4sI4s4s4s", offset + len(body), b"none", 0x02100000, b"mntr", b"GRAY", b"XYZ ") + bytes(12) + b"acsp"
    head += bytes(68 - len(head)) + struct.pack(">iii", 63190, 65536, 54061)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(parts)) + table + body


def rgb_profile_of_swapped_primaries() -> bytes:
    """An sRGB profile whose red and green columns are exchanged, so that converting exchanges the channels."""
    swapped = bytearray(SRGB)
    for at in range(132, 132 + 12 * int.from_bytes(SRGB[128:132], "big"), 12):
        if SRGB[at : at + 4] in (b"rXYZ", b"gXYZ"):
            swapped[at : at + 4] = b"gXYZ" if SRGB[at : at + 4] == b"rXYZ" else b"rXYZ"
    return bytes(swapped)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pnm"])
def test_what_is_written_without_loss_is_read_back_equal(suffix: str, tmp_path: Path) -> None:
    write_picture(Picture(PHOTO), tmp_path / f"a{suffix}")
    assert np.array_equal(read_picture(tmp_path / f"a{suffix}").samples, PHOTO)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".pgm", ".jpg"])
def test_gray_stays_gray(suffix: str) -> None:
    back = read_picture(picture_bytes(Picture(GRAY), suffix))
    assert back.is_gray
    assert np.abs(back.samples.astype(int) - GRAY).max() <= (12 if suffix == ".jpg" else 0)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("samples", [PHOTO, GRAY], ids=["rgb", "gray"])
def test_alpha_is_kept(suffix: str, samples: np.ndarray) -> None:
    back = read_picture(picture_bytes(Picture(samples, ALPHA), suffix))
    assert back.alpha is not None
    assert np.array_equal(back.alpha, ALPHA)
    assert np.array_equal(back.samples, np.broadcast_to(samples, back.samples.shape))


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".ppm"])
def test_alpha_is_refused_where_it_would_be_lost(suffix: str) -> None:
    with pytest.raises(PictureError, match=r"write \.png"):
        picture_bytes(Picture(PHOTO, ALPHA), suffix)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_icc_and_exif_travel(suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    back = read_picture(picture_bytes(Picture(PHOTO, icc=SRGB, exif=block), suffix))
    assert back.icc == SRGB
    assert back.exif == block


def test_a_format_without_icc_gets_srgb_samples() -> None:
    back = read_picture(picture_bytes(Picture(PHOTO, icc=rgb_profile_of_swapped_primaries()), ".ppm"))
    assert np.abs(back.samples.astype(int) - PHOTO[:, :, (1, 0, 2)]).max() <= 3
    assert back.icc is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_orientation_is_applied_and_removed(orientation: int, kind: str) -> None:
    stored = PHOTO
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored.transpose(1, 0, 2)[:, ::-1],
        7: stored.transpose(1, 0, 2)[::-1, ::-1],
        8: stored.transpose(1, 0, 2)[::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    options = {"lossless": True} if kind == "WEBP" else {}
    back = read_picture(saved(Image.fromarray(stored), kind, exif=exif, **options))
    assert np.array_equal(back.samples, upright)
    if kind != "TIFF":
        left = Image.Exif()
        left.load(back.exif)
        assert left.get(0x0112, 1) == 1
        assert left[0x010F] == "Maker"


def test_a_broken_exif_block_is_left_out_with_a_warning() -> None:
    data = saved(Image.fromarray(PHOTO), "JPEG", exif=b"Exif\0\0garbage that is no TIFF at all")
    with pytest.warns(UserWarning, match="Exif"):
        back = read_picture(data)
    assert back.exif is None


def test_palettes_and_single_bits() -> None:
    colours = Image.fromarray(PHOTO).quantize(16)
    assert np.array_equal(read_picture(saved(colours, "PNG")).samples, np.asarray(colours.convert("RGB")))
    seen = read_picture(saved(colours, "PNG", transparency=3))
    assert seen.alpha is not None
    assert np.array_equal(seen.alpha == 0, np.asarray(colours) == 3)
    bits = Image.fromarray(GRAY[:, :, 0]).convert("1")
    assert np.array_equal(read_picture(saved(bits, "PNG")).samples[:, :, 0], np.asarray(bits) * np.uint8(255))


def test_transparent_colour_of_gray_and_rgb() -> None:
    gray = read_picture(saved(Image.fromarray(GRAY[:, :, 0]), "PNG", transparency=int(GRAY[5, 7, 0])))
    assert gray.is_gray
    assert gray.alpha is not None
    assert np.array_equal(gray.alpha == 0, GRAY[:, :, 0] == GRAY[5, 7, 0])
    rgb = read_picture(saved(Image.fromarray(PHOTO), "PNG", transparency=tuple(int(v) for v in PHOTO[5, 7])))
    assert rgb.alpha is not None
    assert np.array_equal(rgb.alpha == 0, np.equal(PHOTO, PHOTO[5, 7]).all(axis=2))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_gray_is_rounded_with_a_warning(kind: str) -> None:
    wide = np.linspace(0, 65535, 64 * 96).round().astype(np.uint16).reshape(64, 96)
    with pytest.warns(PrecisionWarning):
        back = read_picture(saved(Image.fromarray(wide), kind))
    assert back.is_gray
    assert np.array_equal(back.samples[:, :, 0], np.rint(wide / 257).astype(np.uint8))


def test_12_bit_tiff_reaches_white() -> None:
    entries = [
        (256, 3, 2),
        (257, 3, 1),
        (258, 3, 12),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 122),
        (277, 3, 1),
        (278, 3, 1),
        (279, 4, 3),
    ]
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    tiff = b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)
    tiff += bytes(122 - len(tiff)) + bytes([0xFF, 0xF8, 0x00])
    with pytest.warns(PrecisionWarning):
        assert read_picture(tiff).samples.ravel().tolist() == [255, 128]


def test_16_bit_rgb_png_is_warned_of_though_pillow_is_silent() -> None:
    row = struct.pack(">6H", 65535, 0, 0x8080, 0x1234, 0xFF00, 0x00FF)
    with pytest.warns(PrecisionWarning):
        back = read_picture(png(2, 1, 16, 2, b"\0" + row, b"tRNS" + struct.pack(">3H", 0x1234, 0xFF00, 0x00FF)))
    assert np.abs(back.samples[0].astype(int) - [[255, 0, 128], [18, 254, 1]]).max() <= 1
    assert back.alpha is not None
    assert back.alpha.tolist() == [[255, 0]]


def test_16_bit_rgb_of_tiff_and_ppm_are_warned_of() -> None:
    ppm = b"P6 2 1 65535\n" + struct.pack(">6H", 65535, 0, 0x8080, 0x1234, 0xFF00, 0x00FF)
    with pytest.warns(PrecisionWarning):
        assert read_picture(ppm).samples[0, 0].tolist() == [255, 0, 128]
    entries = [(256, 3, 1), (257, 3, 1), (259, 3, 1), (262, 3, 2), (273, 4, 128), (277, 3, 3), (278, 3, 1), (279, 4, 6)]
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in [*entries])
    bits = struct.pack("<HHII", 258, 3, 3, 122)
    table = table[:24] + bits + table[24:]
    tiff = b"II*\0" + struct.pack("<IH", 8, len(entries) + 1) + table + bytes(4)
    tiff += struct.pack("<3H", 16, 16, 16) + struct.pack("<3H", 65535, 0, 0x8080)
    with pytest.warns(PrecisionWarning):
        assert read_picture(tiff).samples[0, 0].tolist() == [255, 0, 128]


def test_eight_bits_are_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("PNG", "TIFF", "PPM", "BMP", "GIF", "JPEG", "WEBP", "JPEG2000", "AVIF"):
            assert read_picture(saved(Image.fromarray(PHOTO), kind)).samples.shape == PHOTO.shape


def test_floating_point_and_wide_integers_are_refused() -> None:
    with pytest.raises(PictureError, match="floating point"):
        read_picture(saved(Image.fromarray(GRAY[:, :, 0].astype(np.float32)), "TIFF"))
    with pytest.raises(PictureError, match="100000"):
        read_picture(saved(Image.fromarray(np.full((2, 2), 100000, np.int32)), "TIFF"))


def test_cmyk_and_lab_become_srgb() -> None:
    cmyk = Image.fromarray(PHOTO).convert("CMYK")
    assert np.abs(read_picture(saved(cmyk, "TIFF")).samples.astype(int) - PHOTO).max() <= 2
    jpeg = read_picture(saved(cmyk, "JPEG", quality=98))
    assert np.abs(jpeg.samples.astype(int) - PHOTO).mean() < 3
    made = ImageCms.createProfile
    lab = ImageCms.profileToProfile(Image.fromarray(PHOTO), made("sRGB"), made("LAB"), outputMode="LAB")
    assert lab is not None
    assert np.abs(read_picture(saved(lab, "TIFF")).samples.astype(int) - PHOTO).mean() < 3


def test_cmyk_with_a_profile_of_other_channels_is_refused() -> None:
    with pytest.raises(PictureError, match="CMYK"):
        read_picture(saved(Image.fromarray(PHOTO).convert("CMYK"), "TIFF", icc_profile=SRGB))


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG", "AVIF"])
def test_the_first_of_several_frames_is_taken_with_a_warning(kind: str) -> None:
    first, second = Image.new("RGB", (20, 10), (250, 0, 0)), Image.new("RGB", (20, 10), (0, 0, 250))
    with pytest.warns(UserWarning, match="several frames"):
        back = read_picture(saved(first, kind, save_all=True, append_images=[second]))
    assert back.samples.shape == (10, 20, 3)
    assert np.abs(back.samples.astype(int) - [250, 0, 0]).max() < 10


def test_srgb_conversion_of_rgb_and_gray() -> None:
    assert np.abs(to_srgb(Picture(PHOTO, icc=SRGB)).samples.astype(int) - PHOTO).max() <= 1
    turned = to_srgb(Picture(PHOTO, ALPHA, icc=rgb_profile_of_swapped_primaries(), exif=b"x"))
    assert np.abs(turned.samples.astype(int) - PHOTO[:, :, (1, 0, 2)]).max() <= 3
    assert (turned.icc, turned.exif) == (None, b"x")
    assert turned.alpha is ALPHA
    ramp = np.arange(256, dtype=np.uint8)[None, :, None]
    linear = to_srgb(Picture(ramp, icc=gray_profile(1.0)))
    assert linear.is_gray
    light = np.arange(256) / 255
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(linear.samples[0, :, 0] - expected)[16:].max() <= 3
    gray_with_rgb = to_srgb(Picture(GRAY, icc=SRGB))
    assert gray_with_rgb.is_gray
    assert np.abs(gray_with_rgb.samples.astype(int) - GRAY).max() <= 1


@pytest.mark.parametrize(
    "broken", [b"", b"no profile", SRGB[:200], gray_profile(1.0)], ids=["empty", "text", "cut", "gray for rgb"]
)
def test_a_broken_profile_is_named(broken: bytes) -> None:
    with pytest.raises(PictureError, match="ICC"):
        to_srgb(Picture(PHOTO, icc=broken))


def test_limits_hold_before_samples_are_read() -> None:
    vast = png(60000, 60000, 8, 2, b"")
    with pytest.raises(LimitError, match="60000x60000"):
        read_picture(vast)
    with pytest.raises(LimitError):
        read_picture(saved(Image.fromarray(PHOTO), "WEBP"), Limits(pixels=100))
    with pytest.raises(LimitError, match="ICC"):
        read_picture(saved(Image.fromarray(PHOTO), "PNG", icc_profile=SRGB), Limits(metadata_bytes=100))
    with pytest.raises(LimitError):
        read_picture(saved(Image.fromarray(PHOTO), "PNG"), Limits(payload_bytes=100))


def test_a_webp_canvas_is_checked_before_it_is_allocated() -> None:
    data = bytearray(saved(Image.fromarray(PHOTO), "WEBP", exif=b"II*\0"))
    assert data[12:16] == b"VP8X"
    data[24:30] = b"\xff\x2f\0\xff\x2f\0"  # 12288 x 12288
    with pytest.raises(LimitError, match="12288x12288"):
        read_picture(bytes(data), Limits(pixels=10**8))


def test_a_larger_limit_is_obeyed_without_a_word_from_pillow() -> None:
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(png(60000, 60000, 8, 2, b""), Limits(pixels=10**10)).image.size == (60000, 60000)
    assert before == Image.MAX_IMAGE_PIXELS


def test_missing_file_folder_and_unknown_kinds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_picture(tmp_path / "absent.png")
    with pytest.raises(InputError, match="cannot read"):
        read_picture(tmp_path)
    with pytest.raises(NotFovealError):
        read_picture(b"")
    with pytest.raises(NotFovealError):
        read_picture(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    with pytest.raises(NotFovealError):
        read_picture(saved(Image.fromarray(PHOTO), "PNG"), formats=("JPEG",))
    with pytest.raises(InputError, match=r"\.xyz"):
        write_picture(Picture(PHOTO), tmp_path / "a.xyz")
    with pytest.raises(PictureError, match="16383"):
        picture_bytes(Picture(np.zeros((1, 20000, 3), np.uint8)), ".webp")
    with pytest.raises(PictureError, match=r"\.ppm"):
        picture_bytes(Picture(PHOTO), ".pgm")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM", "GIF"])
def test_a_truncated_file_is_refused(kind: str) -> None:
    data = saved(Image.fromarray(PHOTO[:24, :32]), kind)
    for end in range(0, len(data) - (2 if kind == "GIF" else 20 if kind == "PNG" else 1), 7):
        with pytest.raises(FormatError):
            read_picture(data[:end])
    with pytest.raises((TruncatedError, DamagedError)):
        read_picture(data[: len(data) // 2])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FORMATS)
def test_flipped_bytes_raise_nothing_foreign(kind: str) -> None:
    generator = np.random.default_rng(3)
    image = Image.fromarray(PHOTO[:24, :32])
    options = (
        {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0", "icc_profile": SRGB} if kind in ("PNG", "JPEG", "WEBP", "AVIF") else {}
    )
    data = saved(image, kind, **options)
    wrong = 0
    for turn in range(300):
        bad = bytearray(data)
        at = turn % min(200, len(bad)) if turn % 2 else int(generator.integers(len(bad)))
        bad[at] = int(generator.integers(256))
        try:
            read_picture(bytes(bad), Limits(pixels=10**6))
        except FovealError:
            wrong += 1
    assert wrong > 0
