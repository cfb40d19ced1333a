"""Stand-ins of standard codecs: their parts against the standards' own, and that gradients are of what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from foveal.codecs.around.block_coder import BlockCoder
from foveal.codecs.around.cards import card_for
from foveal.codecs.around.conditioning import level_of
from foveal.codecs.around.intra import Predictor, borders, cosines, cut, join
from foveal.codecs.around.plane_coder import shares_of_sizes
from foveal.codecs.around.planes import to_picture, to_planes
from foveal.codecs.around.surrogate import Surrogate, SurrogateConfig, load_surrogate
from foveal.codecs.base import DecodeSettings, EncodeSettings
from foveal.codecs.registry import codec_by_name
from foveal.errors import RecipeError
from foveal.media.color import Matrix, to_samples, to_ycbcr
from foveal.picture import Picture
from foveal.training.host import Host

JPEG = SurrogateConfig(8, 8, 1, 100, directions=0, matrix=6, centred=1, channels=0)
SMALL = SurrogateConfig(4, 16, 48, 1, channels=4)


def as_tensor(samples: np.ndarray) -> Tensor:
    return torch.from_numpy(samples.copy()).permute(2, 0, 1)[None].float() / 255


def test_planes_are_those_of_the_standards(photo: Picture) -> None:
    planes = to_planes(as_tensor(photo.samples), 1, centred=False)
    own = to_ycbcr(photo.samples, "420", matrix=Matrix.BT709, full_range=True)
    assert np.abs(planes.luma[0, 0].numpy() + 128 - own.planes[0]).max() < 0.51
    for told, true in zip(planes.chroma[0].numpy(), own.planes[1:], strict=True):
        assert np.abs(told + 128 - true).max() < 0.51
    back = to_picture(planes, 1, centred=False)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(np.clip(back, 0, 255) - to_samples(own)).max() < 3


def test_blocks_join_to_what_was_cut() -> None:
    plane = torch.rand(2, 16, 24)
    assert torch.equal(cut(plane, 8)[1, 1, 2], plane[1, 8:16, 16:24])
    assert torch.equal(join(cut(plane, 8)), plane)
    assert torch.allclose(cosines(8) @ cosines(8).T, torch.eye(8), atol=1e-6)


def test_borders_are_what_is_around() -> None:
    plane = torch.rand(1, 12, 16)
    found = borders(plane, 4)[0]
    inside = found[1, 1]
    assert torch.equal(inside[:9], plane[0, 3, 3:12])
    assert torch.equal(inside[9:], plane[0, 4:8, 3])
    last = found[2, 3]
    assert torch.equal(last[1:5], plane[0, 7, 12:16])
    assert (last[5:9] == plane[0, 7, 15]).all()
    assert (found[0, 0] == 0).all()
    assert (found[0, 2][:9] == plane[0, 0, 7]).all()
    assert (found[1, 0][9:] == plane[0, 3, 0]).all()


@pytest.mark.parametrize("size", [4, 16])
def test_the_best_direction_foretells_what_runs_along_it(size: int) -> None:
    predictor = Predictor(size, 4)
    assert len(predictor.kinds) == 2 + 9
    assert torch.allclose(predictor.kinds.sum(2), torch.ones(11, size * size), atol=1e-5)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    for kind, shade in (
        (4, rows),
        (8, columns),
        (10, rows + columns),
        (6, rows - columns),
    ):  # after mean and plane, directions 2, 6, ...
        plane = torch.sin(shade * 0.7)[None]
        around, blocks = borders(plane, size)[:, 1, 1], cut(plane, size)[:, 1, 1].contiguous()
        assert predictor.best(around, blocks).tolist() == [kind]
        assert torch.allclose(predictor(around, torch.tensor([kind])), blocks, atol=1e-4)


def test_each_block_is_foretold_by_its_own_kind() -> None:
    predictor, around = Predictor(4, 4), torch.rand(5, 13)
    kinds = torch.tensor([3, 0, 10, 0, 7])
    told = predictor(around, kinds)
    for i, kind in enumerate(kinds.tolist()):
        assert torch.allclose(told[i].flatten(), predictor.kinds[kind] @ around[i], atol=1e-5)


def test_more_detail_costs_more_and_fine_steps_leave_all() -> None:
    coder = BlockCoder(8)
    blocks = torch.randn(1, 3, 8, 8)
    level = torch.zeros(1)

    def tried(scale: float, step: float, *, rounded: bool = False) -> tuple[Tensor, Tensor]:
        log_step = torch.full((1, 1, 1, 1), math.log(step))
        told = coder(scale * blocks, torch.zeros_like(blocks), log_step, level, rounded=rounded)
        return told.bits, told.back

    assert (tried(20, 10)[0] > tried(10, 10)[0]).all()
    assert (tried(10, 10)[0] > tried(1, 10)[0]).all()
    assert torch.allclose(tried(50, 0.01)[1], 50 * blocks, atol=1e-2)
    assert tried(1, 100)[1].abs().max() < 0.02
    coefficients = cosines(8) @ tried(50, 10, rounded=True)[1] @ cosines(8).T
    assert torch.allclose(coefficients / 10, (coefficients / 10).round(), atol=1e-4)


def test_tables_are_read_between_levels() -> None:
    torch.manual_seed(0)
    coder, blocks = BlockCoder(4), 9 * torch.randn(1, 1, 4, 4)
    coder.dead.data[3] += 2

    def bits(level: float) -> float:
        return coder(blocks, torch.zeros_like(blocks), torch.zeros(1, 1, 1, 1), torch.tensor([float(level)])).bits.item()

    assert bits(0) == bits(0.5) == bits(1) > bits(0.6) > bits(0.75)
    assert bits(0.65) == pytest.approx(bits(0.85), rel=1e-4)


def test_a_chain_costs_what_first_coefficients_differ_by() -> None:
    coder, log_step, level = BlockCoder(8), torch.zeros(1, 1, 1, 1), torch.zeros(1)
    light = torch.full((1, 4, 8, 8), 50.0)

    alone = coder(light, torch.zeros_like(light), log_step, level).bits[0].tolist()
    chain = coder(light, None, log_step, level, across=2).bits[0].tolist()
    assert chain[0] == chain[2] == pytest.approx(alone[0])
    assert max(chain[1], chain[3]) < 0.5 * alone[1]


def test_what_is_foretold_comes_back_and_moves_no_bits() -> None:
    """What comes back follows it by as much as the same without a cut in the graph says."""
    torch.manual_seed(0)
    coder, log_step, level = BlockCoder(4), torch.full((1, 1, 1, 1), math.log(10)), torch.zeros(1)
    blocks, wanted = 10 * torch.randn(1, 5, 4, 4), torch.randn(1, 5, 4, 4)
    foretold = (5 * torch.randn(1, 5, 4, 4)).requires_grad_(True)
    told = coder(blocks, foretold, log_step, level)
    assert torch.allclose(told.back, coder(blocks, foretold.detach(), log_step, level).back, atol=1e-5)
    (own,) = torch.autograd.grad((told.back * wanted).sum(), foretold, retain_graph=True)
    whole = foretold + coder(blocks - foretold, torch.zeros_like(blocks), log_step, level).back
    (true,) = torch.autograd.grad((whole * wanted).sum(), foretold)
    assert torch.allclose(own, true, atol=1e-2)
    assert torch.autograd.grad(told.bits.sum(), foretold, allow_unused=True) == (None,)


def test_shares_of_a_tree_are_whole() -> None:
    class Cost:
        def __init__(self, side: int) -> None:
            self.bits = 1000 * torch.rand(2, 16 // side, 16 // side) * side**2
            self.harm = torch.zeros_like(self.bits)

    tried = [Cost(1), Cost(2), Cost(4)]
    shares = shares_of_sizes(tried, torch.ones(2))  # type: ignore[arg-type]
    whole = sum(share.repeat_interleave(k, 1).repeat_interleave(k, 2) for share, k in zip(shares, (1, 2, 4), strict=True))
    assert torch.allclose(whole, torch.ones(2, 16, 16))  # type: ignore[arg-type]
    tried[1].bits[:] = 0
    shares = shares_of_sizes(tried, torch.ones(2))  # type: ignore[arg-type]
    assert shares[1].min() > 0.9


@pytest.mark.parametrize("quality", [8, 50, 92])
def test_jpeg_is_right_before_it_has_learned_anything(quality: int, photo: Picture) -> None:
    jpeg = codec_by_name("jpeg")
    true = jpeg.decode(jpeg.encode(photo, EncodeSettings(quality)), settings=DecodeSettings()).samples
    with torch.no_grad():
        told = Surrogate(JPEG).eval()(as_tensor(photo.samples), torch.tensor([(quality - 1) / 99]))
    error = (told.picture.clamp(0, 1) - as_tensor(true)).square().mean()
    idle = (as_tensor(photo.samples) - as_tensor(true)).square().mean()
    assert -10 * math.log10(float(error)) > 40
    assert error < 0.25 * idle


def test_pictures_of_a_batch_are_told_alone(photo: Picture) -> None:
    surrogate = awake(Surrogate(SMALL))
    pictures = torch.cat([as_tensor(photo.samples[:64, :128]), as_tensor(photo.samples[64:128, 128:])])
    level = torch.tensor([0.1, 0.8])
    with torch.no_grad():
        both = surrogate(pictures, level)
        for i in range(2):
            one = surrogate(pictures[i : i + 1], level[i : i + 1])
            assert torch.allclose(one.picture, both.picture[i : i + 1], atol=1e-4)
            assert one.bits.item() == pytest.approx(both.bits[i].item(), rel=1e-4)
    assert both.bits[0] < both.bits[1]
    assert both.picture.shape == pictures.shape


@pytest.mark.parametrize("config", [JPEG, SMALL, SurrogateConfig(4, 64, 55, 8, channels=4)])
def test_gradients_are_finite_and_less_detail_costs_less(config: SurrogateConfig, photo: Picture) -> None:
    surrogate = awake(Surrogate(config)).requires_grad_(False)
    picture = as_tensor(photo.samples[64:128, 64:192])
    flat = torch.full_like(picture, 0.5)
    for x in (picture, flat):
        x.requires_grad_(True)
        told = surrogate(x, torch.tensor([0.3]))
        (told.bits.sum() + told.picture.square().sum()).backward()
        assert torch.isfinite(x.grad).all()  # type: ignore[arg-type]
    picture.grad = None
    surrogate(picture, torch.tensor([0.3])).bits.sum().backward()
    detail = (picture - nn.functional.avg_pool2d(picture, 5, 1, 2)).detach()
    assert (picture.grad * detail).sum() > 0  # type: ignore[operator]


def test_the_factor_of_bits_has_no_gradient(photo: Picture) -> None:
    surrogate = awake(Surrogate(SMALL))
    x = as_tensor(photo.samples[:64, :64]).requires_grad_(True)

    def slope() -> Tensor:
        (found,) = torch.autograd.grad(surrogate(x, torch.tensor([0.5])).bits.sum(), x)
        return found

    surrogate.context.last.weight.data.zero_()
    plain = slope()
    surrogate.context.last.bias.data.fill_(10.0)
    assert torch.allclose(slope(), 2 * plain, rtol=1e-3, atol=1e-4)
    given = list[bool]()
    surrogate.context.register_forward_pre_hook(lambda _, seen: given.append(seen[0].requires_grad))
    slope()
    assert given == [False]


@pytest.mark.parametrize("host", ["jpeg", "hevc", "vvc"])
def test_weights_that_ship_tell_the_bits_of_a_photograph(host: str, photo: Picture) -> None:
    surrogate, true = load_surrogate(card_for("surrogate", host)), Host(host)
    assert not any(p.requires_grad for p in surrogate.parameters())
    for quality in (30.0, 70.0):
        coded = true.code(photo.samples, true.nearest(quality))
        told = surrogate(as_tensor(photo.samples), torch.tensor([level_of(true.nearest(quality))]))
        assert told.bits.item() == pytest.approx(coded.bits, rel=0.15)
        decoded = as_tensor(coded.decoded)
        assert (told.picture - decoded).square().mean() < 0.8 * (as_tensor(photo.samples) - decoded).square().mean()


def awake(surrogate: Surrogate) -> Surrogate:
    """With networks that do something."""
    torch.manual_seed(3)
    for part in (surrogate.loop, surrogate.context):
        if part is not None:
            nn.init.normal_(part.last.weight, std=0.05)
    return surrogate.eval()


@pytest.mark.parametrize(
    "sizes", [{"smallest": 3}, {"smallest": 32}, {"largest": 128}, {"directions": 0}, {"directions": -1}, {"matrix": 2}]
)
def test_sizes_that_make_no_sense_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(RecipeError):
        SurrogateConfig(**{"smallest": 4, "largest": 16, "coarsest": 48, "finest": 1, **sizes})  # type: ignore[arg-type]
