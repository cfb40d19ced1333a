"""Files of every released kind decode as they always did, or fail as they always did."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

import foveal
from foveal import errors
from foveal.codecs.around.cards import around_cards
from foveal.codecs.learned.weights import cards

FOLDER = Path(__file__).parent / "v1"
LINES = [text.split() for text in (FOLDER / "vectors.txt").read_text().splitlines()]


def test_every_file_has_a_line_and_every_line_a_file() -> None:
    assert {words[0] for words in LINES} == {path.stem for path in FOLDER.glob("*.fvl")}
    assert len(LINES) >= 11


def test_one_file_of_each_set_that_no_longer_ships_stays() -> None:
    """So that what becomes of it stays known."""
    here = {card.id for card in (*cards(), *around_cards())}
    left = [words[0] for words in LINES if words[0].rsplit("-", 1)[1] not in here]
    assert {name.split("-", 1)[1] for name in left} >= {
        "gdn-0081c788", "hyperprior-43d89414", "frequency-52f4f6e5", "frequency-53a26358",
    }  # fmt: skip


@pytest.mark.parametrize("words", LINES, ids=lambda words: words[0])
def test_vector(words: list[str]) -> None:
    data = (FOLDER / f"{words[0]}.fvl").read_bytes()
    if words[0].rsplit("-", 1)[1] not in {card.id for card in (*cards(), *around_cards())}:
        kind, codec, weights = words[0].split("-", 1)[0], *words[0].split("-", 1)[1].rsplit("-", 1)
        with pytest.raises(errors.FormatError if kind.startswith("x_") else errors.UnknownWeightsError) as refused:
            foveal.decode(data)
        if not kind.startswith("x_"):  # by name: of what it asks for, and of all that are here
            own = ", ".join(card.id for card in cards() if card.codec == codec)
            assert f"with weights {weights} of {codec}; here are {own}" in str(refused.value)
        return
    if words[0].startswith("x_"):
        with pytest.raises(getattr(errors, words[1])):
            foveal.decode(data)
        return
    picture = foveal.decode(data)
    height, width, channels = picture.samples.shape
    assert f"{width}x{height}x{channels}" == words[1]
    assert [f"{band.symbols_crc:08x}" for band in foveal.info(data).bands] == words[2].split(",")
    assert words[3] == ("-" if picture.alpha is None else f"{zlib.crc32(picture.alpha.tobytes()):08x}")
    assert picture.samples.mean((0, 1)) == pytest.approx([float(mean) for mean in words[4:]], abs=0.2)
