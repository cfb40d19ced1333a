"""The head that goes on as the segmenter of pictures does: what it begins with, what it is told, and its weights as they ship."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from foveal.codecs.learned.weights import load_weights
from foveal.errors import RecipeError
from foveal.picture import Picture
from foveal.tasks.builtin import network_card
from foveal.tasks.camvid_segment.network import Segmenter, SegmenterConfig, load_frozen
from foveal.tasks.camvid_segment.scenes import VOID_LABEL
from foveal.tasks.latent.network import LatentConfig, LatentNetwork, SegmentHead, TrunkFeatures
from foveal.tasks.latent.running import class_map
from foveal.tasks.residual import Normed, fold, ready, unfold
from foveal.training import segment_teaching
from foveal.training.config import LatentTraining
from foveal.training.curriculum import curriculum_of
from foveal.training.segment_teaching import SegmentTeaching
from latent_networks import SIZES, for_all

CPU = torch.device("cpu")
MIXED = torch.autocast("cpu", enabled=False)
CONFIG = LatentTraining(reads="none", steps=4, batch=2, crop_rows=64, crop_columns=128, model={**SIZES, "segment": 11})


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    card = network_card("camvid-segment")
    return load_frozen(load_weights(card), SegmenterConfig(**card.config))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory, photo: Picture) -> Path:
    """A photograph as a road scene, and what is bright in it as a class."""
    folder = tmp_path_factory.mktemp("camvid")
    for part, count in (("train", 2), ("val", 3)):
        (folder / part).mkdir()
        (folder / f"{part}_labels").mkdir()
        for number in range(count):
            picture = np.roll(photo.samples, 50 * number, axis=1)[:150, :200]
            Image.fromarray(picture).save(folder / part / f"{number}.png")
            Image.fromarray(np.where(picture.mean(2) > 110, 3, 8).astype(np.uint8)).save(
                folder / f"{part}_labels" / f"{number}.png"
            )
    return folder


def _network() -> LatentNetwork:
    torch.manual_seed(4)
    return LatentNetwork(LatentConfig(**CONFIG.model)).eval()


def _seeing(segmenter: Segmenter, x: Tensor) -> Callable[[SegmentHead, Tensor], tuple[Tensor, Tensor]]:
    """A head's features, in whose place the segmenter looks at the picture itself."""

    def features(head: SegmentHead, trunk: Tensor) -> tuple[Tensor, Tensor]:
        return segmenter.features(x)

    return features


def _head(network: LatentNetwork) -> SegmentHead:
    assert network.segment is not None
    return network.segment


@torch.no_grad()
def test_the_tail_begins_as_the_segmenter_s_and_answers_as_it_does(camvid: Path, segmenter: Segmenter) -> None:
    network, x = _network(), torch.rand(2, 3, 64, 128)
    head, wanted = _head(network), segmenter(x)
    assert head.logits(*segmenter.features(x)).shape == wanted.shape == (2, 11, 32, 64)
    assert not torch.allclose(head.logits(*segmenter.features(x)), wanted, atol=0.1)
    own = {
        name: t.clone()
        for name, t in head.state_dict().items()
        if name.startswith(("enter.", "blocks.", "to_middle.", "to_fine.", "past."))
    }
    begun = SegmentTeaching(camvid, CONFIG, 1).begin(network)
    assert torch.equal(head.logits(*segmenter.features(x)), wanted)
    state = head.state_dict()
    assert all(torch.equal(state[name], t) for name, t in own.items())
    tail = {name for name in state if name not in own}
    assert tail < set(segmenter.state_dict())
    assert begun == {f"segment.{name}" for name in tail} < {name for name, _ in network.named_parameters()}


@torch.no_grad()
def test_features_like_the_segmenter_s_cost_nothing_more_than_the_labels(
    camvid: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _network()
    teaching, plain = SegmentTeaching(camvid, CONFIG, 1), SegmentTeaching(camvid, dataclasses.replace(CONFIG, distil=0.0), 1)
    teaching.begin(network)
    shown = teaching.source.at(3)
    assert isinstance(shown, segment_teaching.ShownScenes)
    assert shown.classes.shape == shown.pictures.shape[:3] == (2, 64, 128)
    again = SegmentTeaching(camvid, CONFIG, 1).source.at(3)
    np.testing.assert_array_equal(shown.pictures, again.pictures)
    x, features = torch.from_numpy(shown.pictures).permute(0, 3, 1, 2).float() / 255, for_all(torch.randn(2, 8, 8, 16))

    def losses() -> list[float]:
        return [float(one.loss(network, features, x, one.told(shown), 0, MIXED)) for one in (teaching, plain)]

    taught, labelled = losses()
    assert taught > labelled + 0.5
    monkeypatch.setattr(SegmentHead, "features", _seeing(segmenter, x))
    taught, labelled = losses()
    assert taught == pytest.approx(labelled, abs=1e-4)


@torch.no_grad()
def test_of_other_pictures_only_what_the_segmenter_sees_is_learned(
    camvid: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(CONFIG, unlabelled=0.5)
    grey = [np.full((90, 140, 3), 128, np.uint8)]
    teaching = SegmentTeaching(camvid, config, 1, grey)
    assert "2 scenes and 1 other pictures" in teaching.source.summary
    shown = teaching.source.at(0)
    assert isinstance(shown, segment_teaching.ShownScenes)
    assert shown.pictures.shape == (2, 64, 128, 3)
    assert set(np.unique(shown.classes[0])) == {3, 8}
    assert set(np.unique(shown.classes[1])) == {VOID_LABEL}
    assert np.ptp(shown.pictures[1].reshape(-1, 3), axis=0).max() <= 2
    alone = segment_teaching.ShownScenes(shown.pictures[1:], shown.classes[1:])
    network, x = _network(), torch.from_numpy(alone.pictures.copy()).permute(0, 3, 1, 2).float() / 255
    teaching.begin(network)
    features = for_all(torch.randn(1, 8, 8, 16))
    assert float(teaching.loss(network, features, x, teaching.told(alone), 0, MIXED)) > 0.1
    monkeypatch.setattr(SegmentHead, "features", _seeing(segmenter, x))
    assert float(teaching.loss(network, features, x, teaching.told(alone), 0, MIXED)) == pytest.approx(0, abs=1e-5)
    assert SegmentTeaching(camvid, config, 1).source.at(0).pictures.shape == (2, 64, 128, 3)


def test_a_recipe_that_asks_for_it_shows_photographs_beside_the_scenes(camvid: Path, photo: Picture) -> None:
    sizes = LatentConfig(**CONFIG.model)
    (camvid.parent / "photos").mkdir(exist_ok=True)
    for number in range(3):
        Image.fromarray(photo.samples).save(camvid.parent / "photos" / f"{number}.png")
    data = camvid.parent / "data"
    data.mkdir(exist_ok=True)
    for name, folder in (("camvid", camvid), ("photos", camvid.parent / "photos")):
        if not (data / name).exists():
            (data / name).symlink_to(folder)
    assert "2 scenes and 2 other pictures" in curriculum_of(sizes, data, dataclasses.replace(CONFIG, unlabelled=0.5), 1).summary
    assert curriculum_of(sizes, data, CONFIG, 1).summary == "segment: 2 scenes"
    with pytest.raises(RecipeError, match=r"unlabelled = 1.5; a part of the batches from 0 to below 1"):
        curriculum_of(sizes, data, dataclasses.replace(CONFIG, unlabelled=1.5), 1)


def test_features_alone_are_learned_before_answers_and_labels(camvid: Path, segmenter: Segmenter) -> None:
    """A tail that is the segmenter's own learns nothing from features that are not yet like its."""
    late, always = (SegmentTeaching(camvid, dataclasses.replace(CONFIG, answers_from=part), 1) for part in (0.5, 0.0))
    shown = late.source.at(0)
    assert isinstance(shown, segment_teaching.ShownScenes)
    x, features = torch.from_numpy(shown.pictures).permute(0, 3, 1, 2).float() / 255, for_all(torch.randn(2, 8, 8, 16))
    for step, alone in ((0, True), (1, True), (2, False), (3, False)):
        network = _network()
        begun = late.begin(network)
        late.loss(network, features, x, late.told(shown), step, MIXED).backward()
        moved = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
        assert {name for name, _ in network.named_parameters() if name.startswith("segment.")} - begun <= moved
        assert moved.isdisjoint(begun) if alone else begun <= moved
        with torch.no_grad():
            told, other = late.told(shown), (late.told(shown) + 1) % 11
            one, changed = (float(late.loss(network, features, x, labels, step, MIXED)) for labels in (told, other))
            assert (one == changed) is alone
            assert (one == float(always.loss(network, features, x, told, step, MIXED))) is not alone


@torch.no_grad()
def test_where_turns_are_taken_all_pixels_are_learned_from(camvid: Path) -> None:
    """A head of a run with two sources learns in every second step, of a codec's own run with two in every fourth."""
    network, teaching = _network(), SegmentTeaching(camvid, dataclasses.replace(CONFIG, distil=0.0), 1)
    shown = teaching.source.at(0)
    assert isinstance(shown, segment_teaching.ShownScenes)
    x, features = torch.zeros(2, 3, 64, 128), for_all(torch.randn(2, 8, 8, 16))
    for first, turns in ((0, 1), (0, 2), (1, 2), (1, 4), (3, 4)):
        steps = range(first, first + 16 * turns, turns)
        assert len({float(teaching.loss(network, features, x, teaching.told(shown), step, MIXED)) for step in steps}) == 4


@torch.no_grad()
def test_scenes_are_measured_in_pixels_of_theirs(camvid: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    network, seen = _network(), list[tuple[int, ...]]()

    def features(x: Tensor) -> TrunkFeatures:
        seen.append(tuple(x.shape))
        monkeypatch.setattr(SegmentHead, "features", _seeing(segmenter, x))
        return for_all(torch.zeros(1, 8, x.shape[2] // 8, x.shape[3] // 8))

    teaching = SegmentTeaching(camvid, CONFIG, 1)
    teaching.begin(network)
    assert teaching.measure(network, features, CPU).endswith("% mIoU")
    assert seen == [(1, 3, 192, 256)] * 2  # every second scene
    assert teaching.source.summary == "2 scenes"
    whole = torch.zeros(1, 11, 96, 128)
    whole[:, 5], whole[:, 7, :, 50:] = 1, 2
    classes = class_map(whole, 200, 150).classes
    assert classes.shape == (150, 200)
    assert (classes[:, :99] == 5).all()
    assert (classes[:, 101:] == 7).all()


@torch.no_grad()
def test_weights_that_ship_compute_the_same_and_are_trained_on_from(camvid: Path) -> None:
    """The tail has no batch norm, what comes before it has some."""
    network = _network()
    SegmentTeaching(camvid, CONFIG, 1).begin(network)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    kinds = {type(module.norm) for module in _head(network).modules() if isinstance(module, Normed)}
    assert kinds == {torch.nn.BatchNorm2d, torch.nn.Identity}
    tensors, features = fold(network), torch.randn(1, 8, 6, 6)
    folded, again = LatentNetwork(network.config, folded=True), LatentNetwork(network.config).eval()
    ready(folded, tensors)
    again.load_state_dict(unfold(tensors, again))
    wanted = _head(network)(features)
    assert wanted.shape == (1, 11, 24, 24)
    for other in (folded, again):
        assert float((_head(other)(features) - wanted).abs().max()) < 0.02 * float(wanted.abs().max())
    assert {name: t.shape for name, t in fold(again).items()} == {name: t.shape for name, t in tensors.items()}
    for name, t in fold(again).items():
        assert torch.allclose(t.float(), tensors[name].float(), atol=2e-3), name
