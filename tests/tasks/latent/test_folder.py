"""A folder of compressed files as a dataset, and a trunk to begin a head of one's own with."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import foveal
from foveal.codecs.learned.weights import Card
from foveal.errors import InputError, PictureError, RecipeError, TruncatedError
from foveal.picture import Picture
from foveal.tasks.latent import LatentFolder, batch_of, begun_trunk, read_latents


@pytest.fixture
def folder(tmp_path: Path, tiny_frequency: Card, photo: Picture) -> Path:
    """Two files of one size, one of them below, one of another size, and what is none."""
    (tmp_path / "coded" / "below").mkdir(parents=True)
    for name, size in (("b", 100), ("below/a", 100), ("c", 140)):
        data = foveal.encode(Picture(np.ascontiguousarray(photo.samples[:size, :90])), quality=30)
        (tmp_path / "coded" / f"{name}.fvl").write_bytes(data)
    (tmp_path / "coded" / "notes.txt").write_text("none")
    return tmp_path / "coded"


def test_items_are_the_latents_of_the_files_by_name(folder: Path) -> None:
    latents = LatentFolder(folder, bands=2)
    assert latents.names == ("b", "below/a", "c")
    assert [(some.width, some.height, len(some.bands)) for some in latents] == [(90, 100, 2), (90, 100, 2), (90, 140, 2)]
    known = read_latents((folder / "b.fvl").read_bytes(), bands=2)
    assert all(np.array_equal(one, other) for one, other in zip(latents[0].bands, known.bands, strict=True))


def test_batches_go_through_a_trunk_as_files_one_by_one(folder: Path) -> None:
    (folder / "c.fvl").unlink()
    trunk = begun_trunk("tiny", spectrum=8, blocks=0).eval()
    ((bands, quality),) = DataLoader(LatentFolder(folder), batch_size=2, collate_fn=batch_of)
    with torch.no_grad():
        together = trunk(bands, quality)
        alone = torch.cat([trunk(*batch_of([one])) for one in LatentFolder(folder)])
    assert together.shape == (2, 8, 16, 16)
    assert torch.allclose(together, alone, atol=1e-5)
    assert together.std() > 0


def test_what_makes_no_batch_is_named(folder: Path) -> None:
    some = list(LatentFolder(folder))
    with pytest.raises(PictureError, match="latents of 2 forms"):
        batch_of(some)
    with pytest.raises(PictureError, match=r"latents of weights \w+ and other; they mean other things"):
        batch_of([some[0], replace(some[1], weights="other")])
    with pytest.raises(PictureError, match="latents of 0 forms"):
        batch_of([])


def test_a_damaged_file_is_named_and_a_name_is_no_file(folder: Path) -> None:
    path = folder / "below" / "a.fvl"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(TruncatedError, match=re.escape(f"{path}: the file ends after")):
        LatentFolder(folder)[1]
    for name in (path, str(path)):
        with pytest.raises(InputError, match="is not the bytes of a file; read the file first"):
            read_latents(name)  # type: ignore[arg-type]


def test_folders_without_files_and_weights_that_are_not_there_are_named(tmp_path: Path, tiny_frequency: Card) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        LatentFolder(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no .fvl files; `foveal encode"):
        LatentFolder(tmp_path / "empty")
    with pytest.raises(RecipeError, match="no weights 'none' of frequency; there are tiny"):
        begun_trunk("none")
    with pytest.raises(RecipeError, match=r"\[model\] trunk"):
        begun_trunk("tiny", spectrum=1000)
