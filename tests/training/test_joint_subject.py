"""A codec and networks that read its latents as what is trained together: what the loss is made of, a run, and two sets of weights."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from foveal.codecs.learned import weights
from foveal.codecs.learned.frequency.networks import thaw
from foveal.codecs.learned.quality_levels import float_hats
from foveal.codecs.learned.weights import Card, load_weights
from foveal.errors import RecipeError
from foveal.picture import Picture
from foveal.tasks.latent.network import LatentNetwork, TrunkFeatures
from foveal.tasks.latent.weights import LatentCard, latent_cards, load_network
from foveal.training import curriculum, joint_subject, loop
from foveal.training.checkpoint import load_tensors
from foveal.training.config import DataConfig, JointTraining, LatentTraining, read_recipe
from foveal.training.export import Provenance, export_run
from foveal.training.joint_subject import JointModel, JointSubject, Task
from foveal.training.latent_teaching import Features, Teaching
from foveal.training.loop import load_initial, make_optimizer, train
from foveal.training.losses import rate_distortion
from foveal.training.subjects import subject_of

ROOT = Path(__file__).parents[2]
TINY = JointTraining(
    reads="tiny", heads="latent-bright-1, latent-dark-1", mu=0.5, steps=4, batch=2, photos=2, crop=64, crop_rows=64, crop_columns=128, warmup_steps=1, learning_rate=1e-3,
    prior_rate_factor=3.0, started_rate_factor=0.5, one_band=0.0, two_bands=0.0, decay_from=1.0,
    data=DataConfig("photos/*", held_out_every=4),
)  # fmt: skip


@dataclasses.dataclass(frozen=True, eq=False)
class Shades:
    """Squares of 16 pixels, each of one colour."""

    pictures: np.ndarray


class Squares:
    def __init__(self, config: LatentTraining, seed: int) -> None:
        self.summary, self._seed = "shades", seed
        self._sides = (config.batch, config.crop_rows // 16, config.crop_columns // 16, 3)

    def at(self, number: int) -> Shades:
        small = np.random.default_rng((self._seed, number)).integers(0, 256, self._sides).astype(np.uint8)
        return Shades(small.repeat(16, 1).repeat(16, 2))


class Bright(Teaching):
    """Which of 11 shades of green a place of 2x2 pixels is."""

    head = "segment"

    def __init__(self, data: Path, config: LatentTraining, seed: int, unlabelled: Sequence[np.ndarray] = ()) -> None:
        assert data.name == "camvid"
        self.source = Squares(config, seed)

    def told(self, shown: Shades) -> np.ndarray:
        return shown.pictures[:, ::2, ::2, 1].astype(np.int64) * 11 // 256

    def loss(
        self, network: LatentNetwork, features: TrunkFeatures, x: Tensor, told: np.ndarray, step: int, mixed: torch.autocast
    ) -> Tensor:
        assert network.segment is not None
        with mixed:
            logits = network.segment(features.segment)
        return functional.cross_entropy(logits.float(), torch.from_numpy(told))

    def measure(self, network: LatentNetwork, features: Features, device: torch.device) -> str:
        shown = self.source.at(10**6)
        assert isinstance(shown, Shades)
        x = torch.from_numpy(shown.pictures).permute(0, 3, 1, 2).float() / 255
        assert network.segment is not None
        right = network.segment(features(x).segment).argmax(1).eq(torch.from_numpy(self.told(shown))).float().mean()
        return f"{100 * float(right):.1f} % of places"


@pytest.fixture
def data(tmp_path: Path, photo: Picture, tiny_heads: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(curriculum, "SegmentTeaching", Bright)
    monkeypatch.setattr(joint_subject, "_MEASURED", ((17.0, 3), (17.0, 1)))
    (tmp_path / "data" / "photos").mkdir(parents=True)
    for i in range(5):
        Image.fromarray(np.roll(photo.samples, 50 * i, axis=0)[: 96 + i, :128]).save(tmp_path / "data" / "photos" / f"{i}.png")
    return tmp_path / "data"


def _gradients(config: JointTraining, data: Path, step: int) -> tuple[JointModel, Task | np.ndarray]:
    """A model after the backward pass of one step."""
    torch.manual_seed(0)
    subject = JointSubject(config)
    lessons, model = subject.read(data, 1), subject.build()
    batch = lessons.batch(step)
    torch.manual_seed(step)
    subject.loss(model, model, batch, step).value.backward()
    return model, batch


def test_photographs_and_each_networks_pictures_come_by_turns(data: Path) -> None:
    lessons = JointSubject(TINY).read(data, 1)
    batches = [lessons.batch(step) for step in range(6)]
    readers = [batch.reader if isinstance(batch, Task) else None for batch in batches]
    assert readers == 2 * [None, "latent-bright-1", "latent-dark-1"]
    first, again = batches[1], lessons.batch(1)
    assert isinstance(first, Task)
    assert isinstance(again, Task)
    assert np.array_equal(first.lesson.pictures, again.lesson.pictures)


def test_every_parameter_of_codec_and_reader_has_a_gradient(data: Path) -> None:
    model, batch = _gradients(TINY, data, 1)
    assert isinstance(batch, Task)
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (not name.startswith("networks.latent-dark-1.")), name
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
    model, batch = _gradients(TINY, data, 0)
    assert not isinstance(batch, Task)
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == name.startswith("codec."), name


def test_tasks_reach_the_analysis_and_without_them_it_has_the_gradient_of_rate_and_distortion(data: Path) -> None:
    with_tasks, _ = _gradients(TINY, data, 1)
    without, batch = _gradients(dataclasses.replace(TINY, mu=0.0), data, 1)
    assert isinstance(batch, Task)
    model = JointSubject(TINY).build()
    x = torch.from_numpy(batch.lesson.pictures).permute(0, 3, 1, 2).float() / 255
    x = x.contiguous(memory_format=torch.channels_last)
    chance = np.random.default_rng((TINY.seed, 1))
    quality = TINY.coarsest + (TINY.finest - TINY.coarsest) * torch.from_numpy(chance.random(2) ** 1.3).float()
    torch.manual_seed(1)
    bits, picture = model.codec(x, quality)
    rate_distortion(x, picture, bits, quality, model.config, TINY.of_codec).loss.backward()
    alone = dict(model.codec.named_parameters())
    for name, parameter in without.codec.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, alone[name].grad, rtol=1e-4, atol=1e-7), name  # type: ignore[arg-type]
    assert all(p.grad is None or not p.grad.any() for p in without.networks.parameters())
    own = dict(with_tasks.codec.named_parameters())
    assert not torch.allclose(own["analysis.sample.weight"].grad, alone["analysis.sample.weight"].grad, rtol=1e-2)  # type: ignore[arg-type]


def test_rates_are_small_in_the_codec_by_its_parts_and_in_trunks(data: Path) -> None:
    subject = JointSubject(dataclasses.replace(TINY, begun_rate_factor=0.25))
    model = subject.build()
    named = {
        "networks.latent-dark-1.trunk.enter.1.weight": 0.25, "networks.latent-dark-1.segment.head.weight": 1.0,
        "codec.analysis.fine.0.enter.weight": 0.1, "codec.prior.0.fuse.weight": 0.3, "codec.analysis.sample.weight": 0.05,
    }  # fmt: skip
    for name, factor in named.items():
        assert subject.rate_factor(model, name) == pytest.approx(factor), name
    factors = {id(p): group["factor"] for group in make_optimizer(model, subject).param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert factors[id(parameter)] == pytest.approx(subject.rate_factor(model, name)), name


def test_networks_begin_as_they_ship_in_training_too(data: Path) -> None:
    model = JointSubject(TINY).build().train()
    card = next(card for card in latent_cards() if card.name == "latent-dark-1")
    bands = [torch.randn(2, int(card.config[f"latent_{band}"]), 2 << band, 2 << band) for band in range(3)]
    begun, shipped = model.network("latent-dark-1"), load_network(card)
    assert begun.segment is not None
    assert shipped.segment is not None
    begun.segment.dropout.eval()
    quality = float_hats(torch.tensor([17.0, 40.0]))
    with torch.no_grad():
        assert torch.allclose(
            begun.segment(begun(bands, quality).segment), shipped.segment(shipped(bands, quality).segment), atol=1e-5
        )


def test_three_steps_stay_finite_and_move_both(data: Path) -> None:
    subject = JointSubject(TINY)
    lessons, model = subject.read(data, 1), subject.build()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    optimizer, average = make_optimizer(model, subject), copy.deepcopy(model).requires_grad_(False)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3 * group["factor"]
    for step in range(3):
        torch.manual_seed(step)
        loop.train_step(model, model, average, optimizer, lessons.batch(step), subject, step)
    state = model.state_dict()
    assert all(torch.isfinite(t).all() for t in state.values())
    for name in (
        "codec.analysis.sample.weight",
        "codec.prior.2.fuse.weight",
        "networks.latent-bright-1.trunk.enter.2.weight",
        "networks.latent-dark-1.segment.head.weight",
    ):
        assert not torch.equal(state[name], before[name]), name


def test_a_run_goes_on_as_if_it_had_not_stopped_and_exports_three_sets(data: Path, tiny_frequency: Card, tmp_path: Path) -> None:
    model = subject_of(TINY).build()
    own = model.state_dict()
    assert all(torch.equal(own[f"codec.{name}"], t) for name, t in thaw(load_weights(tiny_frequency)).items())
    lines = list[str]()
    train(TINY, data, tmp_path / "whole", minutes=5, log=lines.append)
    for steps in (3, 4):
        train(dataclasses.replace(TINY, steps=steps), data, tmp_path / "parts", minutes=5, log=lines.append)
    whole, parts = (load_tensors(tmp_path / run, "average") for run in ("whole", "parts"))
    assert all(torch.equal(tensor, parts[name]) for name, tensor in whole.items())
    assert any("dB; quality 17, 3 bands: " in line and line.count("% of places") == 4 for line in lines)
    load_initial(model, JointSubject(TINY), whole)
    with pytest.raises(RecipeError, match="no codec and networks together"):
        load_initial(model, JointSubject(TINY), load_weights(tiny_frequency))

    card = export_run(TINY, tmp_path / "parts", weights.FOLDER, Provenance("tiny-joint", "a photograph", "none", "none"))
    assert isinstance(card, Card)
    assert (card.preset, card.extends) == ("joint", None)
    weights.cards.cache_clear()
    trained = thaw(load_weights(weights.default_card("frequency", "joint")))
    assert {f"codec.{name}" for name in trained} == {name for name in whole if name.startswith("codec.")}
    for kind in ("bright", "dark"):
        beside = LatentCard(**json.loads((weights.FOLDER / f"latent-{kind}-tiny-joint.json").read_text()))
        assert (beside.reads, beside.heads, beside.steps) == (card.id, "segment", 4)
        assert math.isfinite(float(next(load_network(beside).parameters()).sum()))


def test_what_passes_nothing_back_to_the_codec_is_refused() -> None:
    config = read_recipe(ROOT / "recipes" / "frequency-joint.toml")
    with pytest.raises(RecipeError, match="latent-networks-2 feeds mobilenet_v2_imagenet by way of its own layers"):
        subject_of(dataclasses.replace(config, heads="latent-networks-2"))  # type: ignore[call-overload]


def test_the_shipped_recipe_starts_from_what_ships() -> None:
    config = read_recipe(ROOT / "recipes" / "frequency-joint.toml")
    assert isinstance(config, JointTraining)
    subject = subject_of(config)
    assert isinstance(subject, JointSubject)
    assert [*subject.build().networks] == config.heads.split(",")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reads": "small"}, "no weights 'small' of frequency; there are tiny"),
        ({"crop": 100}, "crops of 64x128 and 100"),
        ({"crop_rows": 60}, "crops of 60x128"),
        ({"mu": -1.0}, "mu = -1"),
        (
            {"heads": "latent-none-1"},
            "no networks 'latent-none-1' read latents of tiny; there are latent-bright-1, latent-dark-1",
        ),
        ({"coded": 8}, "trunk, keep, coded: heads names what the networks begin with"),
        ({"model": {"spectrum": 8}}, r"\[model\]: heads names weights"),
    ],
)
def test_wrong_recipes_are_refused_by_name(tiny_heads: tuple[str, ...], change: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        JointSubject(dataclasses.replace(TINY, **change))  # type: ignore[arg-type]
