"""The codec hyperprior with small untrained weights: round trips, exactness under any setting, sizes, and damage."""

from __future__ import annotations

import json
import math
from collections.abc import Generator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, QualityScale
from foveal.codecs.learned import runtime, weights
from foveal.codecs.learned.exact import ACTIVATION_MAX, UNIT, exact_arithmetic
from foveal.codecs.learned.hyperprior import HyperpriorCodec, networks
from foveal.codecs.learned.hyperprior.model import HyperpriorConfig, HyperpriorModel, cell_probability
from foveal.codecs.learned.hyperprior.networks import HyperpriorNetworks, freeze, load_networks, thaw
from foveal.codecs.learned.pink_noise import pink_noise
from foveal.codecs.learned.quality_levels import NODES, float_hats, integer_hats, level_of
from foveal.codecs.learned.symbols import PARAMETER_MAX
from foveal.codecs.learned.weights import Card, default_card
from foveal.container.format import Unit
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.errors import DamagedError, FormatError, FovealError, LimitError, SettingsError, UnknownWeightsError, UnsupportedError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture
from foveal.training.config import read_recipe

CONFIG = HyperpriorConfig(channels=48, latent_channels=64, hyper_channels=24)
INFO = CodecInfo(
    3, "hyperprior", "", (".fvl",), QualityScale("quality", 1, 100, True), learned=True, alpha=True, metadata=True
)  # fmt: skip


def _model() -> HyperpriorModel:
    """Untrained, but with means and scales that change from place to place."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = HyperpriorModel(CONFIG)
    with torch.no_grad():
        model.hyper_synthesis.leave.weight.mul_(4)
        model.gains.log_inverse.fill_(-0.05)
    return model.eval()


@pytest.fixture(scope="module")
def shipped() -> dict[str, Tensor]:
    return freeze(_model())


@pytest.fixture(scope="module", autouse=True)
def card(shipped: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Generator[Card]:
    """Weights in a folder of their own, which all of this module's tests find."""
    folder = tmp_path_factory.mktemp("weights")
    made_id, data = weights.pack_weights(shipped)
    text = "untrained, for tests"
    made = Card(
        name="h", codec="hyperprior", id=made_id, default=True, config=asdict(CONFIG), data=text, data_terms=text,
        recipe=text, steps=0, minutes=0.0, machine=text, figures=text, licence=text,
    )  # fmt: skip
    (folder / f"h{weights.SUFFIX}").write_bytes(data)
    (folder / "h.json").write_text(json.dumps(asdict(made)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "FOLDER", folder)
        weights.cards.cache_clear()
        load_networks.cache_clear()
        yield default_card("hyperprior")
    weights.cards.cache_clear()
    load_networks.cache_clear()


@pytest.fixture(scope="module")
def codec() -> Codec:
    return HyperpriorCodec(INFO)


@pytest.fixture(scope="module")
def nets(card: Card) -> HyperpriorNetworks:
    return load_networks(card)


def _noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)


def _z(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(-3, 4, (CONFIG.hyper_channels, height, width)).astype(np.int32)


def test_the_counted_size_is_near_the_written_size(codec: Codec, photo: Picture) -> None:
    for picture in (photo, Picture(_noise(19, 70))):
        prepared = codec.prepare(picture)
        for quality in (1.0, 33.3, 66.0, 100.0):
            written = len(prepared.encode(quality))
            assert abs(prepared.size(quality) - written) <= 16 + 0.005 * written


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("mkldnn", [True, False])
def test_decoded_symbols_are_the_same_under_any_setting(
    codec: Codec, nets: HyperpriorNetworks, photo: Picture, threads: int, mkldnn: bool
) -> None:
    """A file's CRC covers the symbols of z and y, and a table that differs gives others: decoding is the comparison."""
    data = codec.encode(photo, EncodeSettings(70, threads=1))
    expected, z = codec.decode(data).samples, _z(5, 7)
    prediction = nets.predict(4000, z, 20, 28)
    before = torch.get_num_threads()
    torch.backends.mkldnn.set_flags(_enabled=mkldnn)
    torch.set_num_threads(threads)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = codec.decode(data, settings=DecodeSettings(threads=threads)).samples
            again = nets.predict(4000, z, 20, 28)
    finally:
        torch.backends.mkldnn.set_flags(_enabled=True)
        torch.set_num_threads(before)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (again.mean == prediction.mean).all()
    assert (again.index == prediction.index).all()
    assert len(np.unique(again.index)) > 8


def test_the_hyper_synthesis_is_that_of_float64(shipped: dict[str, Tensor], nets: HyperpriorNetworks) -> None:
    """The integers do not hang on float32: as long as every sum is exact, more precision changes nothing."""
    x = torch.randint(-ACTIVATION_MAX, ACTIVATION_MAX + 1, (1, CONFIG.hyper_channels + NODES, 4, 6)).float()
    with exact_arithmetic():
        found = nets.hyper_synthesis(x)
        for name, _ in nets.hyper_synthesis.named_children():
            weight, bias, shift = (shipped[f"hyper_synthesis.{name}.{part}"].double() for part in ("weight", "bias", "shift"))
            total = torch.nn.functional.conv2d(x.double(), weight, bias, padding=weight.shape[-1] // 2)
            power = torch.exp2(shift)[:, None, None]
            y = torch.floor((total + power / 2) / power)
            x = y if name == "leave" else y.clamp(0, ACTIVATION_MAX)
            x = torch.nn.functional.pixel_shuffle(x, 2) if name.startswith("lift") else x
    assert (found == x).all()
    assert found.std() > 5


def test_training_sees_the_network_that_decodes(nets: HyperpriorNetworks) -> None:
    x = torch.randint(-300, 301, (1, CONFIG.hyper_channels + NODES, 3, 5)).float()
    with exact_arithmetic():
        assert (_model().hyper_synthesis(x) == nets.hyper_synthesis(x)).all()


@pytest.mark.parametrize("quality", [1.0, 20.5, 50.0, 99.0])
def test_the_models_bits_and_picture_are_the_files(
    codec: Codec, shipped: dict[str, Tensor], photo: Picture, quality: float
) -> None:
    model = HyperpriorModel(CONFIG).eval()
    model.load_state_dict(thaw(shipped))
    data = codec.encode(photo, EncodeSettings(quality))
    x = torch.from_numpy(photo.samples).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        bits, reconstruction = model(x, torch.tensor([quality]))
    payload = read_container(data, DEFAULT_LIMITS).units[0].payload
    assert abs(len(payload) - float(bits) / 8) <= 16 + 0.02 * float(bits) / 8
    # The file's means are whole 64ths of a step, so about one symbol in 128 is rounded to the other side, no worse.
    squared = float((reconstruction.clamp(0, 1) - x).square().mean())
    assert psnr_rgb_db(photo, codec.decode(data)) == pytest.approx(-10 * math.log10(squared), abs=0.05)


def test_quality_nodes_are_interpolated_as_in_training(nets: HyperpriorNetworks) -> None:
    model = _model()
    for parameter in (0, 1, 30000, 50001, PARAMETER_MAX):
        quality, level = torch.tensor([1 + 99 * parameter / PARAMETER_MAX]), level_of(parameter)
        assert np.abs(integer_hats(level) / ACTIVATION_MAX - float_hats(quality)[0, :, 0, 0].numpy()).max() < 1 / ACTIVATION_MAX
        assert integer_hats(level).sum() == ACTIVATION_MAX
        with torch.no_grad():
            gain = model.gains(quality)[0][0].numpy()
        assert np.abs(np.log2(nets.steps(level) * nets.normalising() * gain)).max() < 2 / 256


def test_blocks_give_the_same_symbols_as_one_pass(
    codec: Codec, nets: HyperpriorNetworks, photo: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, z = codec.encode(photo, EncodeSettings(60)), _z(7, 5)
    picture, whole = codec.decode(data), nets.predict(2000, z, 26, 19)
    monkeypatch.setattr(runtime, "_BLOCK", 128)
    parts = nets.predict(2000, z, 26, 19)
    assert (parts.mean == whole.mean).all()
    assert (parts.index == whole.index).all()
    assert np.abs(codec.decode(data).samples.astype(int) - picture.samples).max() <= 1
    assert abs(len(codec.encode(photo, EncodeSettings(60))) - len(data)) <= 16


def test_wild_symbols_still_predict(nets: HyperpriorNetworks) -> None:
    """Damage can decode to any symbol; activations are clipped, so nothing leaves the exact range."""
    z = np.full((CONFIG.hyper_channels, 2, 2), (1 << 30) - 1, np.int32)
    z[::2] *= -1
    prediction = nets.predict(7161, z, 8, 8)
    assert np.isfinite(prediction.mean).all()
    assert prediction.index.max() < networks.SCALE_TABLES


def test_weights_survive_a_round_of_training_on(shipped: dict[str, Tensor]) -> None:
    model = HyperpriorModel(CONFIG)
    model.load_state_dict(thaw(shipped))
    again = freeze(model)
    floats = ("analysis.", "synthesis.", "hyper_analysis.")
    assert [n for n in again if not n.startswith(floats)] == [n for n in shipped if not n.startswith(floats)]
    for name, tensor in shipped.items():
        if not name.startswith((*floats, "hyper_synthesis.")):  # a channel may take another power of two for the same weights
            assert again[name].dtype == tensor.dtype
            assert (again[name] == tensor).all(), name
    # Steps of the floats are measured again, and may be twice or half.
    x, pictures = pink_noise()[:1, :, :64, :64], list[Tensor]()
    for tensors in (shipped, again):
        model.load_state_dict(thaw(tensors))
        with torch.no_grad():
            pictures.append(model.eval().synthesis(model.analysis(x)))
    assert (pictures[0] - pictures[1]).square().mean() < 1e-4
    for name in (n.removesuffix(".shift") for n in shipped if n.endswith(".shift")):
        one, other = (
            t[f"{name}.weight"] * torch.exp2(-t[f"{name}.shift"].double())[:, None, None, None] for t in (shipped, again)
        )
        assert (one - other).abs().max() <= 2.0 ** -int(again[f"{name}.shift"].min())


def test_the_shipped_recipe_names_the_default_sizes() -> None:
    config = read_recipe(Path(__file__).parents[3] / "recipes" / "hyperprior.toml")
    assert config.codec == "hyperprior"
    assert HyperpriorConfig(**config.model) == HyperpriorConfig()


def test_every_parameter_learns(photo: Picture) -> None:
    model = _model().train()
    x = torch.from_numpy(photo.samples[:128, :128]).permute(2, 0, 1)[None].float() / 255
    bits, reconstruction = model(x, torch.tensor([80.0]))
    (bits.sum() / 128**2 + 100 * (reconstruction - x).square().mean()).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still


def test_cells_add_up_to_one() -> None:
    v, scale = torch.arange(-400, 401.0, dtype=torch.float64), torch.tensor(3.7, dtype=torch.float64)
    total = cell_probability(v, scale).sum()
    assert abs(float(total) - 1) < 1e-6
    assert float(cell_probability(torch.tensor(1e4), torch.tensor(1.0))) == pytest.approx(1e-9)


@settings(max_examples=60)
@given(st.data())
def test_damaged_payloads_are_errors_never_pictures(data: st.DataObject) -> None:
    coder = HyperpriorCodec(INFO)
    container = read_container(coder.encode(Picture(_noise(48, 40)), EncodeSettings(30)), DEFAULT_LIMITS)
    payload = bytearray(container.units[0].payload)
    for place in data.draw(st.lists(st.integers(0, len(payload) - 1), min_size=1, max_size=4, unique=True)):
        payload[place] ^= data.draw(st.integers(1, 255))
    kept = bytes(payload[: data.draw(st.sampled_from([len(payload), len(payload) // 8 * 4, len(payload) - 3]))])
    forged = write_container(replace(container, units=(Unit(0, container.units[0].symbols_crc, kept),)))
    with pytest.raises(FormatError):
        coder.decode(forged)


@settings(max_examples=60)
@given(st.data())
def test_damaged_files_are_errors_never_pictures(data: st.DataObject) -> None:
    coder = HyperpriorCodec(INFO)
    file = bytearray(coder.encode(Picture(_noise(20, 33)), EncodeSettings(5)))
    place = data.draw(st.integers(0, len(file) - 1))
    cut = data.draw(st.booleans())
    if not cut:
        file[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises((FormatError, UnsupportedError)):
        coder.decode(bytes(file[:place] if cut else file))


def test_other_weights_are_refused_by_name(codec: Codec) -> None:
    container = read_container(codec.encode(Picture(_noise(9, 9))), DEFAULT_LIMITS)
    forged = write_container(replace(container, head=replace(container.head, weights=b"none")))
    with pytest.raises(UnknownWeightsError, match="6e6f6e65"):
        codec.decode(forged)


@pytest.mark.parametrize("change", [{"parameters": b"1"}, {"parameters": b"123"}, {"depth": 10}, {"codec": 64}])
def test_heads_that_are_not_hyperpriors_are_refused(codec: Codec, change: dict[str, object]) -> None:
    container = read_container(codec.encode(Picture(_noise(9, 9))), DEFAULT_LIMITS)
    forged = write_container(replace(container, head=replace(container.head, **change)))  # type: ignore[arg-type]
    with pytest.raises(FovealError):
        codec.decode(forged)
    with pytest.raises(DamagedError):
        codec.decode(write_container(replace(container, head=replace(container.head, parameters=b""))))


def test_limits_and_qualities_are_checked_first(codec: Codec) -> None:
    picture = Picture(_noise(9, 9))
    with pytest.raises(LimitError, match="pixels"):
        codec.decode(codec.encode(picture), Limits(pixels=50))
    for quality in (0.0, 100.5, float("nan")):
        with pytest.raises(SettingsError, match="1 \\(smallest file\\) to 100"):
            codec.encode(picture, EncodeSettings(quality))


def test_loading_leaves_the_callers_random_numbers_alone(codec: Codec) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_networks.cache_clear()
    codec.decode(codec.encode(Picture(_noise(9, 9))))
    assert torch.rand(1) == expected


def test_means_are_whole_parts_of_steps(nets: HyperpriorNetworks) -> None:
    mean = nets.predict(3000, _z(2, 2), 8, 8).mean
    assert (mean * UNIT == np.rint(mean * UNIT)).all()
    assert np.abs(mean).max() > 1
