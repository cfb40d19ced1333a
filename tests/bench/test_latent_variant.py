"""Files whose latents are read in a network's place, as curves of a bench."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch
from PIL import Image

from foveal.bench.latent_variant import ReadLatents
from foveal.bench.plan import BenchPlan, parse_codecs
from foveal.bench.readers import Reader, network_id
from foveal.bench.readings import Reading
from foveal.bench.rows import read_rows
from foveal.bench.run import run_bench
from foveal.cli.main import main
from foveal.codecs.base import EncodeSettings
from foveal.codecs.learned import weights
from foveal.codecs.learned.frequency.latents import read_latents
from foveal.codecs.learned.weights import Card, pack_weights
from foveal.codecs.registry import codec_by_name
from foveal.errors import SettingsError
from foveal.picture import Picture
from foveal.tasks import builtin
from foveal.tasks.latent import weights as latent_weights
from foveal.tasks.latent.feature_task import open_head
from foveal.tasks.latent.network import LatentConfig, LatentNetwork
from foveal.tasks.latent.weights import LatentCard, latent_cards, load_network
from foveal.tasks.opening import open_task
from foveal.tasks.residual import fold
from latent_networks import CLASSIFIER, make_networks, take_cuts

SEGMENTER = "builtin:camvid-segment"
QUALITIES = (20.0, 60.0)
SIZES = {
    "latent_0": 16, "latent_1": 12, "latent_2": 32, "coarse": 8, "middle": 8, "blocks": 1, "spectrum": 8, "adapter": 8,
    "adapter_blocks": 1, "segment": 11, CLASSIFIER: 1,
}  # fmt: skip


class Heads(Protocol):
    def __call__(self, name: str, seed: int, **changed: Any) -> LatentCard: ...


@pytest.fixture
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_networks(tmp_path / "networks")
    take_cuts(folder, monkeypatch)
    return folder


@pytest.fixture
def heads(networks: Path, tiny_frequency: Card, monkeypatch: pytest.MonkeyPatch) -> Generator[Heads]:
    """Installs random heads of a name that read files of the tiny weights of frequency, beside those that are there."""
    for path in builtin.FOLDER.glob("camvid-segment-*"):
        (weights.FOLDER / path.name).symlink_to(path)
    for module in (builtin, latent_weights):
        monkeypatch.setattr(module, "FOLDER", weights.FOLDER)

    def install(name: str, seed: int, **changed: Any) -> LatentCard:
        torch.manual_seed(seed)
        sizes, text = LatentConfig(**SIZES), "untrained, for tests"
        made_id, data = pack_weights(fold(LatentNetwork(sizes)))
        card = LatentCard(
            name=name, id=made_id, config=asdict(sizes), data=text, data_terms=text, recipe=text, steps=0, minutes=0.0, machine=text,
            figures=text, licence=text, reads=tiny_frequency.id, heads=f"segment,{CLASSIFIER}",
        )  # fmt: skip
        card = replace(card, **changed)
        card.path.write_bytes(data)
        (weights.FOLDER / f"{name}.json").write_text(json.dumps(asdict(card)))
        _forget()
        return card

    yield install
    _forget()


def _forget() -> None:
    for cache in (latent_cards, load_network):
        cache.cache_clear()


def _reader(spec: str) -> Reader:
    task = open_task(spec, threads=1)
    return Reader(task, network_id(task), {}, spec)


@pytest.fixture
def plan(tmp_path: Path, photo: Picture) -> Callable[..., BenchPlan]:
    path = tmp_path / "pictures" / "0.png"
    path.parent.mkdir()
    Image.fromarray(photo.samples[:100, :150]).save(path)

    def made(codecs: str, *specs: str) -> BenchPlan:
        readers = tuple(_reader(spec) for spec in specs)
        return BenchPlan((path,), parse_codecs(codecs, QUALITIES), tmp_path / "out", False, 1, "bench", readers)

    return made


def _readings(path: Path) -> dict[tuple[str, str, float | None], Reading]:
    return {(one.label, one.network, one.quality): one for one in read_rows(path).readings}


@pytest.mark.parametrize(
    ("text", "label", "bands"),
    [
        ("frequency:latent", "frequency:latent", None),
        ("Frequency:MS-SSIM:Latent", "frequency:ms-ssim:latent", None),
        ("frequency:latent:bands=2", "frequency:bands=2:latent", 2),
    ],
)
def test_it_is_one_more_option_of_frequency(text: str, label: str, bands: int | None) -> None:
    (run,) = parse_codecs(text, (10,))
    assert (run.variant, run.label, run.bands) == (ReadLatents(), label, bands)
    assert parse_codecs(label, (10,)) == (run,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hevc:latent", "hevc:latent; files of frequency alone have latents that heads read"),
        ("gdn:latent", "gdn:latent; files of frequency alone"),
        ("frequency:latent=3", "latent=3; latent takes no value"),
        ("frequency:latent=", "latent= without a value"),
        ("frequency:latent:latent", r"'latent' is not one more setting of frequency; .*lowpass\[=PIXELS\], latent, boxes"),
        ("frequency:other:latent", "'other' is not one more setting"),
        ("frequency:latent:npp", "goes around a standard codec"),
        ("hevc:aq:444:aq", r"lowpass\[=PIXELS\], aq, boxes"),
    ],
)
def test_what_there_is_not_is_said_at_once(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        parse_codecs(text)


def test_heads_answer_from_the_file_and_networks_from_the_picture(
    heads: Heads, networks: Path, plan: Callable[..., BenchPlan], photo: Picture
) -> None:
    card, specs = heads("heads-1", 0), (SEGMENTER, f"onnx:{networks / CLASSIFIER}.onnx")
    asked = plan("frequency,frequency:latent,frequency:bands=1:latent", *specs)
    done = run_bench(asked)
    assert (done.measured, done.failed) == (2 + 3 * 2 * 3, ())
    found, codec, picture = _readings(done.path), codec_by_name("frequency"), Picture(photo.samples[:100, :150].copy())
    answering = (
        (asked.readers[0], open_head(card, "segment", threads=1)),
        (asked.readers[1], open_head(card, CLASSIFIER, networks / f"{CLASSIFIER}.onnx", 1)),
    )
    rows = {(row.label, row.quality): row for row in read_rows(done.path).rows}
    for quality in QUALITIES:
        data = codec.encode(picture, EncodeSettings(quality, threads=1))
        assert rows["frequency", quality].bytes == rows["frequency:latent", quality].bytes == len(data)
        assert rows["frequency", quality].psnr_rgb_db == rows["frequency:latent", quality].psnr_rgb_db
        for reader, head in answering:
            score, name = reader.task.scoring, reader.task.label
            truth = score.truth_of(reader.task.analyze(picture))
            for label, bands in (("frequency:latent", None), ("frequency:bands=1:latent", 1)):
                wanted = score.dump(score.tally(head.analyze(read_latents(data, bands=bands, threads=1)), truth))
                assert found[label, name, quality].agreement == json.loads(json.dumps(wanted)), (label, name)
                assert found[label, name, quality].bytes == rows[label, quality].bytes
            pixels = json.loads(json.dumps(score.dump(score.tally(reader.task.analyze(codec.decode(data)), truth))))
            assert found["frequency", name, quality].agreement == pixels
        agreements = [found[label, "camvid-segment", quality].agreement for label in ("frequency", "frequency:latent")]
        assert agreements[0] != agreements[1]
        assert (rows["frequency:bands=1:latent", quality].bytes or len(data)) < len(data)
    assert (run_bench(asked).measured, run_bench(asked).failed) == (0, ())


def test_new_heads_are_read_anew(heads: Heads, plan: Callable[..., BenchPlan]) -> None:
    heads("heads-1", 0)
    asked = plan("frequency,frequency:latent", SEGMENTER)
    done, before = run_bench(asked), ReadLatents().open("frequency", (), 1).id
    old = _readings(done.path)
    assert ReadLatents().open("frequency", (), 1).id == before
    heads("heads-2", 1)
    anew = run_bench(asked)
    assert (anew.measured, anew.reused, anew.failed) == (4, 1 + 4, ())
    assert ReadLatents().open("frequency", (), 1).id != before
    assert {row.variant_id for row in read_rows(done.path).rows} == {None, before, ReadLatents().open("frequency", (), 1).id}
    for quality in QUALITIES:
        key = "frequency:latent", "camvid-segment", quality
        assert _readings(done.path)[key].agreement != old[key].agreement


def test_a_head_that_fails_is_an_error_of_its_reading_alone(heads: Heads, plan: Callable[..., BenchPlan]) -> None:
    heads("heads-1", 0, least_bands=2, heads="segment")
    done = run_bench(plan("frequency:bands=1:latent,frequency:latent", SEGMENTER))
    errors = {(one.label, one.network): one.error for one in read_rows(done.path).readings}
    assert errors == {
        ("uncompressed", "camvid-segment"): None,
        ("frequency:latent", "camvid-segment"): None,
        ("frequency:bands=1:latent", "camvid-segment"):
            "latent:heads-1 needs 2 bands or more; there are 1: read more, or decode the file",
    }  # fmt: skip
    rows = read_rows(done.path).rows
    assert len(rows) == 4
    assert all(row.error is None for row in rows)
    assert all(one.agreement is None for one in read_rows(done.path).readings if one.error)


def test_networks_that_no_head_stands_in_for_are_refused_before_anything_runs(
    heads: Heads, networks: Path, plan: Callable[..., BenchPlan]
) -> None:
    heads("heads-1", 0)
    asked = plan("frequency:latent", SEGMENTER)
    for other in (replace(asked.readers[0], spec=None), replace(asked.readers[0], spec="onnx:elsewhere/other.onnx")):
        with pytest.raises(SettingsError, match="frequency:latent: no head stands in for camvid-segment; heads here are"):
            run_bench(replace(asked, readers=(other,)))
    heads("heads-1", 0, heads="segment")
    known = plan("frequency:latent", f"onnx:{networks / CLASSIFIER}.onnx")
    with pytest.raises(SettingsError, match=rf"no head stands in for {CLASSIFIER}; heads here are .*segment: leave"):
        run_bench(known)
    assert not asked.rows_path.exists()


def test_on_the_command_line(heads: Heads, plan: Callable[..., BenchPlan], capsys: pytest.CaptureFixture[str]) -> None:
    heads("heads-1", 0)
    asked = plan("frequency:latent", SEGMENTER)
    words = ["--codecs", "frequency,frequency:latent", "--qualities", "20,60", "--no-ssim", "--draws", "10", "--threads", "1"]
    assert main(["bench", str(asked.pictures[0].parent), "--out", str(asked.out), "--network", SEGMENTER, *words, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["measured"], about["failed"]) == (1 + 2 * 2 * 2, 0)
    assert [one["label"] for one in about["accuracy"]] == ["frequency:latent"]
