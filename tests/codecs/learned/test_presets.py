"""Two sets of weights of one codec, a preset for each: which one encodes, and that both decode."""

from __future__ import annotations

import dataclasses
import json
import lzma
from collections.abc import Generator
from pathlib import Path

import pytest
from safetensors.torch import save as save_safetensors

import foveal
from foveal.bench.plan import parse_codecs
from foveal.cli.main import main
from foveal.codecs import registry
from foveal.codecs.learned import weights
from foveal.codecs.learned.frequency.networks import load_networks
from foveal.codecs.learned.weights import Card
from foveal.errors import SettingsError, UnknownWeightsError
from foveal.media.image_io import write_picture
from foveal.picture import Picture


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[dict[str, Card]]:
    """The cards by preset: frequency's own weights for mse, and as others in name and id for ms-ssim."""
    shipped = next(card for card in weights.cards() if card.codec == "frequency" and card.default)
    tensors, made = weights.read_tensors(shipped.path), dict[str, Card]()
    for preset, name in (("mse", "frequency-1"), ("ms-ssim", "frequency-ms-ssim")):
        data = save_safetensors(tensors, {"preset": preset})
        made[preset] = dataclasses.replace(shipped, name=name, id=weights.weights_id(data), preset=preset)
        (tmp_path / f"{name}.safetensors.xz").write_bytes(lzma.compress(data))
        (tmp_path / f"{name}.json").write_text(json.dumps(dataclasses.asdict(made[preset])))
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    rows = tuple(
        dataclasses.replace(row, info=dataclasses.replace(row.info, presets=("mse", "ms-ssim")))
        if row.info.name == "frequency"
        else row
        for row in registry._TABLE
    )
    monkeypatch.setattr(registry, "_TABLE", rows)
    for cache in (weights.cards, load_networks):
        cache.cache_clear()
    yield made
    for cache in (weights.cards, load_networks):
        cache.cache_clear()


def test_the_preset_chooses_the_weights_and_the_file_finds_them(two: dict[str, Card], photo: Picture) -> None:
    small = Picture(photo.samples[:64, :80].copy())
    assert two["mse"].id != two["ms-ssim"].id
    for preset, wanted in ((None, "mse"), ("mse", "mse"), ("ms-ssim", "ms-ssim")):
        data = foveal.encode(small, preset=preset)
        assert foveal.info(data).weights == two[wanted].id
        assert foveal.decode(data).width == 80
    with pytest.raises(SettingsError, match="choose from mse, ms-ssim"):
        foveal.encode(small, preset="psnr")
    (weights.FOLDER / "frequency-ms-ssim.json").unlink()
    weights.cards.cache_clear()
    with pytest.raises(UnknownWeightsError, match="frequency with preset ms-ssim"):
        foveal.encode(small, preset="ms-ssim")


def test_the_command_line_and_the_bench_spell_it(
    two: dict[str, Card], photo: Picture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, coded = tmp_path / "a.png", tmp_path / "a.fvl"
    write_picture(Picture(photo.samples[:64, :80].copy()), source)
    assert main(["encode", str(source), str(coded), "--preset", "ms-ssim"]) == 0
    assert foveal.info(coded.read_bytes()).weights == two["ms-ssim"].id
    (run,) = parse_codecs("frequency:ms-ssim")
    assert (run.codec, run.preset, run.label) == ("frequency", "ms-ssim", "frequency:ms-ssim")
    capsys.readouterr()
    assert main(["codecs"]) == 0
    assert "mse ms-ssim" in capsys.readouterr().out


SERVED = {
    "cae-pca": (None,),
    "rnn-2015": ("lstm",),
    "rnn-2017": ("lstm-additive", "lstm-one-shot", "gru-additive", "gru-one-shot"),
}
"""The presets that have weights, of codecs whose files name the preset: one set of weights serves several of them."""


def test_every_learned_codec_has_one_set_of_weights_for_each_preset() -> None:
    for info in (info for info in registry.all_codecs() if info.learned and info.name != "hevc-blocks"):  # its presets are x265's
        own = [card.preset for card in weights.cards() if card.codec == info.name and card.default]
        wanted = SERVED.get(info.name, info.presets or (None,))
        assert sorted(own, key=str) == sorted(wanted, key=str), info.name
