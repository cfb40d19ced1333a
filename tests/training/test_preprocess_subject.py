"""NPP as what is trained: what its loss is made of, a run of it, and how it ends as weights that ship."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from foveal.codecs.around.npp import Npp, NppConfig
from foveal.codecs.around.surrogate import Approximation
from foveal.codecs.learned.weights import read_tensors
from foveal.errors import MissingDependencyError, NetworkError, RecipeError, UnknownWeightsError
from foveal.picture import Picture
from foveal.training import middle, preprocess_subject
from foveal.training.config import AroundConfig, DataConfig, read_recipe
from foveal.training.export import Provenance, export_run
from foveal.training.host import Host
from foveal.training.loop import load_initial, train
from foveal.training.middle import Middle, Passed
from foveal.training.preprocess_curves import Curves, Measured, measure, saved
from foveal.training.preprocess_subject import PreprocessLessons, PreprocessSubject
from foveal.training.preprocess_task import PARTS, Readers, Reading, Spread, losses, sides_of
from foveal.training.subjects import subject_of

ROOT = Path(__file__).parents[2]
TINY = AroundConfig(
    part="preprocess", host="jpeg", steps=3, batch=2, crop=64, warmup_steps=1,
    model={"full": 4, "half": 4, "quarter": 4, "eighth": 4}, data=DataConfig("photos/*", held_out_every=3),
)  # fmt: skip


class Double(nn.Module):
    """Takes a bit for each level that neighbours differ by, in green and in how the others differ from it, and blurs."""

    def forward(self, picture: Tensor, level: Tensor) -> Approximation:
        planes = torch.cat((picture[:, 1:2], picture[:, ::2] - picture[:, 1:2]), 1)
        differences = planes.diff(dim=2).abs().sum((1, 2, 3)) + planes.diff(dim=3).abs().sum((1, 2, 3))
        return Approximation(nn.functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False), 255 * differences)


class Green:
    """Reads green alone, as features and as answers."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NetworkError(f"{folder} is missing")

    def read(self, x: Tensor, side: int) -> Reading:
        small = nn.functional.adaptive_avg_pool2d(x[:, 1:2], side // 4)
        objects = small.repeat(1, 6, 1, 1).clamp(0.01, 0.99)
        return Reading((small,), (objects,), (small,), small.flatten(1).log_softmax(1))


@pytest.fixture
def doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middle, "card_for", lambda part, host: (part, host))
    monkeypatch.setattr(middle, "load_surrogate", lambda card: Double())
    monkeypatch.setattr(preprocess_subject, "Readers", Green)
    monkeypatch.setattr(preprocess_subject, "_CALIBRATED", 6)


@pytest.fixture
def data(tmp_path: Path, photo: Picture) -> Path:
    for name in ("photos", "networks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for i in range(5):
        Image.fromarray(np.roll(photo.samples, 50 * i, axis=0)[: 96 + i, :128]).save(tmp_path / "data" / "photos" / f"{i}.png")
    return tmp_path / "data"


def told(lines: list[str]) -> list[float]:
    """What the measured lines say is saved in all, in percent."""
    return [float(found[1]) for line in lines if (found := re.search(r"held out: saves (\S+) %", line))]


def of_curve(levels: list[float], lost: float) -> Measured:
    """A codec whose rate is e^(3 level), and whose losses fall as a power of it."""
    at = np.array(levels)
    return Measured(at, 3 * at, np.broadcast_to((-lost * 3 * at)[:, None, None], (len(at), 2, 4)).copy())


def test_a_trade_is_the_slope_of_the_codec_s_own_curve() -> None:
    curves = Curves(of_curve([0.0, 0.1, 0.4, 1.0], 2))
    trade = curves.at([0.0, 0.25, 1.0], 1)
    assert trade.rate.log().tolist() == pytest.approx([0, 0.75, 3], abs=1e-5)
    assert torch.allclose(trade.exchange, torch.full((3, 4), 0.5), atol=1e-3)
    assert torch.allclose(trade.lost.log(), -2 * trade.rate.log()[:, None].expand(-1, 4), atol=1e-3)
    assert [curves.level(part) for part in (0.0, 0.5, 1.0)] == pytest.approx([0, 0.5, 1], abs=1e-6)
    assert Curves(of_curve([0.0, 0.5, 1.0], 0.001)).at([0.5], 0).exchange.max() < 4  # an end of a parabola that is flat


def test_what_is_saved_is_rate_at_equal_loss() -> None:
    base = of_curve([0.0, 0.3, 0.6, 1.0], 2)
    assert not saved(base, base).any()
    some = of_curve([0.3, 1.0], 2)
    cheaper = dataclasses.replace(some, rate=some.rate + math.log(0.8))
    assert np.allclose(saved(base, cheaper), math.log(0.8), atol=1e-6)
    better = some.lost.copy()
    better[:, 1, 2] -= 0.5  # one part at one side
    logs = saved(base, dataclasses.replace(some, lost=better))
    assert np.allclose(logs[:, 1, 2], -0.25, atol=1e-3)
    assert np.allclose(logs[:, 0], 0, atol=1e-6)
    with pytest.raises(ValueError, match=r"0\.4"):
        saved(base, of_curve([0.4], 2))


def test_losses_of_equal_readings_are_nothing_and_others_are_as_by_hand() -> None:
    x = torch.rand(2, 3, 64, 64)
    reading = Green(ROOT).read(x, 64)
    spread = Spread.of([reading])
    assert losses(reading, reading, spread).abs().max() < 1e-6
    layer = reading.detected[0]
    variance = layer.transpose(0, 1).flatten(1).var(1) + 1e-3
    assert torch.allclose(spread.detected[0].flatten(), variance)
    moved = dataclasses.replace(reading, detected=(layer + torch.tensor([0.1, 0.0])[:, None, None, None],))
    assert torch.allclose(losses(reading, moved, spread)[0], torch.tensor([float((0.01 / variance).mean()), 0, 0, 0]), atol=1e-6)
    objects = torch.zeros(1, 7, 1, 1)
    objects[0, 4:, 0, 0] = torch.tensor([0.5, 0.2, 0.9])
    other = objects.clone()
    other[0, 0], other[0, 4], other[0, 6] = 0.3, 0.25, 0.8
    a, b = (Reading((), (o,), (), torch.zeros(1, 1)) for o in (objects, other))
    there = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    of_class = 0.9 * math.log(0.9 / 0.8) + 0.1 * math.log(0.1 / 0.2)
    from foveal.training import preprocess_task

    assert float(preprocess_task._moved(a.objects[0], b.objects[0])) == pytest.approx(there + 0.5 * (of_class + 0.09), abs=1e-4)
    classes = [torch.tensor([[0.7, 0.3]]).log(), torch.tensor([[0.6, 0.4]]).log()]
    a, b = (dataclasses.replace(reading, classes=c.expand(2, -1)) for c in classes)
    wanted = 0.7 * math.log(0.7 / 0.6) + 0.3 * math.log(0.3 / 0.4)
    assert losses(a, b, spread)[:, 3].tolist() == pytest.approx([wanted, wanted], abs=1e-5)


def test_networks_are_read_as_they_want_it_at_any_size(tmp_path: Path) -> None:
    """Their files here: 1x1 convolutions of strides that give the first channel, the others at nothing."""
    onnx: Any = pytest.importorskip("onnx", reason="the networks need it: pip install 'foveal[distil]'")
    pytest.importorskip("onnxruntime", reason="the networks need it: pip install 'foveal[distil]'")
    from foveal.training.preprocess_task import _DETECTED, _LOGITS, _OBJECTS, _SCENE

    def network(name: str, outputs: dict[str, int], pooled: str | None = None) -> None:
        nodes, weight = [], np.zeros((8, 3, 1, 1), np.float32)
        weight[0, 0] = 1
        for out, stride in outputs.items():
            nodes.append(onnx.helper.make_node("Conv", ["x", "w"], [out], strides=[stride, stride]))
        if pooled:
            nodes.append(onnx.helper.make_node("Conv", ["x", "w"], ["all"]))
            nodes.append(onnx.helper.make_node("GlobalAveragePool", ["all"], [pooled]))
        values = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 3, 64, 64))]
        graph = onnx.helper.make_graph(
            nodes, "g", values, [onnx.helper.make_empty_tensor_value_info(o) for o in [*outputs, *([pooled] if pooled else [])]],
            [onnx.numpy_helper.from_array(weight, "w")],
        )  # fmt: skip
        onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), tmp_path / name)

    with pytest.raises(NetworkError, match=r"yolox_nano_coco\.onnx is missing"):
        Readers(tmp_path)
    network("yolox_nano_coco.onnx", {name: 8 * 2 ** (i % 3) for i, name in enumerate((*_DETECTED, *_OBJECTS))})
    network("mobilenet_v2_imagenet.onnx", {_SCENE[0]: 16, _SCENE[1]: 32}, pooled=_LOGITS)
    x = torch.zeros(2, 3, 128, 128)
    x[:, 0], x[:, 2] = 0.25, 0.75  # red, blue
    x.requires_grad_(True)
    for side in sides_of(128):
        seen = Readers(tmp_path).read(x, side)
        assert [layer.shape[2] for layer in seen.detected] == [side // 8, side // 16, side // 32]
        assert torch.allclose(seen.detected[0][:, 0], torch.tensor(0.75 * 255))  # blue first, 0..255
        assert torch.allclose(seen.scene[1][:, 0], torch.tensor(0.25))  # red first, 0..1
        assert seen.classes.exp().sum(1).tolist() == pytest.approx([1, 1])
        (slope,) = torch.autograd.grad(seen.detected[0].sum() + seen.classes.sum(), x)
        assert slope.abs().sum() > 0
    assert sides_of(128) == (64, 96, 128)
    assert sides_of(256) == (128, 160, 192, 256)


def test_values_are_the_codec_s_and_gradients_the_surrogate_s(
    doubles: None, photo: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.from_numpy(photo.samples[None, :64, :64].copy()).permute(0, 3, 1, 2).float() / 255
    x.requires_grad_(True)
    middle, real, double = Middle("jpeg"), Host("jpeg").code(photo.samples[:64, :64], 20), Double()(x, torch.zeros(1))
    passed = middle.through(x, [20])
    assert passed.bits.tolist() == [real.bits]
    assert (passed.decoded[0].permute(1, 2, 0) * 255).round().byte().equal(torch.from_numpy(real.decoded.copy()))
    weights = torch.randn(passed.decoded.shape)
    for mine, its, factor in (
        ((passed.decoded * weights).sum(), (double.picture * weights).sum(), 1.0),
        (passed.bits.sum(), double.bits.sum(), real.bits / double.bits.item()),
    ):
        slope, wanted = (torch.autograd.grad(value, x, retain_graph=True)[0] for value in (mine, its))
        assert wanted.abs().max() > 0
        assert torch.allclose(slope, factor * wanted, rtol=1e-3, atol=1e-4)
    assert middle.code(x.detach(), 20).bits.tolist() == [real.bits]

    def absent(self: Host, pixels: object, quality: float) -> None:
        raise MissingDependencyError("av")

    monkeypatch.setattr(Host, "code", absent)
    alone = Middle("jpeg")
    assert not alone.runs
    assert torch.equal(alone.through(x, [20]).bits, double.bits)
    assert torch.equal(alone.code(x.detach(), 20).decoded, double.picture.clamp(0, 1))


def test_steps_see_all_qualities_and_sizes_and_nothing_that_is_held_out(doubles: None, data: Path) -> None:
    lessons = PreprocessLessons(data, TINY, 3)
    assert lessons.summary.startswith("3 photographs, 2 held out; jpeg alone takes ")
    shown = [lessons.batch(step) for step in range(60)]
    assert {one.side for one in shown} == set(range(len(lessons.sides)))
    coarse, fine = (sorted(one.qualities[i] for one in shown) for i in (0, 1))
    assert 5 <= coarse[0] < 8
    assert 60 < fine[-1] <= 70
    assert coarse[-1] <= fine[0] + 1
    assert all(quality == round(quality) for one in shown for quality in one.qualities)
    again, other = PreprocessLessons(data, TINY, 3).batch(7), PreprocessLessons(data, TINY, 4).batch(7)
    assert (again.pixels == shown[7].pixels).all()
    assert (again.qualities, again.side) == (shown[7].qualities, shown[7].side)
    assert (other.pixels != shown[7].pixels).any()


def test_a_network_that_changes_nothing_saves_nothing(doubles: None, data: Path) -> None:
    subject = PreprocessSubject(TINY)
    line = subject.read(data, 1).measure(subject.build(), torch.device("cpu"))
    assert re.match(r"saves -?0\.0 % \(q9 -?0\.0 %, q15 -?0\.0 %, q33 -?0\.0 %, q57 -?0\.0 %; detector's features -?0\.0 %", line)
    assert all(part in line for part in PARTS)
    assert line.endswith("100.0 dB before the codec")


def test_the_loss_of_an_unchanged_picture_is_what_the_curves_say(doubles: None, data: Path) -> None:
    subject = PreprocessSubject(dataclasses.replace(TINY, batch=4))
    lessons, net = subject.read(data, 1), subject.build()
    values = [float(subject.loss(net, net, lessons.batch(step), step).value.detach()) for step in range(12)]
    levels = [lessons.curves.level(part) for part in (0.1, 0.4, 0.6, 0.9)]
    wanted = 1 + float(torch.stack([lessons.curves.at(levels, i).exchange for i in range(len(lessons.sides))]).mean())
    assert np.mean(values) == pytest.approx(wanted, rel=0.25)


def test_a_run_learns_and_ends_as_weights_that_ship(doubles: None, data: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    config = dataclasses.replace(TINY, steps=50, learning_rate=2e-3, ema_decay=0.8, decay_from=0.5)
    assert isinstance(subject_of(config), PreprocessSubject)
    reached = train(config, data, tmp_path / "run", minutes=5, log=lines.append)
    assert reached.step == 50
    card = export_run(config, tmp_path / "run", tmp_path / "out", Provenance("p", "some", "none", "recipes/p.toml"))
    assert (card.part, card.host, card.default) == ("preprocess", "jpeg", True)  # type: ignore[attr-defined]
    assert card.config == {**TINY.model, "coarse": 5.0, "fine": 70.0}
    shipped = Npp(NppConfig(**card.config))  # type: ignore[arg-type]
    subject = PreprocessSubject(config)
    load_initial(shipped, subject, read_tensors(tmp_path / "out" / "p.safetensors.xz"))
    lessons = subject.read(data, 1)
    measured = lessons.measure(shipped, torch.device("cpu"))
    assert told([f"held out: {measured}"])[0] == pytest.approx(told(lines)[-1], abs=1)

    def loss(net: Npp) -> float:
        with torch.no_grad():
            return float(np.mean([float(subject.loss(net, net, lessons.batch(step), step).value) for step in range(10)]))

    assert loss(shipped) < loss(subject.build()) - 0.02


def test_the_semantic_branch_rests_until_its_turn(doubles: None, data: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(TINY, steps=4, model={**TINY.model, "semantic_from": 3}, warmup_steps=0)
    subject = PreprocessSubject(config)
    lessons, net = subject.read(data, 1), subject.build()
    assert subject.rate_factor(net, "semantic.last.weight") < subject.rate_factor(net, "detail.last.weight") == 1
    for step, learns in ((2, False), (3, True)):
        net.zero_grad(set_to_none=True)
        torch.nn.init.normal_(net.detail.last.weight, std=0.1)
        subject.loss(net, net, lessons.batch(step), step).value.backward()
        assert (net.semantic.last.weight.grad is not None) == learns
        assert net.detail.first.weight.grad is not None
    train(config, data, tmp_path / "run", minutes=5, log=lambda line: None)
    card = export_run(config, tmp_path / "run", tmp_path / "out", Provenance("p", "some", "none", "recipes/p.toml"))
    assert "semantic_from" not in card.config
    assert card.reads == "proxy-3"  # type: ignore[attr-defined]
    with pytest.raises(RecipeError, match="semantic_from = -1; 0 or more is needed"):
        PreprocessSubject(dataclasses.replace(TINY, model={"semantic_from": -1}))


def test_measuring_counts_every_crop_once() -> None:
    x = torch.rand(5, 3, 64, 64)
    reading = Green(ROOT).read(x, 64)
    spread = Spread.of([reading])

    def code(some: Tensor, quality: float) -> Passed:
        return Passed((some + 1 / quality).clamp(0, 1), torch.full((len(some),), 64 * 64 * quality))

    found = measure(code, x, Green(ROOT).read, spread, [2, 4], (32, 64))
    assert np.exp(found.rate) == pytest.approx([2, 4])
    for i, quality in enumerate((2, 4)):
        for j, side in enumerate((32, 64)):
            own = losses(Green(ROOT).read(x, side), Green(ROOT).read((x + 1 / quality).clamp(0, 1), side), spread).mean(0)
            assert np.exp(found.lost[i, j]) == pytest.approx(own.numpy(), rel=1e-3, abs=1e-6)


def test_recipes_are_read() -> None:
    for host in ("jpeg", "hevc", "vvc"):
        config = read_recipe(ROOT / "recipes" / f"preprocess-{host}.toml")
        assert isinstance(config, AroundConfig)
        assert (config.part, config.host) == ("preprocess", host)
        assert isinstance(subject_of(config).build(), Npp)


def test_runs_that_cannot_be_are_named(doubles: None, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match="crop = 72; a multiple of 64 is needed"):
        PreprocessSubject(dataclasses.replace(TINY, crop=72))
    with pytest.raises(RecipeError, match="unknown key 'depth'"):
        PreprocessSubject(dataclasses.replace(TINY, model={"depth": 3})).read(data, 1)
    with pytest.raises(RecipeError, match="host = 'png'; jpeg, hevc, vvc are allowed"):
        PreprocessSubject(dataclasses.replace(TINY, host="png")).read(data, 1)
    (data / "networks").rmdir()
    with pytest.raises(NetworkError, match="networks is missing"):
        PreprocessSubject(TINY).read(data, 1)

    def none(part: str, host: str) -> None:
        raise UnknownWeightsError(f"no {part} network for {host}")

    monkeypatch.setattr(middle, "card_for", none)
    with pytest.raises(UnknownWeightsError, match="no surrogate network for jpeg"):
        PreprocessSubject(TINY).read(data, 1)
