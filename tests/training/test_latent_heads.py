"""Heads that feed networks, and the head of things, as what is trained."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from foveal.codecs.learned import weights
from foveal.errors import NetworkError, RecipeError
from foveal.picture import Picture
from foveal.tasks.latent.cuts import Cut
from foveal.tasks.latent.network import LatentConfig, LatentNetwork, TrunkFeatures
from foveal.tasks.latent.tensor_heads import StemHead
from foveal.tasks.latent.trunk import Trunk
from foveal.tasks.latent.weights import LatentCard, load_network
from foveal.tasks.record import shipped_record
from foveal.tasks.results import TrueBoxes
from foveal.training import latent_subject, loop
from foveal.training.config import LatentTraining, read_recipe
from foveal.training.export import Provenance, export_run
from foveal.training.feature_answers import TailAnswers
from foveal.training.feature_teaching import FeatureTeaching
from foveal.training.latent_pictures import COCO, ScaledCrops, Window, load_pictures
from foveal.training.latent_subject import LatentSubject
from foveal.training.loop import train
from foveal.training.things_teaching import ThingsTeaching, in_window, places_of, shown_in
from latent_networks import CLASSIFIER, DETECTOR, SIZES, card, for_all, make_networks, take_cuts

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
CONFIG = LatentTraining(
    reads="pooled", steps=4, batch=2, crop_rows=64, crop_columns=128, warmup_steps=1, networks="../networks",
    model={**SIZES, CLASSIFIER: 1, DETECTOR: 1, "things": 80},
)  # fmt: skip


class _Pooled:
    """A codec whose latents are the picture, smaller."""

    id = "00c0ffee"

    def __init__(self, weights: str) -> None:
        assert weights == "pooled"

    def begin(self, trunk: Trunk) -> None:
        torch.nn.init.constant_(trunk.from_64.bias, 0.5)  # type: ignore[arg-type]

    def latents(self, x: Tensor, quality: Tensor, bands: int) -> tuple[list[Tensor], Tensor]:
        made = [functional.avg_pool2d(x, side) * 4 - 2 for side in (64, 32, 16)[:bands]]
        return made, torch.full((len(x), 8, 1, 1), 0.125)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``data`` with pictures, and ``networks`` beside it."""
    folder = tmp_path_factory.mktemp("latent")
    skimage = pytest.importorskip("skimage.data", reason="scikit-image brings the test photographs: pip install scikit-image")
    samples = skimage.astronaut()[::2, ::2]
    for name, count in (("photos", 3), (COCO, 3)):
        (folder / "data" / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(np.roll(samples, 60 * i, axis=1)[: 130 + i, :200]).save(folder / "data" / name / f"{i}.png")
    labels = folder / "data" / "coco/object_detection/labels/train2017"
    labels.mkdir(parents=True)
    (labels / "1.txt").write_text("0 0.5 0.5 0.5 0.5\n17 0.1 0.1 0.1 0.2\n")
    (labels / "2.txt").write_text("")
    make_networks(folder / "networks")
    return folder


@pytest.fixture
def cuts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Cut]:
    monkeypatch.setattr(latent_subject, "LatentReader", _Pooled)
    return take_cuts(folder / "networks", monkeypatch)


def _teaching(network: str, folder: Path, cuts: dict[str, Cut], **changed: Any) -> FeatureTeaching:
    config = dataclasses.replace(CONFIG, **changed)
    return FeatureTeaching(cuts[network], folder / "networks", load_pictures(folder / "data"), _crops(folder), config)


def _crops(folder: Path) -> ScaledCrops:
    return ScaledCrops(load_pictures(folder / "data"), batch=2, rows=64, columns=128, seed=1)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("latent-*.toml")), ids=lambda path: path.stem)
def test_the_recipes_that_ship_are_read(path: Path) -> None:
    config = read_recipe(path)
    assert isinstance(config, LatentTraining)
    network = LatentNetwork(LatentConfig(**config.model))
    assert config.crop_rows % 64 == config.crop_columns % 64 == 0
    assert any(module is not None for name, module in network.named_children() if name != "trunk")
    by_way = path.stem == "latent-middle"
    kept = [f"{CLASSIFIER}.heads" if by_way else CLASSIFIER, DETECTOR]
    assert LatentSubject(config)._kept == (kept if config.keep else [])


def test_a_run_goes_on_and_exports_all_heads(
    folder: Path, cuts: dict[str, Cut], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latent_subject, "_MEASURED", ((8.0, 3), (17.0, 1)))
    run, lines = tmp_path / "run", list[str]()
    assert train(dataclasses.replace(CONFIG, steps=3), folder / "data", run, minutes=60, log=lines.append).step == 3
    assert train(CONFIG, folder / "data", run, minutes=60, log=lines.append).step == 4
    for text in (
        f"{CLASSIFIER}: ",
        "% unexplained",
        "top-1 against its own",
        "AP against its own",
        "% mAP",
        "4 pictures, 2 held out",
    ):
        assert any(text in line for line in lines), (text, lines)
    card = export_run(CONFIG, run, tmp_path / "out", Provenance("tiny", "six pictures", "none", "none"))
    kept = json.loads((tmp_path / "out" / "tiny.json").read_text())
    assert kept["heads"] == f"things,{CLASSIFIER},{DETECTOR}"
    assert (kept["reads"], kept["id"]) == ("00c0ffee", card.id)
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "out")
    load_network.cache_clear()
    try:
        assert isinstance(card, LatentCard)
        spread = load_network(card).feature_head(DETECTOR).parts[0].spread
    finally:
        load_network.cache_clear()
    assert float(spread.max()) > 0
    assert float((spread - 1).abs().max()) > 0.01  # measured


def test_a_cut_by_way_of_kept_filters_learns_what_is_lost_behind_them(
    folder: Path, cuts: dict[str, Cut], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    further = dataclasses.replace(CONFIG, model={**SIZES, CLASSIFIER: 2}, answers=1.0)
    with pytest.raises(
        RecipeError, match=f"{CLASSIFIER} = 2 corrects what first filters lead to, and trunk = '', keep = false keeps none"
    ):
        LatentSubject(further)
    begun = LatentSubject(dataclasses.replace(CONFIG, model={**SIZES, CLASSIFIER: 1}))
    begun.read(folder / "data", 1)
    frozen = begun.freeze(begun.build().eval(), None)
    monkeypatch.setattr(latent_subject, "load_weights", lambda card: frozen.tensors)
    monkeypatch.setattr(
        latent_subject, "latent_card", lambda name, codec: dataclasses.replace(card(begun.config.model), heads=CLASSIFIER)
    )
    monkeypatch.setattr(latent_subject, "frequency_card", lambda name: None)
    subject = LatentSubject(dataclasses.replace(further, trunk="tiny", keep=True))
    assert subject._kept == [f"{CLASSIFIER}.heads"]
    torch.manual_seed(0)
    lessons, model = subject.read(folder / "data", 1), subject.build()
    assert lessons.summary.endswith(f"kept of tiny: trunk, {CLASSIFIER}.heads")
    average, optimizer, before = subject.build(), loop.make_optimizer(model, subject), dict(copy.deepcopy(model).state_dict())
    for group in optimizer.param_groups:
        group["lr"] = 0.01
    losses = [loop.train_step(model, model, average, optimizer, lessons.batch(0), subject, step) or 0.0 for step in range(20)]
    assert losses[-1] < 0.99 * losses[0]
    moved = {name.split(".")[1] for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"corrected"}
    kept = subject.freeze(model.eval(), None).tensors
    assert all(torch.equal(kept[name], tensor) for name, tensor in frozen.tensors.items())
    # And back: the cut before it is all there, and stays as it is while another head learns.
    frozen = subject.freeze(model.eval(), None)
    monkeypatch.setattr(
        latent_subject, "latent_card", lambda name, codec: dataclasses.replace(card(further.model), heads=CLASSIFIER)
    )
    back = LatentSubject(dataclasses.replace(CONFIG, model={**SIZES, CLASSIFIER: 1, "things": 80}, trunk="tiny", keep=True))
    assert back.read(folder / "data", 1).summary.endswith(f"kept of tiny: trunk, {CLASSIFIER}.heads")
    same = back.freeze(back.build().eval(), None).tensors
    assert all(torch.equal(same[name], t) for name, t in frozen.tensors.items() if ".corrected." not in name)
    assert [*back._curriculum.teachings] == ["things"]
    fewer = dataclasses.replace(back.config, model={**back.config.model, "blocks": 0})
    with pytest.raises(RecipeError, match=r"\[model\] trunk\.middle\.0\..* is none, and tiny has \("):
        LatentSubject(fewer).build()
    alone = LatentSubject(dataclasses.replace(back.config, model={**SIZES, CLASSIFIER: 1}))
    with pytest.raises(RecipeError, match=f"asks for {CLASSIFIER}, and all are kept of tiny; ask for a further head, or keep"):
        alone.read(folder / "data", 1)
    with torch.no_grad():
        told = subject._curriculum.measure(model, lambda x: for_all(torch.zeros(1, 8, x.shape[2] // 8, x.shape[3] // 8)), CPU)
    assert "% unexplained" in told


@torch.no_grad()
def test_first_filters_are_solved_for_before_the_first_step(folder: Path, cuts: dict[str, Cut]) -> None:
    torch.manual_seed(0)
    network, teaching = LatentNetwork(LatentConfig(**CONFIG.model)).eval(), _teaching(CLASSIFIER, folder, cuts, finest=9.0)
    asked = list[tuple[float, int]]()

    def features(x: Tensor, quality: Tensor, bands: int) -> TrunkFeatures:
        asked.append((float(quality), bands))
        return for_all(
            torch.cat([functional.avg_pool2d(x, 8), functional.avg_pool2d(x.flip(1), 8), functional.avg_pool2d(x[:, :2], 8)], 1)
        )

    assert teaching.fit(network, features) == frozenset()  # what lies deeper is not linear
    assert asked == []
    stem = StemHead(8, cuts[CLASSIFIER].tensors[0])
    network.feature_head(CLASSIFIER).heads[0] = stem
    teaching.begin(network)
    names = {f"{CLASSIFIER}.heads.0.{part}.{kind}" for part in ("colours", "filters") for kind in ("weight", "bias")}
    before = stem.filters.weight.clone()
    assert teaching.fit(network, features) == names <= {name for name, _ in network.named_parameters()}
    assert not torch.equal(stem.filters.weight, before)
    assert [quality for quality, _ in asked] == pytest.approx(np.linspace(1, 9, len(asked)))
    assert {bands for _, bands in asked} == {3}
    x = torch.rand(1, 3, 128, 128)
    colours = functional.avg_pool2d(functional.pixel_shuffle(stem.colours(features(x, torch.ones(1), 3).shared), 4), 4)
    assert float((colours - functional.avg_pool2d(x, 8)).abs().mean()) < 0.05
    frozen = LatentSubject(CONFIG).freeze(network, None)
    for part, conv in (("colours", stem.colours), ("filters", stem.filters)):
        assert torch.equal(frozen.tensors[f"{CLASSIFIER}.heads.0.{part}.weight"], conv.weight.half())
    assert frozen.tensors["trunk.from_64.weight"].dtype == torch.int8
    assert frozen.note.endswith("what was solved for in float16")


@pytest.mark.parametrize("network", [CLASSIFIER, DETECTOR])
def test_a_lesson_is_what_the_front_says_of_the_picture_without_its_padding(
    network: str, folder: Path, cuts: dict[str, Cut]
) -> None:
    from foveal.tasks.latent.onnx_parts import open_front
    from foveal.tasks.opening import open_task

    shown = next(shown for number in range(20) if (shown := _crops(folder).at(number)).height % 64)
    told = _teaching(network, folder, cuts).told(shown)
    assert (told.geometry.height, told.geometry.width) == (shown.height, shown.width)
    file = folder / "networks" / f"{network}.onnx"
    picture = Picture(np.ascontiguousarray(shown.pictures[-1, : told.geometry.height, : told.geometry.width]))
    wanted = open_front(file, cuts[network], 1).run([open_task(f"onnx:{file}", threads=1).prepare(picture).batch])
    for maps, one in zip(told.tensors, wanted, strict=True):
        assert len(maps) == len(shown.pictures)
        np.testing.assert_allclose(maps[-1], one[0], atol=1e-6)


@torch.no_grad()
def test_a_head_that_is_right_costs_nothing_and_agrees(
    folder: Path, cuts: dict[str, Cut], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = LatentNetwork(LatentConfig(**CONFIG.model)).eval()
    for name in (CLASSIFIER, DETECTOR):
        teaching = _teaching(name, folder, cuts, answers=1.0)
        teaching.begin(network)
        head, shown = network.feature_head(name), _crops(folder).at(0)
        told = teaching.told(shown)
        x = torch.zeros(len(shown.pictures), 3, 64, 64)
        features = for_all(torch.zeros(len(shown.pictures), 8, *(side // 8 for side in shown.pictures.shape[1:3])))
        mixed = torch.autocast("cpu", enabled=False)
        wrong = float(teaching.loss(network, features, x, told, 0, mixed))
        assert wrong > 0.3
        right = [grid.normal(torch.from_numpy(maps)) for grid, maps in zip(head.parts, told.tensors, strict=True)]
        with monkeypatch.context() as patch:
            patch.setattr(type(head), "forward", lambda self, features, geometry, between, right=right: right)
            base = float(teaching.loss(network, features, x, told, 0, mixed))
        plain = _teaching(name, folder, cuts)
        with monkeypatch.context() as patch:
            patch.setattr(type(head), "forward", lambda self, features, geometry, between, right=right: right)
            assert float(plain.loss(network, features, x, told, 0, mixed)) < 1e-9
        assert base < wrong

        def features_of(x: Tensor) -> TrunkFeatures:
            return for_all(torch.zeros(1, 8, x.shape[2] // 8, x.shape[3] // 8))

        with monkeypatch.context() as patch:
            known = iter([held.told for held in teaching._held_out])

            def perfect(self: Any, features: Tensor, geometry: Any, between: Any, known: Any = known) -> list[Tensor]:
                maps = next(known).tensors
                return [grid.normal(torch.from_numpy(one)) for grid, one in zip(self.parts, maps, strict=True)]

            patch.setattr(type(head), "forward", perfect)
            line = teaching.measure(network, features_of, CPU)
        assert f"{name}: 0.0 % unexplained, 100.0" in line
        assert "0.0 % unexplained" not in teaching.measure(network, features_of, CPU)


@torch.no_grad()
def test_answers_count_after_their_part_of_the_steps(folder: Path, cuts: dict[str, Cut]) -> None:
    torch.manual_seed(0)
    network = LatentNetwork(LatentConfig(**CONFIG.model)).eval()
    shown = _crops(folder).at(0)
    x, features = torch.zeros(len(shown.pictures), 3, 64, 64), for_all(torch.randn(len(shown.pictures), 8, 24, 24))

    def losses(**changed: Any) -> list[float]:
        teaching = _teaching(CLASSIFIER, folder, cuts, steps=10, **changed)
        teaching.begin(network)
        told, mixed = teaching.told(shown), torch.autocast("cpu", enabled=False)
        return [float(teaching.loss(network, features, x, told, step, mixed)) for step in (0, 5, 6, 9)]

    without, always, late = losses(), losses(answers=1.0), losses(answers=1.0, answers_from=0.6)
    assert all(more > less + 1e-4 for less, more in zip(without, always, strict=True))
    assert late == [*without[:2], *always[2:]]


def test_answers_have_gradients_that_lead_to_the_network_s_own(folder: Path, cuts: dict[str, Cut]) -> None:
    for name in (CLASSIFIER, DETECTOR):
        record = shipped_record(name)
        assert record is not None
        answers = TailAnswers(folder / "networks" / f"{name}.onnx", cuts[name], record)
        told = [torch.from_numpy(maps) for maps in _teaching(name, folder, cuts).told(_crops(folder).at(0)).tensors]
        made = [(maps + 0.3 * torch.randn_like(maps)).requires_grad_() for maps in told]
        far, near = answers.loss(made, told), answers.loss(told, told)
        assert float(near.detach()) < float(far.detach())
        far.backward()
        stepped = [maps.detach() - 0.02 * maps.grad / maps.grad.norm() for maps in made if maps.grad is not None]
        assert float(answers.loss(stepped, told)) < float(far.detach())
    segment = shipped_record("deeplabv3_mnv2_pascal_quant")
    assert segment is not None
    with pytest.raises(RecipeError, match="how far apart two of its answers are is not known"):
        TailAnswers(folder / "networks" / f"{DETECTOR}.onnx", cuts[DETECTOR], segment)


def test_a_head_learns(folder: Path, cuts: dict[str, Cut]) -> None:
    config = dataclasses.replace(CONFIG, model={**SIZES, CLASSIFIER: 1}, learning_rate=5e-3, one_band=0.0, two_bands=0.0)
    subject = LatentSubject(config)
    lessons = subject.read(folder / "data", 1)
    torch.manual_seed(0)
    model, average = subject.build(), subject.build()
    optimizer = loop.make_optimizer(model, subject)
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate
    lesson = lessons.batch(0)
    losses = [loop.train_step(model, model, average, optimizer, lesson, subject, step) or 0.0 for step in range(30)]
    assert losses[-1] < 0.6 * losses[0]


def test_weights_with_other_heads_begin_a_run(folder: Path, cuts: dict[str, Cut]) -> None:
    old = LatentSubject(dataclasses.replace(CONFIG, model={**SIZES, "things": 80}))
    new = LatentSubject(dataclasses.replace(CONFIG, model={**SIZES, CLASSIFIER: 1}))
    trained = old.build()
    for tensors in (trained.state_dict(), old.freeze(trained.eval(), None).tensors):
        state = new.thaw(dict(tensors))
        model = new.build()
        model.load_state_dict(state)
        assert torch.allclose(model.trunk.from_64.weight, trained.trunk.from_64.weight, atol=0.02)
    with pytest.raises(KeyError, match=r"trunk\."):
        new.thaw({"things.leave.bias": torch.zeros(80)})


def test_things_by_labels_and_by_the_detector(folder: Path, cuts: dict[str, Cut]) -> None:
    pictures, crops = load_pictures(folder / "data"), _crops(folder)
    teaching = ThingsTeaching(folder / "data", folder / "networks", pictures, crops, CONFIG)
    sources = {str(s.path.relative_to(folder / "data")): s for s in load_pictures(folder / "data").training}
    labelled = teaching._things(sources[f"{COCO}/1.png"])
    assert labelled.classes.tolist() == [0, 17]
    np.testing.assert_allclose(labelled.corners[0], [50, 32.75, 150, 98.25])
    assert not len(teaching._things(sources[f"{COCO}/2.png"]).classes)  # labelled with nothing
    found = teaching._things(sources["photos/1.png"])
    assert teaching._things(sources["photos/1.png"]) is found
    shown = crops.at(3)
    told = teaching.told(shown)
    assert told.pictures.shape == (len(shown.pictures), 80)
    assert told.places.shape == (len(shown.pictures), 80, -(-shown.height // 32), -(-shown.width // 32))
    assert (told.width, told.height) == (shown.width, shown.height)
    other = dataclasses.replace(CONFIG, model={**SIZES, "things": 3})
    with pytest.raises(RecipeError, match="things = 3; the detector that teaches it knows 80"):
        ThingsTeaching(folder / "data", folder / "networks", pictures, crops, other)
    with pytest.raises(NetworkError, match="no such file"):
        ThingsTeaching(folder / "data", folder, pictures, crops, CONFIG)


def _boxes(*rows: tuple[int, float, float, float, float], crowd: tuple[int, ...] = ()) -> TrueBoxes:
    """Of lines of class and corners; crowd: the numbers of those that may be there."""
    corners = np.array([row[1:] for row in rows], np.float32).reshape(-1, 4)
    return TrueBoxes(corners, np.array([row[0] for row in rows], np.int64), np.isin(np.arange(len(rows)), crowd))


def test_what_a_window_shows() -> None:
    things = _boxes(
        (1, 10, 10, 50, 50), (2, 90, 0, 130, 40), (3, 70, 0, 110, 40), (4, 0, 0, 4, 4), (5, 60, 60, 90, 90), (6, 20, 20, 60, 40),
        crowd=(5,),
    )  # fmt: skip
    inside = in_window(things, Window(0, (0, 0, 100, 50), False), 200, 100)
    # 1 is inside, 3 mostly, 2 hardly, 4 is 8 pixels large, 5 is not there, 6 may be
    assert shown_in(inside, 8).tolist() == [0, 1, -1, 1, -1, 0, -1, 0]
    np.testing.assert_allclose(inside.corners[:2], [[20, 20, 100, 100], [180, 0, 200, 80]])
    flipped = in_window(things, Window(0, (0, 0, 100, 50), True), 200, 100)
    np.testing.assert_allclose(flipped.corners[:2], [[100, 20, 180, 100], [0, 0, 20, 80]])
    assert not shown_in(in_window(_boxes(), Window(0, (0, 0, 9, 9), False), 9, 9), 3).any()


def test_at_which_places_a_thing_is_shown() -> None:
    window = Window(0, (0, 0, 128, 64), False)
    large = places_of(in_window(_boxes((1, 0, 0, 96, 64)), window, 128, 64), 128, 64, 2)
    assert large.shape == (2, 2, 4)
    assert not large[0].any()
    assert large[1].tolist() == [[1, 1, 1, 0], [1, 1, 1, 0]]
    # The middle of a small thing fills no place, and is at that which holds most of it.
    small = places_of(in_window(_boxes((1, 56, 20, 72, 44)), window, 128, 64), 128, 64, 2)
    assert small[1].tolist() == [[0, 1, 1, 0], [0, 1, 1, 0]]
    beside = places_of(in_window(_boxes((1, 58, 4, 78, 22)), window, 128, 64), 128, 64, 2)
    assert beside[1].tolist() == [[0, -1, 1, 0], [0, 0, 0, 0]]
    # One that may be there tells nothing, and does not hide one that is.
    both = _boxes((1, 0, 0, 96, 64), (1, 64, 0, 128, 64), crowd=(0,))
    assert places_of(in_window(both, window, 128, 64), 128, 64, 2)[1].tolist() == [[-1, -1, 1, 1], [-1, -1, 1, 1]]


def test_what_cannot_be_trained_is_named(folder: Path, cuts: dict[str, Cut]) -> None:
    for model, message in (
        (dict(SIZES), "has no head; segment = 11, things = 80"),
        ({**SIZES, CLASSIFIER: 3}, "it has the cuts 1 to 2"),
    ):
        with pytest.raises(RecipeError, match=message):
            LatentSubject(dataclasses.replace(CONFIG, model=model)).read(folder / "data", 1)
