"""Which things a picture shows: the head, and its scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foveal.errors import LabelError
from foveal.tasks.latent.network import LatentConfig, LatentNetwork
from foveal.tasks.latent.running import LatentTask, in_picture, seen_things
from foveal.tasks.results import ClassScores, TrueBoxes
from foveal.tasks.things import Things
from latent_networks import SIZES, card, latents


def _scores(*numbers: float) -> ClassScores:
    return ClassScores(np.array(numbers, np.float32))


def _seen(*classes: int) -> TrueBoxes:
    return TrueBoxes(np.zeros((len(classes), 4), np.float32), np.array(classes, np.int64), np.zeros(len(classes), bool))


def test_mean_average_precision_by_hand() -> None:
    things = Things()
    tallies = [
        things.tally(_scores(0.9, 0.1, 0.3), _seen(0, 0)),
        things.tally(_scores(0.8, 0.7, 0.2), _seen()),
        things.tally(_scores(0.2, 0.6, 0.1), _seen(0, 1)),
    ]
    first, second = (1 + 2 / 3) / 2, 1 / 2  # nobody is labelled with the third class
    np.testing.assert_allclose(things.scores(tallies), [100 * (first + second) / 2])
    drawn = things.scores(tallies, np.array([[1, 1, 1], [2, 0, 0], [1, 2, 1], [0, 1, 0]]))
    np.testing.assert_allclose(drawn[:, 0], [100 * (first + second) / 2, 100, 100 * ((1 + 2 / 4) / 2 + 1 / 3) / 2, np.nan])
    again = [things.load(things.dump(tally)) for tally in tallies]
    np.testing.assert_allclose(things.scores(again), things.scores(tallies))
    assert things.truth_of(_scores(0.6, 0.4, 0.5)).classes.tolist() == [0, 2]
    with pytest.raises(LabelError, match=r"class 3 is labelled, the network knows 0\.\.2"):
        things.tally(_scores(0, 0, 0), _seen(3))
    for values in (None, [1], [[0.5], [4]], [[0.5], ["a"]]):
        with pytest.raises(LabelError, match="no tally of things"):
            things.load(values)


def test_the_padding_is_not_seen() -> None:
    torch.manual_seed(1)
    network = LatentNetwork(LatentConfig(**{**SIZES, "things": 80})).eval()
    features = torch.randn(1, 8, 16, 16)
    assert in_picture(features, 70, 100).shape[2:] == (13, 9)
    changed = features.clone()
    changed[:, :, 13:], changed[:, :, :, 9:] = 9, 9
    with torch.no_grad():
        one, same, other = (seen_things(network, x, *size).scores for x, size in (
            (features, (70, 100)), (changed, (70, 100)), (changed, (70, 128)),
        ))  # fmt: skip
    assert (one == same).all()
    assert (one != other).any()
    assert one.shape == (80,)
    assert one.max() < 0.3  # things are rare before anything is learned


def test_a_task_of_things() -> None:
    network = LatentNetwork(LatentConfig(**{**SIZES, "things": 80})).eval()
    task = LatentTask(network, card({**SIZES, "things": 80}), "things", threads=1)
    assert (task.classes.name, task.scoring.name) == ("coco-80", "things")
    result = task.analyze(latents(100, 70))
    assert isinstance(result, ClassScores)
    assert ((result.scores > 0) & (result.scores < 1)).all()
