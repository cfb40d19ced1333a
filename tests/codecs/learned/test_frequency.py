"""The codec frequency: round trips, exact decode, bands, importance, tiles, and damage."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal.codecs.base import Codec, DecodeSettings, EncodeSettings, Region
from foveal.codecs.guide import Guide
from foveal.codecs.learned import quality_map, weights
from foveal.codecs.learned.frequency import bands
from foveal.codecs.learned.frequency.codec import FrequencyPrepared
from foveal.codecs.learned.frequency.networks import load_networks
from foveal.codecs.learned.frequency.prior import STEPS, step_masks
from foveal.codecs.learned.frequency.tiling import Rect, padded, tiles
from foveal.codecs.learned.quality_levels import LEVEL_MAX, integer_hats
from foveal.codecs.registry import codec_by_name
from foveal.container.format import Container
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.entropy.coder import SymbolReader
from foveal.errors import DamagedError, DriftError, FovealError, SettingsError, TruncatedError
from foveal.limits import DEFAULT_LIMITS
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture


@pytest.fixture(scope="module")
def codec() -> Codec:
    return codec_by_name("frequency")


@pytest.fixture(scope="module")
def large() -> Picture:
    """A real photograph, 512x512."""
    skimage = pytest.importorskip("skimage.data", reason="scikit-image brings the test photographs: pip install scikit-image")
    return Picture(np.ascontiguousarray(skimage.astronaut()))


def _noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)


@pytest.mark.slow
def test_rate_and_psnr_rise_with_quality_on_kodak(codec: Codec, kodak: list[Picture]) -> None:
    for picture in (kodak[4], kodak[19], kodak[22]):
        prepared = codec.prepare(picture)
        files = [prepared.encode(q) for q in range(5, 101, 5)]
        psnr = [psnr_rgb_db(picture, codec.decode(data)) for data in files]
        assert sorted(len(data) for data in files) == [len(data) for data in files]
        assert sorted(psnr) == psnr


def test_the_counted_size_is_the_written_size(codec: Codec, large: Picture) -> None:
    prepared = codec.prepare(large)
    for quality in (5, 40, 90):
        written = len(prepared.encode(quality))
        assert abs(prepared.size(quality) - written) <= 24 + written // 200


# Exact decode.


def _digest(data: bytes, codec: Codec) -> str:
    """The decoded symbols: a wrong one would raise DriftError already, this also sees that all were compared."""
    networks = load_networks(weights.card_of("frequency", read_container(data, DEFAULT_LIMITS).head.weights))
    digest = hashlib.sha256()
    units = read_container(data, DEFAULT_LIMITS).units
    below = None
    size = (256 // 64, 256 // 64)
    for band, unit in enumerate(units):
        decoder = bands.SymbolDecoder(networks, SymbolReader(unit.payload))
        shape = (size[0] << band, size[1] << band)
        below = bands.walk_band(networks, band, integer_hats(np.array([[LEVEL_MAX // 2]])), shape, below, decoder).lifted
        digest.update(np.concatenate(decoder.symbols).tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def coded(codec: Codec, photo: Picture) -> bytes:
    return codec.encode(photo, EncodeSettings(50.5))


def test_symbols_are_the_same_in_all_settings(codec: Codec, coded: bytes) -> None:
    reference = _digest(coded, codec)
    before = torch.get_num_threads(), torch._C._get_mkldnn_enabled(), torch.get_default_dtype()
    seen = set[str]()
    try:
        for threads in (1, 2):
            for onednn in (True, False):
                torch.set_num_threads(threads)
                torch._C._set_mkldnn_enabled(onednn)
                seen.add(_digest(coded, codec))
                with torch.autocast("cpu", torch.bfloat16):
                    seen.add(_digest(coded, codec))
                torch.set_default_dtype(torch.float64)
                seen.add(_digest(coded, codec))
                torch.set_default_dtype(before[2])
    finally:
        torch.set_num_threads(before[0])
        torch._C._set_mkldnn_enabled(before[1])
        torch.set_default_dtype(before[2])
    assert seen == {reference}


def test_symbols_are_the_same_with_several_pictures_at_once(codec: Codec, coded: bytes) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: _digest(coded, codec), range(8))) == {_digest(coded, codec)}


def test_layout_and_type_change_nothing_but_a_float_network_would(codec: Codec) -> None:
    prior = load_networks(weights.default_card("frequency")).priors[2]
    generator = torch.Generator().manual_seed(0)
    below = torch.randint(0, 1024, (1, 192, 16, 16), generator=generator).float()
    hats = torch.from_numpy(integer_hats(np.array([[3333]])).astype(np.float32))[None].expand(-1, -1, 16, 16)
    with bands.exact_arithmetic():
        mean, scale = prior.step(0, prior.features(below, hats), below)
        last = below.contiguous(memory_format=torch.channels_last)
        assert torch.equal(prior.step(0, prior.features(last, hats), last)[0], mean)
        double = prior.double()
        try:
            again, widths = double.step(0, double.features(below.double(), hats.double()), below.double())
        finally:
            prior.float()
        assert torch.equal(again.float(), mean)
        assert torch.equal(widths.float(), scale)
        # The same layer with weights that are no multiples of powers of two: types disagree after rounding.
        layer = prior.steps[0].get_submodule("enter")
        plain = torch.nn.functional.conv2d
        weight, bias = layer.weight * 1.001 / 3, layer.bias / 3
        single = plain(prior.features(below, hats), weight, bias)
        exact = plain(prior.features(below, hats).double(), weight.double(), bias.double())
        fine = 2**12  # a product of several such layers
        assert (single * fine).round().ne((exact.float() * fine).round()).any()


_CHILD = """
import sys
from pathlib import Path
from foveal.codecs.registry import codec_by_name
codec_by_name("frequency").decode(Path(sys.argv[1]).read_bytes())
import torch
print(torch.backends.cpu.get_cpu_capability())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "limits",
    [
        {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
        {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
        {"OMP_NUM_THREADS": "2", "MKL_CBWR": "COMPATIBLE"},
    ],
)
def test_files_decode_on_lesser_processors(coded: bytes, tmp_path: Path, limits: dict[str, str]) -> None:
    """Symbols that differed would be drift, which is an error."""
    (tmp_path / "a.fvl").write_bytes(coded)
    run = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path / "a.fvl")],
        env=os.environ | limits, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    if "ATEN_CPU_CAPABILITY" in limits:
        assert run.stdout.strip().lower() == limits["ATEN_CPU_CAPABILITY"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_networks_give_the_same_on_cuda() -> None:
    prior = load_networks(weights.default_card("frequency")).priors[0]
    hats = torch.from_numpy(integer_hats(np.array([[3333]])).astype(np.float32))[None].expand(-1, -1, 16, 16).contiguous()
    with bands.exact_arithmetic():
        here = prior.step(0, prior.features(None, hats), hats)
        try:
            there = prior.cuda().step(0, prior.features(None, hats.cuda()), hats.cuda())
        finally:
            prior.cpu()
    assert all(torch.equal(a, b.cpu()) for a, b in zip(here, there, strict=True))


def test_a_changed_network_is_drift_never_a_picture(codec: Codec, coded: bytes) -> None:
    networks = load_networks(weights.default_card("frequency"))
    layer = networks.priors[0].fuse
    with torch.no_grad():
        layer.bias += 40
        try:
            with pytest.raises((DriftError, DamagedError)):
                codec.decode(coded)
        finally:
            layer.bias -= 40
    codec.decode(coded)


# Bands.


def test_steps_code_every_latent_once() -> None:
    masks = step_masks(64, 5, 7)
    assert masks.shape == (STEPS, 64, 5, 7)
    assert masks.sum(0).eq(1).all()
    assert masks[0, 0, :2, :2].sum() == 1


def test_prefixes_are_pictures_that_get_better(codec: Codec, large: Picture) -> None:
    data = codec.encode(large, EncodeSettings(60))
    pictures = [codec.decode(data, settings=DecodeSettings(bands=n)) for n in (1, 2, 3)]
    psnr = [psnr_rgb_db(large, picture) for picture in pictures]
    assert psnr[0] < psnr[1] < psnr[2]
    assert (pictures[2].samples == codec.decode(data).samples).all()
    gray = Picture(np.full_like(large.samples, large.samples.mean((0, 1)).astype(np.uint8)))
    assert psnr[0] > psnr_rgb_db(large, gray) + 3
    needed = [codec.bytes_needed(data, settings=DecodeSettings(bands=n)) for n in (1, 2, 3)]
    assert needed[0] < needed[1] < needed[2] == len(data)


def test_a_truncated_file_is_the_prefix_that_it_holds(codec: Codec, photo: Picture) -> None:
    data = codec.encode(photo, EncodeSettings(50))
    finer = [unit.bytes for unit in read_container(data, DEFAULT_LIMITS).units]
    ends = [len(data) - sum(finer[n:]) for n in (1, 2, 3)]
    for bands_, end in enumerate(ends[:2], 1):
        for cut in (end, end + 5, ends[bands_] - 1):
            part = codec.decode(data[:cut], settings=DecodeSettings(allow_partial=True))
            assert (part.samples == codec.decode(data, settings=DecodeSettings(bands=bands_)).samples).all()
            with pytest.raises(TruncatedError, match="--allow-partial"):
                codec.decode(data[:cut])
            assert codec.describe(data[:cut]).missing_units == 3 - bands_
    with pytest.raises(TruncatedError):
        codec.decode(data[: ends[0] - 1], settings=DecodeSettings(allow_partial=True))


# Importance.


def test_importance_moves_bits_and_holds_the_rate(codec: Codec, large: Picture) -> None:
    importance = np.zeros((8, 8), np.float32)
    importance[:, :4] = 1
    even = codec.encode(large, EncodeSettings(40))
    held = codec.encode(large, EncodeSettings(40, guide=Guide.of_importance(importance, hold_rate=True)))
    assert abs(len(held) - len(even)) <= 0.015 * len(even)

    def left_right(data: bytes) -> tuple[float, float]:
        back = codec.decode(data)
        halves = [
            (Picture(np.ascontiguousarray(p.samples[:, :224])), Picture(np.ascontiguousarray(p.samples[:, 288:])))
            for p in (large, back)
        ]
        return psnr_rgb_db(halves[0][0], halves[1][0]), psnr_rgb_db(halves[0][1], halves[1][1])

    (left, right), (left_even, right_even) = left_right(held), left_right(even)
    assert left > left_even + 1
    assert right < right_even - 1


def test_an_even_map_changes_nothing(codec: Codec, photo: Picture) -> None:
    even = codec.encode(photo, EncodeSettings(40))
    assert codec.encode(photo, EncodeSettings(40, guide=Guide.of_importance(np.full((3, 5), 0.7, np.float32)))) == even


@pytest.mark.parametrize("quality", [1, 4, 97, 100])
def test_the_rate_is_held_at_the_ends_of_the_scale(codec: Codec, large: Picture, quality: float) -> None:
    importance = np.zeros((8, 8), np.float32)
    importance[2:6, 2:6] = 1
    even = len(codec.encode(large, EncodeSettings(quality)))
    held = codec.encode(large, EncodeSettings(quality, guide=Guide.of_importance(importance, hold_rate=True)))
    assert abs(len(held) - even) <= 0.012 * even + 24


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 60), st.integers(0, 9))
def test_quality_maps_come_back(rows: int, columns: int, most: int, seed: int) -> None:
    steps = np.random.default_rng(seed).integers(-most, most + 1, (rows, columns))
    assert (quality_map.read_map(quality_map.write_map(steps), rows, columns) == steps).all()


@pytest.mark.parametrize("data", [b"", b"\x09", b"\x00\x01", b"\x00" * 9])
def test_damaged_maps_are_named(data: bytes) -> None:
    with pytest.raises(DamagedError):
        quality_map.read_map(data, 4, 4)


# Tiles.


def test_tiles_cover_the_picture_once() -> None:
    seen = np.zeros((832, 704), int)
    for tile in tiles(padded(700, 801), 256):
        seen[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert (seen == 1).all()


def test_a_crop_is_what_the_whole_holds_there_and_reads_less(codec: Codec, large: Picture) -> None:
    wide = Picture(np.tile(large.samples, (2, 4, 1)))
    data = codec.encode(wide, EncodeSettings(30, tile=256))
    whole = codec.decode(data)
    for region in (Region(0, 0, 1, 1), Region(900, 300, 200, 333), Region(1900, 1000, 148, 24)):
        settings_ = DecodeSettings(crop=region)
        assert (codec.decode(data, settings=settings_).samples == region.of(whole).samples).all()
        assert codec.bytes_needed(data, settings=settings_) < 0.75 * len(data)
    assert codec.describe(data).tiles == (256, 256)


def test_a_crop_does_not_touch_other_tiles(codec: Codec, large: Picture) -> None:
    wide = Picture(np.tile(large.samples, (1, 4, 1)))
    data = codec.encode(wide, EncodeSettings(30, tile=256))
    settings_ = DecodeSettings(crop=Region(0, 0, 100, 100))
    part = codec.decode(data, settings=settings_)
    spoiled = bytearray(data)
    spoiled[-20:] = bytes(20)
    assert (codec.decode(bytes(spoiled), settings=settings_).samples == part.samples).all()
    with pytest.raises(FovealError):
        codec.decode(bytes(spoiled))


def test_there_are_no_seams(codec: Codec, large: Picture) -> None:
    """Error beside the borders of tiles is the error elsewhere."""
    tiled = codec.decode(codec.encode(large, EncodeSettings(40, tile=256)))
    error = np.square(tiled.samples.astype(float) - large.samples).mean(2)
    plain = np.square(codec.decode(codec.encode(large, EncodeSettings(40))).samples.astype(float) - large.samples).mean(2)
    seam = np.zeros((512, 512), bool)
    seam[252:260], seam[:, 252:260] = True, True
    change_db = 10 * np.log10(error[seam].mean() / plain[seam].mean())
    elsewhere_db = 10 * np.log10(error[~seam].mean() / plain[~seam].mean())
    assert abs(change_db - elsewhere_db) < 0.1


def test_blocks_make_the_same_picture_as_one_piece(codec: Codec, large: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    from foveal.codecs.learned.frequency import tiling

    wide = Picture(np.tile(large.samples, (2, 2, 1))[:900, :1000])
    data = codec.encode(wide, EncodeSettings(60))
    whole = codec.decode(data)
    monkeypatch.setattr(tiling, "_WHOLE", 1)
    monkeypatch.setattr(tiling, "_BLOCK", 256)
    assert codec.encode(wide, EncodeSettings(60)) == data
    assert np.abs(codec.decode(data).samples.astype(int) - whole.samples).max() <= 1


def test_rects_are_sliced_by_stride() -> None:
    assert Rect(128, 64, 200, 256).part_of(Rect(64, 0, 999, 999), 64) == (slice(1, 4), slice(1, 3))


# Damage.


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": b"\x01"},
        {"bands": 2},
        {"depth": 10},
        {"parameters": b"\x00\x00\xff"},
        {"parameters": b"\xff\xff\x00\x01\x02\x03\x04"},
    ],
)
def test_a_head_that_frequency_never_writes_is_refused(codec: Codec, coded: bytes, change: dict[str, object]) -> None:
    container = read_container(coded, DEFAULT_LIMITS)
    head = replace(container.head, **change)  # type: ignore[arg-type]
    units = container.units[: head.bands]
    with pytest.raises((DamagedError, DriftError)):
        codec.decode(write_container(Container(head, units)))


def test_a_wrong_symbol_is_drift(codec: Codec, coded: bytes) -> None:
    container = read_container(coded, DEFAULT_LIMITS)
    units = tuple(replace(u, symbols_crc=u.symbols_crc ^ (u.number == 1)) for u in container.units)
    with pytest.raises(DriftError, match="unit 1"):
        codec.decode(write_container(replace(container, units=units)))


@settings(max_examples=25)
@given(st.data())
def test_spoiled_payloads_give_the_packages_own_errors(data: st.DataObject) -> None:
    codec = codec_by_name("frequency")
    coded = codec.encode(Picture(_noise(70, 90)), EncodeSettings(30))
    container = read_container(coded, DEFAULT_LIMITS)
    number = data.draw(st.integers(0, 2))
    payload = bytearray(container.units[number].payload)
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= data.draw(st.integers(1, 255))
    units = tuple(replace(u, payload=bytes(payload)) if u.number == number else u for u in container.units)
    with pytest.raises(FovealError):
        codec.decode(write_container(replace(container, units=units)))


def test_more_bands_than_there_are_is_refused(codec: Codec, coded: bytes) -> None:
    with pytest.raises(SettingsError, match="3 bands"):
        codec.decode(coded, settings=DecodeSettings(bands=4))


@pytest.mark.slow
def test_files_are_hardly_larger_than_the_tables_say(codec: Codec, kodak: list[Picture]) -> None:
    """Over the information in the symbols, header and check sums included: under 0.5 % from 0.25 bpp on."""
    checked = 0
    for picture in kodak[::4]:
        prepared = codec.prepare(picture)
        for quality in (27, 36, 60, 85):
            data = prepared.encode(quality)
            if len(data) * 8 < 0.25 * picture.width * picture.height:
                continue
            assert isinstance(prepared, FrequencyPrepared)
            bits = prepared.information(quality)
            assert bits < 8 * len(data) < bits * 1.005
            checked += 1
    assert checked > 8
