"""Tiny networks that heads feed."""

from __future__ import annotations

from pathlib import Path

import pytest

from foveal.tasks.latent.cuts import Cut
from latent_networks import make_networks, take_cuts


@pytest.fixture(scope="session")
def fed_networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_networks(tmp_path_factory.mktemp("fed"))


@pytest.fixture
def tiny_cuts(fed_networks: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Cut]:
    return take_cuts(fed_networks, monkeypatch)
