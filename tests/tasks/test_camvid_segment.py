"""The segmenter that comes with foveal: its network, what it learns from, how a run of it goes on, and what it scores."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from foveal.codecs.learned.weights import cards, read_tensors
from foveal.errors import NetworkError, RecipeError
from foveal.picture import Picture
from foveal.tasks import builtin
from foveal.tasks.builtin import load_builtin, network_card
from foveal.tasks.camvid_segment.learning import SHARES, class_weights, confusion, overlaps, segment_loss
from foveal.tasks.camvid_segment.network import STEP, Segmenter, SegmenterConfig, full_size, load_frozen
from foveal.tasks.camvid_segment.scenes import VOID_LABEL, Scene, SceneCrops, load_scenes
from foveal.tasks.pixel import PixelTask
from foveal.tasks.residual import fold, settle, unfold
from foveal.tasks.results import ClassMap
from foveal.training.config import NetworkConfig, read_recipe
from foveal.training.export import Provenance, export_run
from foveal.training.loop import train
from foveal.training.subjects import subject_of

ROOT = Path(__file__).parents[2]
SMALL = {"stem": 8, "fine": 8, "middle": 8, "coarse": 16, "fine_blocks": 1, "middle_blocks": 1, "coarse_blocks": 2, "decoder": 8}
CONFIG = SegmenterConfig(**SMALL)
TINY = NetworkConfig("camvid-segment", steps=4, batch=2, crop_rows=32, crop_columns=48, warmup_steps=1, model=dict(SMALL))


def lived_in() -> Segmenter:
    """A network whose batch norms have counted something, and whose factors differ."""
    torch.manual_seed(3)
    model = Segmenter(CONFIG)
    for name, parameter in model.named_parameters():
        if ".norm." in name:
            torch.nn.init.uniform_(parameter, 0.2, 1.5)
    for _ in range(5):
        model(torch.rand(2, 3, 48, 64))
    return model.eval()


@pytest.fixture
def scenes_folder(tmp_path: Path, photo: Picture) -> Path:
    """Cuts of a photograph, bright and dark as two classes, in the folders of CamVid."""
    for part, count in (("train", 3), ("val", 2)):
        (tmp_path / part).mkdir()
        (tmp_path / f"{part}_labels").mkdir()
        for number in range(count):
            picture = np.roll(photo.samples, 50 * number, axis=1)[:72, :96]
            mask = np.where(picture.mean(2) > 110, 3, 8).astype(np.uint8)
            mask[:4] = VOID_LABEL
            Image.fromarray(picture).save(tmp_path / part / f"{number}.png")
            Image.fromarray(mask).save(tmp_path / f"{part}_labels" / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize("size", [(48, 64), (47, 63), (1, 1), (5, 200)])
@torch.no_grad()
def test_pictures_of_any_size_get_a_class_for_each_pixel(size: tuple[int, int]) -> None:
    height, width = size
    logits = lived_in()(torch.rand(1, 3, height, width))
    assert logits.shape == (1, 11, -(-height // 2), -(-width // 2))
    assert full_size(logits, height, width).shape == (1, 11, height, width)


@torch.no_grad()
def test_padding_inside_is_that_of_the_edge() -> None:
    model, x = lived_in(), torch.rand(1, 3, 40, 56)
    padded = torch.nn.functional.pad(x, (0, -56 % STEP, 0, -40 % STEP), mode="replicate")
    assert torch.allclose(model(x), model(padded)[:, :, :20, :28], atol=1e-5)


@torch.no_grad()
def test_folded_batch_norm_computes_the_same() -> None:
    model, x = lived_in(), torch.rand(1, 3, 50, 70)
    exact = Segmenter(CONFIG, folded=True).eval()
    tensors = fold(model)
    assert {t.dtype for t in tensors.values()} == {torch.float16}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "half", torch.Tensor.float)
        exact.load_state_dict(fold(model))
    assert (exact(x) - model(x)).abs().max() < 1e-3
    halved = load_frozen(tensors, CONFIG)(x)
    assert (halved - model(x)).abs().max() < 0.02 * model(x).abs().max()


@torch.no_grad()
def test_training_goes_on_from_what_ships() -> None:
    model, x = lived_in(), torch.rand(1, 3, 48, 64)
    tensors = fold(model)
    again = Segmenter(CONFIG)
    again.load_state_dict(unfold(tensors, Segmenter(CONFIG)))
    assert (again.eval()(x) - load_frozen(tensors, CONFIG)(x)).abs().max() < 1e-3


@torch.no_grad()
def test_what_training_goes_on_from_is_the_same_network_there() -> None:
    model, x = lived_in(), torch.rand(2, 3, 48, 64)
    tensors, again = fold(model), Segmenter(replace(CONFIG, dropout=0.0))
    again.load_state_dict(unfold(tensors, Segmenter(CONFIG)))
    wanted = load_frozen(tensors, CONFIG)(x)
    assert (again.train()(x) - wanted).abs().max() > 0.1 * wanted.abs().max()  # batch norms take off what they should not
    again.load_state_dict(unfold(tensors, Segmenter(CONFIG)))
    settle(again, lambda: again(x))
    assert again.training
    assert (again.eval()(x) - wanted).abs().max() < 1e-3
    assert (again.train()(x) - wanted).abs().max() < 1e-3
    known = {name: t.clone() for name, t in again.state_dict().items()}
    settle(again, lambda: again(torch.rand(1, 3, 48, 64)))  # norms that are something stay so
    assert all(torch.equal(known[name], t) for name, t in again.state_dict().items())


def test_crops_are_decided_by_their_number(scenes_folder: Path) -> None:
    scenes = load_scenes(scenes_folder, "train")
    crops = SceneCrops(scenes, batch=3, rows=32, columns=48, seed=5)
    first = crops.at(0)
    crops.at(1)
    again = crops.at(0)
    assert first.picture.shape == (3, 32, 48, 3)
    assert first.classes.shape == (3, 32, 48)
    assert (first.picture == again.picture).all()
    assert (first.classes == again.classes).all()
    assert (first.picture != crops.at(1).picture).any()
    assert set(np.unique(first.classes)) <= {3, 8, VOID_LABEL}


def test_pictures_and_masks_are_cut_alike() -> None:
    """The left half is white and of class 1, whatever part of it a crop shows, but for pixels at the border."""
    picture = np.zeros((72, 96, 3), np.uint8)
    picture[:, :48] = 255
    classes = np.zeros((72, 96), np.uint8)
    classes[:, :48] = 1
    crops = SceneCrops([Scene(picture, classes)], batch=64, rows=48, columns=64, seed=1).at(0)
    for cut, mask in zip(crops.picture.astype(int), crops.classes, strict=True):
        if 0 < mask.mean() < 1:
            bright = cut.mean(2) > (cut.mean(2).max() + cut.mean(2).min()) / 2
            assert (bright == mask).mean() > 0.95


def test_data_that_is_not_there_or_wrong_is_named(scenes_folder: Path) -> None:
    with pytest.raises(RecipeError, match="no pictures in test/"):
        load_scenes(scenes_folder, "test")
    mask = scenes_folder / "val_labels" / "1.png"
    Image.fromarray(np.full((72, 96), 12, np.uint8)).save(mask)
    with pytest.raises(RecipeError, match="is no mask of"):
        load_scenes(scenes_folder, "val")
    mask.unlink()
    with pytest.raises(RecipeError, match="its mask"):
        load_scenes(scenes_folder, "val")


def test_the_loss_is_small_where_the_classes_are_right_and_blind_to_void() -> None:
    classes = torch.full((1, 8, 8), 4, dtype=torch.uint8)
    classes[:, :4] = VOID_LABEL
    right = torch.zeros(1, 11, 4, 4)
    right[:, 4, 2:] = 20
    wrong = right.clone()
    wrong[:, 7, 2:] = 40
    for step in range(4):
        assert segment_loss(right, classes, class_weights(), step) < 0.01
        assert segment_loss(wrong, classes, class_weights(), step) > 1
        other = right.clone()
        other[:, 7, :2] = 40
        assert torch.equal(
            segment_loss(other, classes, class_weights(), step), segment_loss(right, classes, class_weights(), step)
        )
    nothing = torch.full_like(classes, VOID_LABEL)
    assert segment_loss(right, nothing, class_weights(), 0) == 0


def test_overlaps_are_of_the_pixels_that_count() -> None:
    classes = np.array([[0, 0, 1, VOID_LABEL]], np.uint8).repeat(2, 0)
    counts = np.array([[2, 2], [0, 2]])
    assert overlaps(counts).tolist() == [50.0, 50.0]
    model = Segmenter(SegmenterConfig(**SMALL | {"classes": 2})).eval()
    found = confusion(model, [Scene(np.zeros((2, 4, 3), np.uint8), classes)], torch.device("cpu"))
    assert found.sum(1).tolist() == [4, 2]


def test_a_run_that_stopped_goes_on_as_if_it_had_not(scenes_folder: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    steady = dataclasses.replace(TINY, decay_from=1.0)  # else the rate falls sooner in the shorter recipe
    train(steady, scenes_folder, tmp_path / "whole", minutes=5, log=lines.append)
    train(dataclasses.replace(steady, steps=2), scenes_folder, tmp_path / "parts", minutes=5, log=lines.append)
    assert train(steady, scenes_folder, tmp_path / "parts", minutes=5, log=lines.append).step == 4
    assert any("3 scenes, 2 held out; 1 x cpu; from step 2 of 4" in line for line in lines)
    assert any("% mIoU" in line for line in lines)
    for name in ("model", "average", "exp_avg", "exp_avg_sq"):
        one, two = (load_file(tmp_path / run / f"{name}.safetensors") for run in ("whole", "parts"))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_run_is_exported_with_a_card_and_trained_on(
    scenes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(TINY, scenes_folder, tmp_path / "run", minutes=5, log=lambda _: None)
    card = export_run(TINY, tmp_path / "run", tmp_path / "out", Provenance("tiny", "cuts of a photograph", "none", "tiny.toml"))
    written = json.loads((tmp_path / "out" / "tiny.json").read_text())
    assert (written["network"], written["id"], written["steps"]) == ("camvid-segment", card.id, 4)
    assert written["recipe"] == "tiny.toml; batch norm folded, in steps of 1/8 of each output's spread"
    subject = subject_of(TINY)
    subject.build().load_state_dict(subject.thaw(read_tensors(tmp_path / "out" / "tiny.safetensors.xz")))

    monkeypatch.setattr("foveal.codecs.learned.weights.FOLDER", tmp_path / "out")
    monkeypatch.setattr(builtin, "FOLDER", tmp_path / "out")
    monkeypatch.setitem(builtin.BUILTIN, "camvid-segment", "tiny")
    network, _ = load_builtin("camvid-segment")
    (classes,) = network.run(np.zeros((1, 3, 33, 50), np.float32))
    assert classes.shape == (1, 33, 50)
    (tmp_path / "out" / "tiny.safetensors.xz").write_bytes(b"junk")
    with pytest.raises(NetworkError, match="install foveal again"):
        load_builtin("camvid-segment")
    (tmp_path / "out" / "tiny.json").write_text("{")
    with pytest.raises(NetworkError, match="card of builtin"):
        load_builtin("camvid-segment")


def test_wrong_recipes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("network = 'camvid-segment'\nsteps = 3\nband_dropout = 0.1\n")
    with pytest.raises(RecipeError, match="unknown key 'band_dropout'"):
        read_recipe(path)
    with pytest.raises(RecipeError, match="known is: camvid-segment"):
        subject_of(dataclasses.replace(TINY, network="other"))
    with pytest.raises(RecipeError, match="unknown key 'depth'"):
        subject_of(dataclasses.replace(TINY, model={"depth": 3})).build()


def test_the_recipe_is_that_of_the_weights_that_ship() -> None:
    config = read_recipe(ROOT / "recipes" / "camvid-segment.toml")
    assert isinstance(config, NetworkConfig)
    card = network_card("camvid-segment")
    assert SegmenterConfig(**config.model) == SegmenterConfig(**card.config)  # type: ignore[arg-type]
    assert card.recipe.startswith("camvid-segment.toml")
    assert card.path.stat().st_size < 3 << 20
    assert all(other.codec != "camvid-segment" for other in cards())


def test_networks_that_are_not_there_are_named() -> None:
    with pytest.raises(NetworkError, match="builtin:cityscapes-segment; there are camvid-segment, camvid-segment-coded"):
        load_builtin("cityscapes-segment")


@pytest.mark.parametrize("shape", [(64, 96, 3), (61, 97, 3), (50, 70, 1), (9, 300, 3)])
def test_the_network_that_ships_reads_pictures_of_any_size(shape: tuple[int, int, int]) -> None:
    network, record = load_builtin("camvid-segment", 1)
    task = PixelTask(network, record, "camvid-segment")
    samples = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    threads = torch.get_num_threads()
    result = task.analyze(Picture(samples))
    assert isinstance(result, ClassMap)
    assert result.classes.shape == shape[:2]
    assert torch.get_num_threads() == threads
    with torch.autocast("cpu", torch.bfloat16):
        again = task.analyze(Picture(samples))
    assert isinstance(again, ClassMap)
    assert (again.classes == result.classes).all()


def test_the_shares_of_the_classes_are_those_of_camvid(data_folder: Path) -> None:
    scenes = load_scenes(data_folder / "camvid", "train")[::6]
    counts = sum(np.bincount(scene.classes.ravel(), minlength=12)[:11] for scene in scenes)
    assert np.allclose(np.array(counts) / np.sum(counts), SHARES, atol=0.02)


@pytest.mark.slow
def test_the_network_that_ships_reads_road_scenes(data_folder: Path) -> None:
    """Every eighth scene of the val part; the card has the figures of the whole."""
    network, record = load_builtin("camvid-segment", 1)
    task = PixelTask(network, record, "camvid-segment")
    counts = np.zeros((11, 11), np.int64)
    for scene in load_scenes(data_folder / "camvid", "val")[::8]:
        result = task.analyze(Picture(scene.picture))
        assert isinstance(result, ClassMap)
        known = scene.classes != VOID_LABEL
        counts += np.bincount(scene.classes[known] * 11 + result.classes[known].astype(int), minlength=121).reshape(11, 11)
    assert np.nanmean(overlaps(counts)) > 55
    assert np.trace(counts) / counts.sum() > 0.85
