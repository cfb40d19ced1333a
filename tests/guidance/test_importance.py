"""Importance: what a score means, that nothing of the caller's moves it, and how it lies over blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foveal.errors import NetworkError, SettingsError
from foveal.guidance import importance as module
from foveal.guidance.importance import Importance, ProxyReader
from foveal.guidance.reader import TASKS, Scores
from foveal.picture import Picture
from foveal.tasks import builtin
from foveal.tasks.proxy.network import Proxy, ProxyConfig
from foveal.tasks.proxy.reading import READING_SIDE, as_read, shipped_proxy

BOTH: tuple[Scores, ...] = ("harm", "gradients")

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
    blocks = finder_of_texture().importance(textured_on_the_right(), ("detect",), "gradients").blocks(4, 6)
    assert blocks[:, 4:].min() > 20 * blocks[:, :2].max()
    assert blocks.mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("scores", BOTH)
def test_other_tasks_are_scored_by_other_heads(reader: ProxyReader, scores: Scores) -> None:
    picture = textured_on_the_right()
    found = [reader.importance(picture, (task,), scores).score for task in TASKS]
    for i, one in enumerate(found):
        assert all(np.abs(one - other).max() > 0.01 for other in found[:i])
    # A gradient of 0 everywhere, and the same harm everywhere.
    assert finder_of_texture().importance(picture, ("segment",), scores).score == pytest.approx(1, abs=1e-6)


def harmed_by_texture(*factors: float, lift: float = 0.0) -> Proxy:
    """A proxy that says of each task, in the order of ``TASKS``, so many times how busy a picture is; all of them ``lift`` higher."""
    proxy = Proxy(SMALL, folded=True).eval().requires_grad_(False)
    for tensor in proxy.parameters():
        tensor.zero_()
    proxy.harms.of_texture.weight[0] = 1
    proxy.harms.of_texture.bias[0] = 2  # above 0 where a picture is flat, too
    proxy.harms.last.weight[:, 0, 0, 0] = torch.tensor(factors)
    proxy.harms.last.bias[:] = lift
    return proxy


def checked_on_the_right() -> Picture:
    """Flat on the left, a fine chequered pattern on the right."""
    samples = np.full((64, 96, 3), 120, np.uint8)
    samples[:, 48:] = np.where(np.indices((64, 48)).sum(0) % 2, 90, 150)[:, :, None]
    return Picture(samples)


def test_harm_is_the_square_of_what_the_tasks_own_head_says() -> None:
    """Up to a factor for each task, and a floor; of several tasks it is the mean of scores of mean 1."""
    picture, proxy = checked_on_the_right(), harmed_by_texture(0.5, 0.0, -0.3, 1.0)
    flat, busy = (np.s_[16:48, 8:32], np.s_[16:48, 64:88])
    said = {task: proxy.harm(as_read(picture))[0, i, 4, [2, 9]].double().numpy() for i, task in enumerate(TASKS)}
    for task, factor in zip(TASKS, (0.5, 0.0, -0.3, 1.0), strict=True):
        score = ProxyReader(proxy).importance(picture, (task,)).score
        assert score.mean() == pytest.approx(1, abs=1e-5)
        assert np.ptp(score[flat]) == pytest.approx(0, abs=1e-5)
        assert np.ptp(score[busy]) == pytest.approx(0, abs=1e-5)
        ratio = (score[busy].mean() * 1.001 - 0.001) / (score[flat].mean() * 1.001 - 0.001)
        assert ratio == pytest.approx(np.exp(2 * (said[task][1] - said[task][0])), rel=1e-3)
        assert (np.log(ratio) > 0.1, np.log(ratio) < -0.1) == (factor > 0, factor < 0)
    alone = [ProxyReader(proxy).importance(picture, (task,)).score for task in ("classify", "pose")]
    assert np.allclose(ProxyReader(proxy).importance(picture, ("pose", "classify")).score, np.mean(alone, 0), atol=2e-3)
    assert np.allclose(
        ProxyReader(proxy).importance(picture).score,
        np.mean([ProxyReader(proxy).importance(picture, (task,)).score for task in TASKS], 0),
        atol=2e-3,
    )


@pytest.mark.parametrize("lift", [-300.0, 300.0])
def test_harm_is_known_up_to_a_factor(lift: float) -> None:
    picture = checked_on_the_right()
    expected, found = (ProxyReader(harmed_by_texture(0.5, 0, -0.3, 1, lift=by)).importance(picture).score for by in (0, lift))
    assert np.allclose(found, expected, rtol=1e-3)


def test_harm_lies_over_the_picture_and_not_over_its_padding() -> None:
    """A stripe that begins 24 pixels from the right edge, whatever the picture's size."""
    for width in (96, 97, 121):
        samples = np.full((50, width, 3), 120, np.uint8)
        start = width // 8 * 8 - 24
        samples[:, start:] = np.where(np.indices((50, width - start)).sum(0) % 2, 60, 180)[:, :, None]
        score = ProxyReader(harmed_by_texture(1, 1, 1, 1)).importance(Picture(samples)).score
        assert score.shape == (50, width)
        middle = score[20].argmin(), score[20, start - 8], score[20, start + 8]
        assert middle[0] < start - 4
        assert middle[1] < 0.2 < 1 < middle[2]
        across = np.flatnonzero(score[20] > (score[20].min() + score[20, start + 12]) / 2)
        assert abs(across[0] - start) <= 2


def test_harm_takes_one_pass_and_no_gradient(reader: ProxyReader, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(module, "squared_gradients", never)
    picture = textured_on_the_right()
    assert (reader.importance(picture).score == reader.importance(picture, TASKS, "harm").score).all()
    with pytest.raises(AssertionError):
        reader.importance(picture, TASKS, "gradients")
    monkeypatch.undo()
    monkeypatch.setattr(Proxy, "harm", never)
    assert reader.importance(picture, TASKS, "gradients").score.std() > 0


@pytest.mark.parametrize("scores", ["Harm", "", "gradient", None, 2])
def test_unknown_kinds_of_scores_are_named(reader: ProxyReader, scores: object) -> None:
    with pytest.raises(SettingsError, match=f"scores = {scores!r}; harm or gradients is allowed"):
        reader.importance(textured_on_the_right(), TASKS, scores)  # type: ignore[arg-type]


@pytest.mark.parametrize("scores", BOTH)
@pytest.mark.parametrize("shape", [(40, 72, 3), (33, 47, 1), (1, 1, 3), (5, 500, 3), (600, 300, 1)])
def test_a_picture_of_any_size_has_scores_of_mean_1(reader: ProxyReader, shape: tuple[int, int, int], scores: Scores) -> None:
    samples = np.random.default_rng(2).integers(0, 256, shape, np.uint8)
    score = reader.importance(Picture(samples), scores=scores).score
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


@pytest.mark.parametrize("scores", BOTH)
def test_nothing_that_a_caller_sets_moves_the_score(reader: ProxyReader, photo: Picture, scores: Scores) -> None:
    picture = Picture(photo.samples[:64, :80].copy())
    expected = reader.importance(picture, scores=scores, threads=1).score
    threads = torch.get_num_threads()
    torch.manual_seed(99)
    for mode in (torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", torch.bfloat16)):
        with mode:
            assert (reader.importance(picture, scores=scores, threads=1).score == expected).all()
    state = torch.random.get_rng_state()
    assert np.allclose(reader.importance(picture, scores=scores, threads=2).score, expected, rtol=1e-3)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_weights_that_were_loaded_in_inference_mode_serve_gradients(photo: Picture) -> None:
    shipped_proxy.cache_clear()
    with torch.inference_mode():
        reader = ProxyReader()
    assert reader.importance(Picture(photo.samples[:32, :32].copy()), scores="gradients").score.std() > 0


def test_weights_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped_proxy.cache_clear()
    monkeypatch.setitem(builtin.GUIDING, "proxy", "nothing")
    with pytest.raises(NetworkError, match=r"nothing\.json"):
        ProxyReader()
    monkeypatch.setitem(builtin.GUIDING, "proxy", "camvid-segment-1")
    with pytest.raises(NetworkError, match="the proxy that guides codecs"):
        ProxyReader()
    assert shipped_proxy.cache_info().currsize == 0


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
