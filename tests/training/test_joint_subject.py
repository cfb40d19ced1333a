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
from foveal.codecs.learned.weights import Card, load_weights
from foveal.errors import RecipeError
from foveal.picture import Picture
from foveal.tasks.latent.network import LatentNetwork
from foveal.tasks.latent.weights import LatentCard, load_network
from foveal.tasks.residual import fold
from foveal.training import curriculum, joint_subject, loop
from foveal.training.checkpoint import load_tensors
from foveal.training.config import DataConfig, JointTraining, LatentTraining, read_recipe
from foveal.training.export import Provenance, export_run
from foveal.training.joint_subject import JointModel, JointSubject
from foveal.training.latent_teaching import Features, Lesson, Teaching
from foveal.training.loop import load_initial, make_optimizer, train
from foveal.training.losses import rate_distortion
from foveal.training.subjects import subject_of

ROOT = Path(__file__).parents[2]
TINY = JointTraining(
    reads="tiny", mu=0.5, steps=4, batch=2, photos=2, crop=64, crop_rows=64, crop_columns=128, warmup_steps=1, learning_rate=1e-3,
    prior_rate_factor=3.0, started_rate_factor=0.5, one_band=0.0, two_bands=0.0, decay_from=1.0,
    model={"latent_0": 16, "latent_1": 12, "latent_2": 32, "coarse": 16, "middle": 32, "blocks": 1, "spectrum": 8},
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

    def begin(self, network: LatentNetwork) -> frozenset[str]:
        assert network.segment is not None
        torch.nn.init.constant_(network.segment.head.bias, 0.25)  # type: ignore[arg-type]
        return frozenset({"segment.head.bias"})

    def told(self, shown: Shades) -> np.ndarray:
        return shown.pictures[:, ::2, ::2, 1].astype(np.int64) * 11 // 256

    def loss(
        self, network: LatentNetwork, features: Tensor, x: Tensor, told: np.ndarray, step: int, mixed: torch.autocast
    ) -> Tensor:
        assert network.segment is not None
        with mixed:
            logits = network.segment(features)
        return functional.cross_entropy(logits.float(), torch.from_numpy(told))

    def measure(self, network: LatentNetwork, features: Features, device: torch.device) -> str:
        shown = self.source.at(10**6)
        assert isinstance(shown, Shades)
        x = torch.from_numpy(shown.pictures).permute(0, 3, 1, 2).float() / 255
        assert network.segment is not None
        right = network.segment(features(x)).argmax(1).eq(torch.from_numpy(self.told(shown))).float().mean()
        return f"{100 * float(right):.1f} % of places"


@pytest.fixture
def data(tmp_path: Path, photo: Picture, tiny_frequency: Card, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(curriculum, "SegmentTeaching", Bright)
    monkeypatch.setattr(joint_subject, "_MEASURED", ((17.0, 3), (17.0, 1)))
    (tmp_path / "data" / "photos").mkdir(parents=True)
    for i in range(5):
        Image.fromarray(np.roll(photo.samples, 50 * i, axis=0)[: 96 + i, :128]).save(tmp_path / "data" / "photos" / f"{i}.png")
    return tmp_path / "data"


def _gradients(config: JointTraining, data: Path, step: int) -> tuple[JointModel, Lesson | np.ndarray]:
    """A model after the backward pass of one step."""
    torch.manual_seed(0)
    subject = JointSubject(config)
    lessons, model = subject.read(data, 1), subject.build()
    batch = lessons.batch(step)
    torch.manual_seed(step)
    subject.loss(model, model, batch, step).value.backward()
    return model, batch


def test_every_parameter_of_both_has_a_gradient(data: Path) -> None:
    model, batch = _gradients(TINY, data, 1)
    assert isinstance(batch, Lesson)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    model, batch = _gradients(TINY, data, 0)
    assert not isinstance(batch, Lesson)
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == name.startswith("codec."), name


def test_tasks_reach_the_analysis_and_without_them_it_has_the_gradient_of_rate_and_distortion(data: Path) -> None:
    with_tasks, _ = _gradients(TINY, data, 1)
    without, batch = _gradients(dataclasses.replace(TINY, mu=0.0), data, 1)
    assert isinstance(batch, Lesson)
    model = JointSubject(TINY).build()
    x = torch.from_numpy(batch.pictures).permute(0, 3, 1, 2).float() / 255
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
    assert all(p.grad is None or not p.grad.any() for p in without.heads.parameters())
    own = dict(with_tasks.codec.named_parameters())
    assert not torch.allclose(own["analysis.sample.weight"].grad, alone["analysis.sample.weight"].grad, rtol=1e-2)  # type: ignore[arg-type]


def test_rates_are_small_in_the_codec_by_its_parts() -> None:
    subject = JointSubject.__new__(JointSubject)
    subject.config = TINY
    subject._codec, subject._begun = joint_subject.CodecSubject(TINY.of_codec), frozenset({"segment.head.bias"})
    model = type("Model", (), {"codec": joint_subject.FrequencyModel})()
    named = {
        "heads.trunk.enter.1.weight": 0.3, "heads.segment.head.bias": 0.3, "heads.segment.head.weight": 1.0, "codec.analysis.fine.0.enter.weight": 0.1, "codec.prior.0.fuse.weight": 0.3,
        "codec.analysis.sample.weight": 0.05,
    }  # fmt: skip
    for name, factor in named.items():
        assert subject.rate_factor(model, name) == pytest.approx(factor), name


def test_the_trunk_begins_as_the_synthesis_and_learns_slower_than_new_heads(data: Path) -> None:
    subject = JointSubject(dataclasses.replace(TINY, begun_rate_factor=0.25))
    subject.read(data, 1)
    model = subject.build()
    trunk, synthesis = model.heads.trunk, model.codec.synthesis
    assert torch.equal(trunk.from_32.weight, synthesis.from_32.weight)
    assert trunk.from_32.weight is not synthesis.from_32.weight
    factors = {id(p): group["factor"] for group in make_optimizer(model, subject).param_groups for p in group["params"]}
    for name, parameter in model.heads.named_parameters():
        slow = name.startswith("trunk.") or name == "segment.head.bias"  # as its teaching says
        assert factors[id(parameter)] == (0.25 if slow else 1.0), name
    wide = dataclasses.replace(TINY, model=dict(TINY.model) | {"middle": 64})
    with pytest.raises(RecipeError, match=r"trunk\.enter\.2\.weight is \(64, 32, 1, 1\)"):
        JointSubject(wide).build()


def test_three_steps_stay_finite_and_move_both(data: Path) -> None:
    subject = JointSubject(TINY)
    lessons, model = subject.read(data, 1), subject.build()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    assert (before["heads.segment.head.bias"] == 0.25).all()  # what the head has to know before the first step
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
        "heads.trunk.enter.2.weight",
        "heads.segment.head.weight",
    ):
        assert not torch.equal(state[name], before[name]), name


def test_a_run_starts_from_heads_goes_on_as_if_it_had_not_stopped_and_exports_two_sets(
    data: Path, tiny_frequency: Card, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    subject = subject_of(TINY)
    heads = JointSubject(TINY).build().heads
    model = subject.build()
    for tensors in (heads.state_dict(), fold(heads.eval())):  # of a run, and as they ship
        load_initial(model, subject, tensors)
        own = model.state_dict()
        assert heads.segment is not None
        assert torch.equal(own["heads.segment.to_middle.weight"].half(), heads.segment.to_middle.weight.half())
        assert all(torch.equal(own[f"codec.{name}"], t) for name, t in thaw(load_weights(tiny_frequency)).items())
    lines, initial = list[str](), dict(heads.state_dict())
    train(TINY, data, tmp_path / "whole", minutes=5, initial=initial, log=lines.append)
    for steps in (3, 4):
        train(dataclasses.replace(TINY, steps=steps), data, tmp_path / "parts", minutes=5, initial=initial, log=lines.append)
    whole, parts = (load_tensors(tmp_path / run, "average") for run in ("whole", "parts"))
    assert all(torch.equal(tensor, parts[name]) for name, tensor in whole.items())
    assert any("dB; quality 17, 3 bands: " in line and line.endswith("% of places") for line in lines)

    card = export_run(TINY, tmp_path / "parts", weights.FOLDER, Provenance("tiny-joint", "a photograph", "none", "none"))
    assert isinstance(card, Card)
    assert (card.preset, card.extends) == ("joint", None)
    weights.cards.cache_clear()
    trained = thaw(load_weights(weights.default_card("frequency", "joint")))
    assert {f"codec.{name}" for name in trained} == {name for name in whole if name.startswith("codec.")}
    beside = LatentCard(**json.loads((weights.FOLDER / "latent-tiny-joint.json").read_text()))
    assert (beside.reads, beside.heads, beside.steps) == (card.id, "segment", 4)
    assert math.isfinite(float(next(load_network(beside).parameters()).sum()))


def test_the_shipped_recipe_is_read_and_its_networks_are_those_of_the_heads_recipe() -> None:
    config, heads = (read_recipe(ROOT / "recipes" / f"{name}.toml") for name in ("frequency-joint", "latent-segment"))
    assert isinstance(config, JointTraining)
    assert not isinstance(heads, JointTraining)
    assert (config.model, config.reads) == (heads.model, heads.reads)  # type: ignore[union-attr]
    assert isinstance(subject_of(config), JointSubject)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reads": "small"}, "no weights 'small' of frequency; there are tiny"),
        ({"crop": 100}, "crops of 64x128 and 100"),
        ({"crop_rows": 60}, "crops of 60x128"),
        ({"mu": -1.0}, "mu = -1"),
    ],
)
def test_wrong_recipes_are_refused_by_name(tiny_frequency: Card, change: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        JointSubject(dataclasses.replace(TINY, **change))  # type: ignore[arg-type]
