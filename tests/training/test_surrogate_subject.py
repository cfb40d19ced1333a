"""Surrogates as what is trained: their lessons, a run, and how it ends as weights that carry gradients."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from foveal.codecs.around.cards import around_cards, card_for
from foveal.codecs.around.surrogate import Approximation, Surrogate, load_surrogate
from foveal.errors import RecipeError
from foveal.picture import Picture
from foveal.training.config import AroundConfig, read_recipe
from foveal.training.data import Pixels
from foveal.training.export import Provenance, export_run
from foveal.training.host import Host
from foveal.training.loop import make_optimizer, train
from foveal.training.subjects import subject_of
from foveal.training.surrogate_lessons import KIN, SurrogateLessons, altered, make_surrogate_lessons
from foveal.training.surrogate_subject import CodedLessons

RECIPES = Path(__file__).parents[2] / "recipes"
JPEG = {"smallest": 8, "largest": 8, "coarsest": 1, "finest": 100, "directions": 0, "matrix": 6, "centred": 1, "channels": 0}
TINY = AroundConfig(part="surrogate", host="jpeg", steps=3, batch=4, warmup_steps=1, model=dict(JPEG))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, photo: Picture) -> Path:
    """Parts of a photograph, of which the first is held out."""
    folder = tmp_path_factory.mktemp("photos")
    for i, (top, left) in enumerate(((0, 0), (0, 130), (130, 0), (130, 130))):
        Image.fromarray(photo.samples[top : top + 120, left : left + 120]).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    folder = tmp_path_factory.mktemp("lessons") / "jpeg"
    make_surrogate_lessons("jpeg", photos, folder, 12, side=64, qualities=2)
    return folder


def parts_of(photo: Pixels, crop: Pixels) -> bool:
    """Whether a crop, perhaps mirrored, is cut from a photograph."""
    windows = np.lib.stride_tricks.sliding_window_view(photo[..., 0], crop.shape[:2])
    return any((windows[:, :, ::8, ::8] == way[::8, ::8, 0]).all((2, 3)).any() for way in (crop, crop[:, ::-1]))


def test_lessons_are_what_the_codec_makes(lessons: Path, photos: Path) -> None:
    told, host = SurrogateLessons.read(lessons, "jpeg"), Host("jpeg")
    assert (told.held_out, told.crops.shape, told.decoded.shape) == (KIN, (12, 64, 64, 3), (12, 2, 64, 64, 3))
    for crop in (0, 4, 11):
        for i, quality in enumerate(told.qualities[crop].tolist()):
            assert quality == round(quality)
            assert (quality > 50) == (i == 1)
            coded = host.code(np.array(told.crops[crop]), quality)
            assert (coded.decoded == told.decoded[crop, i]).all()
            assert coded.bits == told.bits[crop, i] > 0
    assert (told.qualities[1::KIN] == told.qualities[2::KIN]).all()
    assert (told.qualities[0::KIN] != told.qualities[1::KIN]).any()
    apart = np.abs(told.crops[2::KIN].astype(int) - told.crops[1::KIN]).mean((1, 2, 3))
    assert (apart < 20).all()
    assert (apart > 0).all()
    held_out, *others = (np.asarray(Image.open(photos / f"{i}.png")) for i in range(4))
    assert all(parts_of(held_out, crop) for crop in told.crops[9:11])
    assert all(any(parts_of(photo, crop) for photo in others) for crop in told.crops[[0, 1, 3, 4]])


def test_what_is_altered_keeps_its_coarse_part(photo: Picture) -> None:
    crop, change = photo.samples[:128, :128], list[float]()
    for seed in range(8):
        other = altered(crop, np.random.default_rng(seed))
        difference = other.astype(float) - crop
        assert np.abs(difference.reshape(8, 16, 8, 16, 3).mean((1, 3))).max() < 8
        fine = [np.abs(np.diff(x.astype(float), axis=1)).mean() for x in (other, crop)]
        change.append(fine[0] / fine[1])
    assert min(change) < 0.9 < 1.05 < max(change)


@pytest.mark.parametrize("bad", [{"crops": 7}, {"crops": 3}, {"side": 100}, {"side": 0}, {"qualities": 0}, {"host": "gif"}])
def test_lessons_that_cannot_be_made_are_refused(bad: dict[str, object], photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError):
        make_surrogate_lessons(**{"host": "jpeg", "photos": photos, "out": tmp_path / "out", "crops": 6, "side": 64, **bad})  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_lessons_that_are_not_whole_or_of_another_codec_are_named(lessons: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="holds no lessons for surrogates"):
        SurrogateLessons.read(tmp_path, "jpeg")
    with pytest.raises(RecipeError, match="holds lessons of jpeg, and the recipe's host is hevc"):
        SurrogateLessons.read(lessons, "hevc")
    with pytest.raises(RecipeError, match="holds lessons already"):
        make_surrogate_lessons("jpeg", photos, lessons, 6, side=64)
    for name in ("crops", "qualities", "decoded"):
        (tmp_path / f"{name}.npy").symlink_to(lessons / f"{name}.npy")
    (tmp_path / "lessons.json").symlink_to(lessons / "lessons.json")
    with pytest.raises(RecipeError, match=r"bits\.npy"):
        SurrogateLessons.read(tmp_path, "jpeg")


def test_steps_see_kin_at_one_quality_and_nothing_held_out(lessons: Path) -> None:
    told, found = SurrogateLessons.read(lessons, "jpeg"), CodedLessons(lessons, dataclasses.replace(TINY, batch=8), 5)
    assert found.summary == "18 coded crops, 6 held out"
    seen = set[int]()
    for step in range(20):
        shown = found.batch(step)
        assert (len(shown.picture), shown.kin) == (8, 2)
        numbers = list[int]()
        for picture, decoded, level, bits in zip(shown.picture, shown.decoded, shown.level, shown.bits, strict=True):
            crop = (picture.permute(1, 2, 0) * 255).round().byte().numpy()
            (number,) = np.flatnonzero((told.crops == crop).all((1, 2, 3)))
            i = told.bits[number].tolist().index(int(bits))
            assert float(level) == pytest.approx((told.qualities[number, i] - 1) / 99)
            assert ((decoded.permute(1, 2, 0) * 255).round().byte().numpy() == told.decoded[number, i]).all()
            numbers.append(int(number))
        assert [number % KIN for number in numbers[:4]] == [1, 2, 1, 2]
        assert [numbers[1], numbers[3]] == [numbers[0] + 1, numbers[2] + 1]
        assert shown.level[0] == shown.level[1]
        assert shown.level[2] == shown.level[3]
        seen |= set(numbers)
    assert seen == set(range(9))
    again, other = (CodedLessons(lessons, TINY, seed).batch(7) for seed in (5, 6))
    assert torch.equal(again.picture, CodedLessons(lessons, TINY, 5).batch(7).picture)
    assert not torch.equal(again.level, other.level)


class Told(nn.Module):
    """Says of each coded crop what it is given, by its picture and level."""

    def __init__(self, told: SurrogateLessons, factor: float, change: float) -> None:
        super().__init__()
        self.told, self.factor, self.change = told, factor, change

    def forward(self, picture: Tensor, level: Tensor) -> Approximation:
        bits, back = list[float](), list[Tensor]()
        for one, at in zip(picture, level.tolist(), strict=True):
            crop = (one.permute(1, 2, 0) * 255).round().byte().numpy()
            (number,) = np.flatnonzero((self.told.crops == crop).all((1, 2, 3)))
            i = int(np.abs(self.told.qualities[number] - 1 - 99 * at).argmin())
            true = self.told.bits[number, i] + 100
            if number % KIN == KIN - 1:
                true = true * (true / (self.told.bits[number - 1, i] + 100)) ** self.change
            bits.append(float(true * self.factor - 100))
            back.append(torch.from_numpy(np.array(self.told.decoded[number, i])).permute(2, 0, 1) / 255 + 0.01)
        return Approximation(torch.stack(back), torch.tensor(bits))


def test_fidelity_is_that_of_what_is_held_out(lessons: Path) -> None:
    told, found = SurrogateLessons.read(lessons, "jpeg"), CodedLessons(lessons, TINY, 1)
    right = found.fidelity(Told(told, 1.0, 0.0), CPU)  # type: ignore[arg-type]
    assert right is not None
    assert right.rate_error_percent == pytest.approx(0, abs=1e-4)
    assert (right.correlation, right.change_correlation, right.change_slope) == pytest.approx((1, 1, 1), abs=1e-4)
    assert right.psnr_db == pytest.approx(40, abs=0.2)
    pairs = [(crop, i) for crop in range(9, 12) for i in range(2)]
    errors = [np.square(told.crops[c].astype(float) / 255 - told.decoded[c, i] / 255).mean() for c, i in pairs]
    assert right.idle_psnr_db == pytest.approx(np.mean([-10 * math.log10(error) for error in errors]), abs=0.05)
    wrong = found.fidelity(Told(told, 1.1, 1.0), CPU)  # type: ignore[arg-type]
    assert wrong is not None
    assert wrong.rate_error_percent > 8
    assert wrong.change_slope == pytest.approx(2, abs=0.05)
    fine = found.fidelity(Told(told, 1.0, 0.0), CPU, low=50)  # type: ignore[arg-type]
    assert fine is not None
    assert fine.idle_psnr_db > right.idle_psnr_db
    assert found.fidelity(Told(told, 1.0, 0.0), CPU, low=100.5) is None  # type: ignore[arg-type]
    assert "rate error 0.0 %" in found.measure(Told(told, 1.0, 0.0), CPU)


def test_the_loss_is_of_picture_rate_and_change(lessons: Path) -> None:
    told, subject = SurrogateLessons.read(lessons, "jpeg"), subject_of(TINY)
    shown, model = CodedLessons(lessons, TINY, 1).batch(0), subject.build()

    def loss(factor: float, change: float, off: float) -> float:
        class Off(nn.Module):
            def forward(self, picture: Tensor, level: Tensor) -> Approximation:
                own = Told(told, factor, change)(picture, level)
                return Approximation(own.picture - 0.01 + off, own.bits)

        return float(subject.loss(Off(), model, shown, 0).value)

    assert loss(1, 0, 0) == pytest.approx(0, abs=1e-6)
    assert loss(math.e, 0, 0) == pytest.approx(20, rel=1e-3)
    off = Told(told, 1, 1)(shown.picture, shown.level).bits
    rate = ((off + 100) / (shown.bits + 100)).log()
    assert rate[0].abs() < 1e-4 < rate[1].abs()
    assert loss(1, 1, 0) == pytest.approx(float(20 * rate.square().mean() + 10 * rate[1].square()), rel=1e-3)
    own = (shown.picture - shown.decoded).square().mean((1, 2, 3))
    assert loss(1, 0, 0.01) == pytest.approx(float((1e-4 / own).mean()), rel=0.1)


def test_a_run_learns_and_ends_as_weights_that_carry_gradients(
    lessons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: Picture
) -> None:
    lines, config = list[str](), dataclasses.replace(TINY, steps=20, learning_rate=3e-2, ema_decay=0.8)
    found = CodedLessons(lessons, config, 1)
    fresh = subject_of(config).build().eval()
    assert isinstance(fresh, Surrogate)
    before = found.fidelity(fresh, CPU)
    train(config, lessons, tmp_path / "run", minutes=5, threads=1, log=lines.append)
    assert "18 coded crops, 6 held out; 1 x cpu; from step 0 of 20" in lines[0]
    assert "held out: rate error" in lines[-1]
    card = export_run(config, tmp_path / "run", tmp_path / "out", Provenance("tiny", "a photo", "none", "tiny.toml"))
    assert card.recipe == "tiny.toml; float16"
    monkeypatch.setattr("foveal.codecs.learned.weights.FOLDER", tmp_path / "out")
    monkeypatch.setattr("foveal.codecs.around.cards.FOLDER", tmp_path / "out")
    around_cards.cache_clear()
    try:
        surrogate = load_surrogate(card_for("surrogate", "jpeg"))
    finally:
        around_cards.cache_clear()
    after = found.fidelity(surrogate, CPU)
    assert before is not None
    assert after is not None
    assert after.rate_error_percent < 0.7 * before.rate_error_percent
    assert not surrogate.training
    assert not any(p.requires_grad for p in surrogate.parameters())
    x = torch.from_numpy(photo.samples[:64, :64].copy()).permute(2, 0, 1)[None].float().div(255).requires_grad_(True)
    surrogate(x, torch.tensor([0.4])).bits.sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_recipes_are_of_the_hosts_own_scales() -> None:
    for name, tables in (("jpeg", 1), ("hevc", 4 + 3), ("vvc", 5 + 4)):
        config = read_recipe(RECIPES / f"surrogate-{name}.toml")
        assert isinstance(config, AroundConfig)
        subject = subject_of(config)
        assert (subject.name, config.host) == (f"surrogate for {name}", name)
        model = subject.build()
        assert isinstance(model, Surrogate)
        assert len(model.luma.sides) + len(model.chroma.sides) == (2 if name == "jpeg" else tables)


def test_tables_learn_faster_and_small_batches_are_refused() -> None:
    subject = subject_of(TINY)
    model = subject.build()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    factors = {names[id(p)]: group["factor"] for group in make_optimizer(model, subject).param_groups for p in group["params"]}
    assert {factor for name, factor in factors.items() if ".coders." in name} == {1.0}
    assert {factor for name, factor in factors.items() if ".coders." not in name} == {0.3}
    with pytest.raises(RecipeError, match="batch = 3"):
        subject_of(dataclasses.replace(TINY, batch=3))


def test_a_host_knows_the_qualities_that_it_has() -> None:
    assert Host("hevc").nearest(33.3) == 33.3
    assert Host("jpeg").nearest(33.3) == 33
    assert Host("vvc").nearest(2.0) == 1
