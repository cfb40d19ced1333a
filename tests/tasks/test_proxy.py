"""The proxy that guides codecs: its network, its gradients, what it learns from, and what it minimises."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from foveal.codecs.learned.weights import cards, load_weights
from foveal.errors import MissingDependencyError, NetworkError, RecipeError
from foveal.tasks.builtin import load_builtin, network_card
from foveal.tasks.proxy import TASKS, lessons, teachers
from foveal.tasks.proxy.crops import NO_PART, PART_SIDE, SIDE, draw, sources
from foveal.tasks.proxy.learning import as_shown, explained, harm_explained, harm_loss, losses
from foveal.tasks.proxy.lessons import Lessons, make_lessons
from foveal.tasks.proxy.network import HEADS, OBJECT_CHANNELS, STEP, Proxy, ProxyConfig, Seen, load_frozen
from foveal.tasks.proxy.surprise import head_scales, squared_gradients
from foveal.tasks.proxy.teachers import Teachers
from foveal.tasks.residual import fold, shortened, unfold
from foveal.training.config import NetworkConfig, read_recipe

ROOT = Path(__file__).parents[2]
SMALL = {"stem": 8, "fine": 8, "middle": 8, "coarse": 16, "whole": 16, "coarse_blocks": 1, "whole_blocks": 1}
CONFIG = ProxyConfig(**SMALL, features=8, scene_coarse=8, scene_whole=8, classes=5)


def lived_in() -> Proxy:
    """A network whose batch norms have counted something, and whose factors differ."""
    torch.manual_seed(3)
    model = Proxy(CONFIG)
    for name, parameter in model.named_parameters():
        if ".norm." in name:
            torch.nn.init.uniform_(parameter, 0.2, 1.5)
    for _ in range(5):
        model(torch.rand(2, 3, 64, 64))
    return model.eval()


def outputs(seen: Seen) -> list[torch.Tensor]:
    return [*seen.features, *seen.objects, *seen.scene, seen.classes, seen.parts, seen.faces, seen.harm]


@pytest.mark.parametrize("size", [(64, 96), (47, 63), (1, 1), (5, 200)])
@torch.no_grad()
def test_pictures_of_any_size_are_seen(size: tuple[int, int]) -> None:
    rows, columns = (-(-side // STEP) for side in size)
    model, x = lived_in(), torch.rand(2, 3, *size)
    seen = model(x)
    for scale, features, objects in zip((4, 2, 1), seen.features, seen.objects, strict=True):
        assert features.shape == (2, 8, scale * rows, scale * columns)
        assert objects.shape == (2, OBJECT_CHANNELS, scale * rows, scale * columns)
    assert [tuple(s.shape) for s in seen.scene] == [(2, 8, 2 * rows, 2 * columns), (2, 8, rows, columns)]
    assert seen.classes.shape == (2, 5)
    assert seen.parts.shape == (2, 11, 8 * rows, 8 * columns)
    assert seen.faces.shape == (2, 1, 4 * rows, 4 * columns)
    assert seen.harm.shape == (2, len(TASKS), 4 * rows, 4 * columns)
    assert torch.equal(model.harm(x), seen.harm)


@torch.no_grad()
def test_folded_batch_norm_computes_the_same_and_is_trained_on() -> None:
    model, x = lived_in(), torch.rand(1, 3, 50, 70)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "half", torch.Tensor.float)
        exact = load_frozen(fold(model), CONFIG)
    for one, other in zip(outputs(exact(x)), outputs(model(x)), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    tensors = fold(model)
    assert {t.dtype for t in tensors.values()} == {torch.float16}
    again = Proxy(CONFIG)
    again.load_state_dict(unfold(tensors, Proxy(CONFIG)))
    for one, other in zip(outputs(again.eval()(x)), outputs(load_frozen(tensors, CONFIG)(x)), strict=True):
        assert torch.allclose(one, other, atol=1e-3)
    with pytest.raises(RuntimeError):
        load_frozen(tensors, ProxyConfig())


def test_shortened_weights_are_the_nearest_of_few_bits() -> None:
    x = torch.tensor([1.0, 1 + 1 / 64, 1 + 3 / 64, 2.0, -0.3, 0.0, 6e-8, 65504]).half()
    short = shortened({"x": x}, 5)["x"]
    assert short.dtype == torch.float16
    assert short[:4].tolist() == pytest.approx([1, 1, 1 + 2 / 32, 2], abs=1 / 32)
    assert (short.view(torch.int16) & 31 == 0).all()
    finite = x[:6].double()
    assert ((short[:6].double() - finite).abs() <= finite.abs() / 64 + 1e-9).all()


def test_a_score_is_the_information_in_each_pixel() -> None:
    """Of a proxy with one class map that says a number ``n`` of its only pixel: ``p (1 - p) (dn/dx) ** 2`` on the mean."""
    proxy = Proxy(CONFIG, folded=True).eval().requires_grad_(False)
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        for parameter in proxy.parameters():
            parameter.zero_()
        for layer in (proxy.stem, proxy.to_fine, proxy.to_middle, proxy.join_middle):
            layer.conv.weight[0, 0, 1, 1] = 1
        proxy.faces.weight[0, 0] = 1
        logits = proxy(x).faces[0, 0]
    wanted = torch.zeros(32, 32)
    p, read = logits.sigmoid(), (x[0, 0, ::8, ::8] > 0.45).float()
    wanted[::8, ::8] = read * p * (1 - p) * (1 / 0.27) ** 2
    score = squared_gradients(proxy, x, {"faces": 1.0}, 500)[0]
    assert (score[wanted == 0] == 0).all()
    assert torch.allclose(score, wanted, rtol=0.5, atol=0)
    assert float(score.sum()) == pytest.approx(float(wanted.sum()), rel=0.1)
    one, four = (squared_gradients(proxy, x, {"faces": weight}, 3)[0] for weight in (1.0, 4.0))
    assert torch.allclose(four, 4 * one, rtol=1e-4)


def test_scales_bring_the_heads_to_a_mean_of_1() -> None:
    proxy = load_frozen(fold(lived_in()), CONFIG)
    x = torch.rand(3, 3, 64, 64)
    scales = head_scales(proxy, x)
    assert scales.shape == (len(HEADS),)
    for head, scale in zip(HEADS, scales.tolist(), strict=True):
        mean = squared_gradients(proxy, x[:1], {head: scale}, 2).mean()
        assert 0.2 < float(mean) < 5


def test_squares_come_with_the_same_after_a_codec(photographs: Path, scenes: Path) -> None:
    own, roads = sources([photographs], scenes)
    assert (len(own), len(roads)) == (3, 2)
    labelled = 0
    for i in range(16):
        pair = draw(own, roads, np.random.default_rng((1, i)))
        assert pair.clean.shape == pair.coded.shape == (SIDE, SIDE, 3)
        assert pair.parts.shape == (PART_SIDE, PART_SIDE)
        difference = np.abs(pair.clean.astype(int) - pair.coded).mean()
        assert 0.2 < difference < 40
        if (pair.parts != NO_PART).any():
            labelled += 1
            assert set(np.unique(pair.parts)) <= {3, 8}
            bright = pair.clean.reshape(PART_SIDE, 4, PART_SIDE, 4, 3).mean((1, 3, 4)) > 128
            assert (bright == (pair.parts == 3)).mean() > 0.97
    assert 1 < labelled < 10
    one, again = (draw(own, roads, np.random.default_rng((1, 5))) for _ in range(2))
    assert (one.coded == again.coded).all()
    (photographs / "1.png").write_bytes(b"junk")
    with pytest.raises(RecipeError, match=r"cannot read .*1\.png or its mask"):
        draw(own[1:2], [], np.random.default_rng(1))


def test_pictures_that_are_not_there_are_named(tmp_path: Path, photographs: Path, scenes: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match=r"no pictures in .*empty"):
        sources([photographs, tmp_path / "empty"], None)
    with pytest.raises(RecipeError, match=r"no pictures in .*train; CamVid"):
        sources([photographs], tmp_path / "empty")
    with pytest.raises(RecipeError, match="1 pairs from 3 photographs; two of each"):
        make_lessons([photographs], scenes, tmp_path, tmp_path / "out", 1)
    for i in (1, 2):
        (photographs / f"{i}.png").unlink()
    with pytest.raises(RecipeError, match="4 pairs from 1 photographs"):
        make_lessons([photographs], scenes, tmp_path, tmp_path / "out", 4)


def test_teachers_are_asked_in_their_own_terms(networks: Path) -> None:
    """Blue first and 0..255 for the detector, red first and 0..1 for the classifier; places stay where they are."""
    square = np.zeros((SIDE, SIDE, 3), np.uint8)
    square[:208, :, 0], square[:, :104, 2] = 200, 80
    told = Teachers(networks).teach(square)
    assert [m.shape for m in told.features] == [(64, 52, 52), (64, 26, 26), (64, 13, 13)]
    assert [m.shape for m in told.objects] == [(85, 52, 52), (85, 26, 26), (85, 13, 13)]
    assert [m.shape for m in told.scene] == [(96, 14, 14), (320, 7, 7)]
    blue = np.zeros((52, 52))
    blue[:, :13] = 80
    assert np.allclose(told.features[0][0], blue)
    assert np.allclose(told.objects[0][0], 1 / (1 + np.exp(-blue)), atol=1e-6)
    assert np.allclose(told.scene[0][0, :6], 200 / 255, atol=1e-3)
    assert np.allclose(told.scene[0][0, 8:], 0, atol=1e-3)
    assert told.classes.shape == (1001,)
    assert told.classes.sum() == pytest.approx(1, abs=1e-4)
    assert told.classes.argmax() == 0
    assert told.faces.shape == (52, 52)
    assert told.faces.min() == pytest.approx(1 / (1 + np.exp(-2 * (200 - 127) / 128)), abs=1e-3)  # red, which is on top


def test_a_face_is_where_any_of_its_boxes_says() -> None:
    scores = np.zeros(4420, np.float32)
    scores[(3 * 40 + 20) * 3 + 1] = 0.7  # row 3 of 30, column 20 of 40
    scores[3600 + (14 * 20 + 0) * 2] = 0.9  # the last row of 15, the first column
    found = teachers._faces(scores)
    assert found[6, 26] == np.float32(0.7)
    assert found[-1, 0] == np.float32(0.9)
    assert np.count_nonzero(found == np.float32(0.7)) <= 4
    assert np.count_nonzero(found) < 20


def test_teachers_that_are_missing_or_others_are_named(networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NetworkError, match=r"cannot read .*yolox_nano_coco\.onnx: No such file.*the proxy learns from"):
        Teachers(tmp_path)
    (tmp_path / teachers.DETECTOR).write_bytes((networks / teachers.FACES).read_bytes())
    with pytest.raises(NetworkError, match="is not the network that the proxy learns from"):
        Teachers(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'foveal\[distil\]'"):
        Teachers(networks)


def test_lessons_are_made_and_read_again(networks: Path, photographs: Path, scenes: Path, tmp_path: Path) -> None:
    out = tmp_path / "lessons"
    arguments = ["lessons", "--photos", str(photographs), "--scenes", str(scenes), "--networks", str(networks), "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [*arguments, "--pairs", "3"])
        assert lessons.main() == 0
    told = Lessons.read(out)
    assert (told.pairs, told.held_out) == (2, 1)
    assert told.arrays["squares"].shape == (6, SIDE, SIDE, 3)
    teacher = Teachers(networks)
    for row in (1, 4):
        lesson = teacher.teach(np.asarray(told.arrays["squares"][row]))
        assert np.allclose(told.arrays["objects16"][row], lesson.objects[1], atol=1e-3)
        assert np.allclose(told.arrays["classes"][row], lesson.classes, atol=1e-4)
    features = told.arrays["features8"].astype(np.float32)
    assert np.allclose(told.spread["features8"][0], features.mean((0, 2, 3)), atol=1e-3)
    (out / "spread.json").unlink()
    with pytest.raises(RecipeError, match=r"holds no lessons of the proxy.*python -m foveal\.tasks\.proxy\.lessons"):
        Lessons.read(out)
    (out / "spread.json").write_text("[]")
    with pytest.raises(RecipeError, match="holds no lessons"):
        Lessons.read(out)


def test_making_lessons_without_pictures_ends_with_a_named_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "sys.argv", ["lessons", "--photos", str(tmp_path), "--networks", str(tmp_path), "--out", str(tmp_path / "o")]
        )
        assert lessons.main() == 1
    assert capsys.readouterr().err.startswith("error: no pictures in")
    assert not (tmp_path / "o").exists()


def made_up(rows: int) -> tuple[dict[str, np.ndarray], dict[str, torch.Tensor]]:
    """Squares and answers of noise, each of them as in lessons; and the spread of features."""
    chance, told = np.random.default_rng(0), dict[str, np.ndarray]()
    for name, (sides, kind) in lessons._SHAPES.items():
        if kind == "u1":
            told[name] = chance.integers(0, NO_PART + 1 if name == "parts" else 256, (rows, *sides), np.uint8)
        else:
            told[name] = chance.random((rows, *sides), np.float32).astype(kind)
    told["classes"] = (told["classes"] / told["classes"].sum(1, keepdims=True)).astype(np.float32)
    spread = {name: torch.tensor([[0.5], [0.3]]).repeat(1, len(told[name][0])) for name in lessons.SPREAD_OF}
    return told, spread


def teachers_words(told: dict[str, np.ndarray], spread: dict[str, torch.Tensor]) -> Seen:
    """What a proxy would see that says what its teachers say."""
    t = {name: torch.from_numpy(a.astype(np.float32)) for name, a in told.items()}

    def normal(name: str) -> torch.Tensor:
        mean, deviation = spread[name]
        return (t[name] - mean[:, None, None]) / deviation[:, None, None]

    objects = [t[f"objects{s}"].clone() for s in (8, 16, 32)]
    for x in objects:
        x[:, 4:] = x[:, 4:].logit(1e-4)
    parts = torch.nn.functional.one_hot(torch.from_numpy(told["parts"].clip(0, 10)).long(), 11).permute(0, 3, 1, 2).float()
    return Seen(
        (normal("features8"), normal("features16"), normal("features32")), (objects[0], objects[1], objects[2]),
        (normal("scene16"), normal("scene32")), t["classes"].clamp_min(1e-9).log(), 50 * parts, t["faces"].logit(1e-4)[:, None],
        torch.zeros(len(t["faces"]), len(TASKS), 52, 52),
    )  # fmt: skip


def test_the_loss_is_least_where_the_proxy_says_what_its_teachers_say() -> None:
    told, spread = made_up(4)
    shown = as_shown(told.pop("squares"), told)
    right = teachers_words(told, spread)
    found = {name: float(value) for name, value in losses(right, shown.told, spread).items()}
    for name in ("features", "changes", "scene", "parts"):
        assert found[name] == pytest.approx(0, abs=1e-4)
    wrong = Seen(
        tuple(f + 1 for f in right.features), tuple(o + 2 for o in right.objects), tuple(s - 1 for s in right.scene),
        right.classes.flip(1), right.parts.roll(1, 1), -right.faces, right.harm,
    )  # type: ignore[arg-type]  # fmt: skip
    other = {name: float(value) for name, value in losses(wrong, shown.told, spread).items()}
    assert other["changes"] == pytest.approx(0, abs=1e-4)  # what is wrong alike before and after the codec is no change
    assert all(other[name] > found[name] + 0.01 for name in found if name != "changes")
    assert all(value == pytest.approx(1, abs=1e-4) for value in explained(right, shown.told, spread).values())
    assert explained(wrong, shown.told, spread)["features8"] < 0.9


def test_squares_of_no_road_scene_teach_no_parts() -> None:
    told, spread = made_up(2)
    told["parts"][:] = NO_PART
    shown = as_shown(told.pop("squares"), told)
    assert float(losses(teachers_words(told, spread), shown.told, spread)["parts"]) == 0


def harms() -> torch.Tensor:
    """What teachers told of three squares: nothing of classes in the last, nothing of parts in any."""
    told = torch.rand(3, len(TASKS), 6, 5, generator=torch.Generator().manual_seed(1)).square()
    told[:, :, 2, 3] = 0
    told[2, 0] = told[:, 2] = -1
    return told / told.mean((2, 3), keepdim=True).abs()


def test_the_loss_of_harm_is_least_at_the_log_of_its_root() -> None:
    told = harms()
    right = 0.5 * told.clamp_min(1e-12).log()
    constants = torch.arange(12.0).reshape(3, 4, 1, 1) * 5 - 20
    for own in (right, right + constants):
        given = own.clone().requires_grad_(True)
        loss = harm_loss(given, told)
        assert loss.item() == pytest.approx(0, abs=1e-5)
        (slope,) = torch.autograd.grad(loss, given)
        assert float(slope.abs().max()) < 1e-5
    for i in range(5):
        way = torch.randn(told.shape, generator=torch.Generator().manual_seed(i))
        near, far = (float(harm_loss(right + size * way, told)) for size in (0.1, 0.3))
        assert 1e-4 < near < far


def test_maps_that_are_not_told_do_not_count() -> None:
    told, own = harms(), torch.randn(3, len(TASKS), 6, 5, generator=torch.Generator().manual_seed(2)).requires_grad_(True)
    there = (told >= 0).all(3).all(2)
    loss = harm_loss(own, told)
    each = [harm_loss(own[i : i + 1, j : j + 1], told[i : i + 1, j : j + 1]).item() for i, j in there.nonzero().tolist()]
    assert len(each) == 8
    assert loss.item() == pytest.approx(np.mean(each), rel=1e-5)
    (slope,) = torch.autograd.grad(loss, own)
    assert (slope[~there] == 0).all()
    assert (slope[there] != 0).any(2).all()
    nothing = harm_loss(own, torch.full_like(told, -1))
    assert nothing.item() == 0
    (slope,) = torch.autograd.grad(nothing, own)
    assert (slope == 0).all()


def test_harm_is_explained_from_none_to_all() -> None:
    told = harms()
    right, even = 0.5 * told.clamp_min(1e-12).log(), torch.full_like(told, 3)
    assert harm_explained(right + 2, told) == pytest.approx([1, 1, math.nan, 1], abs=1e-4, nan_ok=True)
    assert harm_explained(even, told) == pytest.approx([0, 0, math.nan, 0], abs=1e-5, nan_ok=True)
    part = harm_explained(0.5 * right, told)
    assert all(0.1 < part[i] < 0.99 for i in (0, 1, 3))
    mixed = right.clone()
    mixed[:, 1] = -mixed[:, 1]
    found = harm_explained(mixed, told)
    assert found[1] < 0
    assert found[0] == pytest.approx(1, abs=1e-4)


def test_the_recipes_are_those_of_the_weights_that_ship() -> None:
    card = network_card("proxy")
    for name in ("proxy.toml", "proxy-harm.toml"):
        config = read_recipe(ROOT / "recipes" / name)
        assert isinstance(config, NetworkConfig)
        assert ProxyConfig(**config.model) == ProxyConfig(**card.config)  # type: ignore[arg-type]
        assert name in card.recipe
    assert card.path.stat().st_size < 6 << 20
    assert all(other.codec != "proxy" for other in cards())
    scales = load_weights(card)["scales"]
    assert all(math.isfinite(scale) and scale > 0 for scale in scales.tolist())


def test_the_proxy_answers_no_task() -> None:
    with pytest.raises(NetworkError, match="builtin:proxy answers no task, it guides codecs: `foveal importance`"):
        load_builtin("proxy")
