"""The steps of frequency as they are run: the integers of the whole networks, in an order that comes back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foveal.codecs.learned.exact import ACTIVATION_MAX, exact_arithmetic
from foveal.codecs.learned.frequency.bands import StepSizes
from foveal.codecs.learned.frequency.networks import load_networks
from foveal.codecs.learned.frequency.prior import STEPS, step_masks
from foveal.codecs.learned.frequency.steps import Lit, Places
from foveal.codecs.learned.scale_tables import FIRST_SCALE, SCALE_TABLES, SCALES_PER_OCTAVE
from foveal.codecs.learned.weights import default_card
from foveal.entropy.fixed_point import scale_index

SIZES = [(1, 1), (2, 3), (5, 4), (1, 6), (7, 9)]


@pytest.mark.parametrize("preset", ["mse", "ms-ssim"])
@pytest.mark.parametrize("band", range(3))
@pytest.mark.parametrize("size", SIZES)
def test_a_step_gives_what_the_whole_network_gives_where_it_codes(preset: str, band: int, size: tuple[int, int]) -> None:
    networks, places = load_networks(default_card("frequency", preset)), Places(*size)
    prior, generator = networks.priors[band], torch.Generator().manual_seed(band)
    width = prior.fuse.weight.shape[0]
    features = torch.randint(0, ACTIVATION_MAX + 1, (1, width, *size), generator=generator).float()
    features[:, torch.rand(width, generator=generator) < 0.3] = 0  # what is 0 everywhere is left out
    values = torch.randint(-ACTIVATION_MAX, ACTIVATION_MAX + 1, (1, prior.latent, *size), generator=generator).float()
    coded = torch.from_numpy(places.to_coded(values[0].permute(1, 2, 0).numpy()))
    masks = step_masks(prior.latent, *size)
    with exact_arithmetic():
        lit = Lit.of(features, places)
        for number in range(STEPS):
            known = torch.where(masks[:number].any(0), values, 0)
            whole = prior.step(number, features, known)
            found = networks.steps[band].step(number, lit, coded, places)
            for expected, part in zip(whole, found, strict=True):
                wanted = places.to_coded(expected[0].permute(1, 2, 0).numpy())[:, number]
                assert np.array_equal(part.numpy(), wanted)


@pytest.mark.parametrize("size", SIZES)
def test_coding_order_takes_each_step_together_and_comes_back(size: tuple[int, int]) -> None:
    places = Places(*size)
    x = np.random.default_rng(0).normal(size=(*size, 12))
    coded = places.to_coded(x)
    assert np.array_equal(places.from_coded(coded), x)
    inside = step_masks(12, *size).numpy().transpose(0, 2, 3, 1)
    for number in range(STEPS):  # corner by corner, in each row, column, channel
        parts = [
            (x[r::2, c::2], inside[number, r::2, c::2])
            for r in range(2)
            for c in range(2)
        ]  # fmt: skip
        assert np.array_equal(coded[:, number].reshape(-1), np.concatenate([part[mask] for part, mask in parts]))
    image = torch.from_numpy(x).permute(2, 0, 1)[None]
    assert torch.equal(places.image_of(places.rows_of(image)), image)


@pytest.mark.parametrize("everywhere", [True, False])
def test_tables_are_the_nearest_scales_in_integers(everywhere: bool) -> None:
    generator, places = np.random.default_rng(1), Places(5, 7)
    log_step = generator.integers(-3000, 3000, (1, 1, 16) if everywhere else (5, 7, 16))
    scale = np.concatenate([generator.integers(-900, 900, (34, 4)), [[-(1 << 23), 1 << 23, -123457, 765433]]])
    coded = places.to_coded(np.broadcast_to(log_step, (5, 7, 16)))
    sizes = StepSizes(log_step, places)
    for number in range(STEPS):
        wanted = scale_index(4 * scale - coded[:, number], SCALE_TABLES, SCALES_PER_OCTAVE, FIRST_SCALE)
        assert np.array_equal(sizes.tables(number, scale.astype(np.float32)), wanted)
        assert len(np.unique(wanted)) > 20
