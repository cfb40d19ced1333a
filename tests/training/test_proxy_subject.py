"""The proxy that guides codecs as what is trained: its lessons, a run of it, and how it ends as weights that ship."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.format import open_memmap

from foveal.codecs.learned.weights import load_weights, read_tensors
from foveal.errors import RecipeError
from foveal.guidance.importance import ProxyReader
from foveal.picture import Picture
from foveal.tasks import builtin
from foveal.tasks.builtin import network_card
from foveal.tasks.proxy import TASKS, lessons
from foveal.tasks.proxy.crops import NO_PART
from foveal.tasks.proxy.harm import GRID
from foveal.tasks.proxy.harm_lessons import SIDE, HarmLessons
from foveal.tasks.proxy.learning import harm_loss
from foveal.tasks.proxy.network import HEADS, Proxy, ProxyConfig, load_frozen
from foveal.tasks.residual import fold
from foveal.training.config import NetworkConfig
from foveal.training.export import Provenance, export_run
from foveal.training.loop import load_initial, make_optimizer, train
from foveal.training.proxy_subject import ProxyLessons, ProxySubject
from foveal.training.subjects import subject_of

SMALL = {"stem": 8, "fine": 8, "middle": 8, "coarse": 16, "whole": 16, "coarse_blocks": 1, "whole_blocks": 1}
TINY = NetworkConfig("proxy", steps=2, batch=2, warmup_steps=1, model=dict(SMALL))


@pytest.fixture(scope="module")
def fake_lessons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pairs of noise, and answers of noise."""
    folder, chance = tmp_path_factory.mktemp("lessons"), np.random.default_rng(0)
    for name, (sides, kind) in lessons._SHAPES.items():
        array = open_memmap(folder / f"{name}.npy", "w+", kind, (8, *sides))
        if name == "squares":
            array[:] = chance.integers(0, 256, array.shape, np.uint8)
        elif name == "parts":
            array[:] = chance.integers(0, NO_PART + 1, array.shape, np.uint8)
        else:
            array[:] = chance.random(array.shape, np.float32)
        array.flush()
    spread = {name: [[0.5] * lessons._SHAPES[name][0][0], [0.3] * lessons._SHAPES[name][0][0]] for name in lessons.SPREAD_OF}
    (folder / "spread.json").write_text(json.dumps(spread))
    return folder


@pytest.fixture
def with_harm(fake_lessons: Path, tmp_path: Path) -> Path:
    """The same, and two folders of lessons of harm: it is where a square is light, and nothing is told of segments."""
    folder = tmp_path / "with_harm"
    folder.mkdir()
    for path in fake_lessons.iterdir():
        (folder / path.name).symlink_to(path)
    for name, squares in (("harm-1", 6), ("harm-b", 41)):
        write_harm(folder / name, squares)
    return folder


def write_harm(folder: Path, squares: int) -> None:
    folder.mkdir()
    chance = np.random.default_rng(squares)
    light = np.kron(chance.integers(0, 2, (squares, 4, 4)), np.ones((8, 8), int))
    told = np.repeat((0.1 + 1.9 * light)[:, None], len(TASKS), 1)
    told /= told.mean((2, 3), keepdims=True)
    told[:, TASKS.index("segment")] = -1
    shown = open_memmap(folder / "squares.npy", "w+", np.uint8, (squares, SIDE, SIDE, 3))
    shown[:] = np.kron(60 + 130 * light, np.ones((8, 8), int))[..., None]
    harm = open_memmap(folder / "harm.npy", "w+", np.float16, told.shape)
    harm[:] = told
    shown.flush()
    harm.flush()
    (folder / "whole").touch()


def test_a_run_learns_and_ends_as_weights_that_guide(
    fake_lessons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: Picture
) -> None:
    lines: list[str] = []
    before = subject_of(TINY).build().state_dict()
    train(TINY, fake_lessons, tmp_path / "run", minutes=5, log=lines.append)
    assert any("3 pairs, 1 held out; 0 squares with harm; 1 x cpu; from step 0 of 2" in line for line in lines)
    assert any("features8 change" in line and "loss faces" in line for line in lines)
    assert not any("harm of" in line for line in lines)
    trained = read_tensors(tmp_path / "run" / "model.safetensors")
    assert any(not torch.equal(trained[name], before[name]) for name in before)

    card = export_run(TINY, tmp_path / "run", tmp_path / "out", Provenance("tiny", "noise", "none", "tiny.toml"), fake_lessons)
    assert card.recipe.startswith("tiny.toml; batch norm folded, in steps")
    assert card.recipe.endswith("; scales by 1 squares held out")
    monkeypatch.setattr("foveal.codecs.learned.weights.FOLDER", tmp_path / "out")
    monkeypatch.setattr(builtin, "FOLDER", tmp_path / "out")
    monkeypatch.setitem(builtin.GUIDING, "proxy", "tiny")
    tensors = load_weights(network_card("proxy"))
    assert tensors["scales"].dtype == torch.float32
    assert torch.isfinite(tensors["scales"]).all()
    assert len(set(tensors["scales"].tolist())) == len(HEADS)
    assert all(
        t.dtype == (torch.int8 if t.ndim > 1 else torch.float16)
        for name, t in tensors.items()
        if name.endswith((".weight", ".bias"))
    )
    proxy = load_frozen(tensors, ProxyConfig(**card.config))  # type: ignore[arg-type]
    part = Picture(photo.samples[:32, :48].copy())
    for scores in ("harm", "gradients"):
        assert ProxyReader(proxy).importance(part, scores=scores).score.shape == (32, 48)
    subject_of(TINY).build().load_state_dict(subject_of(TINY).thaw(tensors))

    bare = export_run(TINY, tmp_path / "run", tmp_path / "bare", Provenance("bare", "noise", "none", "tiny.toml"))
    assert "scales not measured" in bare.recipe
    assert (read_tensors(tmp_path / "bare" / "bare.safetensors.xz")["scales"] == 1).all()


def test_runs_without_lessons_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="holds no lessons of the proxy"):
        train(TINY, tmp_path, tmp_path / "run", minutes=5, log=lambda _: None)
    with pytest.raises(RecipeError, match="unknown key 'depth'"):
        subject_of(dataclasses.replace(TINY, model={"depth": 3})).build()


def test_steps_see_squares_with_harm_that_are_not_held_out(with_harm: Path) -> None:
    found = ProxyLessons(with_harm, batch=4, seed=5)
    assert found.summary == "3 pairs, 1 held out; 45 squares with harm"
    folders = HarmLessons.read([with_harm / "harm-1", with_harm / "harm-b"])
    assert [some.held_out for some in folders] == [1, 1]
    shown = [some.squares[:, ::64, ::64, 0] for some in folders]  # they are of 4x4 colours
    seen, mirrored = [set[int](), set[int]()], 0
    for step in range(40):
        harmed = found.batch(step).harmed
        assert harmed is not None
        assert harmed.x.shape == (8, 3, SIDE, SIDE)
        assert harmed.harm.shape == (8, len(TASKS), GRID, GRID)
        squares = (harmed.x * 255).round().byte().permute(0, 2, 3, 1).numpy()
        for square, told in zip(squares, harmed.harm.numpy(), strict=True):
            (of, row, way), *_ = [
                (i, j, way)
                for i, some in enumerate(shown)
                for way in (1, -1)
                for j in np.flatnonzero((some == square[::64, ::64, 0][:, ::way]).all((1, 2)))
            ]
            assert (folders[of].harm[row] == told[:, :, ::way]).all()
            seen[of].add(int(row))
            mirrored += way < 0
    assert 80 < mirrored < 240
    assert seen[0] == set(range(5))
    assert seen[1] <= set(range(40))
    assert len(seen[1]) > 30
    again, other = ProxyLessons(with_harm, 4, 5).batch(7), ProxyLessons(with_harm, 4, 6).batch(7)
    first = found.batch(7)
    assert torch.equal(first.harmed.x, again.harmed.x)  # type: ignore[union-attr]
    assert torch.equal(first.pairs.x, again.pairs.x)
    assert not torch.equal(first.harmed.x, other.harmed.x)  # type: ignore[union-attr]


def test_without_lessons_of_harm_pairs_alone_are_seen(fake_lessons: Path) -> None:
    assert ProxyLessons(fake_lessons, 4, 5).batch(0).harmed is None


def told_harm(line: str) -> dict[str, float]:
    """What the measured line says of harm, in percent by task."""
    return {task: float(value) for task, value in re.findall(r"harm of (\w+) (\S+) %", line)}


def test_a_run_learns_where_harm_is(with_harm: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    config = dataclasses.replace(TINY, steps=30, learning_rate=3e-3, warmup_steps=3, ema_decay=0.8)
    harm = HarmLessons.read([with_harm / "harm-b"])[0]
    x = torch.from_numpy(np.array(harm.squares[-5:])).permute(0, 3, 1, 2).float() / 255
    told = torch.from_numpy(harm.harm[-5:].astype(np.float32))

    def loss(model: torch.nn.Module) -> float:
        with torch.no_grad():
            return float(harm_loss(model.eval().harm(x), told))  # type: ignore[operator]

    torch.manual_seed(config.seed)
    before = loss(subject_of(config).build())
    train(config, with_harm, tmp_path / "run", minutes=5, threads=1, log=lines.append)
    assert any("3 pairs, 1 held out; 45 squares with harm; 1 x cpu" in line for line in lines)
    trained = subject_of(config).build()
    trained.load_state_dict(read_tensors(tmp_path / "run" / "average.safetensors"))
    assert loss(trained) < 0.5 * before
    explained = told_harm(lines[-1])
    assert list(explained) == list(TASKS)
    assert math.isnan(explained["segment"])
    assert all(explained[task] > 40 for task in TASKS if task != "segment")


def test_the_measured_line_is_of_all_that_is_held_out(with_harm: Path) -> None:
    """Of a proxy that says what was told it is 100 %, of one that says the same everywhere 0."""
    found, model = ProxyLessons(with_harm, 2, 1), subject_of(TINY).build().eval()

    class Right(torch.nn.Module):
        asked = 0

        def forward(self, x: torch.Tensor) -> object:
            return model(x)

        def harm(self, x: torch.Tensor) -> torch.Tensor:
            self.asked += len(x)
            light = torch.nn.functional.avg_pool2d(x[:, :1], 8) > 0.5
            return 0.5 * torch.where(light, 2.0, 0.1).log().expand(-1, len(TASKS), -1, -1)

    right = Right()
    explained = told_harm(found.measure(right, torch.device("cpu")))
    assert right.asked == 2
    assert [explained[task] for task in ("classify", "detect", "pose")] == pytest.approx([100, 100, 100], abs=0.1)
    torch.nn.init.zeros_(model.harms.last.weight)  # type: ignore[union-attr,arg-type]
    explained = told_harm(found.measure(model, torch.device("cpu")))
    assert [explained[task] for task in ("classify", "detect", "pose")] == pytest.approx([0, 0, 0], abs=0.1)


def test_lessons_of_harm_that_were_cut_off_are_named(with_harm: Path, tmp_path: Path) -> None:
    (with_harm / "harm-b" / "whole").unlink()
    with pytest.raises(RecipeError, match=r"harm-b holds no lessons of harm"):
        train(TINY, with_harm, tmp_path / "run", minutes=5, log=lambda _: None)


def test_the_head_of_harm_learns_faster() -> None:
    subject = subject_of(TINY)
    model = subject.build()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    factors = {names[id(p)]: group["factor"] for group in make_optimizer(model, subject).param_groups for p in group["params"]}
    assert factors.keys() == set(names.values())
    assert {factor for name, factor in factors.items() if name.startswith("harms.")} == {3.0}
    assert {factor for name, factor in factors.items() if not name.startswith("harms.")} == {1.0}


@pytest.mark.parametrize("folded", [False, True])
def test_weights_from_before_there_was_harm_are_started_from(folded: bool, with_harm: Path, tmp_path: Path) -> None:
    subject = subject_of(TINY)
    torch.manual_seed(7)
    old = subject.build()
    assert isinstance(old, Proxy)
    tensors = fold(old.eval()) if folded else old.eval().state_dict()
    before = {name: t for name, t in tensors.items() if not name.startswith("harms.")}
    assert len(before) == len(tensors) - 10
    model = subject.build()
    load_initial(model, subject, before)
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        own, others = model.eval()(x), old(x)
    for one, other in zip((*own.features, own.faces, own.classes), (*others.features, others.faces, others.classes), strict=True):
        assert torch.allclose(one, other, atol=2e-3 if folded else 0)
    assert own.harm.std() > 0
    assert not torch.allclose(own.harm, others.harm, atol=1e-2)
    whole = subject.build()
    load_initial(whole, subject, tensors)
    with torch.no_grad():
        assert torch.allclose(whole.eval().harm(x), others.harm, atol=2e-3)  # type: ignore[operator]
    train(TINY, with_harm, tmp_path / "run", minutes=5, initial=before, log=lambda _: None)
    trained = read_tensors(tmp_path / "run" / "model.safetensors")
    assert all(torch.isfinite(t).all() for t in trained.values())
    with pytest.raises(RecipeError, match="the initial weights do not fit proxy of the recipe's sizes"):
        load_initial(subject.build(), subject, {name: t for name, t in before.items() if not name.startswith("stem.")})


def test_all_weights_have_gradients_with_and_without_lessons_of_harm(with_harm: Path, fake_lessons: Path) -> None:
    """Processes that train together wait for those of all weights."""
    for data in (with_harm, fake_lessons):
        subject = ProxySubject(TINY)
        model, lessons = subject.build(), subject.read(data, 1)
        subject.loss(model, model, lessons.batch(0), 0).value.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.slow
def test_two_processes_train_one_proxy(with_harm: Path, fake_lessons: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    sizes = "\n".join(f"{name} = {value}" for name, value in SMALL.items())
    recipe.write_text(f'network = "proxy"\nsteps = 3\nbatch = 2\n[model]\n{sizes}\n')
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "--", "foveal.training"]
    for data in (with_harm, fake_lessons):
        run = tmp_path / "run" / data.name
        options = [str(recipe), "--data", str(data), "--run", str(run), "--device", "cpu", "--threads", "1"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        assert json.loads((run / "progress.json").read_text())["step"] == 3
