"""The codec cae-pca in files: round trips, exactness, with and without the rotation, and damage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import foveal
from foveal.cli.main import main
from foveal.codecs.base import Codec, EncodeSettings
from foveal.codecs.learned import runtime, weights
from foveal.codecs.learned.cae_pca import networks
from foveal.codecs.learned.cae_pca.compaction import measure_compaction
from foveal.codecs.learned.cae_pca.networks import PRESETS, load_networks, log_step_at
from foveal.codecs.learned.symbols import PARAMETER_MAX
from foveal.codecs.registry import codec_by_name
from foveal.container.format import Unit
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.errors import DamagedError, DriftError, FovealError, PictureError, SettingsError, UnknownWeightsError
from foveal.limits import DEFAULT_LIMITS
from foveal.media.image_io import write_picture
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture


@pytest.fixture(scope="module")
def codec() -> Codec:
    return codec_by_name("cae-pca")


def _noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("quality", [1.0, 33.3, 100.0])
def test_the_counted_size_is_the_written_size_within_two_words(codec: Codec, photo: Picture, preset: str, quality: float) -> None:
    prepared = codec.prepare(photo, EncodeSettings(preset=preset))
    data = prepared.encode(quality)
    assert abs(prepared.size(quality) - len(data)) <= 8
    assert codec.describe(data).parameter == f"quality {quality:.2f}, {preset}"


def test_a_target_is_reached(photo: Picture) -> None:
    data = foveal.encode(photo, codec="cae-pca", target=foveal.Target(size_bytes=6000))
    assert 5800 < len(data) <= 6000


def test_the_rotation_saves_bits_at_the_same_or_a_better_picture(codec: Codec, photo: Picture) -> None:
    rotated, plain = (codec.prepare(photo, EncodeSettings(preset=preset)) for preset in PRESETS)
    for quality in (30, 60, 90):
        files = rotated.encode(quality), plain.encode(quality)
        psnr = [psnr_rgb_db(photo, codec.decode(data)) for data in files]
        assert len(files[0]) < 0.75 * len(files[1])
        assert psnr[0] > psnr[1] - 0.1


def test_a_preset_is_one_byte_of_the_file_and_the_weights_are_the_same(codec: Codec, photo: Picture) -> None:
    heads = [read_container(codec.encode(photo, EncodeSettings(50, preset=p)), DEFAULT_LIMITS).head for p in (None, *PRESETS)]
    assert [head.parameters[2:] for head in heads] == [b"\0", b"\0", b"\1"]
    assert len({head.weights for head in heads}) == 1
    with pytest.raises(SettingsError, match="choose from rotated, plain"):
        codec.encode(photo, EncodeSettings(50, preset="turned"))


def test_the_same_picture_gives_the_same_file_whatever_the_caller_has_set(codec: Codec, photo: Picture) -> None:
    data = codec.encode(photo)
    samples = codec.decode(data).samples
    threads = torch.get_num_threads()
    load_networks.cache_clear()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert codec.encode(photo, EncodeSettings(threads=1)) == data
            assert (codec.decode(data).samples == samples).all()
    finally:
        torch.set_default_dtype(torch.float32)
        load_networks.cache_clear()
    assert torch.get_num_threads() == threads
    assert torch.rand(1) == expected.float()


def test_blocks_give_the_same_picture_as_one_pass(codec: Codec, photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = codec.encode(photo, EncodeSettings(60))
    picture = codec.decode(whole)
    monkeypatch.setattr(runtime, "_BLOCK", 72)
    assert abs(len(codec.encode(photo, EncodeSettings(60))) - len(whole)) <= 8
    assert np.abs(codec.decode(whole).samples.astype(int) - picture.samples).max() <= 1


# The weights that ship.


def test_the_axes_that_ship_are_orthonormal_and_few_maps_hold_the_energy(photo: Picture) -> None:
    ways = load_networks(weights.default_card("cae-pca")).ways
    for way in ways:
        axes = way.rotation.axes / 2.0**14
        assert np.abs(axes.T @ axes - np.eye(len(axes))).max() < 4e-4  # 96 products of roundings of 2^-15
    assert np.array_equal(np.sort(ways[1].rotation.axes.max(0)), np.full(len(ways[1].rotation.axes), 1 << 14))
    rotated, plain = measure_compaction([photo]).spreads
    assert sum(rotated.shares) == pytest.approx(1)
    assert rotated.coding_gain_db > plain.coding_gain_db + 6
    assert rotated.maps_for_99 < plain.maps_for_99


def test_steps_fall_along_a_line_of_octaves() -> None:
    ends = load_networks(weights.default_card("cae-pca")).log_steps
    levels = [log_step_at(ends, parameter) for parameter in range(0, PARAMETER_MAX + 1, 5)]
    assert (levels[0], levels[-1]) == ends
    assert np.diff(levels).max() == 0
    assert np.diff(levels).min() == -1


def test_the_weights_stay_small() -> None:
    assert weights.default_card("cae-pca").path.stat().st_size < 900_000


def test_the_energy_in_one_command(photo: Picture, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_picture(Picture(photo.samples[:64, :80].copy()), tmp_path / "a.png")
    assert main(["energy", str(tmp_path), "--out", str(tmp_path / "energy.png"), "--threads", "1"]) == 0
    assert "1 picture, rotated: coding gain" in capsys.readouterr().out
    assert (tmp_path / "energy.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(PictureError, match="1 places"):
        measure_compaction([Picture(photo.samples[:8, :8].copy())])


# Damage.


def test_changed_symbols_are_drift_never_a_picture(codec: Codec, photo: Picture) -> None:
    container = read_container(codec.encode(photo), DEFAULT_LIMITS)
    for at in (0.2, 0.5, 0.9):
        payload = bytearray(container.units[0].payload)
        payload[int(at * len(payload))] ^= 4
        forged = write_container(replace(container, units=(Unit(0, container.units[0].symbols_crc, bytes(payload)),)))
        with pytest.raises((DriftError, DamagedError)):
            codec.decode(forged)


@pytest.mark.parametrize(
    "parameters", [b"", b"12", b"12\2", b"12\xff", b"12\0\0"], ids=["none", "no preset", "preset 2", "preset 255", "too long"]
)
def test_other_parameters_are_damage_also_to_info(codec: Codec, photo: Picture, parameters: bytes) -> None:
    container = read_container(codec.encode(Picture(photo.samples[:20, :30].copy())), DEFAULT_LIMITS)
    forged = write_container(replace(container, head=replace(container.head, parameters=parameters)))
    for read in (codec.decode, foveal.info):
        with pytest.raises(DamagedError):
            read(forged)


@pytest.mark.parametrize("change", [{"depth": 10}, {"codec": 64}, {"weights": b"none"}])
def test_heads_that_are_not_of_cae_pca_are_refused(codec: Codec, photo: Picture, change: dict[str, object]) -> None:
    container = read_container(codec.encode(photo), DEFAULT_LIMITS)
    with pytest.raises(FovealError):
        codec.decode(write_container(replace(container, head=replace(container.head, **change))))  # type: ignore[arg-type]


def test_a_card_without_a_preset_serves_all_of_them() -> None:
    assert {weights.default_card("cae-pca", preset).id for preset in (None, *PRESETS)} == {weights.default_card("cae-pca").id}
    assert codec_by_name("cae-pca").info.presets == networks.PRESETS
    with pytest.raises(UnknownWeightsError):
        weights.default_card("frequency", "rotated")
