"""Bands, crops, partial files, importance maps and tiles, as every codec checks them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from foveal.codecs.base import (
    BandInfo,
    Codec,
    CodecInfo,
    DecodeSettings,
    EncodeSettings,
    FileInfo,
    Prepared,
    QualityScale,
    Region,
)
from foveal.codecs.guide import SWING, Guide
from foveal.codecs.learned.symbols import describe_container, describe_learned
from foveal.codecs.registry import codec_by_name
from foveal.codecs.search import Target
from foveal.codecs.sniff import codec_of, describe_file
from foveal.container.format import Container, Head, Tiling, Unit
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.errors import DamagedError, NotFovealError, SettingsError, TruncatedError, UnknownCodecError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture

RANDOM = np.random.default_rng(0)
SAMPLES = np.add.outer(np.arange(40), np.arange(60))[:, :, None] + np.array([0, 40, 90]) + RANDOM.integers(0, 9, (40, 60, 1))
SMALL = Picture(SAMPLES.astype(np.uint8))
WITH_ALPHA = replace(SMALL, alpha=RANDOM.integers(0, 256, (40, 60)).astype(np.uint8))
CROP = Region(7, 5, 20, 11)
MAP = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
FULL = CodecInfo(
    251, "full", "a fake", (".fvl",), QualityScale("quality", 1, 100, True), learned=True, bands=3, tiles=True, importance=True
)


class FullCodec(Codec):
    """Has bands, tiles and importance, and keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(FULL)
        self.told: Any = None

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        self.told = settings
        return Echo()

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        self.told = settings
        return SMALL

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        return describe_learned(self.info, data, limits)


class Echo(Prepared):
    def encode(self, quality: float) -> bytes:
        return b"echo"


@pytest.mark.parametrize(("name", "picture"), [("jpeg", SMALL), ("webp", WITH_ALPHA), ("gdn", WITH_ALPHA)])
def test_a_crop_equals_slicing(name: str, picture: Picture) -> None:
    codec = codec_by_name(name)
    data = codec.encode(picture, EncodeSettings(80))
    whole, part = codec.decode(data), codec.decode(data, settings=DecodeSettings(crop=CROP))
    assert (part.samples == whole.samples[5:16, 7:27]).all()
    assert part.samples.shape == (11, 20, 3)
    if picture.alpha is None:
        assert part.alpha is None
    else:
        assert whole.alpha is not None
        assert part.alpha is not None
        assert (part.alpha == whole.alpha[5:16, 7:27]).all()
    assert codec.bytes_needed(data, settings=DecodeSettings(crop=CROP)) == len(data)


@pytest.mark.parametrize(
    "at", [(-1, 0, 5, 5), (0, -1, 5, 5), (50, 0, 11, 5), (0, 36, 5, 5), (0, 0, 0, 5), (0, 0, 5, 0), (5, 5, -3, 2)]
)
def test_a_crop_outside_the_picture_is_named_with_the_size(at: tuple[int, int, int, int]) -> None:
    codec, text = codec_by_name("jpeg"), ",".join(map(str, at))
    with pytest.raises(SettingsError, match=f"crop {text}; the picture is 60x40, .*inside.*: give x,y,width,height"):
        codec.decode(codec.encode(SMALL), settings=DecodeSettings(crop=Region(*at)))


def test_a_crop_may_be_all_of_the_picture_or_one_pixel() -> None:
    assert (Region(0, 0, 60, 40).of(SMALL).samples == SMALL.samples).all()
    assert (Region(59, 39, 1, 1).of(SMALL).samples == SMALL.samples[39:, 59:]).all()


def test_bands_are_refused_by_name() -> None:
    jpeg, full = codec_by_name("jpeg"), FullCodec()
    data = jpeg.encode(SMALL)
    for bands in (0, 2, -1):
        for call in (jpeg.decode, jpeg.bytes_needed):
            with pytest.raises(SettingsError, match=f"bands = {bands}; jpeg has 1 band: leave it out"):
                call(data, settings=DecodeSettings(bands=bands))
    assert (jpeg.decode(data, settings=DecodeSettings(bands=1)).samples == jpeg.decode(data).samples).all()
    with pytest.raises(SettingsError, match="bands = 4; full has 3 bands: ask for 1 to 3"):
        full.decode(b"", settings=DecodeSettings(bands=4))
    full.decode(b"", settings=DecodeSettings(bands=3))
    assert full.told.bands == 3


def test_partial_files_and_threads_are_refused_by_name() -> None:
    jpeg = codec_by_name("jpeg")
    with pytest.raises(SettingsError, match="jpeg has no partial decoding; leave allow_partial out"):
        jpeg.decode(jpeg.encode(SMALL), settings=DecodeSettings(allow_partial=True))
    with pytest.raises(SettingsError, match="threads = 0; a whole number"):
        jpeg.decode(jpeg.encode(SMALL), settings=DecodeSettings(threads=0))


def test_a_codec_with_tiles_crops_by_itself() -> None:
    full = FullCodec()
    assert full.decode(b"", settings=DecodeSettings(crop=CROP)).width == 60
    assert full.told.crop == CROP


def test_the_threads_hold_inside_and_not_after() -> None:
    import torch

    class Asking(FullCodec):
        def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
            self.told = torch.get_num_threads()
            return SMALL

    before, codec = torch.get_num_threads(), Asking()
    codec.decode(b"", settings=DecodeSettings(threads=before + 1))
    assert codec.told == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((2, 2, 1), np.float32), r"float32, shape \(2, 2, 1\); numbers in \(rows, columns\)"),
        (np.zeros((0, 4), np.float32), r"shape \(0, 4\)"),
        (np.array([["a"]]), "importance map of <U1"),
        (np.array([[0.0, 255.0]], np.float32), "of 0 to 255; 0 to 1 is needed: bring"),
        (np.array([[-0.5, 1.0]], np.float32), "of -0.5 to 1"),
        (np.array([[np.nan, 1.0]], np.float32), "nan"),
        (np.array([[np.inf, 1.0]], np.float32), "inf"),
    ],
)
def test_importance_maps_are_checked(values: Any, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Guide.of_importance(values)


def test_importance_reaches_the_codec_as_a_guide_of_float32() -> None:
    codec = FullCodec()
    for given in (MAP, MAP.astype(np.float64), MAP > 0.5, np.asfortranarray(MAP)):
        codec.encode(SMALL, EncodeSettings(guide=Guide.of_importance(given, hold_rate=True), tile=384))  # type: ignore[arg-type]
        octaves = codec.told.guide.octaves
        assert octaves.dtype == np.float32
        assert octaves.flags.c_contiguous
        assert octaves == pytest.approx(SWING * (np.mean(given) - given), abs=1e-6)
        assert (codec.told.guide.hold_rate, codec.told.tile) == (True, 384)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (EncodeSettings(tile=256), "hyperprior has no tiles; leave tile out"),
    ],
)
def test_what_a_codec_does_not_have_is_refused_by_name(settings: EncodeSettings, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        codec_by_name("hyperprior").prepare(SMALL, settings)


def test_only_a_guide_is_a_guide() -> None:
    with pytest.raises(SettingsError, match=r"a ndarray is no foveal\.codecs\.guide\.Guide; make one by Guide\.of_importance"):
        FullCodec().prepare(SMALL, EncodeSettings(guide=MAP))  # type: ignore[arg-type]


@pytest.mark.parametrize("tile", [0, -256, 128, 300, 255, 4224, 1 << 40])
def test_tiles_are_multiples_of_128_from_256(tile: int) -> None:
    with pytest.raises(SettingsError, match=f"tile = {tile}; a multiple of 128 from 256 to 4096 is needed"):
        FullCodec().prepare(SMALL, EncodeSettings(tile=tile))


def test_numbers_of_numpy_are_numbers_and_true_is_none() -> None:
    codec, scale = FullCodec(), FULL.scale
    asked = EncodeSettings(np.float32(40.5), tile=np.int64(256), threads=np.uint8(1))  # type: ignore[arg-type]
    codec.encode(SMALL, asked)
    assert (type(codec.told.tile), type(codec.told.threads)) == (int, int)
    assert (codec.told.tile, codec.told.threads) == (256, 1)
    codec.decode(b"", settings=DecodeSettings(bands=np.int32(2), threads=np.int16(1)))  # type: ignore[arg-type]
    assert (codec.told.bands, type(codec.told.bands)) == (2, int)
    assert scale.native(np.int64(40)) == scale.native(Fraction(40)) == 40  # type: ignore[arg-type]
    target = Target(bpp=np.float32(0.1))  # type: ignore[arg-type]
    assert type(target.bpp) is float
    assert type(Target(size_bytes=np.int64(5000)).size_bytes) is int  # type: ignore[arg-type]
    for wrong in (True, np.True_, "40", None, 40j):
        with pytest.raises(SettingsError, match="a number from 1"):
            scale.native(wrong)  # type: ignore[arg-type]
        with pytest.raises(SettingsError, match="tile = True"):
            codec.encode(SMALL, EncodeSettings(tile=True))  # type: ignore[arg-type]
    for wrong in (True, 2.0, np.True_):
        with pytest.raises(SettingsError, match="bands = "):
            codec.decode(b"", settings=DecodeSettings(bands=wrong))  # type: ignore[arg-type]
        with pytest.raises(SettingsError, match="threads = "):
            codec.encode(SMALL, EncodeSettings(threads=wrong))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="bpp = True"):
        Target(bpp=True)


def test_a_map_that_passes_its_range_by_rounding_is_clipped() -> None:
    passing = Guide.of_importance(np.array([[-1e-7, 0.5, 1 + 1.2e-7]], np.float32))
    assert (passing.octaves == Guide.of_importance(np.array([[0, 0.5, 1]], np.float32)).octaves).all()
    with pytest.raises(SettingsError, match=r"of 0 to 1\.00001"):
        Guide.of_importance(np.array([[0, 1.00001]]))  # type: ignore[arg-type]


def test_a_guide_is_no_part_of_equality_hash_and_repr() -> None:
    plain, mapped = EncodeSettings(40), EncodeSettings(40, guide=Guide(MAP))
    assert plain == mapped
    assert hash(plain) == hash(mapped)
    assert repr(plain) == repr(mapped)
    assert plain != EncodeSettings(40, tile=256)


def test_gdn_takes_a_cut_file_only_as_far_as_its_band_goes() -> None:
    gdn = codec_by_name("gdn")
    data, partial = gdn.encode(WITH_ALPHA), DecodeSettings(allow_partial=True)
    with pytest.raises(DamagedError, match="follow the last chunk"):
        gdn.decode(data + b"\xee\x04abc", settings=partial)
    assert (gdn.decode(data, settings=partial).samples == gdn.decode(data).samples).all()
    with pytest.raises(TruncatedError, match="0 of 1 tiles have whole"):
        gdn.decode(data[:-1], settings=partial)
    assert (gdn.decode(memoryview(data)).samples == gdn.decode(data).samples).all()


def _tiled(bands: int = 3, **changes: Any) -> bytes:
    head = Head(2, b"abcd", 500, 300, bands=bands, tiling=Tiling(256, 256, 0), parameters=b"\xff\xff" + b"map")
    head = replace(head, **changes)
    return write_container(Container(head, tuple(Unit(n, n, bytes(10 * (1 + n // 4))) for n in range(head.units))))


def test_bands_are_summed_over_tiles() -> None:
    info = describe_learned(replace(FULL, id=2), _tiled(), DEFAULT_LIMITS)
    assert (info.tiles, info.importance_bytes, info.parameter) == ((256, 256), 3, "quality 100.00")
    assert [(band.number, band.units) for band in info.bands] == [(0, 4), (1, 4), (2, 4)]
    units = read_container(_tiled(), DEFAULT_LIMITS).units
    assert [band.bytes for band in info.bands] == [sum(u.bytes for u in units[4 * b : 4 * b + 4]) for b in range(3)]
    # CRC-32 of the CRCs 0, 1, 2, 3 and so on, as little-endian words
    assert [band.symbols_crc for band in info.bands] == [0x278EAFA9, 0xFB9141FC, 0x44C07542]


def test_one_unit_keeps_the_crc_of_its_symbols() -> None:
    container = read_container(_tiled(tiling=None), DEFAULT_LIMITS)
    info = describe_container("full", container, 1, "quality 1")
    assert info.bands == tuple(BandInfo(n, container.units[n].bytes, n, 1) for n in range(3))
    assert (info.tiles, info.importance_bytes) == (None, 0)


def test_heads_that_no_codec_writes_are_named() -> None:
    plain = replace(FULL, id=2, importance=False, tiles=False)
    for info, data, error, words in (
        (FULL, _tiled(), NotFovealError, "names codec 2; full is 251"),
        (plain, _tiled(), DamagedError, "5 parameter bytes; full has 2$"),
        (replace(plain, importance=True), _tiled(), DamagedError, "3 bands, depth 8 and tiles"),
        (replace(FULL, id=2), _tiled(parameters=b"a"), DamagedError, "1 parameter bytes; full has 2 or more"),
        (replace(FULL, id=2), _tiled(bands=2), DamagedError, "2 bands, depth 8 and tiles; full has 3"),
    ):
        with pytest.raises(error, match=words):
            describe_learned(info, data, DEFAULT_LIMITS)


def test_a_file_is_opened_by_its_head_alone() -> None:
    gdn = codec_by_name("gdn")
    data = gdn.encode(SMALL)
    assert codec_of(memoryview(data)[:60]) is gdn
    assert describe_file(data) == gdn.describe(data)
    assert codec_of(memoryview(codec_by_name("jpeg").encode(SMALL))).info.name == "jpeg"
    for call in (codec_of, describe_file):
        with pytest.raises(UnknownCodecError, match="999"):
            call(_tiled(codec=999))
