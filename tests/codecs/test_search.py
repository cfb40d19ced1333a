from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared, QualityScale
from foveal.codecs.search import Target, encode_to_target, parse_size
from foveal.errors import SettingsError, TargetError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture

PICTURE = Picture(np.random.default_rng(5).integers(60, 190, (32, 48, 3), dtype=np.uint8))
CONTINUOUS = QualityScale("q", 1, 100, True)
WHOLE = QualityScale("q", 1, 100, False)
Sizes = Callable[[float], float]


class FakePrepared(Prepared):
    def __init__(self, codec: FakeCodec) -> None:
        self.codec, self.encoded = codec, 0

    def encode(self, quality: float) -> bytes:
        self.encoded += 1
        native = self.codec.info.scale.native(quality)
        return np.float64(native).tobytes() + bytes(max(0, int(self.codec.size_at(native)) - 8))


class CountingPrepared(FakePrepared):
    """Counts without writing, and errs by ``off`` bytes."""

    def size(self, quality: float) -> int:
        return len(super().encode(quality)) + self.codec.off


class FakeCodec(Codec):
    """A file of ``size_at(native)`` bytes, that decodes with errors of ``error_at(native)`` steps of 8 bits."""

    def __init__(self, scale: QualityScale, size_at: Sizes, error_at: Sizes = lambda q: 0, off: int | None = None) -> None:
        super().__init__(CodecInfo(250, "fake", "a fake", (".fake",), scale))
        self.size_at, self.error_at = size_at, error_at
        self.off = off or 0
        self.kind = FakePrepared if off is None else CountingPrepared
        self.prepared: list[FakePrepared] = []

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        self.prepared.append(self.kind(self))
        return self.prepared[-1]

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        error = self.error_at(float(np.frombuffer(data[:8], np.float64)[0]))
        off = np.zeros(PICTURE.samples.size, np.uint8)
        off[: int(error * off.size) % off.size] = 1
        return Picture(PICTURE.samples + np.uint8(error) + off.reshape(PICTURE.samples.shape))

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        raise NotImplementedError


def exponential(base: float, growth: float) -> Sizes:
    return lambda q: base * math.exp(growth * q)


@given(base=st.floats(200, 5000), growth=st.floats(0.005, 0.09), share=st.floats(0.001, 0.999), counts=st.booleans())
@settings(deadline=None)
def test_a_continuous_codec_lands_within_3_percent_below_and_never_above(
    base: float, growth: float, share: float, counts: bool
) -> None:
    codec = FakeCodec(CONTINUOUS, exponential(base, growth), off=0 if counts else None)
    target = int(base * math.exp(growth * (1 + 99 * share))) + 1
    found = encode_to_target(codec, PICTURE, EncodeSettings(), Target(size_bytes=target))
    assert 0.97 * target <= len(found.data) <= target
    assert found.within
    assert found.passes <= 10
    assert len(codec.prepared) == 1
    assert codec.info.scale.native(found.quality) == found.value == np.frombuffer(found.data[:8])[0]


@given(st.lists(st.integers(10, 10_000), min_size=100, max_size=100).map(sorted), st.integers(10, 12_000))
@settings(deadline=None)
def test_a_stepped_codec_gives_the_largest_step_that_fits(table: list[int], target: int) -> None:
    codec = FakeCodec(WHOLE, lambda q: table[round(q) - 1])
    if table[0] > target:
        with pytest.raises(TargetError, match=f"{table[0]} bytes"):
            encode_to_target(codec, PICTURE, EncodeSettings(), Target(size_bytes=target))
        return
    found = encode_to_target(codec, PICTURE, EncodeSettings(), Target(size_bytes=target))
    best = max(i + 1 for i, size in enumerate(table) if size <= target)
    assert found.quality == pytest.approx(best)
    assert len(found.data) == table[best - 1]
    assert found.passes <= 10
    assert found.within == (table[best - 1] >= 0.97 * target)


@given(
    scale=st.sampled_from([CONTINUOUS, WHOLE]),
    seed=st.integers(0, 999),
    wobble=st.floats(0, 0.06),
    target=st.integers(700, 60_000),
    off=st.one_of(st.none(), st.integers(-200, 200)),
)
@settings(deadline=None)
def test_never_above_the_target_even_where_sizes_wobble_and_counts_err(
    scale: QualityScale, seed: int, wobble: float, target: int, off: int | None
) -> None:
    noise = np.random.default_rng(seed).uniform(-wobble, wobble, 1001)
    sizes = exponential(500, 0.045)
    codec = FakeCodec(scale, lambda q: sizes(q) * math.exp(noise[round(q * 10)]), off=off)
    found = encode_to_target(codec, PICTURE, EncodeSettings(), Target(size_bytes=target))
    assert len(found.data) <= target
    assert found.within == (len(found.data) >= 0.97 * target)


def test_looks_past_a_step_that_is_slightly_too_large() -> None:
    table = {60: 1000, 61: 1010, 62: 995}
    codec = FakeCodec(WHOLE, lambda q: table.get(round(q), 900 if q < 60 else 2000))
    assert encode_to_target(codec, PICTURE, EncodeSettings(), Target(size_bytes=1000)).value == 62


def test_a_continuous_codec_whose_sizes_jump_gives_the_largest_that_fits_and_says_so() -> None:
    codec = FakeCodec(CONTINUOUS, lambda q: 1000 * 2 ** (q // 10))
    found = encode_to_target(codec, PICTURE, EncodeSettings(), Target(size_bytes=5000))
    assert len(found.data) == 4000
    assert not found.within
    assert "4000 of 5000 bytes" in found.reached
    assert "jump" in found.reached
    assert found.passes <= 24


@pytest.mark.parametrize("scale", [CONTINUOUS, WHOLE])
def test_a_codec_of_one_size(scale: QualityScale) -> None:
    codec = FakeCodec(scale, lambda q: 500)
    found = encode_to_target(codec, PICTURE, EncodeSettings(), Target(size_bytes=600))
    assert (found.quality, len(found.data), found.within) == (100, 500, False)
    assert "quality 100" in found.reached
    with pytest.raises(TargetError, match="500 bytes"):
        encode_to_target(codec, PICTURE, EncodeSettings(), Target(size_bytes=499))


def test_a_count_that_is_too_low_is_found_out_by_the_written_file() -> None:
    codec = FakeCodec(CONTINUOUS, exponential(500, 0.04), off=-100)
    found = encode_to_target(codec, PICTURE, EncodeSettings(), Target(size_bytes=1000))
    assert 970 <= len(found.data) <= 1000


def test_bpp_is_a_budget_of_whole_bytes() -> None:
    codec = FakeCodec(CONTINUOUS, lambda q: 100 + 40 * q)
    found = encode_to_target(codec, PICTURE, EncodeSettings(), Target(bpp=5.0))
    assert 0.97 * 960 <= len(found.data) <= 5.0 * 48 * 32 / 8
    assert Target(bpp=0.33).budget_bytes(1001) == math.floor(0.33 * 1001 / 8) == 41
    with pytest.raises(TargetError, match="less than one byte"):
        encode_to_target(codec, PICTURE, EncodeSettings(), Target(bpp=0.001))


@pytest.mark.parametrize("scale", [CONTINUOUS, WHOLE])
@pytest.mark.parametrize("psnr_db", [32.0, 37.3, 44.0])
def test_psnr_is_the_lowest_quality_that_reaches_it(scale: QualityScale, psnr_db: float) -> None:
    codec = FakeCodec(scale, lambda q: 100 + 10 * q, error_at=lambda q: 12 * math.exp(-q / 25))
    found = encode_to_target(codec, PICTURE, EncodeSettings(), Target(psnr_db=psnr_db))
    measured = psnr_rgb_db(PICTURE, codec.decode(found.data))
    assert found.psnr_db == pytest.approx(measured)
    assert measured >= psnr_db
    below = found.value - (0.1 if scale.continuous else 1)
    assert psnr_rgb_db(PICTURE, codec.decode(np.float64(below).tobytes())) < psnr_db
    assert found.passes <= 10


def test_psnr_out_of_reach_names_the_best() -> None:
    codec = FakeCodec(WHOLE, lambda q: 100, error_at=lambda q: 1)
    with pytest.raises(TargetError, match=r"48\.13 dB"):
        encode_to_target(codec, PICTURE, EncodeSettings(), Target(psnr_db=50))


def test_a_lossless_codec_meets_any_psnr_at_quality_1() -> None:
    found = encode_to_target(FakeCodec(CONTINUOUS, lambda q: 100), PICTURE, EncodeSettings(), Target(psnr_db=90))
    assert (found.quality, found.psnr_db) == (1, math.inf)


@pytest.mark.parametrize("bad", [{}, {"bpp": 1.0, "size_bytes": 5}, {"bpp": 0.0}, {"psnr_db": math.nan}, {"size_bytes": -1}])
def test_a_target_is_exactly_one_number_above_zero(bad: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        Target(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("40000", 40_000),
        ("40KB", 40_000),
        ("1.5MB", 1_500_000),
        ("64KiB", 65_536),
        (" 2 mib ", 2 << 20),
        (".5kb", 500),
        ("1.1B", 1),
    ],
)
def test_sizes_with_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "KB", "40 apples", "-3KB", "1e5", "0", "0.4", "1,5MB", "nan", "9" * 40])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(SettingsError, match="size"):
        parse_size(text)
