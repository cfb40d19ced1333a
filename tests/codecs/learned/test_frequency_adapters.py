"""Adapters of frequency: what they are, that blocks hide them, and files of both modes of one set of weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.cli.main import main
from foveal.codecs import registry
from foveal.codecs.learned import weights
from foveal.codecs.learned.frequency import tiling
from foveal.codecs.learned.frequency.adapters import ADAPTER, SpatialFrequencyAdapter, dft
from foveal.codecs.learned.frequency.model import FrequencyModel
from foveal.codecs.learned.frequency.networks import adapters_of, load_networks, thaw
from foveal.codecs.learned.frequency.tiling import ADAPTED_MARGIN, MARGIN, Rect, analyse, synthesise
from foveal.codecs.learned.frequency.transforms import STRIDES, FrequencyConfig
from foveal.codecs.learned.quality_levels import NODES
from foveal.codecs.learned.weights import Card, load_weights
from foveal.container.reader import read_container
from foveal.errors import RecipeError
from foveal.limits import DEFAULT_LIMITS
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture


def _woken(net: nn.Module, seed: int = 0) -> None:
    """Adapters that change what passes through them."""
    numbers = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if ".leave" in name and ADAPTER in f".{name}":
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=numbers, dtype=parameter.dtype))


@pytest.mark.parametrize("side", [2, 4, 8])
def test_the_matrices_are_the_fourier_transform(side: int) -> None:
    forth, back = dft(side)
    x, kept = torch.randn(5, side, side), torch.rand(5, side, side // 2 + 1)
    lines = torch.fft.rfft2(x, norm="ortho")
    mine = (x.flatten(1) @ forth).reshape(5, 2, side, -1)
    assert torch.allclose(torch.complex(mine[:, 0], mine[:, 1]), lines, atol=1e-5)
    again = ((mine * kept[:, None]).flatten(1) @ back).reshape(5, side, side)
    assert torch.allclose(again, torch.fft.irfft2(lines * kept, s=(side, side), norm="ortho"), atol=1e-5)


def test_a_new_adapter_changes_no_bit_and_a_woken_one_keeps_to_its_windows() -> None:
    torch.manual_seed(0)
    net, x = SpatialFrequencyAdapter(6, 4, 4), torch.randn(2, 6, 8, 12)
    assert torch.equal(net(x), x)
    with torch.no_grad():
        net.leave_lines.weight.normal_()
        moved, other = net(x), x.clone()
        other[:, :, 1, 5] += 1
        changed = (net(other) - moved).abs().amax((0, 1)) > 1e-6
    assert not torch.equal(moved, x)
    assert changed[:4, 4:8].all()  # its whole window
    changed[:4, 4:8] = False
    assert not changed.any()


def test_gradients_are_finite_where_a_picture_is_flat() -> None:
    net = SpatialFrequencyAdapter(6, 4, 4)
    nn.init.ones_(net.leave_lines.weight)
    nn.init.zeros_(net.lines.bias)  # type: ignore[arg-type]
    x = torch.zeros(1, 6, 4, 4, requires_grad=True)
    net(x).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in (x, *net.parameters()) if p.grad is not None)


def test_without_adapters_there_are_no_tensors_of_them(tiny_frequency: Card) -> None:
    plain, adapted = (FrequencyModel(FrequencyConfig(**tiny_frequency.config, adapters=n)).state_dict() for n in (0, 8))  # type: ignore[arg-type]
    assert not any(ADAPTER in name for name in plain)
    assert {name for name in adapted if ADAPTER not in name} == plain.keys()
    assert {name.split(".")[0] + name.split(".")[1] for name in adapted.keys() - plain.keys()} == {
        "analysisadapter_8", "analysisadapter_16", "analysisadapter_32", "synthesisadapter_16", "synthesisadapter_8",
    }  # fmt: skip
    with pytest.raises(RecipeError, match="adapters = -1"):
        FrequencyConfig(adapters=-1)


Cut = Callable[[int], list[np.ndarray]]


@pytest.mark.parametrize("mirrored", [False, True])
def test_blocks_give_what_one_piece_gives(tiny_frequency: Card, monkeypatch: pytest.MonkeyPatch, mirrored: bool) -> None:
    torch.manual_seed(1)
    config = FrequencyConfig(**tiny_frequency.config, adapters=4)  # type: ignore[arg-type]
    model = FrequencyModel(config).double().eval()
    _woken(model)
    for name, parameter in model.named_parameters():  # so that all that a place may see changes it
        if name.endswith(("leave.weight", "narrow.weight", "out.weight")):
            nn.init.normal_(parameter, std=0.2)
    bounds = Rect(0, 0, 1152, 128) if not mirrored else Rect(0, 0, 128, 1152)
    x = torch.rand(1, 3, bounds.height, bounds.width, dtype=torch.float64)
    hats = torch.rand(1, NODES, bounds.height // 32, bounds.width // 32, dtype=torch.float64)

    def pixels(area: Rect) -> Tensor:
        rows, columns = area.part_of(bounds, 1)
        return x[:, :, rows, columns]

    def hats_of(area: Rect) -> Tensor:
        rows, columns = area.part_of(bounds, 32)
        return hats[:, :, rows, columns]

    def latents(margin: int) -> list[np.ndarray]:
        out = [np.empty((bounds.height // s, bounds.width // s, m)) for m, s in zip(config.latents, STRIDES, strict=True)]
        analyse(model.analysis, pixels, bounds, out, margin)  # type: ignore[arg-type]
        return out

    def picture(held: list[np.ndarray]) -> Tensor:
        found = torch.zeros_like(x)
        for block, part in synthesise(model.synthesis, held, bounds, hats_of, bounds, bounds):  # type: ignore[arg-type]
            rows, columns = block.part_of(bounds, 1)
            found[:, :, rows, columns] = part
        return found

    with torch.no_grad():
        whole = latents(MARGIN)
        shown = picture(whole)
        monkeypatch.setattr(tiling, "_WHOLE", 1)
        monkeypatch.setattr(tiling, "_BLOCK", 128)
        assert max(np.abs(a - b).max() for a, b in zip(latents(ADAPTED_MARGIN), whole, strict=True)) < 1e-11
        assert max(np.abs(a - b).max() for a, b in zip(latents(MARGIN), whole, strict=True)) > 1e-10  # too narrow with adapters
        assert (picture(whole) - shown).abs().max() < 1e-11


@pytest.fixture
def machine(tiny_frequency: Card, monkeypatch: pytest.MonkeyPatch) -> Card:
    """A machine mode of the weights, with its preset."""
    monkeypatch.setattr(registry, "_TABLE", tuple(
        dataclasses.replace(row, info=dataclasses.replace(row.info, presets=("mse", "machine", "new")))
        if row.info.name == "frequency" else row
        for row in registry._TABLE
    ))  # fmt: skip
    made = tiny_frequency
    for preset in ("new", "machine"):
        config = {**tiny_frequency.config, "adapters": 8}
        model = FrequencyModel(FrequencyConfig(**config))  # type: ignore[arg-type]
        model.load_state_dict(model.state_dict() | thaw(load_weights(tiny_frequency)))
        if preset == "machine":
            _woken(model)
        made_id, data = weights.pack_weights(adapters_of(model), extends="tiny")
        made = dataclasses.replace(
            tiny_frequency, name=f"tiny-{preset}", id=made_id, config=config, preset=preset, extends="tiny"
        )
        made.path.write_bytes(data)
        (weights.FOLDER / f"{made.name}.json").write_text(json.dumps(dataclasses.asdict(made)))
    weights.cards.cache_clear()
    return made


def test_both_modes_have_files_and_the_one_for_people_is_what_it_was(
    tiny_frequency: Card, machine: Card, photo: Picture, capsys: pytest.CaptureFixture[str]
) -> None:
    small = Picture(photo.samples[:100, :130].copy())
    files = {preset: foveal.encode(small, preset=preset, quality=40) for preset in ("mse", "machine", "new")}
    hidden = [path.rename(path.with_suffix(".hidden")) for path in weights.FOLDER.glob("tiny-*.json")]
    weights.cards.cache_clear()
    assert foveal.encode(small, quality=40) == files["mse"]  # as where no adapters were ever heard of
    for path in hidden:
        path.rename(path.with_suffix(".json"))
    weights.cards.cache_clear()
    assert machine.path.stat().st_size < 0.5 * tiny_frequency.path.stat().st_size
    assert foveal.info(files["mse"]).weights == tiny_frequency.id
    assert (foveal.info(files["machine"]).weights, foveal.info(files["machine"]).preset) == (machine.id, "machine")
    units = {preset: read_container(data, DEFAULT_LIMITS).units for preset, data in files.items()}
    assert units["new"] == units["mse"] != units["machine"]
    shown = {preset: foveal.decode(data).samples.astype(int) for preset, data in files.items()}
    assert (shown["new"] == shown["mse"]).all()
    assert np.abs(shown["machine"] - shown["mse"]).mean() > 0.5
    (weights.FOLDER / "a.fvl").write_bytes(files["machine"])
    assert main(["info", str(weights.FOLDER / "a.fvl")]) == 0
    assert "preset         machine" in capsys.readouterr().out


def test_the_networks_of_both_modes_share_all_that_is_exact(tiny_frequency: Card, machine: Card) -> None:
    person, other = load_networks(tiny_frequency), load_networks(machine)
    for a, b in zip(person.priors, other.priors, strict=True):
        assert all(torch.equal(own, new) for own, new in zip(a.parameters(), b.parameters(), strict=True))
    assert all(
        (a == b).all() for a, b in zip(person.log_steps + person.exponents, other.log_steps + other.exponents, strict=True)
    )


def test_the_machine_mode_that_ships_extends_the_weights_for_people(photo: Picture) -> None:
    person, machine = (weights.default_card("frequency", preset) for preset in ("mse", "icm"))
    assert machine.extends == person.name
    assert machine.path.stat().st_size < 0.1 * person.path.stat().st_size
    small = Picture(photo.samples[:192, :256].copy())
    files = {preset: foveal.encode(small, preset=preset, quality=20) for preset in (None, "mse", "icm")}
    assert files[None] == files["mse"] != files["icm"]
    assert [foveal.info(files[preset]).preset for preset in ("mse", "icm")] == ["mse", "icm"]
    shown = {preset: psnr_rgb_db(small, foveal.decode(files[preset])) for preset in ("mse", "icm")}
    assert shown["mse"] - 1.5 < shown["icm"] < shown["mse"]
    assert 0.8 < len(files["icm"]) / len(files["mse"]) < 1.2
