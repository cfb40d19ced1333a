"""Heads that come with foveal: they read files of weights that are here, of any number of bands, and see what is there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import foveal
from foveal.codecs.base import EncodeSettings
from foveal.codecs.learned.weights import cards
from foveal.picture import Picture
from foveal.tasks.camvid_segment.learning import overlaps
from foveal.tasks.camvid_segment.scenes import VOID_LABEL, load_scenes
from foveal.tasks.choice import Asked, FileAnalyst
from foveal.tasks.labels.known_set import known_set
from foveal.tasks.latent import open_head, read_latents
from foveal.tasks.latent.running import HEADS
from foveal.tasks.latent.weights import card_for, latent_card, latent_cards, load_network
from foveal.tasks.opening import open_task
from foveal.tasks.results import ClassMap, ClassScores, TrueBoxes
from foveal.tasks.things import Things, ThingsTally
from foveal.tasks.vocabulary import vocabulary

MODELS = Path(os.environ.get("FOVEAL_MODELS", Path(__file__).parents[4] / "shared" / "models"))


def test_each_card_is_of_weights_that_are_here_and_tells_its_heads() -> None:
    known = {card.id for card in cards() if card.codec == "frequency"}
    assert latent_cards()
    for card in latent_cards():
        network = load_network(card)
        assert card.reads in known
        assert set(card.heads.split(",")) == {name for name, module in network.named_children() if name != "trunk"}
        for head in set(card.heads.split(",")) & set(HEADS):
            assert card.config[head] == len(vocabulary(HEADS[head]))


def test_the_default_weights_have_a_segmenter() -> None:
    default = next(card for card in cards() if card.codec == "frequency" and card.default)
    assert card_for(default.id, "segment") is not None


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_a_task_alone_is_answered_from_a_file_of_the_default_weights(photo: Picture, bands: int) -> None:
    picture = Picture(np.ascontiguousarray(photo.samples[:150, :101]))
    data = foveal.encode(picture, quality=20)
    answer = FileAnalyst(Asked(None, "segment", bands=bands)).answer(data)
    assert answer.read_from == "latent"
    assert isinstance(answer.result, ClassMap)
    assert answer.result.classes.shape == (150, 101)
    assert (answer.bytes_read == len(data)) == (bands == 3)


@pytest.mark.slow
@pytest.mark.parametrize(("bands", "least"), [(3, 55), (1, 45)])
def test_road_scenes_are_read_from_a_tenth_of_a_bit_a_pixel(data_folder: Path, bands: int, least: float) -> None:
    """Every eighth scene of the val part; docs/results/latent.md has the figures of the test part."""
    codec, analyst = foveal.codec_by_name("frequency"), FileAnalyst(Asked(None, "segment", source="latent", bands=bands))
    counts, sizes = np.zeros((11, 11), np.int64), list[float]()
    for scene in load_scenes(data_folder / "camvid", "val")[::8]:
        data = codec.encode(Picture(scene.picture), EncodeSettings(17))
        result = analyst.answer(data).result
        assert isinstance(result, ClassMap)
        known = scene.classes != VOID_LABEL
        counts += np.bincount(scene.classes[known] * 11 + result.classes[known].astype(int), minlength=121).reshape(11, 11)
        sizes.append(8 * len(data) / scene.classes.size)
    assert np.mean(sizes) < 0.11
    assert np.nanmean(overlaps(counts)) > least


@pytest.mark.slow
def test_things_are_seen_by_a_fed_network(data_folder: Path) -> None:
    """32 pictures of COCO's train part, by their labels; docs/results/latent.md has the figures of val2017."""
    found = known_set(data_folder / "coco" / "train2017")
    assert found is not None
    labels, score = found.labels("detect"), Things()
    network = MODELS / "yolox_nano_coco.onnx"
    if not network.is_file():
        pytest.skip(f"no networks at {MODELS}; set FOVEAL_MODELS")
    analyst, tallies = FileAnalyst(Asked(f"onnx:{network}", "things", source="latent")), list[ThingsTally]()
    for path in labels.pictures[::4]:
        answer, truth = analyst.answer(foveal.encode(foveal.read_picture(path), quality=25)), labels.truth(path)
        assert isinstance(answer.result, ClassScores)
        assert isinstance(truth, TrueBoxes)
        tallies.append(score.tally(answer.result, truth))
    assert len(tallies) == 32
    assert score.scores(tallies)[0] > 50


@pytest.mark.slow
def test_a_classifier_is_fed_better_in_its_middle_than_at_its_first_convolution(data_folder: Path) -> None:
    """How likely 32 pictures of COCO's train part are to be what MobileNetV2 itself takes them for; docs/results/latent.md has its accuracy by labels."""
    file, name = MODELS / "mobilenet_v2_imagenet.onnx", "mobilenet_v2_imagenet"
    if not file.is_file():
        pytest.skip(f"no networks at {MODELS}; set FOVEAL_MODELS")
    own = open_task(f"onnx:{file}", threads=1)
    heads = [open_head(latent_card(weights), name, file, threads=1) for weights in ("latent-networks-2", "latent-networks-1")]
    likely = list[tuple[float, ...]]()
    for path in sorted((data_folder / "coco" / "images" / "train2017").glob("*.avif"))[::4]:
        picture = Picture(np.ascontiguousarray(foveal.read_picture(path).rgb()))
        wanted, latents = own.analyze(picture), read_latents(foveal.encode(picture, quality=17))
        assert isinstance(wanted, ClassScores)
        found = [head.analyze(latents) for head in heads]
        likely.append(tuple(float(f.scores[wanted.scores.argmax()]) for f in found if isinstance(f, ClassScores)))
    middle, first = np.log(np.clip(likely, 1e-6, 1)).mean(0)
    assert len(likely) == 32
    assert middle > first + 0.3
