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


@pytest.mark.parametrize("words", LINES, ids=lambda words: words[0])
def test_vector(words: list[str]) -> None:
    data = (FOLDER / f"{words[0]}.fvl").read_bytes()
    if words[0].rsplit("-", 1)[1] not in {card.id for card in (*cards(), *around_cards())}:
        with pytest.raises(errors.FormatError if words[0].startswith("x_") else errors.UnknownWeightsError):
            foveal.decode(data)
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
