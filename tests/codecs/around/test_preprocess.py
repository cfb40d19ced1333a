"""NPP before standard codecs: any picture in, a plain file of the codec out, at the quality that is asked for."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from foveal.codecs.around import cards, npp, preprocess
from foveal.codecs.around.cards import AroundCard
from foveal.codecs.around.conditioning import level_of
from foveal.codecs.around.npp import STEP, Npp, NppConfig, Preprocessor, load_npp
from foveal.codecs.around.planes import to_planes
from foveal.codecs.around.preprocess import Preprocessed, alike, preprocessing
from foveal.codecs.around.transform_branch import TransformBranch
from foveal.codecs.base import EncodeSettings
from foveal.codecs.learned import runtime, weights
from foveal.codecs.learned.weights import pack_weights
from foveal.codecs.registry import all_codecs, codec_by_name
from foveal.codecs.search import Target, encode_to_target
from foveal.errors import RecipeError, SettingsError, UnknownWeightsError
from foveal.picture import Picture, Samples
from foveal.tasks.proxy.reading import foreseen

EXIF = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
SMALL = NppConfig(4, 6, 8, 10, coarse=10, fine=60)


class Even:
    """A proxy that foresees the same harm everywhere; with ``left``, more on the left half, for the second task."""

    def __init__(self, left: float = 0.0) -> None:
        self.left = left

    def harm(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = (-(-side // 32) * 4 for side in x.shape[2:])
        out = torch.zeros(len(x), 4, rows, columns)
        out[:, 1, :, : columns // 2] = self.left
        return out


def process(net: Npp, samples: Samples, level: float, proxy: Even = Even()) -> Samples:
    return Preprocessor(net, proxy).process(samples, level)  # type: ignore[arg-type]


def no_harm(x: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(x), 4, *x.shape[2:])


@pytest.fixture(scope="module")
def net() -> Npp:
    """One that changes pictures, more at other qualities."""
    torch.manual_seed(2)
    made = Npp(SMALL).eval().requires_grad_(False)
    torch.nn.init.normal_(made.semantic.last.weight, std=0.05)
    torch.nn.init.normal_(made.pixel.second.weight, std=0.1)
    torch.nn.init.normal_(made.detail.last.weight, std=0.3)
    for part in (made.transform.luma, made.transform.chroma):
        torch.nn.init.normal_(part.last.weight, std=0.1)
    for scale in (made.pixel.scale, *made.semantic.down_scales, *made.semantic.up_scales):
        torch.nn.init.normal_(scale.second.weight, std=0.5)  # type: ignore[union-attr]
    return made


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AroundCard]:
    """Puts weights where those that came with the installation are."""
    shipped: list[AroundCard] = []
    for module in (weights, cards):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(npp, "shipped_proxy", lambda name: Even())
    monkeypatch.setattr(cards, "around_cards", lambda: tuple(shipped))
    load_npp.cache_clear()

    def put(net: Npp, host: str, part: str = "preprocess", **changes: object) -> AroundCard:
        made_id, data = pack_weights({name: t.half() for name, t in net.state_dict().items()})
        card = AroundCard(
            name=f"{part}-{host}", id=made_id, config=dataclasses.asdict(net.config), data="", data_terms="", recipe="", steps=1,
            minutes=1, machine="", figures="", licence="", part=part, host=host, default=True, reads="proxy-2",  # type: ignore[arg-type]
        )  # fmt: skip
        card = dataclasses.replace(card, **changes)
        (tmp_path / f"{card.name}{weights.SUFFIX}").write_bytes(data)
        shipped.append(card)
        return card

    return put


@pytest.fixture(scope="module")
def picture(photo: Picture) -> Picture:
    return Picture(photo.samples[:90, :101].copy())


def test_fresh_weights_change_nothing_and_there_are_few(photo: Picture) -> None:
    fresh = Npp()
    assert 500_000 < sum(p.numel() for p in fresh.parameters()) < 600_000
    for level in (0.0, 0.4, 1.0):
        assert (process(fresh.eval(), photo.samples, level) == photo.samples).all()


def test_gradients_reach_every_weight_once_the_last_ones_have_moved(net: Npp) -> None:
    own = Npp(SMALL)
    own.load_state_dict(net.state_dict())
    own(torch.rand(2, 3, 32, 48), torch.tensor([0.1, 0.7]), torch.randn(2, 4, 32, 48)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in own.parameters())


def test_qualities_of_a_batch_are_told_apart(net: Npp) -> None:
    x = torch.rand(1, 3, 32, 32)
    both = net(x.expand(2, -1, -1, -1), torch.tensor([0.1, 0.8]), no_harm(x).expand(2, -1, -1, -1))
    assert torch.allclose(both[1:], net(x, torch.tensor([0.8]), no_harm(x)), atol=1e-6)
    assert (both[0] - both[1]).abs().max() > 0.01


def test_detail_that_is_taken_away_whole_leaves_a_low_pass_of_luma_or_of_colour() -> None:
    branch, x = Npp(SMALL).detail, torch.rand(1, 3, 20, 24)
    kernel = torch.tensor([1.0, 2, 1]) / 4
    wide = torch.nn.functional.conv1d(kernel[None, None], torch.tensor([[[1.0, 0, 2, 0, 1]]]) / 4, padding=4).flatten()
    low = torch.nn.functional.conv2d(x.transpose(0, 1), (wide[:, None] * wide)[None, None]).transpose(0, 1)
    luma = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
    for taken, kept in (((1, 1, 1, 1), None), ((1, 0, 1, 0), "colour"), ((0, 1, 0, 1), "luma")):
        with torch.no_grad():
            assert branch.last.bias is not None
            branch.last.bias.copy_(torch.tensor(taken))
        out = (x - branch(x, torch.randn(1, 13, 20, 24)))[:, :, 3:-3, 3:-3]
        inside = x[:, :, 3:-3, 3:-3]
        brightness, low_brightness = ((values * luma).sum(1, keepdim=True) for values in (inside, low))
        wanted = {None: low, "colour": inside - brightness + low_brightness, "luma": low - low_brightness + brightness}[kept]
        assert torch.allclose(out, wanted, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 40), (33, 17), (64, 64)])
def test_any_size_is_padded_by_its_edge(net: Npp, photo: Picture, height: int, width: int) -> None:
    samples = photo.samples[:height, :width]
    rows, columns = (-(-side // STEP) * STEP for side in (height, width))
    padded = np.pad(samples, ((0, rows - height), (0, columns - width), (0, 0)), mode="edge")
    out = process(net, samples, 0.3)
    assert out.shape == samples.shape
    assert (out == process(net, padded, 0.3)[:height, :width]).all()
    assert (out != samples).any()


@pytest.mark.parametrize("shape", [(96, 128), (33, 500), (420, 401)])
def test_what_the_proxy_foresees_is_where_it_belongs(net: Npp, photo: Picture, shape: tuple[int, int]) -> None:
    samples = np.tile(photo.samples, (2, 2, 1))[: shape[0], : shape[1]]
    differ = (process(net, samples, 0.3, Even(left=6.0)).astype(int) - process(net, samples, 0.3, Even(left=-6.0))) != 0
    assert differ.any(2).mean() > 0.3  # of one task a lot more on the left, and less on the right
    told = foreseen(Even(left=2.0), torch.zeros(1, 3, 64, 128), (96, 256))  # type: ignore[arg-type]
    assert told.shape == (1, 4, 96, 256)
    assert told.mean((2, 3)).abs().max() < 1e-5
    assert torch.allclose(told[0, 1, :, :100], torch.tensor(1.0), atol=0.05)
    assert torch.allclose(told[0, 1, :, 156:], torch.tensor(-1.0), atol=0.05)
    assert not told[0, [0, 2, 3]].any()


def test_the_proxy_is_that_which_the_card_names(
    net: Npp, ship: Callable[..., AroundCard], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(npp, "shipped_proxy", lambda name: asked.append(name) or Even())
    load_npp(ship(net, "jpeg", reads="proxy-of-old"))
    assert asked == ["proxy-of-old"]


def test_blocks_of_large_pictures_have_no_seams(net: Npp, photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.tile(photo.samples, (2, 2, 1))[:430, :500]
    whole, calls = process(net, samples, 0.3).astype(int), list[tuple[int, ...]]()
    monkeypatch.setattr(runtime, "_BLOCK", 128)
    forward = Npp.forward
    monkeypatch.setattr(Npp, "forward", lambda self, x, *more: calls.append(tuple(x.shape)) or forward(self, x, *more))
    assert np.abs(process(net, samples, 0.3) - whole).max() <= 1  # sums in another order may round to the other side
    assert len(calls) == 16


def test_the_reach_is_as_wide_as_it_is_said_to_be(net: Npp) -> None:
    x = torch.rand(1, 3, 608, STEP, requires_grad=True)
    torch.manual_seed(1)
    wide = Npp(dataclasses.replace(SMALL, full=16, half=16, quarter=16, eighth=16))
    torch.nn.init.normal_(wide.semantic.last.weight)
    (slope,) = torch.autograd.grad(wide(x, torch.tensor([0.5]), no_harm(x))[:, :, 304:320].sum(), x)
    seen = slope.abs().sum((0, 1, 3)).nonzero().flatten()
    assert 304 - npp.REACH.margin <= seen.min()
    assert seen.max() < 320 + npp.REACH.margin
    assert seen.min() < 304 - 64


def test_gray_stays_gray(net: Npp, picture: Picture) -> None:
    gray = picture.samples[:, :, :1]
    out = process(net, gray, 0.2)
    assert out.shape == gray.shape
    colours = process(net, np.repeat(gray, 3, 2), 0.2).astype(float)
    assert np.abs(out[:, :, 0] - colours.mean(2)).max() <= 1


def test_a_file_is_the_codec_s_own_of_the_prepared_picture(net: Npp, picture: Picture, ship: Callable[..., AroundCard]) -> None:
    ship(net, "jpeg")
    jpeg = codec_by_name("jpeg")
    behind = preprocessing(jpeg)
    assert behind.info == jpeg.info
    for quality, told in ((30.0, 30.0), (4.0, 10.0), (90.0, 60.0)):  # the network knows 10 to 60
        data = behind.encode(picture, EncodeSettings(quality, chroma="444"))
        own = load_npp(cards.card_for("preprocess", "jpeg")).process(picture.samples, level_of(told))
        assert data == jpeg.encode(Picture(own), EncodeSettings(quality, chroma="444"))
        assert (behind.decode(data).samples == jpeg.decode(data).samples).all()
        assert behind.describe(data) == jpeg.describe(data)
        assert data != jpeg.encode(picture, EncodeSettings(quality, chroma="444"))


def test_alpha_profile_and_exif_stay(net: Npp, picture: Picture, ship: Callable[..., AroundCard]) -> None:
    card = ship(net, "webp")
    alpha = np.arange(90 * 101, dtype=np.uint8).reshape(90, 101)
    seen: list[Picture] = []
    webp = codec_by_name("webp")

    class Noted(type(webp)):  # type: ignore[misc]
        def _prepare(self, picture: Picture, settings: EncodeSettings) -> object:
            seen.append(picture)
            return super()._prepare(picture, settings)

    given = dataclasses.replace(picture, alpha=alpha, icc=b"profile", exif=EXIF)
    behind = Preprocessed(Noted(webp.info), card, lambda quality: quality)
    assert (behind.decode(behind.encode(given)).alpha == alpha).all()  # type: ignore[union-attr]
    assert [(p.alpha is alpha, p.icc, p.exif) for p in seen] == [(True, b"profile", EXIF)]


def test_the_network_runs_once_for_a_quality(
    net: Npp, picture: Picture, ship: Callable[..., AroundCard], monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(net, "jpeg")
    levels: list[float] = []
    real = Preprocessor.process
    monkeypatch.setattr(Preprocessor, "process", lambda self, x, level, **o: levels.append(level) or real(self, x, level, **o))
    prepared = preprocessing(codec_by_name("jpeg")).prepare(picture)
    assert not levels
    first = prepared.encode(30)
    assert prepared.size(30) == len(first)
    assert prepared.encode(30.2) == first  # of JPEG's whole numbers the same
    assert levels == [level_of(30)]
    for quality in (31, 32, 33, 30):
        prepared.encode(quality)
    assert len(levels) == 5
    prepared.encode(33)
    assert len(levels) == 5
    with pytest.raises(SettingsError, match="quality 101"):
        prepared.encode(101)


def test_targets_are_met(net: Npp, picture: Picture, ship: Callable[..., AroundCard]) -> None:
    ship(net, "jpeg")
    found = encode_to_target(preprocessing(codec_by_name("jpeg")), picture, EncodeSettings(), Target(size_bytes=2500))
    assert 2300 < len(found.data) <= 2500
    assert found.data == preprocessing(codec_by_name("jpeg")).encode(picture, EncodeSettings(found.quality))


def test_a_foreign_network_is_asked_at_equal_bits(
    net: Npp, picture: Picture, ship: Callable[..., AroundCard], monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(net, "jpeg")
    ship(net, "hevc")
    levels: list[float] = []
    real = Preprocessor.process
    monkeypatch.setattr(Preprocessor, "process", lambda self, x, level, **o: levels.append(level) or real(self, x, level, **o))
    preprocessing(codec_by_name("webp")).encode(picture, EncodeSettings(60))
    assert levels == [level_of(alike(60, "webp", "hevc"))]
    preprocessing(codec_by_name("webp"), trained_for="jpeg").encode(picture, EncodeSettings(60))
    assert levels[1:] == [level_of(alike(60, "webp", "jpeg"))]
    with pytest.raises(UnknownWeightsError, match=r"no preprocess network for vvc; there is one for: jpeg, hevc"):
        preprocessing(codec_by_name("webp"), trained_for="vvc")


def test_every_standard_codec_has_its_place_in_the_table() -> None:
    standard = {info.name for info in all_codecs() if not info.learned}
    assert set(preprocess._QUALITY_AT) == standard
    assert {preprocess.host_of(name) for name in standard} == {*preprocess._OWN}
    for at in preprocess._QUALITY_AT.values():
        assert len(at) == len(preprocess._AT_BPP)
        assert all(a < b for a, b in itertools.pairwise(at))
    assert alike(10.6, "jpeg", "hevc") == pytest.approx(20.4)
    assert alike(alike(37, "hevc", "av1"), "av1", "hevc") == pytest.approx(37)


def test_requests_that_cannot_be_served_are_named(net: Npp, ship: Callable[..., AroundCard]) -> None:
    with pytest.raises(SettingsError, match=r"gdn is a learned codec.*choose one of jpeg, hevc"):
        preprocessing(codec_by_name("gdn"))
    with pytest.raises(SettingsError, match="preprocess = 'blur'; npp is allowed"):
        preprocessing(codec_by_name("jpeg"), "blur")
    with pytest.raises(UnknownWeightsError, match="no preprocess network for jpeg; there is one for: none"):
        preprocessing(codec_by_name("jpeg"))
    restores = ship(net, "jpeg", "restore")
    with pytest.raises(UnknownWeightsError, match="restore-jpeg is a restore network for jpeg; one that preprocesses is needed"):
        Preprocessed(codec_by_name("jpeg"), restores, lambda quality: quality)
    for config in ({**restores.config, "half": 7}, {"depth": 3}):
        other = ship(net, "hevc", config=config)
        with pytest.raises(UnknownWeightsError, match=r"preprocess-hevc.*is not what its card says"):
            Preprocessed(codec_by_name("hevc"), other, lambda quality: quality)


@pytest.mark.parametrize(("values", "words"), [({"half": 0}, "one channel at least"), ({"coarse": 70}, "a range inside 1..100")])
def test_sizes_that_make_no_network_are_named(values: dict[str, int], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        dataclasses.replace(NppConfig(), **values)


def test_the_transform_branch_scales_coefficients_of_the_codec_s_own_blocks(photo: Picture) -> None:
    """With the same share of every coefficient taken, luma fades and colour stays; what changes in one block stays in it."""
    branch = TransformBranch()
    x = torch.from_numpy(photo.samples[:64, :64].copy()).permute(2, 0, 1)[None].float() / 255
    level, harm = torch.tensor([0.3]), no_harm(x)
    assert not branch(x, level, harm).abs().max() > 1e-5
    with torch.no_grad():
        assert branch.luma.last.bias is not None
        branch.luma.last.bias.fill_(-0.5)
    before, after = (to_planes(y, 6, centred=True) for y in (x, x + branch(x, level, harm)))
    assert torch.allclose(after.luma, before.luma / 2, atol=0.02)
    assert torch.allclose(after.chroma, before.chroma, atol=0.02)
    with torch.no_grad():
        branch.luma.last.bias.zero_()
        branch.luma.last.bias[8:].fill_(-1)  # all but the lowest row of frequencies
    flat = to_planes(x + branch(x, level, harm), 6, centred=True).luma.view(8, 8, 8, 8)
    assert torch.allclose(flat, flat[:, :1], atol=0.05)
