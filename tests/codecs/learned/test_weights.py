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


def _written(
    folder: Path, name: str, tensors: dict[str, Tensor], base: str | None = None, extends: str | None = None
) -> WeightsCard:
    made, data = weights.pack_weights(tensors, base, extends)
    card = replace(CARD, name=name, id=made, base=base, extends=extends)
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


def test_a_base_may_be_a_difference_itself(folder: Path) -> None:
    made = [_tensors(seed) for seed in range(3)]
    bases = [None, "0", "1"]
    written = [_written(folder, str(i), tensors, base) for i, (tensors, base) in enumerate(zip(made, bases, strict=True))]
    assert all(_same(weights.load_weights(card), tensors) for card, tensors in zip(written, made, strict=True))


def test_a_base_that_is_missing_is_told(folder: Path) -> None:
    with pytest.raises(UnknownWeightsError, match="no weights 'earlier'"):
        weights.pack_weights(_tensors(1), "earlier")
    _written(folder, "earlier", _tensors(0, 32))
    card = _written(folder, "later", _tensors(1), "earlier")
    assert _same(weights.load_weights(card), _tensors(1))
    (folder / f"earlier{weights.SUFFIX}").unlink()
    with pytest.raises(UnknownWeightsError, match="install foveal again"):
        weights.load_weights(card)


def test_weights_that_extend_others_hold_their_own_alone(folder: Path) -> None:
    earlier, own = _tensors(0), {"more": torch.ones(3).half(), "steps": torch.zeros(2, dtype=torch.int8)}
    base = _written(folder, "earlier", earlier)
    card = _written(folder, "later", own, extends="earlier")
    wanted = {"main": earlier["main"], **own}
    assert _same(weights.load_weights(card), wanted)
    assert _same(weights.read_tensors(card.path), wanted)
    assert card.path.stat().st_size < 0.2 * base.path.stat().st_size
    third = _written(folder, "third", {"last": torch.ones(1)}, extends="later")
    assert _same(weights.load_weights(third), wanted | {"last": torch.ones(1)})


def test_weights_whose_base_is_another_are_refused_by_name_and_have_another_id(folder: Path) -> None:
    own = {"more": torch.ones(3).half()}
    old = _written(folder, "earlier", _tensors(0))
    card = _written(folder, "later", own, extends="earlier")
    new = _written(folder, "earlier", _tensors(1))
    for read in (lambda: weights.load_weights(card), lambda: weights.read_tensors(card.path)):
        with pytest.raises(UnknownWeightsError, match=f"later extend earlier of id {old.id}, here it has {new.id}"):
            read()
    assert weights.pack_weights(own, extends="earlier")[0] != card.id
    (folder / "earlier.json").unlink()
    for act in (lambda: weights.load_weights(card), lambda: weights.pack_weights(own, extends="earlier")):
        with pytest.raises(UnknownWeightsError, match="no weights 'earlier'"):
            act()


@pytest.mark.parametrize("data", [b"", b"junk", lzma.compress(b"junk")[:20], lzma.compress(b"other")])
def test_damage_is_told(folder: Path, data: bytes) -> None:
    card = _written(folder, "later", _tensors(1))
    card.path.write_bytes(data)
    with pytest.raises(UnknownWeightsError, match="install foveal again"):
        weights.load_weights(card)


def test_what_ships_is_what_the_cards_say() -> None:
    for card in weights.cards():
        assert weights.load_weights(card)
