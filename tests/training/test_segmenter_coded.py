"""The segmenter that is trained on for decoded pictures: what it sees, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from foveal.codecs.learned.weights import Card
from foveal.errors import RecipeError
from foveal.tasks.camvid_segment.scenes import Scene
from foveal.training.config import NetworkConfig
from foveal.training.segmenter_subject import Coded, SceneLessons, SegmenterSubject
from foveal.training.subjects import subject_of

SMALL = {"stem": 8, "fine": 8, "middle": 8, "coarse": 16, "fine_blocks": 1, "middle_blocks": 1, "coarse_blocks": 1, "decoder": 8}
TINY = NetworkConfig("camvid-segment", steps=4, batch=2, crop_rows=64, crop_columns=64, through="tiny", model=dict(SMALL))


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Noise, of which all is one class."""
    chance = np.random.default_rng(2)
    for part in ("train", "val"):
        for folder in (tmp_path / part, tmp_path / f"{part}_labels"):
            folder.mkdir()
        Image.fromarray(chance.integers(0, 255, (70, 90, 3), np.uint8)).save(tmp_path / part / "a.png")
        Image.fromarray(np.full((70, 90), 3, np.uint8)).save(tmp_path / f"{part}_labels" / "a.png")
    return tmp_path


def test_a_batch_is_coded_at_qualities_that_its_number_decides(tiny_frequency: Card) -> None:
    coded, x = Coded(TINY), torch.rand(2, 3, 64, 128)
    once, again, other = coded.batch(x, 5), coded.batch(x, 5), coded.batch(x, 6)
    assert once.shape == x.shape
    assert 0 <= float(once.min()) <= float(once.max()) <= 1
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert not torch.allclose(once, x, atol=0.1)


def test_held_out_scenes_are_coded_too(tiny_frequency: Card, scenes: Path) -> None:
    plain, through = (SceneLessons(scenes, TINY, 1, coded) for coded in (None, Coded(TINY)))
    one, other = plain._held_out[0], through._held_out[0]
    assert one.picture.shape == other.picture.shape == (70, 90, 3)
    assert other.picture.dtype == np.uint8
    assert np.array_equal(one.classes, other.classes)
    assert not np.array_equal(one.picture, other.picture)


def test_the_network_sees_what_the_codec_gives_back(tiny_frequency: Card, scenes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of(TINY)
    assert isinstance(subject, SegmenterSubject)
    seen: list[torch.Tensor] = []
    model = subject.build()
    batch = Scene(np.zeros((2, 64, 64, 3), np.uint8), np.zeros((2, 64, 64), np.uint8))

    def look(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return model(x)

    monkeypatch.setattr(Coded, "batch", lambda self, x, step: x + step)
    subject.loss(look, model, batch, 3)  # type: ignore[arg-type]  # called as a network is
    assert torch.equal(seen[0], torch.full((2, 3, 64, 64), 3.0))


def test_crops_that_the_codec_would_pad_and_other_weights_are_refused(tiny_frequency: Card) -> None:
    with pytest.raises(RecipeError, match="crops of 60x64 pixels; coded ones are multiples of 64"):
        subject_of(NetworkConfig("camvid-segment", steps=4, crop_rows=60, crop_columns=64, through="tiny", model=dict(SMALL)))
    with pytest.raises(RecipeError, match="no weights 'none' of frequency; there are tiny"):
        subject_of(NetworkConfig("camvid-segment", steps=4, crop_rows=64, crop_columns=64, through="none", model=dict(SMALL)))
