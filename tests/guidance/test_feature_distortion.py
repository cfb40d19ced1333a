"""The search by feature distortion: blocks whose features suffer get finer, and the bits are those of the picture's own step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from foveal.guidance.feature_distortion import Coding, FeatureDistortion, _between, _choices
from foveal.guidance.importance import Importance, ProxyReader
from foveal.picture import Picture
from foveal.tasks.proxy.network import Proxy, ProxyConfig

AT = (-1.0, 0.0, 1.5)
EVEN = Importance(np.ones((4, 6), np.float32))
NOISE = Picture(np.random.default_rng(0).integers(60, 200, (64, 96, 3), np.uint8))


class Told:
    """A reader that is told the feature error of each coding, at each 8 pixels."""

    def __init__(self, errors: Sequence[np.ndarray]) -> None:
        self._errors = errors
        self.threads: int | None = None

    def feature_errors(self, picture: Picture, decoded: Sequence[Picture], *, threads: int | None) -> list[np.ndarray]:
        self.threads = threads
        assert len(decoded) == len(self._errors)
        return [error.astype(np.float32) for error in self._errors]


def coded(octaves: float, picture: Picture = NOISE) -> Coding:
    """All of the picture with errors of one strength that doubles with each octave."""
    error = np.random.default_rng(1).normal(0, 4 * 2**octaves, picture.samples.shape)
    return Coding(octaves, Picture(np.clip(picture.samples + error, 0, 255).astype(np.uint8)), 40_000 / 2**octaves)


def chosen(errors: Sequence[np.ndarray], feature: float = 0.9, importance: Importance = EVEN) -> np.ndarray:
    return FeatureDistortion(feature).octaves(Told(errors), NOISE, [coded(o) for o in AT], importance, 4, 6, threads=3)


def test_where_all_suffer_alike_nothing_moves() -> None:
    assert (abs(chosen([np.full((8, 12), 4.0**o) for o in AT])) <= 1 / 6).all()


def test_the_half_whose_features_suffer_gets_finer() -> None:
    harm = np.ones((8, 12))
    harm[:, :6] = 50
    octaves = chosen([harm * 4.0**o for o in AT])
    assert octaves[:, :2].max() < -0.3
    assert octaves[:, 4:].min() > 0.3
    assert octaves.min() >= AT[0]
    assert octaves.max() <= AT[-1]
    assert abs(octaves.mean()) < 0.3  # both halves cost alike, so what one takes the other gives
    assert abs(chosen([harm * 4.0**o for o in AT], feature=0)).max() <= 1 / 6


def test_the_half_that_matters_gets_finer() -> None:
    score = np.ones((8, 12), np.float32)
    score[:, :6] = 50
    even = [np.full((8, 12), 4.0**o) for o in AT]
    octaves = chosen(even, feature=0, importance=Importance(score))
    assert octaves[:, :2].max() < -0.3
    assert octaves[:, 4:].min() > 0.3
    assert abs(chosen(even, feature=1, importance=Importance(score))).max() <= 1 / 6


def test_contexts_reach_beyond_a_block() -> None:
    harm = np.full((8, 12), 1e-3)
    harm[4:6, 6:8] = 100
    octaves = chosen([harm * 4.0**o for o in AT])
    assert octaves[2, 3] < octaves[2, 2] <= octaves[0, 0]
    assert octaves[2, 2] < octaves[2, 0]


def test_the_threads_reach_the_reader() -> None:
    told = Told([np.ones((8, 12))] * 3)
    FeatureDistortion().octaves(told, NOISE, [coded(o) for o in AT], EVEN, 4, 6, threads=3)
    assert told.threads == 3


@pytest.mark.parametrize("shape", [(1, 1, 3), (16, 70, 1), (9, 40, 3)])
def test_pictures_of_any_size_are_searched(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    sizes = ProxyConfig(8, 8, 8, 16, 16, 1, 1, 1, features=8, scene_coarse=8, scene_whole=8, classes=5)
    reader = ProxyReader(Proxy(sizes, folded=True).eval().requires_grad_(False))
    picture = Picture(np.random.default_rng(4).integers(0, 256, shape, np.uint8))
    rows, columns = -(-shape[0] // 16), -(-shape[1] // 16)
    octaves = FeatureDistortion().octaves(reader, picture, [coded(o, picture) for o in AT], EVEN, rows, columns)
    assert octaves.shape == (rows, columns)
    assert np.isfinite(octaves).all()


def test_features_that_a_network_sees_suffer_in_the_half_that_is_harmed(photo: Picture) -> None:
    """The left half loses its texture; the right one, which is the same mirrored and costs as much, next to nothing."""
    half = photo.samples[:96, 96:192]
    picture = Picture(np.concatenate([half, half[:, ::-1]], 1))
    codings: list[Coding] = []
    for octaves in AT:
        decoded = picture.samples + np.random.default_rng(1).normal(0, 2**octaves, picture.samples.shape)
        left = decoded[:, :96]
        left -= min(1.0, 0.4 * 2**octaves) * (left - left.mean((0, 1)))
        codings.append(Coding(octaves, Picture(np.clip(np.rint(decoded), 0, 255).astype(np.uint8)), 20_000 / 2**octaves))
    chosen = FeatureDistortion(1.0).octaves(ProxyReader(), picture, codings, EVEN, 6, 12)
    assert chosen[:, :5].mean() < chosen[:, 7:].mean() - 0.5


def test_the_choices_hold_both_ends_and_0() -> None:
    assert _choices(-1, 1.5).tolist() == pytest.approx([step / 6 for step in range(-6, 10)])
    assert _choices(-0.05, 0).tolist() == [-0.05, 0]
    assert 0 in _choices(-0.31, 0.97)


def test_values_between_codings_never_turn_back() -> None:
    at = np.array([-1.0, 0.0, 1.0])
    rising = _between(at, np.array([1.0, 4.0, 2.0])[:, None, None], np.array([-1, -0.5, 0, 1.0]))
    assert rising[:, 0, 0].tolist() == pytest.approx([1, 2, 4, 4])
    falling = _between(at, np.array([8.0, 0.5, 2.0])[:, None, None], np.array([-0.5, 0.5, 1]))
    assert falling[:, 0, 0].tolist() == pytest.approx([2, 0.5, 0.5])
