"""Training of the recurrent codecs: a step teaches something, a run goes on as if it had not stopped, and what is exported codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import foveal
from foveal.codecs.learned import weights
from foveal.codecs.learned.rnn.model import RnnModel
from foveal.errors import RecipeError
from foveal.picture import Picture
from foveal.training.checkpoint import load_tensors
from foveal.training.config import RecurrentConfig, read_recipe
from foveal.training.export import Provenance, export_run
from foveal.training.loop import learning_rate, make_optimizer, train, train_step
from foveal.training.recurrent_subject import RecurrentSubject

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = {"width": 32, "iterations": 3, "context": 8}


def small(codec: str = "rnn-2017", steps: int = 2, **sizes: object) -> RecurrentConfig:
    crop = 32 if codec == "rnn-2015" else 64
    config = RecurrentConfig(codec=codec, steps=steps, batch=2, crop=crop, warmup_steps=1, model={**SMALL, **sizes})
    return replace(config, data=replace(config.data, held_out_every=4))


@pytest.mark.parametrize("path", sorted(RECIPES.glob("rnn-*.toml")), ids=lambda path: path.stem)
def test_the_recipes_build_what_they_name(path: Path) -> None:
    config = read_recipe(path)
    assert isinstance(config, RecurrentConfig)
    model = RecurrentSubject(config).build()
    kind = path.stem.removeprefix(f"{config.codec}-")
    assert config.codec == "rnn-2015" or kind == f"{model.config.cell}-{model.config.reconstruction}"
    assert (model.config.tile > 0) == (config.codec == "rnn-2015")
    assert model.config.tile in (0, config.crop)


def test_a_key_of_other_codecs_is_refused(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('codec = "rnn-2017"\nsteps = 1\ndistortion = "ms-ssim"\n')
    with pytest.raises(RecipeError, match="unknown key 'distortion'"):
        read_recipe(recipe)


@pytest.mark.parametrize(
    ("codec", "sizes", "message"),
    [
        ("rnn-2015", {}, "cell = 'lstm' and tile = 0; rnn-2015 has"),
        ("rnn-2015", {"cell": "gru", "tile": 32}, "cell = 'gru' and tile = 32; rnn-2015 has"),
        ("rnn-2017", {"tile": 32}, "rnn-2017 has tile = 0"),
        ("rnn-2015", {"tile": 64}, "crop = 32; a multiple of 64"),
    ],
)
def test_recipes_that_are_of_another_codec_are_refused(codec: str, sizes: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        RecurrentSubject(small(codec, 2, **sizes)).build()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_training_makes_residuals_and_bits_smaller(photos: Path, cell: str) -> None:
    config = replace(small(steps=100, cell=cell), learning_rate=2e-3, warmup_steps=5, decay_from=1.0)
    subject = RecurrentSubject(config)
    torch.manual_seed(0)
    model, average = subject.build(), subject.build().requires_grad_(False)
    lessons, optimizer = subject.read(photos, 1), make_optimizer(model, subject)
    losses: list[float] = []
    for step in range(config.steps):
        torch.manual_seed(step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        loss = train_step(model, model, average, optimizer, lessons.batch(step), subject, step)
        assert loss is not None
        losses.append(loss)
    assert np.mean(losses[-10:]) < 0.85 * np.mean(losses[:5])
    torch.manual_seed(0)
    shown = np.concatenate([lessons.batch(step) for step in range(8)])  # of each picture one step is looked at
    with torch.no_grad():
        done = model(torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 255, 3)
    assert float(torch.stack(done.bits).mean()) < 0.995, "what knows nothing takes 1"


@pytest.mark.parametrize("stochastic_until", [0.0, 1.0])
def test_a_run_that_stopped_goes_on_as_if_it_had_not(tmp_path: Path, photos: Path, stochastic_until: float) -> None:
    config = replace(small(steps=4), stochastic_until=stochastic_until)
    train(config, photos, tmp_path / "whole", minutes=5, threads=1, log=lambda _: None)
    train(replace(config, steps=2), photos, tmp_path / "parts", minutes=5, threads=1, log=lambda _: None)
    train(config, photos, tmp_path / "parts", minutes=5, threads=1, log=lambda _: None)
    whole, parts = (load_tensors(tmp_path / run, "model") for run in ("whole", "parts"))
    for name, tensor in whole.items():
        assert torch.allclose(tensor, parts[name], atol=1e-6), name


@pytest.mark.parametrize("codec", ["rnn-2015", "rnn-2017"])
def test_exported_weights_code_a_picture(
    tmp_path: Path, photos: Path, photo: Picture, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = "lstm" if codec == "rnn-2015" else "lstm-one-shot"
    config = small(codec, tile=32 if codec == "rnn-2015" else 0, reconstruction="one-shot", iterations=16)
    train(config, photos, tmp_path / "run", minutes=5, threads=1, log=lambda _: None)
    out = tmp_path / "weights"
    card = export_run(config, tmp_path / "run", out, Provenance("mine", "d", "t", "r", preset=preset))
    monkeypatch.setattr(weights, "FOLDER", out)
    weights.cards.cache_clear()
    try:
        part = Picture(np.ascontiguousarray(photo.samples[:50, :70]))
        data = foveal.encode(part, codec=codec, preset=preset, quality=20)
        assert foveal.info(data).weights == card.id
        assert foveal.decode(data).samples.shape == part.samples.shape
        torch.manual_seed(1)
        x = torch.from_numpy(photo.samples[None, :64, :96].copy()).permute(0, 3, 1, 2).float() / 255
        model = RnnModel(RecurrentSubject(config).build().config).eval()
        model.load_state_dict(load_tensors(tmp_path / "run", "average"))
        assert len(model(x, 2).error) == 2
    finally:
        weights.cards.cache_clear()
