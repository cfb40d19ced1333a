"""Compact-and-restore as what is trained: turns, gradients through a codec, and a run from start to a file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foveal.codecs.around import cards
from foveal.codecs.around.compact import restoring
from foveal.codecs.around.restoration import RestoreConfig, load_networks
from foveal.codecs.learned import weights
from foveal.codecs.registry import codec_by_name
from foveal.errors import RecipeError
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture
from foveal.training import loop
from foveal.training.config import AroundConfig, DataConfig, read_recipe
from foveal.training.export import Provenance, export_run
from foveal.training.loop import train
from foveal.training.middle import Middle, code_through
from foveal.training.restore_subject import Drawn, RestoreLearning, RestoreSubject
from foveal.training.subjects import subject_of

ROOT = Path(__file__).parents[2]
SIZES: dict[str, Any] = {
    "channels": 8, "blocks": 1, "compact_channels": 4, "restore_steps": 2, "compact_steps": 1,
}  # fmt: skip
TINY = AroundConfig(
    part="compact",
    host="jpeg",
    steps=6,
    batch=2,
    crop=128,
    warmup_steps=1,
    model=SIZES,
    data=DataConfig("*.png", held_out_every=3),
)
TINY_FULL = dataclasses.replace(TINY, part="restore")


@pytest.mark.parametrize("name", ["compact-jpeg", "compact-hevc", "restore-jpeg", "restore-hevc"])
def test_the_recipes_that_ship_are_read(name: str) -> None:
    config = read_recipe(ROOT / "recipes" / f"{name}.toml")
    subject = subject_of(config)
    assert isinstance(subject, RestoreSubject)
    assert subject.name == f"{config.part} for {config.host}"  # type: ignore[union-attr]
    assert (subject.build().compact is None) == name.startswith("restore")


@pytest.mark.parametrize("config", [TINY, TINY_FULL])
def test_a_run_goes_on_and_exports_what_a_codec_loads(
    config: AroundConfig, photos: Path, photo: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, lines = tmp_path / "run", list[str]()
    assert train(dataclasses.replace(config, steps=4), photos, run, minutes=5, log=lines.append).step == 4
    assert train(config, photos, run, minutes=5, log=lines.append).step == 6
    assert any("dB (+" in line or "dB (-" in line for line in lines)
    card = export_run(config, run, tmp_path / "out", Provenance("tiny", "four cuts of a photograph", "none", "none"))
    kept = json.loads((tmp_path / "out" / "tiny.json").read_text())
    assert (kept["part"], kept["host"], kept["id"]) == (config.part, "jpeg", card.id)
    assert set(kept["config"]) == set(RestoreConfig.__dataclass_fields__)

    monkeypatch.setattr(weights, "FOLDER", tmp_path / "out")
    monkeypatch.setattr(cards, "FOLDER", tmp_path / "out")
    cards.around_cards.cache_clear()
    load_networks.cache_clear()
    try:
        codec = restoring(codec_by_name("jpeg"), compact=config.part == "compact")
        assert psnr_rgb_db(photo, codec.decode(codec.encode(photo))) > 22
    finally:
        cards.around_cards.cache_clear()
        load_networks.cache_clear()


def test_turns_move_one_network_at_a_time(photo: Picture) -> None:
    subject = RestoreSubject(TINY)
    torch.manual_seed(0)
    model, average = subject.build(), subject.build()
    optimizer = loop.make_optimizer(model, subject)
    drawn = Drawn(np.stack([photo.samples[:128, :128], photo.samples[64:192, 64:192]]), [20.0, 70.0])
    told = list[bool]()
    for step, turn in enumerate(("restore", "restore", "compact", "restore")):
        before = {name: parameter.clone() for name, parameter in model.named_parameters()}
        told.append(loop.train_step(model, model, average, optimizer, drawn, subject, step) is not None)
        moved = {name.split(".")[0] for name, p in model.named_parameters() if (p != before[name]).any()}
        assert moved == {turn}
    assert told == [True, True, False, True]


@pytest.mark.parametrize("config", [TINY, TINY_FULL])
def test_restoring_learns(config: AroundConfig, photo: Picture) -> None:
    config = dataclasses.replace(config, model=SIZES | {"compact_steps": 0}, learning_rate=3e-3)
    subject = RestoreSubject(config)
    torch.manual_seed(0)
    model, average = subject.build(), subject.build()
    optimizer = loop.make_optimizer(model, subject)
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate
    drawn = Drawn(np.stack([photo.samples[:128, :128], photo.samples[64:192, 64:192]]), [10.0, 20.0])
    losses = [loop.train_step(model, model, average, optimizer, drawn, subject, step) or 0.0 for step in range(40)]
    assert losses[-1] < 0.97 * losses[0]


def test_a_batch_depends_on_the_step_alone_and_spans_the_qualities(photos: Path) -> None:
    config = dataclasses.replace(TINY, batch=5)
    lessons = RestoreSubject(config).read(photos, 1)
    first, again, other = lessons.batch(3), RestoreSubject(config).read(photos, 1).batch(3), lessons.batch(4)
    assert first.qualities == again.qualities
    assert (first.crops == again.crops).all()
    assert first.qualities != other.qualities
    assert all(5 + 18 * i - 0.5 <= q <= 5 + 18 * (i + 1) + 0.5 for i, q in enumerate(first.qualities))


def test_real_pictures_and_bits_forward_and_cheaper_ones_by_gradients(photo: Picture) -> None:
    x = torch.from_numpy(photo.samples[:64, :64].copy()).permute(2, 0, 1)[None].float() / 255
    x, middle, qualities = torch.cat([x, x]).requires_grad_(), Middle("jpeg"), [20.0, 90.0]
    passed = middle.through(x, qualities)
    coded = middle.host.code(photo.samples[:64, :64], 90.0)
    assert (passed.decoded[1].permute(1, 2, 0).detach().numpy() * 255).round().astype(np.uint8).tolist() == coded.decoded.tolist()
    assert passed.bits[1].item() == pytest.approx(coded.bits)
    assert passed.bits[0] < passed.bits[1]
    (dear,) = torch.autograd.grad(passed.bits.sum(), x)
    cheaper = x - 0.03 * dear / dear.abs().amax((1, 2, 3), keepdim=True)
    assert (code_through(middle.host, cheaper, qualities).bits < passed.bits).all()


def test_slopes_go_by_equal_factors() -> None:
    slopes = RestoreLearning().slope(torch.tensor([0.0, 0.5, 1.0]))
    assert slopes.tolist() == pytest.approx([0.034, 0.00463, 0.00063], rel=0.01)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"host": "vvc"}, "no place for a note"),
        ({"crop": 192}, "multiple of 128"),
        ({"model": {"full": 1}}, "leave full out"),
        ({"model": {"depth": 1}}, "unknown key 'depth'"),
        ({"model": {"restore_steps": 0}}, "turns of 0"),
        ({"part": "restore", "crop": 96}, "multiple of 64"),
        ({"model": {"fine_slope": 0}}, "above 0"),
        ({"model": {"fine_slope": 1}}, "not below"),
        ({"model": {"finest": 300}}, "1 to 100"),
    ],
)
def test_wrong_recipes_are_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        RestoreSubject(dataclasses.replace(TINY, **change))
