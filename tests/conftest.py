"""Fixtures that many tests share."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

# Under several test workers, each takes one thread: more would only wait for each other. Set before torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from foveal.picture import Picture

if TYPE_CHECKING:
    from torch import Tensor

    from foveal.codecs.learned.weights import Card

settings.register_profile("foveal", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("foveal")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real pictures; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("FOVEAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real pictures at {folder}; set FOVEAL_DATA to measure on them")
    return folder


@pytest.fixture(scope="session")
def photo() -> Picture:
    """A real photograph, 256x256."""
    skimage = pytest.importorskip("skimage.data", reason="scikit-image brings the test photographs: pip install scikit-image")
    return Picture(np.ascontiguousarray(skimage.astronaut()[0:256, 128:384]))


@pytest.fixture(scope="session")
def kodak(data_folder: Path) -> list[Picture]:
    """The 24 Kodak pictures."""
    paths = sorted((data_folder / "kodak").glob("*.png"))
    assert len(paths) == 24
    return [Picture(np.asarray(Image.open(path).convert("RGB"))) for path in paths]


TINY_FREQUENCY = {
    "fine": 16, "middle": 32, "coarse": 16, "analysis_fine": 1, "analysis_middle": 1, "synthesis_middle": 1, "synthesis_fine": 1,
    "latent_0": 16, "latent_1": 12, "latent_2": 32, "prior_coarse": 16, "prior_fine": 16,
}  # fmt: skip


@pytest.fixture(scope="session")
def tiny_frequency_tensors() -> dict[str, Tensor]:
    """What would ship of an untrained ``frequency`` with few channels."""
    import torch

    from foveal.codecs.learned.frequency.model import FrequencyModel
    from foveal.codecs.learned.frequency.networks import freeze
    from foveal.codecs.learned.frequency.transforms import FrequencyConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return freeze(FrequencyModel(FrequencyConfig(**TINY_FREQUENCY)).eval())


@pytest.fixture
def tiny_frequency(tiny_frequency_tensors: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Card]:
    """These weights, ``tiny`` by name, in a folder of their own, which is the only one that foveal finds; for the preset mse."""
    from foveal.codecs.learned import weights
    from foveal.codecs.learned.frequency.networks import load_networks
    from foveal.codecs.learned.weights import Card

    (tmp_path / "weights").mkdir()
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "weights")
    made_id, data = weights.pack_weights(tiny_frequency_tensors)
    text = "untrained, for tests"
    card = Card(
        name="tiny", codec="frequency", id=made_id, default=True, preset="mse", config=dict(TINY_FREQUENCY), data=text, data_terms=text,
        recipe=text, steps=0, minutes=0.0, machine=text, figures=text, licence=text,
    )  # fmt: skip
    card.path.write_bytes(data)
    (weights.FOLDER / "tiny.json").write_text(json.dumps(asdict(card)))
    for cache in (weights.cards, load_networks):
        cache.cache_clear()
    yield card
    for cache in (weights.cards, load_networks):
        cache.cache_clear()
