"""Networks that read latents as what is trained: what they begin with, and what learns slower for it."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from foveal.codecs.learned.frequency.networks import thaw
from foveal.codecs.learned.short_weights import widened
from foveal.codecs.learned.weights import Card, WeightsCard, load_weights
from foveal.errors import RecipeError
from foveal.tasks.latent.network import LatentNetwork, TrunkFeatures
from foveal.tasks.latent.weights import latent_card, load_network
from foveal.training.config import LatentTraining
from foveal.training.latent_subject import LatentLessons, LatentSubject
from foveal.training.latent_teaching import Curriculum, Features, Teaching
from foveal.training.loop import make_optimizer, train_step
from foveal.training.subject import Provenance

CONFIG = LatentTraining(
    reads="tiny", steps=4, batch=2, crop_rows=64, crop_columns=128, weight_decay=0.1, begun_rate_factor=0.25,
    model={"latent_0": 16, "latent_1": 12, "latent_2": 32, "coarse": 16, "middle": 32, "blocks": 1, "spectrum": 8},
)  # fmt: skip
PROVENANCE = Provenance("more", "", "", "")
BEGUN = frozenset({"segment.head.weight", "segment.whole.bias"})


class Nothing:
    summary = "nothing"

    def at(self, number: int) -> Any:
        raise AssertionError("no batch is asked for")


class Plain:
    """Batches of one grey, by their number."""

    summary = "greys"

    def at(self, number: int) -> Shown:
        return Shown(np.full((2, 64, 128, 3), 16 * number, np.uint8))


@dataclasses.dataclass(frozen=True, eq=False)
class Shown:
    pictures: npt.NDArray[np.uint8]


class Adds(Teaching):
    """Wants a further head to say nothing."""

    head, source = "things", Plain()

    def told(self, shown: Any) -> None:
        return None

    def loss(
        self, network: LatentNetwork, features: TrunkFeatures, x: Tensor, told: Any, step: int, mixed: torch.autocast
    ) -> Tensor:
        assert network.things is not None
        return network.things(features.shared).square().mean()

    def measure(self, network: LatentNetwork, features: Features, device: torch.device) -> str:
        return ""


class Own(Teaching):
    """Begins a head's own features."""

    head, source = "segment", Nothing()

    def begin(self, network: LatentNetwork) -> frozenset[str]:
        assert network.segment is not None
        assert network.segment.own is not None
        network.segment.own.begin_as(network.trunk)
        return frozenset(f"segment.own.{name}" for name in network.segment.own.state_dict())

    def told(self, shown: Any) -> None:
        return None

    def loss(
        self, network: LatentNetwork, features: TrunkFeatures, x: Tensor, told: Any, step: int, mixed: torch.autocast
    ) -> Tensor:
        return features.segment.square().mean()

    def measure(self, network: LatentNetwork, features: Features, device: torch.device) -> str:
        return ""


class Begins(Teaching):
    """A part of whose head begins as a trained one."""

    head, source = "segment", Nothing()

    def begin(self, network: LatentNetwork) -> frozenset[str]:
        assert network.segment is not None
        torch.nn.init.constant_(network.segment.head.weight, 0.25)
        return BEGUN

    def told(self, shown: Any) -> None:
        return None

    def loss(
        self, network: LatentNetwork, features: TrunkFeatures, x: Tensor, told: Any, step: int, mixed: torch.autocast
    ) -> Tensor:
        return torch.zeros(())

    def measure(self, network: LatentNetwork, features: Features, device: torch.device) -> str:
        return ""


@pytest.fixture
def subject(tiny_frequency: Card) -> LatentSubject:
    made = LatentSubject(CONFIG)
    made._curriculum = Curriculum([Begins()])
    return made


def test_the_trunk_begins_as_the_synthesis_of_the_weights_that_are_read(subject: LatentSubject, tiny_frequency: Card) -> None:
    trunk, known = subject.build().trunk, thaw(load_weights(tiny_frequency))
    assert torch.equal(trunk.from_64.weight, known["synthesis.from_64.weight"])
    assert torch.equal(trunk.from_middle.weight, known["synthesis.from_middle.weight"][:32])
    scale = torch.exp2(known["quantisers.1.exponent"])[:, None, None]
    assert torch.equal(trunk.state_dict()["enter.1.weight"], known["synthesis.enter.1.weight"] * scale)
    assert not trunk.missing.any()
    wide = dict(CONFIG.model) | {"coarse": 24}
    with pytest.raises(RecipeError, match=r"trunk\.enter\.0\.weight is \(24, 16, 1, 1\), and the codec has \(16, 16, 1, 1\)"):
        LatentSubject(dataclasses.replace(CONFIG, model=wide)).build()


def test_what_begins_as_a_part_of_a_trained_network_learns_slower(subject: LatentSubject) -> None:
    model = subject.build()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    factors = {
        names[id(parameter)]: group["factor"]
        for group in make_optimizer(model, subject).param_groups
        for parameter in group["params"]
    }
    assert factors.keys() == set(names.values())
    slow = {name for name, factor in factors.items() if factor == 0.25}
    assert slow == {name for name in factors if name.startswith("trunk.")} | BEGUN
    assert {factor for name, factor in factors.items() if name not in slow} == {1.0}
    assert subject.thaw(dict(model.state_dict())).keys() == model.state_dict().keys()
    assert subject.rate_factor(model, "segment.head.weight") == 0.25  # in a run that goes on, too


def test_the_trunk_may_begin_as_that_of_other_weights(tiny_heads: tuple[str, ...]) -> None:
    card = latent_card("latent-dark-1")
    subject = LatentSubject(dataclasses.replace(CONFIG, trunk=card.name))
    subject._curriculum = Curriculum([Begins()])
    network, shipped = subject.build(), load_network(card)
    own = network.trunk.state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in shipped.trunk.state_dict().items())
    assert not torch.equal(own["from_32.weight"], LatentSubject(CONFIG).build().trunk.from_32.weight)
    # What did not move is exactly what it was: the difference is nothing.
    frozen, near = subject.freeze(network.eval(), None), load_weights(card)
    assert "in steps of the weights that it went on from" in frozen.note
    assert all(torch.equal(tensor, near[name]) for name, tensor in frozen.tensors.items() if name.startswith("trunk."))
    with pytest.raises(RecipeError, match="no networks 'latent-none-1' read latents; there are latent-bright-1, latent-dark-1"):
        LatentSubject(dataclasses.replace(CONFIG, trunk="latent-none-1"))
    wide = LatentSubject(dataclasses.replace(CONFIG, trunk=card.name, model={**CONFIG.model, "spectrum": 4}))
    with pytest.raises(RecipeError, match=r"\[model\] trunk\.from_middle\.bias is \(16,\), and latent-dark-1 has \(32,\)"):
        wide.build()
    more = LatentSubject(dataclasses.replace(CONFIG, trunk=card.name, keep=True, model={**CONFIG.model, "blocks": 2}))
    with pytest.raises(RecipeError, match=r"trunk\.middle\.1\..* and latent-dark-1 has none: take the sizes of its card"):
        more.build()


def test_a_further_head_changes_nothing_of_what_is_kept(tiny_heads: tuple[str, ...], tmp_path: Path) -> None:
    card = latent_card("latent-dark-1")
    subject = LatentSubject(
        dataclasses.replace(CONFIG, trunk=card.name, keep=True, learning_rate=0.1, model={**CONFIG.model, "things": 3})
    )
    subject._curriculum = Curriculum([Adds()])
    model = subject.build()
    average, optimizer = copy.deepcopy(model).requires_grad_(False).eval(), make_optimizer(model, subject)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for step in range(2):
        train_step(model, model, average, optimizer, subject._curriculum.lesson(step), subject, step)
    moved = {name.split(".")[0] for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"things"}
    frozen, near = subject.freeze(average, None), load_weights(card)
    assert all(torch.equal(tensor, frozen.tensors[name]) for name, tensor in near.items())
    made = WeightsCard(**{field.name: getattr(card, field.name) for field in dataclasses.fields(WeightsCard)})
    assert subject.card(made, PROVENANCE).heads == "segment,things"
    # A run that goes on from other weights keeps them all the same.
    other = LatentSubject(dataclasses.replace(subject.config, trunk="latent-bright-1"))
    other._curriculum = Curriculum([Adds()])
    state, bright = other.thaw(frozen.tensors), load_network(latent_card("latent-bright-1")).state_dict()
    assert torch.equal(state["trunk.from_32.weight"], bright["trunk.from_32.weight"])
    assert torch.equal(state["segment.head.weight"], bright["segment.head.weight"])
    assert torch.equal(state["things.leave.weight"], widened(frozen.tensors)["things.leave.weight"])
    with pytest.raises(RecipeError, match="keep = true, and no trunk"):
        LatentSubject(dataclasses.replace(CONFIG, keep=True))
    with pytest.raises(RecipeError, match="no networks 'latent-segment-1' read latents of tiny; there are latent-bright-1"):
        LatentSubject(dataclasses.replace(CONFIG, keep=True, trunk="latent-segment-1"))
    full = LatentSubject(dataclasses.replace(CONFIG, keep=True, trunk=card.name))
    with pytest.raises(
        RecipeError, match=r"\[model\] asks for segment, and all are kept of latent-dark-1; ask for a further head"
    ):
        full.read(tmp_path, 1)


def test_a_head_may_make_features_for_itself_of_a_kept_trunk(tiny_heads: tuple[str, ...]) -> None:
    """They begin as those for all; no other head notices that they change."""
    subject = LatentSubject(dataclasses.replace(CONFIG, learning_rate=0.1, model={**CONFIG.model, "segment_own": True}))
    subject._curriculum = Curriculum([Own()])
    model = subject.build()
    assert model.segment is not None
    assert model.segment.own is not None
    bands = [torch.randn(1, channels, 2 << band, 2 << band) for band, channels in enumerate((16, 12, 32))]
    quality = torch.full((1, 8, 1, 1), 0.125)
    with torch.no_grad():
        begun = [model(bands[:count], quality) for count in (1, 2, 3)]
        assert all(torch.equal(read.segment, read.shared) for read in begun)
        torch.nn.init.normal_(model.segment.own.from_middle.weight)
        after = [model(bands[:count], quality) for count in (1, 2, 3)]
    assert all(torch.equal(new.shared, old.shared) for new, old in zip(after, begun, strict=True))
    assert not any(torch.allclose(new.segment, old.segment) for new, old in zip(after, begun, strict=True))
    assert subject.rate_factor(model, "segment.own.past.weight") == 0.25  # what begins as a part of a trained network
    plain = LatentSubject(CONFIG)
    plain._curriculum = Curriculum([Begins()])
    with pytest.raises(RecipeError, match="segment_own = true"):
        plain.thaw(dict(model.state_dict()))
    with pytest.raises(RecipeError, match="segment_own = true, and segment = 0"):
        LatentSubject(dataclasses.replace(CONFIG, model={**CONFIG.model, "segment": 0, "segment_own": True}))


def test_batches_that_come_again_are_coded_once(tiny_frequency: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = LatentSubject(dataclasses.replace(CONFIG, coded=2, model={**CONFIG.model, "segment": 0, "things": 3}))
    subject._curriculum = Curriculum([Adds()])
    lessons, model = LatentLessons(subject._curriculum, subject._reader, 2), subject.build().eval()
    assert lessons.summary == "things: greys; 2 batches by turns"
    coded, own = list[float](), subject._reader.latents

    def latents(x: Tensor, quality: Tensor, bands: int) -> tuple[list[Tensor], Tensor]:
        coded.append(float(x.mean()))
        return own(x, quality, bands)

    monkeypatch.setattr(subject._reader, "latents", latents)
    losses = [subject.loss(model, model, lessons.batch(step), step).value.item() for step in range(4)]
    assert losses[:2] == losses[2:]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(coded, [0, 16 / 255], rtol=1e-5)
    # One that stopped after them sees the same.
    again = LatentSubject(subject.config)
    again._curriculum = subject._curriculum
    fresh = LatentLessons(again._curriculum, again._reader, 2)
    again.loss(model, model, fresh.batch(0), 3)  # as when batch norms settle
    assert [again.loss(model, model, fresh.batch(step), step).value.item() for step in (2, 3)] == losses[:2]
    assert LatentLessons(subject._curriculum, subject._reader, 0).batch(2).pictures.max() == 32
    with pytest.raises(RecipeError, match="coded = -1"):
        LatentSubject(dataclasses.replace(CONFIG, coded=-1))
