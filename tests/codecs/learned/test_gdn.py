"""The codec gdn: round trips, exactness, rate against its own model, and damage."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal.codecs.base import Codec, EncodeSettings, Prepared
from foveal.codecs.guide import MOST, Guide
from foveal.codecs.learned import gdn, quality_map, runtime, weights
from foveal.codecs.learned.factorized import LogisticMixturePrior
from foveal.codecs.learned.gains import octave_in_quality
from foveal.codecs.learned.gdn_transforms import SYNTHESIS_REACH
from foveal.codecs.registry import codec_by_name
from foveal.container.format import Unit
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.errors import DamagedError, DriftError, FovealError, SettingsError, UnknownWeightsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture


@pytest.fixture(scope="module")
def codec() -> Codec:
    return codec_by_name("gdn")


def _noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)


def test_the_counted_size_is_the_written_size_within_two_words(codec: Codec, photo: Picture) -> None:
    prepared = codec.prepare(photo)
    for quality in (1.0, 33.3, 100.0):
        assert abs(prepared.size(quality) - len(prepared.encode(quality))) <= 8


def _model_bytes(prepared: Prepared, quality: float) -> float:
    """The entropy of the symbols under the codec's own mixture densities, in floating point, in bytes."""
    card = weights.default_card("gdn")
    prior = LogisticMixturePrior(int(card.config["latent_channels"])).double()
    prior.load_state_dict({n.removeprefix("prior."): t for n, t in weights.load_weights(card).items() if n.startswith("prior.")})
    parameter = round(gdn.PARAMETER_MAX * (quality - 1) / 99)
    assert isinstance(prepared, gdn.GdnPrepared)
    gain = torch.from_numpy(gdn.load_networks(card).gain(parameter)).double()[None, :, :, None]
    with torch.no_grad():
        likelihood = prior.likelihood(torch.from_numpy(prepared.symbols(parameter)).double()[None, :, :, None], gain)
    return float(-likelihood.clamp_min(1e-12).log2().sum()) / 8


@pytest.mark.slow
def test_written_bytes_are_the_models_entropy_on_every_kodak_picture(codec: Codec, kodak: list[Picture]) -> None:
    for picture in kodak:
        prepared = codec.prepare(picture)
        for quality in (5.0, 50.0, 95.0):
            unit = read_container(prepared.encode(quality), DEFAULT_LIMITS).units[0]
            assert len(unit.payload) <= 1.005 * _model_bytes(prepared, quality) + 16


# Guides.


def _ramp_guide(*, hold_rate: bool = False) -> Guide:
    return Guide(np.array([[-1, -0.5, 0.5, 1], [0.5, 1, -1, 0.5]], np.float32), hold_rate)


@settings(max_examples=15)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(1, 4), st.floats(0, MOST), st.floats(1, 100))
def test_any_size_comes_back_with_any_map(height: int, width: int, samples: int, most: float, quality: float) -> None:
    coder, picture = codec_by_name("gdn"), Picture(_noise(height, width))
    octaves = np.random.default_rng(samples).uniform(-most, most, (samples, 5 - samples)).astype(np.float32)
    prepared = coder.prepare(picture, EncodeSettings(guide=Guide(octaves)))
    data = prepared.encode(quality)
    assert coder.decode(data).samples.shape == picture.samples.shape
    assert abs(prepared.size(quality) - len(data)) <= 8


def test_each_place_is_coded_as_at_its_own_quality(codec: Codec) -> None:
    """Far from the border between two qualities, the picture is that of a file which has the one quality everywhere."""
    picture = Picture(pytest.importorskip("skimage.data", reason="pip install scikit-image").astronaut()[:96, :320])
    steps = 6
    octaves = np.zeros((3, 10), np.float32)
    octaves[:, :5] = -steps * quality_map.STEP / octave_in_quality(0.0004, 0.4)
    mapped = codec.decode(codec.encode(picture, EncodeSettings(40, guide=Guide(octaves)))).samples.astype(int)
    finer = 40 + 99 * steps * gdn.PARAMETER_STEP / gdn.PARAMETER_MAX
    fine, coarse = (codec.decode(codec.encode(picture, EncodeSettings(q))).samples for q in (finer, 40))
    reach = SYNTHESIS_REACH.margin * 16
    assert np.abs(mapped - fine)[:, : 160 - reach].max() <= 1
    assert np.abs(mapped - coarse)[:, 160 + reach :].max() <= 1
    assert np.abs(mapped - coarse)[:, : 160 - reach].max() > 9


def test_a_map_costs_a_few_bytes_and_an_even_one_none(codec: Codec, photo: Picture) -> None:
    even = codec.encode(photo, EncodeSettings(40))
    assert codec.encode(photo, EncodeSettings(40, guide=Guide.of_importance(np.full((3, 5), 0.7, np.float32)))) == even
    assert codec.describe(even).importance_bytes == 0
    mapped = codec.describe(codec.encode(photo, EncodeSettings(40, guide=_ramp_guide())))
    assert 0 < mapped.importance_bytes < 60
    assert mapped.parameter == codec.describe(even).parameter


@pytest.mark.parametrize("quality", [1, 40, 100])
def test_the_rate_is_held(codec: Codec, photo: Picture, quality: float) -> None:
    even = len(codec.encode(photo, EncodeSettings(quality)))
    held = codec.encode(photo, EncodeSettings(quality, guide=_ramp_guide(hold_rate=True)))
    assert abs(len(held) - even) <= 0.01 * even + 8  # counted sizes are held; written ones are within two words
    if 1 < quality < 100:
        assert codec.describe(held).importance_bytes > 0
        assert codec.describe(held).parameter != f"quality {quality:.2f}"


def test_damaged_maps_are_never_a_picture(codec: Codec) -> None:
    picture = Picture(_noise(64, 64))
    container = read_container(
        codec.encode(picture, EncodeSettings(30, guide=Guide(np.array([[-1, 1]], np.float32)))), DEFAULT_LIMITS
    )
    given_ = container.head.parameters
    changed = [given_[:at] + bytes([given_[at] ^ 1 << at % 8]) + given_[at + 1 :] for at in range(2, len(given_))]
    for parameters in (*changed, given_[:2], given_ + b"\1", given_[:3], given_[:-1]):
        with pytest.raises(FovealError):
            codec.decode(write_container(replace(container, head=replace(container.head, parameters=parameters))))


def test_steps_beyond_the_scale_are_its_ends() -> None:
    """So there are 58 sets of tables at most, whatever a file says."""
    steps = np.arange(-120, 136).reshape(16, 16)
    places = dict(gdn._places(30000, steps, 32, 32))
    assert len(places) <= 58
    assert sorted(np.concatenate([np.arange(1024)[where] for where in places.values()])) == list(range(1024))
    assert (min(places), max(places)) == (0, gdn.PARAMETER_MAX)


def test_blocks_give_the_same_picture_as_one_pass(codec: Codec, photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = codec.encode(photo, EncodeSettings(60))
    picture = codec.decode(whole)
    monkeypatch.setattr(runtime, "_BLOCK", 96)
    assert abs(len(codec.encode(photo, EncodeSettings(60))) - len(whole)) <= 8
    assert np.abs(codec.decode(whole).samples.astype(int) - picture.samples).max() <= 1


def test_callers_settings_change_nothing_and_are_left_alone(codec: Codec, photo: Picture) -> None:
    data = codec.encode(photo)
    expected = codec.decode(data).samples
    threads = torch.get_num_threads()
    gdn.load_networks.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert (codec.decode(data).samples == expected).all()
            assert codec.encode(photo, EncodeSettings(threads=1)) == data
            assert torch.is_autocast_enabled("cpu")
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
        gdn.load_networks.cache_clear()
    assert torch.is_grad_enabled()
    assert torch.get_num_threads() == threads


def test_loading_leaves_the_callers_random_numbers_alone(codec: Codec, photo: Picture) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    gdn.load_networks.cache_clear()
    codec.decode(codec.encode(photo))
    assert torch.rand(1) == expected


def test_several_threads_at_once_decode_the_same(codec: Codec, photo: Picture) -> None:
    files = [codec.encode(photo, EncodeSettings(q)) for q in (10, 60)]
    expected = [codec.decode(data).samples for data in files]
    found: list[bool] = []

    def work(i: int) -> None:
        found.append(bool((codec.decode(files[i % 2]).samples == expected[i % 2]).all()))

    workers = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [True] * 6


def test_changed_symbols_are_drift_never_a_picture(codec: Codec, photo: Picture) -> None:
    container = read_container(codec.encode(photo), DEFAULT_LIMITS)
    payload = bytearray(container.units[0].payload)
    payload[len(payload) // 2] ^= 4
    forged = write_container(replace(container, units=(Unit(0, container.units[0].symbols_crc, bytes(payload)),)))
    with pytest.raises((DriftError, DamagedError)):
        codec.decode(forged)


def test_other_weights_are_refused_by_name(codec: Codec, photo: Picture) -> None:
    container = read_container(codec.encode(photo), DEFAULT_LIMITS)
    forged = write_container(replace(container, head=replace(container.head, weights=b"none")))
    with pytest.raises(UnknownWeightsError, match="6e6f6e65"):
        codec.decode(forged)


@pytest.mark.parametrize("change", [{"parameters": b"1"}, {"parameters": b"123"}, {"depth": 10}, {"codec": 64}])
def test_heads_that_are_not_gdns_are_refused(codec: Codec, photo: Picture, change: dict[str, object]) -> None:
    container = read_container(codec.encode(photo), DEFAULT_LIMITS)
    with pytest.raises(FovealError):
        codec.decode(write_container(replace(container, head=replace(container.head, **change))))  # type: ignore[arg-type]


@pytest.mark.parametrize("quality", [0.0, 100.5, -3.0, float("nan"), float("inf")])
def test_qualities_out_of_range_are_refused(codec: Codec, photo: Picture, quality: float) -> None:
    with pytest.raises(SettingsError, match="1 \\(smallest file\\) to 100"):
        codec.encode(photo, EncodeSettings(quality))


def test_limits_hold_before_decoding(codec: Codec, photo: Picture) -> None:
    with pytest.raises(FovealError, match="pixels"):
        codec.decode(codec.encode(photo), Limits(pixels=100))


def test_weights_that_do_not_match_their_card_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    card = replace(weights.default_card("gdn"), id="00000000")
    with pytest.raises(UnknownWeightsError, match="install foveal again"):
        weights.load_weights(card)
