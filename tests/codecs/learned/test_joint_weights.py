"""The weights of frequency that were trained together with what reads their latents."""

from __future__ import annotations

import pytest

import foveal
from foveal.codecs.learned import weights
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture
from foveal.tasks.choice import Asked, FileAnalyst
from foveal.tasks.latent.weights import card_for


def test_they_and_their_heads_are_stored_as_differences() -> None:
    person, joint = (weights.default_card("frequency", preset) for preset in ("mse", "joint"))
    heads = card_for(joint.id, "segment")
    before = card_for(person.id, "segment")
    assert heads is not None
    assert before is not None
    assert (joint.base, heads.base) == (person.name, before.name)
    assert joint.path.stat().st_size < 0.35 * person.path.stat().st_size
    assert heads.path.stat().st_size < 0.35 * before.path.stat().st_size


def test_their_files_are_for_people_and_for_their_own_heads(photo: Picture) -> None:
    small = Picture(photo.samples[:192, :256].copy())
    files = {preset: foveal.encode(small, preset=preset, quality=30) for preset in ("mse", "joint")}
    assert [foveal.info(files[preset]).preset for preset in files] == ["mse", "joint"]
    assert 0.9 < len(files["joint"]) / len(files["mse"]) < 1.15
    shown = {preset: psnr_rgb_db(small, foveal.decode(data)) for preset, data in files.items()}
    assert shown["joint"] == pytest.approx(shown["mse"], abs=0.5)
    analyst = FileAnalyst(Asked(None, "segment"))
    found = {preset: analyst.answer(data) for preset, data in files.items()}
    assert [answer.read_from for answer in found.values()] == ["latent", "latent"]
    assert found["mse"].network != found["joint"].network
