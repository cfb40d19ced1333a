"""Weights on disk: a file that stands alone, and one that holds the difference to another."""

from __future__ import annotations

import json
import lzma
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from foveal.codecs.learned import weights
from foveal.codecs.learned.weights import WeightsCard
from foveal.errors import UnknownWeightsError

CARD = WeightsCard(
    name="later", id="", config={}, data="", data_terms="", recipe="", steps=1, minutes=1, machine="", figures="", licence=""
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    return tmp_path


def _tensors(seed: int, side: int = 64) -> dict[str, Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    steps = torch.randint(-127, 128, (side,), generator=numbers, dtype=torch.int8)
    return {"main": torch.randn(side, side, generator=numbers).half(), "steps": steps}


def _written(folder: Path, name: str, tensors: dict[str, Tensor], base: str | None = None) -> WeightsCard:
    made, data = weights.pack_weights(tensors, base)
    card = replace(CARD, name=name, id=made, base=base)
    card.path.write_bytes(data)
    (folder / f"{name}.json").write_text(json.dumps(asdict(card)))
    return card


def _same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_difference_gives_back_the_weights_and_is_smaller(folder: Path) -> None:
    earlier = _tensors(0)
    _written(folder, "earlier", earlier)
    later = {"main": (earlier["main"].float() * 1.001).half(), "steps": earlier["steps"]}
    alone, apart = _written(folder, "alone", later), _written(folder, "later", later, "earlier")
    assert alone.id == apart.id
    for card in (alone, apart):
        assert _same(weights.load_weights(card), later)
        assert _same(weights.read_tensors(card.path), later)
    assert apart.path.stat().st_size < 0.7 * alone.path.stat().st_size


def test_a_base_of_other_sizes_or_that_is_missing_is_told(folder: Path) -> None:
    _written(folder, "earlier", _tensors(0, 32))
    with pytest.raises(ValueError, match="where earlier, which they are told apart from, has"):
        weights.pack_weights(_tensors(1), "earlier")
    card = _written(folder, "later", _tensors(1, 32), "earlier")
    (folder / f"earlier{weights.SUFFIX}").unlink()
    with pytest.raises(UnknownWeightsError, match="install foveal again"):
        weights.load_weights(card)


@pytest.mark.parametrize("data", [b"", b"junk", lzma.compress(b"junk")[:20], lzma.compress(b"other")])
def test_damage_is_told(folder: Path, data: bytes) -> None:
    card = _written(folder, "later", _tensors(1))
    card.path.write_bytes(data)
    with pytest.raises(UnknownWeightsError, match="install foveal again"):
        weights.load_weights(card)


def test_what_ships_is_what_the_cards_say() -> None:
    for card in weights.cards():
        assert weights.load_weights(card)
