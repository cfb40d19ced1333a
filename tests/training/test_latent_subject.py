"""Networks that read latents as what is trained: what they begin with, and what learns slower for it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from foveal.codecs.learned.frequency.networks import thaw
from foveal.codecs.learned.weights import Card, load_weights
from foveal.errors import RecipeError
from foveal.tasks.latent.network import LatentNetwork
from foveal.tasks.latent.weights import latent_card, load_network
from foveal.training.config import LatentTraining
from foveal.training.latent_subject import LatentSubject
from foveal.training.latent_teaching import Curriculum, Features, Teaching
from foveal.training.loop import make_optimizer

CONFIG = LatentTraining(
    reads="tiny", steps=4, batch=2, crop_rows=64, crop_columns=128, weight_decay=0.1, begun_rate_factor=0.25,
    model={"latent_0": 16, "latent_1": 12, "latent_2": 32, "coarse": 16, "middle": 32, "blocks": 1, "spectrum": 8},
)  # fmt: skip
BEGUN = frozenset({"segment.head.weight", "segment.whole.bias"})


class Nothing:
    summary = "nothing"

    def at(self, number: int) -> Any:
        raise AssertionError("no batch is asked for")


class Begins(Teaching):
    """A part of whose head begins as a trained one."""

    head, source = "segment", Nothing()

    def begin(self, network: LatentNetwork) -> frozenset[str]:
        assert network.segment is not None
        torch.nn.init.constant_(network.segment.head.weight, 0.25)
        return BEGUN

    def told(self, shown: Any) -> None:
        return None

    def loss(self, network: LatentNetwork, features: Tensor, x: Tensor, told: Any, step: int, mixed: torch.autocast) -> Tensor:
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
    with pytest.raises(RecipeError, match=r"trunk: its sizes are not those of \[model\]"):
        wide.build()
