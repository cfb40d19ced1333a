"""What several trainings learn from, and go on from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Generator
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image

from foveal.codecs.learned.weights import Card
from foveal.picture import Picture

TINY_HEADS: Final = {"latent_0": 16, "latent_1": 12, "latent_2": 32, "coarse": 16, "middle": 32, "blocks": 1, "spectrum": 8}
"""Sizes of ``tiny_heads``, whose channels are those of ``tiny_frequency``."""


@pytest.fixture
def photos(tmp_path: Path, photo: Picture) -> Path:
    """A folder of four pictures of other sizes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(4):
        Image.fromarray(np.roll(photo.samples, 40 * i, axis=0)[: 128 + i, :160]).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def tiny_heads(tiny_frequency: Card, monkeypatch: pytest.MonkeyPatch) -> Generator[tuple[str, ...]]:
    """The names of two sets of networks that read latents of ``tiny``, as they ship, each with a head ``segment``; beside them there are none."""
    import torch

    from foveal.codecs.learned import weights
    from foveal.tasks.latent import weights as latent_weights
    from foveal.tasks.latent.network import LatentConfig, LatentNetwork
    from foveal.tasks.latent.weights import LatentCard, latent_cards
    from foveal.training.subject import frozen_on_grid

    monkeypatch.setattr(latent_weights, "FOLDER", weights.FOLDER)
    names = ("latent-bright-1", "latent-dark-1")
    for seed, name in enumerate(names):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = LatentNetwork(LatentConfig(**TINY_HEADS))  # type: ignore[arg-type]
        made_id, packed = weights.pack_weights(frozen_on_grid(network).tensors)
        text = "untrained, for tests"
        card = LatentCard(
            name=name, id=made_id, config=dataclasses.asdict(network.config), data=text, data_terms=text, recipe=text, steps=0, minutes=0.0,
            machine=text, figures=text, licence=text, reads=tiny_frequency.id, heads="segment",
        )  # fmt: skip
        card.path.write_bytes(packed)
        (weights.FOLDER / f"{name}.json").write_text(json.dumps(dataclasses.asdict(card)))
    latent_cards.cache_clear()
    yield names
    latent_cards.cache_clear()
