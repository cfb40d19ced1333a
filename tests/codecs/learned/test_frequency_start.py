"""The start of frequency: an orthonormal lapped transform, split into bands, that already codes pictures."""

from __future__ import annotations

import math

import torch

from foveal.codecs.learned.frequency.model import FrequencyModel
from foveal.codecs.learned.frequency.start import lapped_transform
from foveal.codecs.learned.frequency.transforms import FrequencyConfig
from foveal.codecs.learned.quality_levels import float_hats
from foveal.picture import Picture


def test_the_lapped_transform_is_orthonormal_to_itself_and_its_neighbours() -> None:
    rows = lapped_transform()
    assert torch.allclose(rows @ rows.T, torch.eye(8), atol=1e-5)
    assert float((rows[:, 8:] @ rows[:, :8].T).abs().max()) < 1e-5
    crossings = (rows[:, 1:].sign() != rows[:, :-1].sign()).sum(1)
    assert crossings.tolist() == sorted(crossings.tolist())


def test_the_first_weights_already_code_pictures_up_to_their_edges(photo: Picture) -> None:
    torch.manual_seed(0)
    model = FrequencyModel(FrequencyConfig()).eval()
    x = torch.from_numpy(photo.samples).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        back = model.synthesis(model.analysis(x), float_hats(torch.tensor([50.0])))
        error = (x - back).square().mean((0, 1))
        assert -10 * math.log10(float(error.mean())) > 42
        assert float(error[:4].mean()) < 4 * float(error.mean())
        bits, coarse = model(x, torch.tensor([50.0]), 1)
        assert 0 < float(bits) < x.numel()
        assert float((x - coarse).square().mean()) < 0.02
