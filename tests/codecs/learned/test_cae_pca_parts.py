"""What cae-pca is made of: the start, the loss, the rotation in integers, contexts and how they are fitted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveal.codecs.learned.cae_pca import fitting, networks
from foveal.codecs.learned.cae_pca.contexts import PHASES, Contexts, SymbolDecoder, SymbolEncoder, phase_of, walk
from foveal.codecs.learned.cae_pca.model import CaePcaModel, laplace_bits, step_of
from foveal.codecs.learned.cae_pca.rotation import Rotation, as_integers, own_axes, principal_axes
from foveal.codecs.learned.cae_pca.transforms import STRIDE, CaePcaConfig
from foveal.codecs.learned.gains import rate_weight
from foveal.codecs.learned.symbols import PARAMETER_MAX
from foveal.entropy.coder import SYMBOL_LIMIT, BitCounter, SymbolReader, SymbolWriter
from foveal.entropy.fixed_point import frozen_tables
from foveal.picture import Picture

CONFIG = CaePcaConfig()


@pytest.fixture
def model() -> CaePcaModel:
    torch.manual_seed(3)
    return CaePcaModel(CONFIG)


@pytest.fixture(scope="module")
def x(photo: Picture) -> torch.Tensor:
    return torch.from_numpy(photo.samples[:128, :128].copy()).permute(2, 0, 1)[None].float() / 255


def test_the_start_is_an_orthonormal_transform_and_its_inverse(model: CaePcaModel, x: torch.Tensor) -> None:
    with torch.no_grad():
        y, flat = model.analysis(x), model.analysis(torch.full_like(x, 0.5))
        back = model.synthesis(y)
    assert flat.abs().max() < 1e-4
    assert y.shape == (1, CONFIG.maps, 128 // STRIDE, 128 // STRIDE)
    assert -10 * (back - x).square().mean().log10() > 36  # what the chroma frequencies that have no map hold
    kept = float((x - 0.5).square().sum() - (back - x).square().sum())
    assert float(y.square().sum()) == pytest.approx(kept, rel=1e-4)
    share = y.square().sum((0, 2, 3)) / y.square().sum()
    assert share.max() < 0.2, "one map has the mean of the picture, so the directions are not drawn"


def test_the_loss_knows_no_direction_of_the_latent(model: CaePcaModel, x: torch.Tensor) -> None:
    model.train()
    model(x, torch.tensor([50.0]))
    model.eval()
    quality = torch.tensor([60.0])
    with torch.no_grad():
        bits, picture = model(x, quality)
        turn = torch.linalg.qr(torch.randn(CONFIG.maps, CONFIG.maps))[0]
        for layer in (model.analysis[10], model.synthesis[0]):
            layer.weight.copy_(torch.einsum("nm,mihw->nihw", turn, layer.weight))  # type: ignore[operator]
        model.analysis[10].bias.copy_(turn @ model.analysis[10].bias)  # type: ignore[operator]
        model.covariance.copy_(turn @ model.covariance @ turn.T)
        turned_bits, turned = model(x, quality)
    assert turned_bits.item() == pytest.approx(bits.item(), rel=1e-3)
    apart = (turned - picture).abs()  # where a value lay between two steps, it may go to the other: which do is the processor's
    assert apart.square().mean() < 3e-5
    assert (apart < 1e-4).float().mean() > 0.5


def test_densities_add_up_and_bits_have_gradients() -> None:
    v = torch.arange(-4000, 4001)
    for width in (0.01, 0.3, 5.0, 80.0):
        assert float(laplace_bits(v, torch.tensor(width)).mul(-1).exp2().sum()) == pytest.approx(1, abs=2e-3)
    v = torch.tensor([0.0, 0.2, 0.5, -0.7, 30.0], requires_grad=True)
    laplace_bits(v, torch.tensor(0.4)).sum().backward()
    assert v.grad is not None
    assert torch.isfinite(v.grad).all()
    assert v.grad[0] == 0
    assert v.grad[4] > 0 > v.grad[3]


def test_training_steps_are_those_that_ship(model: CaePcaModel) -> None:
    ends = (int(n) for n in networks.freeze(model)["log_steps"])
    pair = next(ends), next(ends)
    for quality in (1.0, 37.3, 100.0):
        shipped = networks.log_step_at(pair, round(PARAMETER_MAX * (quality - 1) / 99)) / 256
        trained = step_of(rate_weight(torch.tensor(quality), CONFIG.coarse_lambda, CONFIG.fine_lambda)).log2()
        assert shipped == pytest.approx(float(trained), abs=1 / 128)


# The rotation.


def test_bringing_symbols_back_is_exact_up_to_the_largest() -> None:
    random = np.random.default_rng(1)
    axes = np.linalg.qr(random.standard_normal((96, 96)))[0]
    rotation = Rotation(as_integers(axes).astype(np.int64))
    symbols = random.integers(-SYMBOL_LIMIT + 1, SYMBOL_LIMIT, (96, 11)).astype(np.int32)
    # The hardest sums: every product of one sign.
    symbols[:, 0] = np.where(rotation.axes[5] > 0, SYMBOL_LIMIT - 1, 1 - SYMBOL_LIMIT)
    found = rotation.restore(symbols)
    wanted = [[sum(int(a) * int(s) for a, s in zip(row, column, strict=True)) for column in symbols.T] for row in rotation.axes]
    assert [[int(v) for v in row] for row in found] == wanted
    order = random.permutation(96)
    assert np.array_equal(Rotation(rotation.axes[:, order]).restore(symbols[order]), found)
    for log_step in (0, -1, -1276, 700):
        latent = rotation.latent(symbols, log_step)
        assert np.array_equal(latent[:, 3:4], rotation.latent(symbols[:, 3:4], log_step))
        assert latent == pytest.approx(found * 2.0 ** (log_step / 256 - 14), rel=1e-4)


def test_rotating_and_bringing_back_are_inverse_within_the_step() -> None:
    random = np.random.default_rng(2)
    mixing = random.standard_normal((20, 20))
    y = (mixing @ random.standard_normal((20, 4000))).astype(np.float32)
    for find in (principal_axes, own_axes):
        axes = find(np.cov(y.astype(np.float64)))
        rotation = Rotation(as_integers(axes).astype(np.int64))
        rotated = rotation.rotate(y)
        variance = rotated.var(1)
        assert (np.diff(variance) < 1e-3 * variance.max()).all(), "not the largest first"
        back = rotation.latent(np.rint(rotated * 64).astype(np.int32), -6 * 256)
        assert np.abs(back - y).max() < 0.5 / 64 * 20**0.5 + 2e-2
    assert (
        np.abs(np.corrcoef(Rotation(as_integers(principal_axes(np.cov(y))).astype(np.int64)).rotate(y)) - np.eye(20)).max() < 0.05
    )


# Contexts.


def _contexts(maps: int, seed: int) -> Contexts:
    """Any integers serve: what is coded has to come back whatever they are."""
    random = np.random.default_rng(seed)
    bounds = (0, 1, 3, maps) if maps > 3 else (0, maps)
    cdf = np.sort(random.integers(0, 1 << 24, (5, 512)), axis=1)
    return Contexts(
        bounds,
        random.integers(0, 1 << 15, (3, 3, maps, 5)),
        random.integers(-(1 << 17), 1 << 17, (3, 3, maps, 2)),
        np.array([1 << 14, 1 << 16, 1 << 18, 1 << 22]),
        frozen_tables(cdf),
    )


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([2, 6]), st.integers(0, PARAMETER_MAX), st.integers(0, 99))
def test_what_is_walked_into_a_payload_comes_out_of_it(rows: int, columns: int, maps: int, parameter: int, seed: int) -> None:
    contexts, random = _contexts(maps, seed), np.random.default_rng(seed)
    symbols = np.rint(random.standard_cauchy((maps, rows, columns)) * 3).clip(-1e8, 1e8).astype(np.int32)
    writer = SymbolWriter()
    assert np.array_equal(walk(contexts, parameter, symbols.shape, SymbolEncoder(symbols, contexts.tables, writer)), symbols)
    reader = SymbolReader(writer.finish())
    assert np.array_equal(walk(contexts, parameter, symbols.shape, SymbolDecoder(contexts.tables, reader)), symbols)
    reader.finish()


def test_phases_are_a_partition() -> None:
    places = np.arange(2 * 5 * 7).reshape(2, 5, 7)
    assert sorted(np.concatenate([phase_of(places, p).reshape(-1) for p in range(len(PHASES))])) == list(range(70))


def _smooth_and_rough(random: np.random.Generator) -> np.ndarray:
    """A map whose neighbours foretell it, and two whose sizes follow a field that wanders slowly."""
    smooth = np.cumsum(np.cumsum(random.standard_normal((48, 48)), 0), 1)
    spread = np.exp(np.kron(random.standard_normal((6, 6)), np.ones((8, 8))))
    return np.concatenate([smooth[None], random.laplace(size=(2, 48, 48)) * spread])


def _alike_by_place(random: np.random.Generator) -> np.ndarray:
    """Nine maps whose sizes follow a field without any order in space, so that only earlier maps tell them."""
    return random.laplace(size=(9, 48, 48)) * np.exp(1.5 * random.standard_normal((48, 48)))


@pytest.mark.parametrize("draw", [_smooth_and_rough, _alike_by_place])
def test_fitted_contexts_find_what_neighbours_and_earlier_maps_say(
    draw: Callable[[np.random.Generator], np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "NODES", 2)
    random = np.random.default_rng(4)

    def picture() -> np.ndarray:
        return np.rint(2 * draw(random)).astype(np.int32)

    symbols, counter = picture(), BitCounter()
    contexts, cdf = fitting.fit_contexts(tuple(range(len(symbols) + 1)), lambda _: [picture() for _ in range(3)])
    assert cdf.shape == (len(contexts.limits) + 1, 512)
    assert (np.diff(cdf, axis=1) >= 0).all()
    assert (contexts.size >= 0).all()
    assert (contexts.size[..., 0] >= 1).all()
    walk(contexts, 20000, symbols.shape, SymbolEncoder(symbols, contexts.tables, counter))
    alone = 0.0
    for own in symbols:
        _, count = np.unique(own, return_counts=True)
        alone -= float((count * np.log2(count / own.size)).sum())
    assert counter.bits < 0.97 * alone  # even against the counts of this very picture


# Export.


def test_what_ships_is_measured_and_trains_on(model: CaePcaModel, photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "NODES", 2)
    pictures = [torch.from_numpy(photo.samples[i : i + 64, :128].copy()).permute(2, 0, 1).float() / 255 for i in (0, 64, 128)]
    tensors = networks.freeze(model) | networks.measure(model, pictures)
    assert tensors["rotated.axes"].dtype == torch.int16
    assert tensors["rotated.size"].shape == (2, 3, CONFIG.maps, 5)
    assert tensors["analysis.0.weight"].dtype == torch.float16
    again = CaePcaModel(CONFIG)
    again.load_state_dict(networks.thaw(tensors))
    assert networks.freeze(again)["analysis.10.weight"].equal(tensors["analysis.10.weight"])
