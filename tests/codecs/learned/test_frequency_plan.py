"""How large one tile, or a picture in one piece, may be in files of ``frequency``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foveal.codecs.base import Codec, DecodeSettings, EncodeSettings, Region
from foveal.codecs.learned.frequency.plan import read_plan
from foveal.codecs.learned.frequency.tiling import tile_side
from foveal.codecs.registry import codec_by_name
from foveal.codecs.settings import LARGEST_TILE
from foveal.container.format import Head, Tiling
from foveal.container.reader import read_container
from foveal.container.writer import write_container
from foveal.errors import DamagedError
from foveal.limits import DEFAULT_LIMITS
from foveal.picture import Picture

HEAD = Head(2, b"abcd", 4096, 4096, bands=3, parameters=b"\0\0")


@pytest.fixture(scope="module")
def codec() -> Codec:
    return codec_by_name("frequency")


@pytest.mark.parametrize("tile", [None, 256, 2048, LARGEST_TILE])
def test_what_an_encoder_writes_has_a_plan(codec: Codec, tile: int | None) -> None:
    for width, height in ((2048, 2048), (2049, 1), (4096, 4096), (4097, 300), (13000, 13000)):
        side = tile_side(width, height, tile)
        head = replace(HEAD, width=width, height=height, tiling=None if side is None else Tiling(side, side, 0))
        assert max(max(t.width, t.height) for t in read_plan(codec.info, head).tiles) <= LARGEST_TILE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 4097}, "no tiles and a padded side of 4160 pixels"),
        ({"height": 13000}, "no tiles and a padded side of 13056 pixels"),
        ({"tiling": Tiling(4224, 4224, 0)}, "tiles of 4224 pixels"),
    ],
)
def test_larger_pieces_are_damage(codec: Codec, changes: dict[str, int], words: str) -> None:
    with pytest.raises(DamagedError, match=f"HEAD has {words}; frequency has at most 4096"):
        read_plan(codec.info, replace(HEAD, **changes))


def test_a_small_file_that_says_it_is_huge_is_refused_at_once(codec: Codec) -> None:
    small = read_container(codec.encode(Picture(np.zeros((8, 8, 3), np.uint8)), EncodeSettings(5)), DEFAULT_LIMITS)
    data = write_container(replace(small, head=replace(small.head, width=13000, height=13000)))
    for settings in (DecodeSettings(), DecodeSettings(bands=1), DecodeSettings(crop=Region(0, 0, 1, 1))):
        with pytest.raises(DamagedError, match="padded side of 13056"):
            codec.decode(data, settings=settings)
