"""The up-samplers of ``hevc-blocks`` as what is trained: what a crop becomes, and a run from start to a file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foveal.codecs.around import cards
from foveal.codecs.around.blocks.resampling import doubled
from foveal.codecs.around.blocks.upsampling import UpsampleConfig, load_networks
from foveal.codecs.learned import weights
from foveal.codecs.registry import codec_by_name
from foveal.errors import RecipeError
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture
from foveal.training import loop
from foveal.training.config import AroundConfig, DataConfig, read_recipe
from foveal.training.export import Provenance, export_run
from foveal.training.loop import train
from foveal.training.subjects import subject_of
from foveal.training.upsample_subject import Drawn, UpsampleSubject, code_halved

pytest.importorskip("av", reason="PyAV codes the crops: pip install av")
ROOT = Path(__file__).parents[2]
SIZES: dict[str, Any] = {"luma_channels": 6, "luma_blocks": 1, "chroma_channels": 4, "chroma_blocks": 0}
TINY = AroundConfig(
    part="upsample", host="hevc", steps=4, batch=2, crop=64, warmup_steps=1, model=SIZES,
    data=DataConfig("*.png", held_out_every=3),
)  # fmt: skip


def test_the_recipe_that_ships_is_read_and_made_the_weights_that_ship() -> None:
    subject = subject_of(read_recipe(ROOT / "recipes" / "upsample-hevc.toml"))
    assert isinstance(subject, UpsampleSubject)
    assert dataclasses.asdict(subject.build().config) == cards.card_for("upsample", "hevc").config


def test_a_run_goes_on_and_exports_what_the_codec_loads(
    photos: Path, photo: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, lines = tmp_path / "run", list[str]()
    assert train(dataclasses.replace(TINY, steps=2), photos, run, minutes=5, log=lines.append).step == 2
    assert train(TINY, photos, run, minutes=5, log=lines.append).step == 4
    assert any("dB (+" in line or "dB (-" in line for line in lines)
    card = export_run(TINY, run, tmp_path / "out", Provenance("tiny", "four cuts of a photograph", "none", "none"))
    kept = json.loads((tmp_path / "out" / "tiny.json").read_text())
    assert (kept["part"], kept["host"], kept["id"]) == ("upsample", "hevc", card.id)

    monkeypatch.setattr(weights, "FOLDER", tmp_path / "out")
    monkeypatch.setattr(cards, "FOLDER", tmp_path / "out")
    cards.around_cards.cache_clear()
    load_networks.cache_clear()
    try:
        codec = codec_by_name("hevc-blocks")
        assert psnr_rgb_db(photo, codec.decode(codec.encode(photo))) > 28
    finally:
        cards.around_cards.cache_clear()
        load_networks.cache_clear()


def test_a_crop_becomes_planes_of_which_one_is_coded_at_half_the_size(photo: Picture) -> None:
    pixels = [photo.samples[:64, :96], photo.samples[64:128, :96]]
    coarse, fine = (code_halved(pixels, [level, 0.6], torch.device("cpu")) for level in (0.05, 0.4))
    assert [t.shape[1:] for t in (*fine.half, *fine.plain, *fine.whole)] == [
        (1, 32, 48), (2, 16, 24), (1, 64, 96), (2, 32, 48), (1, 64, 96), (2, 32, 48),
    ]  # fmt: skip
    luma = (fine.half[0][0, 0] * 255).round().byte().numpy()
    assert ((fine.plain[0][0, 0] * 255).round().byte().numpy() == doubled(luma, 64, 96)).all()
    assert coarse.error(*coarse.plain)[0] > fine.error(*fine.plain)[0]
    assert coarse.error(*coarse.plain)[1] == fine.error(*fine.plain)[1]
    assert fine.error(*fine.whole).tolist() == [0, 0]


def test_it_learns(photo: Picture) -> None:
    subject = UpsampleSubject(dataclasses.replace(TINY, learning_rate=3e-3))
    torch.manual_seed(0)
    model, average = subject.build(), subject.build()
    optimizer = loop.make_optimizer(model, subject)
    for group in optimizer.param_groups:
        group["lr"] = 3e-3
    drawn = Drawn(np.stack([photo.samples[:64, :64], photo.samples[64:128, 64:128]]), [0.4, 0.6])
    losses = [loop.train_step(model, model, average, optimizer, drawn, subject, step) or 0.0 for step in range(40)]
    assert losses[0] == pytest.approx(1, abs=0.05)  # interpolation
    assert losses[-1] < 0.93 * losses[0]


def test_a_batch_depends_on_the_step_alone_and_spans_the_levels(photos: Path) -> None:
    config = dataclasses.replace(TINY, batch=5)
    lessons = UpsampleSubject(config).read(photos, 1)
    first, again, other = lessons.batch(3), UpsampleSubject(config).read(photos, 1).batch(3), lessons.batch(4)
    assert first.levels == again.levels
    assert (first.crops == again.crops).all()
    assert first.levels != other.levels
    share = UpsampleConfig().finest / 5
    assert all(share * i <= level <= share * (i + 1) for i, level in enumerate(first.levels))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"host": "vvc"}, "hevc alone"),
        ({"crop": 76}, "multiple of 8"),
        ({"model": {"depth": 1}}, "unknown key 'depth'"),
        ({"model": {"luma_channels": 0}}, "channels of 1 or more"),
        ({"model": {"finest": 3}}, "0 to 1"),
    ],
)
def test_wrong_recipes_are_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        UpsampleSubject(dataclasses.replace(TINY, **change))
