"""Training: recipes are checked, a run learns, stops, goes on, and exports what a codec loads."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from foveal.codecs.base import EncodeSettings
from foveal.codecs.learned import short_weights, weights
from foveal.codecs.learned.gdn import GdnConfig, GdnModel, load_networks
from foveal.codecs.learned.hyperprior import networks
from foveal.codecs.learned.pink_noise import pink_noise
from foveal.codecs.registry import codec_by_name
from foveal.errors import RecipeError
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture
from foveal.training import loop
from foveal.training.config import CodecConfig, DataConfig, read_recipe
from foveal.training.data import RandomCrops, load_photos
from foveal.training.export import Provenance, export_again, export_run
from foveal.training.loop import learning_rate, load_initial, train
from foveal.training.models import build_model, trainable
from foveal.training.subject import has_bfloat16
from foveal.training.subjects import subject_of

ROOT = Path(__file__).parents[2]
TINY = CodecConfig(
    "gdn", steps=6, batch=2, crop=64, warmup_steps=1, prior_rate_factor=10.0, model={"channels": 48, "latent_channels": 64},
    data=DataConfig("*.png", held_out_every=3),
)  # fmt: skip


def test_the_shipped_recipe_is_read_and_names_every_key_it_uses() -> None:
    config = read_recipe(ROOT / "recipes" / "gdn.toml")
    assert config.codec == "gdn"
    assert GdnConfig(**config.model) == GdnConfig(**weights.default_card("gdn").config)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("codec = 'gdn'\nsteps = 1\nspeed = 3", "unknown key 'speed'"),
        ("codec = 'gdn'", "steps"),
        ("codec = 'gdn'\nsteps = 'many'", "not of type int"),
        ("codec = 'gdn'\nsteps = true", "not of type int"),
        ("codec = ", "not TOML"),
        ("codec = 'gdn'\nsteps = 1\n[data]\nfolder = 'x'", "unknown key 'folder'"),
    ],
)
def test_wrong_recipes_are_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(RecipeError, match=words):
        read_recipe(tmp_path / "r.toml")


def test_missing_recipes_codecs_and_photos_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot read"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="holds 0 pictures"):
        train(TINY, tmp_path, tmp_path / "run", minutes=1)
    with pytest.raises(RecipeError, match="jpeg"):
        build_model("jpeg", {})
    with pytest.raises(RecipeError, match="unknown key 'depth'"):
        build_model("gdn", {"depth": 3})


def test_a_run_stops_goes_on_and_exports(photos: Path, photo: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, lines = tmp_path / "run", list[str]()
    first = train(dataclasses.replace(TINY, steps=3), photos, run, minutes=5, log=lines.append)
    second = train(TINY, photos, run, minutes=5, log=lines.append)
    assert (first.step, second.step) == (3, 6)
    assert second.minutes > first.minutes
    assert any("from step 3 of 6" in line for line in lines)
    card = export_run(TINY, run, tmp_path / "out", Provenance("tiny", "four cuts of a photograph", "none", "none"))
    assert json.loads((tmp_path / "out" / "tiny.json").read_text())["id"] == card.id

    monkeypatch.setattr(weights, "FOLDER", tmp_path / "out")
    weights.cards.cache_clear()
    load_networks.cache_clear()
    try:
        codec = codec_by_name("gdn")
        assert psnr_rgb_db(photo, codec.decode(codec.encode(photo, EncodeSettings(90)))) > 20
    finally:
        weights.cards.cache_clear()
        load_networks.cache_clear()


@pytest.mark.parametrize("name", ["model.safetensors", "average.safetensors", "exp_avg.safetensors", "progress.json"])
def test_a_damaged_run_is_named(photos: Path, tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    train(dataclasses.replace(TINY, steps=1), photos, run, minutes=5, log=lambda _: None)
    (run / name).write_bytes(b"junk")
    with pytest.raises(RecipeError, match="cannot go on"):
        train(TINY, photos, run, minutes=5, log=lambda _: None)


def test_a_run_of_other_sizes_is_named(photos: Path, tmp_path: Path) -> None:
    train(dataclasses.replace(TINY, steps=1), photos, tmp_path, minutes=5, log=lambda _: None)
    with pytest.raises(RecipeError, match="cannot go on"):
        train(dataclasses.replace(TINY, model={"channels": 64, "latent_channels": 64}), photos, tmp_path, minutes=5)


def test_a_run_of_another_codec_is_named(photos: Path, tmp_path: Path) -> None:
    train(dataclasses.replace(TINY, steps=1), photos, tmp_path / "run", minutes=5, log=lambda _: None)
    other = dataclasses.replace(TINY, codec="hyperprior", model={"channels": 48, "latent_channels": 64})
    with pytest.raises(RecipeError, match=r"it is a run of gdn, the recipe trains hyperprior; take its recipe"):
        train(other, photos, tmp_path / "run", minutes=5, log=lambda _: None)
    progress = tmp_path / "run" / "progress.json"
    old = {key: value for key, value in json.loads(progress.read_text()).items() if key != "trains"}
    progress.write_text(json.dumps(old))  # as runs were before they said what they train
    with pytest.raises(RecipeError, match="its weights are not those of hyperprior of the recipe's sizes") as caught:
        train(other, photos, tmp_path / "run", minutes=5, log=lambda _: None)
    assert "state_dict" not in str(caught.value)
    assert train(TINY, photos, tmp_path / "run", minutes=0, log=lambda _: None).step == 1


def test_no_minutes_left_trains_nothing_but_leaves_a_run(photos: Path, tmp_path: Path) -> None:
    told: list[str] = []
    assert train(TINY, photos, tmp_path / "run", minutes=0, log=told.append).step == 0
    assert "no step was trained: reading the pictures took all of --minutes 0; give more" in told
    assert (tmp_path / "run" / "average.safetensors").exists()


def test_training_lowers_the_loss_and_the_bits_estimate_matches_the_file(photo: Picture) -> None:
    torch.manual_seed(0)
    model = GdnModel(GdnConfig(channels=48, latent_channels=64))
    config = dataclasses.replace(TINY, warmup_steps=1, learning_rate=1e-3)
    subject = subject_of(config)
    optimizer, average = loop.make_optimizer(model, subject), GdnModel(model.config)
    batch = np.stack([photo.samples[:96, :96], photo.samples[96:192, 96:192]])
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * group["factor"]
    losses = [loop.train_step(model, model, average, optimizer, batch, subject, step) or 0.0 for step in range(25)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_the_first_weights_already_code_pictures(photo: Picture) -> None:
    torch.manual_seed(0)
    model = GdnModel(GdnConfig())
    x = torch.from_numpy(photo.samples).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        _, reconstruction = model(x, torch.tensor([90.0]))
    assert float((x - reconstruction).square().mean()) < 10**-3


def test_initial_weights_of_another_size_are_refused() -> None:
    small, large = GdnModel(GdnConfig(48, 64)), GdnModel(GdnConfig(48, 80))
    subject = subject_of(TINY)
    load_initial(small, subject, GdnModel(GdnConfig(48, 64)).state_dict())
    with pytest.raises(RecipeError, match=r"do not fit gdn of the recipe's sizes.*start from weights of gdn"):
        load_initial(large, subject, small.state_dict())


def test_the_learning_rate_rises_stays_and_falls() -> None:
    config = dataclasses.replace(TINY, steps=100, warmup_steps=10, decay_from=0.5, learning_rate=1.0)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:50] == pytest.approx([1.0] * 40)
    assert rates[-1] < 0.02


def test_crops_are_of_the_photographs(photos: Path) -> None:
    training, held_out = load_photos(photos, TINY.data, least_side=64)
    assert (len(training), len(held_out)) == (2, 2)
    batch = RandomCrops(training, batch=5, crop=64, seed=3).at(0)
    assert batch.shape == (5, 64, 64, 3)
    assert (batch == RandomCrops(training, batch=5, crop=64, seed=3).at(0)).all()


TINY_FREQUENCY = CodecConfig(
    codec="frequency",
    steps=4,
    batch=2,
    crop=128,
    warmup_steps=1,
    band_dropout=0.5,
    spatial_quality=0.5,
    model={
        "fine": 32, "middle": 64, "coarse": 32, "analysis_fine": 1, "analysis_middle": 1, "synthesis_middle": 1,
        "synthesis_fine": 1, "latent_0": 16, "latent_1": 28, "latent_2": 64, "prior_coarse": 16, "prior_fine": 16,
    },
)  # fmt: skip


def test_frequency_trains_and_exports_and_trains_on_from_what_it_exported(photos: Path, tmp_path: Path) -> None:
    train(TINY_FREQUENCY, photos, tmp_path / "run", minutes=5, log=lambda _: None)
    provenance = Provenance("tiny", "four cuts of a photograph", "none", "none")
    export_run(TINY_FREQUENCY, tmp_path / "run", tmp_path / "out", provenance)
    shipped = weights.read_tensors(tmp_path / "out" / "tiny.safetensors.xz")
    model = build_model("frequency", TINY_FREQUENCY.model)
    load_initial(model, subject_of(TINY_FREQUENCY), shipped)
    again = trainable("frequency").freeze(model)
    exact = [name for name in shipped if name.startswith(("prior.", "quantisers."))]
    assert exact
    assert all(torch.equal(again[name].int(), shipped[name].int()) for name in exact if not name.endswith(".shift"))


@pytest.mark.parametrize("codec", ["gdn", "hyperprior", "frequency"])
def test_weights_of_an_earlier_export_are_shortened_and_keep_their_integers(
    codec: str, photo: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier exports had their floats in float16."""
    for module in (short_weights, networks):
        monkeypatch.setattr(module, "pink_noise", lambda: pink_noise()[:1, :, :128, :128])  # quick
    sizes = {"frequency": TINY_FREQUENCY.model}.get(codec, {"channels": 48, "latent_channels": 64})
    model = build_model(codec, sizes).eval()
    floats = tuple(f"{name}." for name in ("analysis", "synthesis", "hyper_analysis"))
    plain = {n: t.half() for n, t in model.state_dict().items() if n.startswith(floats)}
    rest = {n: t for n, t in trainable(codec).freeze(model).items() if not n.startswith(floats)}
    card = weights.Card(
        name="old", id="", config=dataclasses.asdict(model.config), data="", data_terms="", recipe="by hand", steps=1, minutes=1,  # type: ignore[call-overload]
        machine="", figures="", licence="", codec=codec, default=True,
    )  # fmt: skip
    old = tmp_path / "old.safetensors.xz"
    old.write_bytes(weights.pack_weights(plain | rest)[1])
    old.with_name("old.json").write_text(json.dumps(dataclasses.asdict(card)))

    made = export_again(old, tmp_path / "out", "new", "shorter")
    assert (made.name, made.codec, made.recipe) == ("new", codec, "by hand; shorter")
    new = weights.read_tensors(tmp_path / "out" / "new.safetensors.xz")
    assert all(torch.equal(new[name], tensor) for name, tensor in rest.items())
    assert (tmp_path / "out" / "new.safetensors.xz").stat().st_size < 0.75 * old.stat().st_size
    x, found = torch.from_numpy(photo.samples[:128, :128].copy()).permute(2, 0, 1)[None].float() / 255, list[float]()
    for tensors in (plain | rest, new):
        model.load_state_dict(trainable(codec).thaw(tensors))
        with torch.no_grad():
            found.append(float((model(x, torch.tensor([95.0]))[1] - x).square().mean().log10()) * 10)
    assert found[0] == pytest.approx(found[1], abs=0.05)
    assert found[0] < -20
    old.with_name("old.json").unlink()
    with pytest.raises(RecipeError, match="no weights of a codec with their card"):
        export_again(old, tmp_path / "out", "new")


def test_ms_ssim_trains_and_refuses_what_it_cannot_weigh(photo: Picture, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(2):
        Image.fromarray(photo.samples).save(photos / f"{i}.png")
    config = dataclasses.replace(TINY_FREQUENCY, distortion="ms-ssim", crop=192, steps=1)
    with pytest.raises(RecipeError, match="spatial_quality"):
        train(config, photos, tmp_path / "a", minutes=5, log=lambda _: None)
    config = dataclasses.replace(config, spatial_quality=0.0)
    assert train(config, photos, tmp_path / "b", minutes=5, log=lambda _: None).step == 1


@pytest.mark.slow
def test_bfloat16_is_left_out_and_said_where_the_processor_has_none(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, said = dataclasses.replace(TINY, steps=1, bfloat16=True), list[str]()
    for known in (True, False):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda known=known: known)
        has_bfloat16.cache_clear()
        try:
            with subject_of(config).mixed(torch.device("cpu")):
                assert torch.is_autocast_enabled("cpu") == known
            said.clear()
            train(config, photos, tmp_path / str(known), minutes=5, log=said.append)
        finally:
            has_bfloat16.cache_clear()
        assert any("no bfloat16" in line for line in said) != known


def test_two_processes_train_one_model(photos: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    sizes = "\n".join(f"{name} = {value}" for name, value in TINY_FREQUENCY.model.items())
    recipe.write_text(
        f'codec = "frequency"\nsteps = 3\nbatch = 1\ncrop = 128\nband_dropout = 0.5\n[data]\nheld_out_every = 4\n[model]\n{sizes}\n'
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "--", "foveal.training"]
    options = [str(recipe), "--data", str(photos), "--run", str(tmp_path / "run"), "--device", "cpu", "--threads", "1"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("held out; 2 x cpu") == 1
    assert json.loads((tmp_path / "run" / "progress.json").read_text())["step"] == 3
