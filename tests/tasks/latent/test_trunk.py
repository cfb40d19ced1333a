"""What all heads share: it begins as the first part of the codec's synthesis, any number of whose bands may be missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from foveal.codecs.learned.frequency.model import FrequencyModel
from foveal.codecs.learned.frequency.transforms import SAMPLED, FrequencyConfig
from foveal.codecs.learned.quality_levels import float_hats
from foveal.errors import RecipeError
from foveal.tasks.latent.trunk import Trunk

CODEC = FrequencyConfig(
    fine=16, middle=32, coarse=16, analysis_fine=1, analysis_middle=1, synthesis_middle=2, synthesis_fine=1, latent_0=16, latent_1=12,
    latent_2=32, prior_coarse=16, prior_fine=16,
)  # fmt: skip


@pytest.fixture(scope="module")
def codec() -> FrequencyModel:
    """A codec whose blocks and scales do something, and whose attention adds nothing."""
    torch.manual_seed(6)
    model = FrequencyModel(CODEC).eval().requires_grad_(False)
    for name, parameter in model.synthesis.named_parameters():
        if not name.startswith("attention."):
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    assert not any(t.any() for t in model.synthesis.attention.out.state_dict().values())
    for band, quantiser in enumerate(model.quantisers):
        exponent: Any = quantiser.exponent
        exponent.add_(torch.arange(len(exponent)) % 3 - band)
    return model


def _trunk(**changed: Any) -> Trunk:
    sizes: dict[str, Any] = {
        "coarse": CODEC.coarse,
        "middle": CODEC.middle,
        "spectrum": SAMPLED,
        "blocks": CODEC.synthesis_middle,
    }
    return Trunk(changed.pop("latents", CODEC.latents), **(sizes | changed)).eval().requires_grad_(False)


def _quality(places: bool) -> Tensor:
    """Of two pictures of 128x192 pixels, each of one quality, or each place of 32 pixels of its own."""
    torch.manual_seed(7)
    return 1 + 99 * (torch.rand(2, 1, 4, 6) if places else torch.rand(2))


def _seen(codec: FrequencyModel, quality: Tensor) -> tuple[list[Tensor], Tensor]:
    """Latents of two pictures, and what the synthesis has of them at 1/8, before its fine blocks."""
    torch.manual_seed(8)
    kept = list[Tensor]()

    def keep(module: nn.Module, given: Any, made: Tensor) -> None:
        kept.append(made)

    hook = codec.synthesis.scale_fine.register_forward_hook(keep)
    try:
        codec.with_latents(x := torch.rand(2, 3, 128, 192), quality)
    finally:
        hook.remove()
    return codec.latents(x, quality), kept[0]


def _close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and float((one - other).abs().max()) < 1e-5 * float(other.abs().max())


@pytest.mark.parametrize("places", [False, True], ids=["one quality", "a quality for each place"])
def test_it_begins_as_what_the_synthesis_has_before_its_fine_blocks(codec: FrequencyModel, places: bool) -> None:
    quality = _quality(places)
    latents, wanted = _seen(codec, quality)
    trunk = _trunk()
    assert not _close(trunk(latents, float_hats(quality)), wanted)
    trunk.begin_as(codec)
    assert wanted.shape == (2, SAMPLED, 16, 24)
    assert _close(trunk(latents, float_hats(quality)), wanted)
    assert not _close(trunk(latents, float_hats(quality.flip(0))), wanted)
    exponents: Any = [quantiser.exponent for quantiser in codec.quantisers]
    whole = [band * torch.exp2(exponent)[:, None, None] for band, exponent in zip(latents, exponents, strict=True)]
    assert not _close(trunk(whole, float_hats(quality)), wanted)


def test_of_the_features_those_of_the_lowest_frequencies_are_kept(codec: FrequencyModel) -> None:
    latents, wanted = _seen(codec, _quality(True))
    few = _trunk(spectrum=24)
    few.begin_as(codec)
    assert _close(few(latents, float_hats(_quality(True))), wanted[:, :24])


def test_blocks_that_are_left_out_do_nothing(codec: FrequencyModel) -> None:
    quality = _quality(False)
    latents, wanted = _seen(codec, quality)
    one, none = _trunk(blocks=1), _trunk(blocks=0)
    for trunk in (one, none):
        trunk.begin_as(codec)
    again = FrequencyModel(replace(CODEC, synthesis_middle=1))
    again.load_state_dict(codec.state_dict(), strict=False)
    assert not _close(one(latents, float_hats(quality)), wanted)
    assert _close(one(latents, float_hats(quality)), _seen(again.eval().requires_grad_(False), quality)[1])
    assert not _close(none(latents, float_hats(quality)), one(latents, float_hats(quality)))


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_any_number_of_bands_may_be_missing_and_it_knows_how_many(codec: FrequencyModel, bands: int) -> None:
    quality = _quality(True)
    latents, hats = _seen(codec, quality)[0], float_hats(quality)
    trunk = _trunk(spectrum=24)
    trunk.begin_as(codec)
    before = {held: trunk(latents[:held], hats) for held in (1, 2, 3)}
    assert all(made.shape == (2, 24, 16, 24) for made in before.values())
    assert _close(before[bands], trunk([*latents[:bands], *(torch.zeros_like(y) for y in latents[bands:])], hats)) is (bands == 3)
    trunk.missing[bands - 1] = torch.randn(CODEC.coarse)
    for held, made in before.items():
        assert torch.equal(trunk(latents[:held], hats), made) is (held != bands)
    assert trunk.missing.shape == (3, CODEC.coarse)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"coarse": 8}, r"trunk\.enter\.0\.weight is \(8, 16, 1, 1\), and the codec has \(16, 16, 1, 1\)"),
        ({"middle": 64}, r"trunk\.enter\.2\.weight is \(64, 32, 1, 1\), and the codec has \(32, 32, 1, 1\)"),
        ({"latents": (16, 12, 28)}, r"trunk\.enter\.2\.weight is \(32, 28, 1, 1\)"),
        ({"spectrum": SAMPLED + 1}, r"trunk\.from_middle\.weight is \(772, 32, 1, 1\), and the codec has \(768, 32, 1, 1\)"),
        ({"blocks": 3}, r"trunk\.middle\.2\.enter\.weight is \(32, 32, 1, 1\), and the codec has nothing: take the widths"),
    ],
    ids=["coarse", "middle", "latents", "spectrum", "blocks"],
)
def test_other_widths_are_refused_by_name(codec: FrequencyModel, changed: dict[str, Any], words: str) -> None:
    trunk = _trunk(**changed)
    with pytest.raises(RecipeError, match=words):
        trunk.begin_as(codec)
