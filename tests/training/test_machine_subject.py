"""Adapters for machines as what is trained: what learns and what stays, a run that stops and goes on, and weights that extend others."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from foveal.codecs.learned import weights
from foveal.codecs.learned.frequency.adapters import ADAPTER
from foveal.codecs.learned.weights import Card, load_weights, read_tensors
from foveal.errors import RecipeError
from foveal.picture import Picture
from foveal.training import loop, machine_subject
from foveal.training.checkpoint import load_tensors
from foveal.training.config import DataConfig, MachineTraining, read_recipe
from foveal.training.data import load_photos
from foveal.training.export import Provenance, export_run
from foveal.training.loop import load_initial, make_optimizer, train
from foveal.training.machine_subject import MachineSubject
from foveal.training.preprocess_task import Reading
from foveal.training.subjects import subject_of

ROOT = Path(__file__).parents[2]
TINY = MachineTraining(
    adapts="tiny", steps=4, batch=2, crop=64, warmup_steps=1, learning_rate=1e-2, ema_decay=0.5, model={"adapters": 4},
    data=DataConfig("photos/*|more/*", held_out_every=4),
)  # fmt: skip


class Green:
    """Reads green alone, as features and as answers."""

    def __init__(self, folder: Path) -> None:
        assert folder.name == "networks"

    def read(self, x: Tensor, side: int) -> Reading:
        small = nn.functional.adaptive_avg_pool2d(x[:, 1:2], side // 4)
        objects = small.repeat(1, 6, 1, 1).clamp(0.01, 0.99)
        return Reading((small,), (objects,), (small,), small.flatten(1).log_softmax(1))


@pytest.fixture
def data(tmp_path: Path, photo: Picture, tiny_frequency: Card, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine_subject, "Readers", Green)
    for name, most in (("_CALIBRATED", 2), ("_HELD_OUT_CROPS", 2), ("_CURVE_POINTS", 4), ("_MEASURED_POINTS", (1,))):
        monkeypatch.setattr(machine_subject, name, most)
    for i in range(6):
        folder = tmp_path / "data" / ("photos" if i % 2 else "more")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(photo.samples, 50 * i, axis=0)[: 96 + i, :128]).save(folder / f"{i}.png")
    return tmp_path / "data"


def _step(subject: MachineSubject, model: nn.Module, average: nn.Module, data: Path) -> None:
    lessons, optimizer = subject.read(data, 1), make_optimizer(model, subject)
    for group in optimizer.param_groups:
        group["lr"] = 1e-2
    loop.train_step(model, model, average, optimizer, lessons.batch(0), subject, 0)


def test_adapters_alone_learn_and_nothing_else_moves(data: Path) -> None:
    subject = MachineSubject(TINY)
    model = subject.build()
    average = copy.deepcopy(model).requires_grad_(False)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    optimizer = make_optimizer(model, subject)
    learned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert learned == {id(p) for name, p in model.named_parameters() if ADAPTER in name}
    _step(subject, model, average, data)
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (ADAPTER in name), name
    for moved in (model, average):
        changed = {name for name, t in moved.state_dict().items() if not torch.equal(t, before[name])}
        assert changed
        assert all(ADAPTER in name for name in changed)


def test_the_loss_is_rate_task_and_a_part_of_the_picture(data: Path) -> None:
    told = dict[float, float]()
    for part in (0.0, 1.0, 2.0):
        subject = MachineSubject(dataclasses.replace(TINY, picture=part))
        lessons, model = subject.read(data, 1), subject.build().eval()
        with torch.no_grad():
            told[part] = float(subject.loss(model, model, lessons.batch(0), 0).value)
    assert told[1.0] > told[0.0] > 0
    assert told[2.0] - told[1.0] == pytest.approx(told[1.0] - told[0.0], rel=1e-3)


def test_adapters_that_change_nothing_save_nothing(data: Path) -> None:
    subject = MachineSubject(TINY)
    line = subject.read(data, 1).measure(subject.build().eval(), torch.device("cpu"))
    assert line.startswith(("saves 0.0 %", "saves -0.0 %")), line
    assert line.endswith("0.00 dB lost for people"), line


def test_a_run_stops_goes_on_as_if_it_had_not_and_exports_what_extends_the_codec(
    data: Path, tiny_frequency: Card, tmp_path: Path
) -> None:
    lines = list[str]()
    train(dataclasses.replace(TINY, steps=4, decay_from=1.0), data, tmp_path / "whole", minutes=5, log=lines.append)
    for steps in (2, 4):
        train(dataclasses.replace(TINY, steps=steps, decay_from=1.0), data, tmp_path / "parts", minutes=5, log=lines.append)
    whole, parts = (load_tensors(tmp_path / run, "average") for run in ("whole", "parts"))
    assert all(torch.equal(tensor, parts[name]) for name, tensor in whole.items())
    assert any("held out: saves" in line for line in lines)

    card = export_run(TINY, tmp_path / "parts", weights.FOLDER, Provenance("tiny-machine", "a photograph", "none", "none"))
    assert isinstance(card, Card)
    assert (card.extends, card.preset, card.codec, card.config["adapters"]) == ("tiny", "icm", "frequency", 4)
    assert json.loads((weights.FOLDER / "tiny-machine.json").read_text())["extends"] == "tiny"
    assert card.path.stat().st_size < 0.5 * tiny_frequency.path.stat().st_size
    weights.cards.cache_clear()
    tensors, base = load_weights(weights.default_card("frequency", "icm")), load_weights(tiny_frequency)
    assert {name for name in tensors if ADAPTER in name} == tensors.keys() - base.keys()
    assert all(torch.equal(tensors[name], base[name]) for name in base)

    subject = subject_of(TINY)
    model = subject.build()
    load_initial(model, subject, read_tensors(card.path))  # as --from tiny-machine
    half = {name: t.half().float() for name, t in parts.items() if ADAPTER in name}
    assert all(torch.equal(model.state_dict()[name], t) for name, t in half.items())


def test_several_patterns_choose_photographs(data: Path) -> None:
    for pattern, count in (("photos/*", 3), ("more/*", 3), ("photos/*|more/*", 6), ("photos/*|photos/1.*", 3)):
        assert sum(map(len, load_photos(data, DataConfig(pattern), least_side=64))) == count


def test_the_shipped_recipe_is_read() -> None:
    config = read_recipe(ROOT / "recipes" / "frequency-machine.toml")
    assert isinstance(config, MachineTraining)
    assert isinstance(subject_of(config), MachineSubject)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"adapts": "small"}, "no weights 'small' of frequency; there are tiny"),
        ({"crop": 100}, "crop = 100"),
        ({"finest": 1.0}, "qualities 1 to 1"),
        ({"model": {}}, "adapters = 48"),
        ({"model": {"adapters": 0}}, "adapters = 48"),
        ({"model": {"adapters": 8, "fine": 16}}, "nothing else"),
    ],
)
def test_wrong_recipes_are_refused_by_name(tiny_frequency: Card, change: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        MachineSubject(dataclasses.replace(TINY, **change))  # type: ignore[arg-type]
