"""Importance: what a score means, that nothing of the caller's moves it, and how it lies over blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foveal.errors import NetworkError, SettingsError
from foveal.guidance import importance as module
from foveal.guidance.importance import READING_SIDE, Importance, ProxyReader, as_read
from foveal.guidance.reader import TASKS
from foveal.picture import Picture
from foveal.tasks import builtin
from foveal.tasks.proxy.network import Proxy, ProxyConfig

SMALL = ProxyConfig(8, 8, 8, 16, 16, 1, 1, 1, features=8, scene_coarse=8, scene_whole=8, classes=5)


@pytest.fixture(scope="module")
def reader() -> ProxyReader:
    torch.manual_seed(1)
    return ProxyReader(Proxy(SMALL, folded=True).eval().requires_grad_(False))


def finder_of_texture() -> ProxyReader:
    """A proxy that is sure of no object where a picture is flat, and unsure where it is not."""
    proxy = Proxy(SMALL, folded=True).eval().requires_grad_(False)
    for tensor in proxy.parameters():
        tensor.zero_()
    laplacian = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    proxy.stem.conv.weight[0, :] = laplacian
    for layer in (proxy.to_fine, proxy.to_middle, proxy.join_middle):
        layer.conv.weight[0, 0] = 1 / 3
    proxy.objects[0].weight[4, 0] = 1
    there = proxy(as_read(textured_on_the_right())).objects[0][0, 4, :, 7:].mean()
    proxy.objects[0].weight[4, 0] = 20 / there
    proxy.objects[0].bias[4] = -20
    return ProxyReader(proxy)


def textured_on_the_right() -> Picture:
    samples = np.full((64, 96, 3), 120, np.uint8)
    samples[:, 48:] = np.random.default_rng(0).integers(60, 190, (64, 48, 3))
    return Picture(samples)


def test_pixels_score_where_an_error_would_move_the_answer() -> None:
    blocks = finder_of_texture().importance(textured_on_the_right(), ("detect",)).blocks(4, 6)
    assert blocks[:, 4:].min() > 20 * blocks[:, :2].max()
    assert blocks.mean() == pytest.approx(1, abs=0.01)


def test_other_tasks_are_scored_by_other_heads(reader: ProxyReader) -> None:
    picture = textured_on_the_right()
    scores = [reader.importance(picture, (task,)).score for task in TASKS]
    for i, one in enumerate(scores):
        assert all(np.abs(one - other).max() > 0.01 for other in scores[:i])
    assert (finder_of_texture().importance(picture, ("segment",)).score == 1).all()  # its gradient is 0 everywhere


@pytest.mark.parametrize("shape", [(40, 72, 3), (33, 47, 1), (1, 1, 3), (5, 500, 3), (600, 300, 1)])
def test_a_picture_of_any_size_has_scores_of_mean_1(reader: ProxyReader, shape: tuple[int, int, int]) -> None:
    samples = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    score = reader.importance(Picture(samples), draws=1).score
    scale = min(1, READING_SIDE / max(shape[:2]))
    assert score.shape == tuple(max(1, round(side * scale)) for side in shape[:2])
    assert score.dtype == np.float32
    assert score.min() > 0
    assert score.mean() == pytest.approx(1, abs=1e-3)


def test_gray_is_read_as_three_equal_channels() -> None:
    gray = np.random.default_rng(3).integers(0, 256, (9, 7, 1), np.uint8)
    read = as_read(Picture(gray))
    assert read.shape == (1, 3, 9, 7)
    assert torch.equal(read, as_read(Picture(np.repeat(gray, 3, 2))))
    assert read[0, 1, 4, 5] == pytest.approx(gray[4, 5, 0] / 255)


def test_nothing_that_a_caller_sets_moves_the_score(reader: ProxyReader, photo: Picture) -> None:
    picture = Picture(photo.samples[:64, :80].copy())
    expected = reader.importance(picture, threads=1).score
    threads = torch.get_num_threads()
    torch.manual_seed(99)
    for mode in (torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", torch.bfloat16)):
        with mode:
            assert (reader.importance(picture, threads=1).score == expected).all()
    state = torch.random.get_rng_state()
    assert np.allclose(reader.importance(picture, threads=2).score, expected, rtol=1e-3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_weights_that_were_loaded_in_inference_mode_serve_gradients(photo: Picture) -> None:
    module._shipped.cache_clear()
    with torch.inference_mode():
        reader = ProxyReader()
    assert reader.importance(Picture(photo.samples[:32, :32].copy()), draws=1).score.std() > 0


def test_weights_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module._shipped.cache_clear()
    monkeypatch.setitem(builtin.GUIDING, "proxy", "nothing")
    with pytest.raises(NetworkError, match=r"nothing\.json"):
        ProxyReader()
    monkeypatch.setitem(builtin.GUIDING, "proxy", "camvid-segment-1")
    with pytest.raises(NetworkError, match="the proxy that guides codecs"):
        ProxyReader()
    assert module._shipped.cache_info().currsize == 0


@pytest.mark.parametrize("tasks", [("fly",), (), ("detect", "fly")])
def test_unknown_tasks_are_named(reader: ProxyReader, tasks: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="one or more of classify, detect, segment, pose are needed"):
        reader.importance(textured_on_the_right(), tasks)


def test_blocks_are_means_and_half_of_them_are_of_interest() -> None:
    score = np.arange(1, 33, dtype=np.float32).reshape(4, 8)
    found = Importance(score)
    assert found.blocks(2, 2).tolist() == [[7.5 - 1, 11.5 - 1], [23.5 - 1, 27.5 - 1]]
    assert found.region(2, 2).tolist() == [[False, False], [True, True]]
    assert found.blocks(9, 30).shape == (9, 30)
    assert not Importance(np.ones((4, 4), np.float32)).region(2, 2).any()


def test_features_differ_where_the_pictures_do(reader: ProxyReader, photo: Picture) -> None:
    samples = photo.samples[:128, :192].copy()
    harmed = samples.copy()
    harmed[:, :64] = harmed[:, :64].mean((0, 1)).astype(np.uint8)
    same, other = reader.feature_errors(Picture(samples), [Picture(samples), Picture(harmed)])
    assert same.shape == (16, 24)
    assert not same.any()
    assert other[:, :6].mean() > 5 * other[:, -4:].mean()
