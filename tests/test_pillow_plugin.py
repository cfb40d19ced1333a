"""Pillow opens and saves .fvl files."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import foveal
from foveal.picture import Picture


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    registries = (Image.OPEN, Image.SAVE, Image.EXTENSION, Image.MIME)
    before = [dict(r) for r in registries]
    ids = list(Image.ID)
    foveal.register_pillow()
    yield
    for registry, old in zip(registries, before, strict=True):
        registry.clear()
        registry.update(old)
    Image.ID[:] = ids


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_modes_come_back(mode: str, photo: Picture, tmp_path: Path) -> None:
    image = Image.fromarray(photo.samples[:40, :56]).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(np.arange(56 * 40, dtype=np.uint32).reshape(40, 56).astype(np.uint8)))
    image.save(tmp_path / "x.fvl", quality=90)
    with Image.open(tmp_path / "x.fvl") as back:
        assert (back.format, back.mode, back.size) == ("FVL", mode, (56, 40))
        assert np.abs(np.asarray(back.convert("L"), int) - np.asarray(image.convert("L"), int)).mean() < 6
        if mode.endswith("A"):
            assert (np.asarray(back)[..., -1] == np.asarray(image)[..., -1]).all()


def test_quality_and_metadata_reach_the_file(photo: Picture, tmp_path: Path) -> None:
    image = Image.fromarray(photo.samples)
    for quality in (5, 95):
        image.save(tmp_path / f"{quality}.fvl", quality=quality, icc_profile=b"an ICC profile")
    assert (tmp_path / "5.fvl").stat().st_size < (tmp_path / "95.fvl").stat().st_size
    with Image.open(tmp_path / "5.fvl") as back:
        assert back.info["icc_profile"] == b"an ICC profile"


def test_opening_decodes_nothing(photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    data = foveal.encode(photo)
    codec = foveal.codec_by_name("gdn")
    monkeypatch.setattr(type(codec), "decode", lambda *_: pytest.fail("decoded too early"))
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (256, 256)


def test_a_damaged_file_is_pillows_own_kind_of_error(photo: Picture) -> None:
    data = foveal.encode(photo)
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(io.BytesIO(data[:200]))
    with pytest.raises(OSError, match="quality 400"):
        Image.fromarray(photo.samples).save(io.BytesIO(), "FVL", quality=400)


def test_opening_imports_no_torch(photo: Picture, tmp_path: Path) -> None:
    (tmp_path / "x.fvl").write_bytes(foveal.encode(photo))
    code = "import sys, foveal; from PIL import Image; foveal.register_pillow(); print(Image.open(sys.argv[1]).size, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.fvl")], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(256, 256) False"


def test_cmyk_becomes_rgb(photo: Picture) -> None:
    out = io.BytesIO()
    Image.fromarray(photo.samples).convert("CMYK").save(out, "FVL", quality=80)
    with Image.open(io.BytesIO(out.getvalue())) as back:
        assert back.mode == "RGB"


def test_other_formats_are_left_alone(photo: Picture) -> None:
    out = io.BytesIO()
    Image.fromarray(photo.samples).save(out, "PNG")
    with Image.open(out) as image:
        assert image.format == "PNG"
