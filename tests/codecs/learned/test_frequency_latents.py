"""Latents of a ``frequency`` file: what a decoder has before any picture is made."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import foveal
from foveal.codecs.learned.frequency import codec as frequency_codec
from foveal.codecs.learned.frequency.latents import read_latents
from foveal.codecs.learned.frequency.model import FrequencyModel
from foveal.codecs.learned.frequency.networks import thaw
from foveal.codecs.learned.frequency.transforms import FrequencyConfig
from foveal.codecs.learned.weights import default_card, load_weights
from foveal.errors import DamagedError, FovealError, NotFovealError, SettingsError, TruncatedError
from foveal.picture import Picture


@pytest.fixture(scope="module")
def coded(photo: Picture) -> bytes:
    return foveal.encode(photo, quality=40)


def test_no_synthesis_network_runs(coded: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a picture was made")

    monkeypatch.setattr(frequency_codec, "synthesise", refuse)
    monkeypatch.setattr("foveal.codecs.learned.frequency.transforms.Synthesis.forward", refuse)
    latents = read_latents(coded)
    assert [band.shape for band in latents.bands] == [(64, 4, 4), (112, 8, 8), (320, 16, 16)]
    with pytest.raises(AssertionError, match="a picture was made"):
        foveal.decode(coded)


def test_bands_are_prefixes_and_read_fewer_bytes(coded: bytes) -> None:
    whole = read_latents(coded)
    some = [read_latents(coded, bands=n) for n in (1, 2, 3)]
    assert [len(latents.bands) for latents in some] == [1, 2, 3]
    assert some[0].bytes_read < some[1].bytes_read < some[2].bytes_read == len(coded)
    for latents in some:
        for own, known in zip(latents.bands, whole.bands, strict=False):
            assert np.array_equal(own, known)


def test_a_cut_file_gives_the_bands_that_it_holds(coded: bytes) -> None:
    sizes = [band.bytes for band in foveal.info(coded).bands]
    cut = coded[: len(coded) - sizes[2] // 2]
    with pytest.raises(TruncatedError):
        read_latents(cut)
    latents = read_latents(cut, allow_partial=True)
    assert len(latents.bands) == 2
    assert np.array_equal(latents.bands[1], read_latents(coded).bands[1])


def test_tiles_are_put_together(photo: Picture) -> None:
    large = Picture(np.tile(photo.samples, (2, 3, 1)))
    latents = read_latents(foveal.encode(large, quality=30, tile=256))
    assert [band.shape[1:] for band in latents.bands] == [(8, 12), (16, 24), (32, 48)]
    whole = read_latents(foveal.encode(large, quality=30))
    for own, known in zip(latents.bands, whole.bands, strict=True):
        assert np.abs(own - known).mean() < 0.3 * np.abs(known).mean() + 0.01


def test_quality_is_that_of_each_place(photo: Picture) -> None:
    plain = read_latents(foveal.encode(photo, quality=100))
    assert plain.quality.shape == (8, 1, 1)
    assert plain.quality[-1] == 1
    importance = np.zeros((2, 2), np.float32)
    importance[0, 0] = 1
    mapped = read_latents(foveal.encode(photo, quality=40, importance=importance))
    assert mapped.quality.shape == (8, 8, 8)
    level = (mapped.quality * np.arange(8)[:, None, None]).sum(0)
    assert level[0, 0] > level[-1, -1] + 0.5


def test_training_sees_the_latents_that_files_hold(photo: Picture) -> None:
    card = default_card("frequency", "mse")
    model = FrequencyModel(FrequencyConfig(**card.config)).eval()  # type: ignore[arg-type]
    model.load_state_dict(thaw(load_weights(card)))
    x = torch.from_numpy(photo.samples.copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        twin = model.latents(x, torch.tensor([30.0]), 3)
    for own, known in zip(twin, read_latents(foveal.encode(photo, quality=30)).bands, strict=True):
        same = np.isclose(own[0].numpy(), known, atol=0.05).mean()
        assert same > 0.98, "a float on the edge of rounding may fall to either side, no more"


def test_bad_input_is_refused_by_name(coded: bytes, photo: Picture) -> None:
    for bands in (0, 4, 2.5):
        with pytest.raises(SettingsError, match=f"bands = {bands}"):
            read_latents(coded, bands=bands)  # type: ignore[arg-type]
    with pytest.raises(NotFovealError, match="frequency is 2"):
        read_latents(foveal.encode(photo, codec="gdn", quality=30))
    with pytest.raises(FovealError):
        read_latents(foveal.encode(photo, codec="jpeg", quality=30))
    damaged = bytearray(coded)
    damaged[len(coded) // 2] ^= 1
    with pytest.raises(DamagedError):
        read_latents(bytes(damaged))
