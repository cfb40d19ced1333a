"""Which reader answers for a file: latents where a head fits, else pixels, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

import foveal
from foveal.cli.main import main
from foveal.codecs.base import DecodeSettings
from foveal.codecs.learned import weights
from foveal.codecs.learned.weights import default_card, pack_weights
from foveal.codecs.registry import codec_by_name
from foveal.errors import FormatError, NetworkError, SettingsError
from foveal.media.image_io import picture_bytes
from foveal.picture import Picture
from foveal.tasks.choice import Asked, FileAnalyst, StandIn, stand_in
from foveal.tasks.latent import weights as latent_weights
from foveal.tasks.latent.network import LatentConfig, LatentNetwork
from foveal.tasks.latent.weights import LatentCard, latent_cards, load_network
from foveal.tasks.residual import fold
from foveal.tasks.results import Boxes, ClassMap, ClassScores
from latent_networks import DETECTOR, make_networks

SIZES = LatentConfig(coarse=16, middle=16, blocks=1, spectrum=16)


@pytest.fixture(scope="module", autouse=True)
def heads(tmp_path_factory: pytest.TempPathFactory) -> Generator[LatentCard]:
    """Random heads in a folder of their own, which all of this module's tests find, for the default weights of frequency."""
    folder = tmp_path_factory.mktemp("weights")
    for path in weights.FOLDER.iterdir():
        if not path.name.startswith("latent-"):  # heads that come with foveal
            (folder / path.name).symlink_to(path)
    torch.manual_seed(0)
    made_id, data = pack_weights(fold(LatentNetwork(SIZES)))
    text = "untrained, for tests"
    card = LatentCard(
        name="heads", id=made_id, config=asdict(SIZES), data=text, data_terms=text, recipe=text, steps=0, minutes=0.0, machine=text,
        figures=text, licence=text, reads=default_card("frequency", "mse").id, heads="segment",
    )  # fmt: skip
    (folder / f"heads{weights.SUFFIX}").write_bytes(data)
    (folder / "heads.json").write_text(json.dumps(asdict(card)))
    with pytest.MonkeyPatch.context() as patch:
        for module in (weights, latent_weights):
            patch.setattr(module, "FOLDER", folder)
        latent_cards.cache_clear()
        load_network.cache_clear()
        yield card
    latent_cards.cache_clear()
    load_network.cache_clear()


@pytest.fixture(scope="module")
def coded(photo: Picture) -> bytes:
    return foveal.encode(Picture(photo.samples[:200, :150].copy()), quality=20)


def test_a_task_alone_is_answered_from_latents(coded: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a picture was made")

    monkeypatch.setattr("foveal.codecs.learned.frequency.transforms.Synthesis.forward", refuse)
    answer = FileAnalyst(Asked(None, "segment")).answer(coded)
    assert (answer.read_from, answer.bytes_read, answer.picture, answer.why) == ("latent", len(coded), None, None)
    assert isinstance(answer.result, ClassMap)
    assert answer.result.classes.shape == (200, 150)
    assert 0 <= answer.result.classes.min() <= answer.result.classes.max() < 11


@pytest.mark.parametrize("bands", [1, 2])
def test_fewer_bands_are_fewer_bytes(coded: bytes, bands: int) -> None:
    size = codec_by_name("frequency").bytes_needed(coded, settings=DecodeSettings(bands))
    assert size < len(coded) - sum(band.bytes for band in foveal.info(coded).bands[bands:]) + 16
    latent, pixels = (
        FileAnalyst(Asked(None, "segment", source=source, bands=bands)).answer(coded) for source in ("latent", "pixels")
    )
    assert latent.bytes_read == pixels.bytes_read == size
    assert (latent.read_from, pixels.read_from) == ("latent", "pixels")
    assert pixels.picture is not None


def test_other_files_are_decoded_and_it_is_said_why(photo: Picture, coded: bytes) -> None:
    analyst = FileAnalyst(Asked(None, "segment"))
    for data, why in (
        (
            foveal.encode(photo, preset="ms-ssim", quality=20),
            "no head for segment reads files of frequency-ms-ssim-2 (preset ms-ssim); heads here",
        ),
        (foveal.encode(photo, codec="gdn", quality=20), "only .fvl files of frequency"),
        (foveal.encode(photo, codec="jpeg", quality=20), None),
    ):
        answer = analyst.answer(data)
        assert answer.read_from == "pixels"
        assert answer.network == "builtin:camvid-segment"
        assert (answer.why or "").startswith(why or "")
        assert (answer.why is None) == (why is None)
    named = FileAnalyst(Asked("builtin:camvid-segment")).answer(coded)
    assert (named.read_from, named.why) == ("pixels", "no head stands in for builtin:camvid-segment")
    assert FileAnalyst(Asked(None, "segment", source="pixels")).answer(coded).why == "pixels were asked for"
    assert FileAnalyst(Asked(None, "segment", bands=2)).answer(coded).bands == 2
    cut = FileAnalyst(Asked(None, "segment", allow_partial=True)).answer(coded[:-1])
    assert (cut.read_from, cut.bands) == ("latent", 2)


def test_heads_stand_in_for_networks_that_they_learned_from_or_feed() -> None:
    assert stand_in("builtin:camvid-segment") == StandIn("segment", None)
    file = Path("Some/Where/yolox_nano_coco.onnx")
    assert stand_in(f"onnx:{file}") == StandIn("yolox_nano_coco", file)
    for other in (
        "onnx:Some/other.onnx",
        "tflite:yolox_nano_coco.tflite",
        "builtin:proxy",
        "builtin:yolox_nano_coco",
        "camvid-segment",
        "yolox_nano_coco",
    ):
        assert stand_in(other) is None, other


def test_another_network_under_the_name_of_one_that_is_fed_reads_the_picture(coded: bytes, tmp_path: Path) -> None:
    network = f"onnx:{make_networks(tmp_path) / f'{DETECTOR}.onnx'}"
    answer = FileAnalyst(Asked(network)).answer(coded)
    assert answer.read_from == "pixels"
    assert answer.why is not None
    assert answer.why.endswith("is not the yolox_nano_coco that a head feeds, for all its name")
    with pytest.raises(NetworkError, match="for all its name; leave --from latent"):
        FileAnalyst(Asked(network, source="latent")).answer(coded)


def test_a_detector_says_which_things_are_there(photo: Picture, tmp_path: Path) -> None:
    network = make_networks(tmp_path) / f"{DETECTOR}.onnx"
    boxes = foveal.analyze(photo, network=f"onnx:{network}")
    assert isinstance(boxes, Boxes)
    assert len(boxes.scores)
    things = foveal.analyze(photo, network=f"onnx:{network}", task="things")
    assert isinstance(things, ClassScores)
    assert things.scores.shape == (80,)
    for index in range(80):
        own = boxes.scores[boxes.classes == index]
        assert things.scores[index] == (own.max() if own.size else 0)
    answer = FileAnalyst(Asked(f"onnx:{network}", "things")).answer_picture(photo)
    assert (answer.task, answer.read_from) == ("things", "pixels")
    with pytest.raises(NetworkError, match="answers segment, its record says, and things was asked for"):
        FileAnalyst(Asked("builtin:camvid-segment", "things"))


def test_latents_alone_are_refused_where_nothing_fits(photo: Picture) -> None:
    analyst = FileAnalyst(Asked(None, "segment", source="latent"))
    with pytest.raises(
        NetworkError, match=r"no head for segment reads files of frequency-ms-ssim-2 .*heads here read those of frequency"
    ):
        analyst.answer(foveal.encode(photo, preset="ms-ssim", quality=20))
    with pytest.raises(NetworkError, match=r"only \.fvl files of frequency"):
        analyst.answer(foveal.encode(photo, codec="jpeg", quality=20))
    with pytest.raises(NetworkError, match="a picture has no latents"):
        analyst.answer_picture(photo)


def test_what_cannot_be_asked_is_named(coded: bytes) -> None:
    with pytest.raises(SettingsError, match="source = 'bits'; choose from auto, latent, pixels"):
        Asked(None, "segment", source="bits")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="task = 'count'; choose from classify, detect, segment, pose, things"):
        Asked(None, "count")
    with pytest.raises(NetworkError, match="neither a network nor a task"):
        Asked(None)
    with pytest.raises(NetworkError, match="no network for pose"):
        Asked(None, "pose", source="pixels")
    with pytest.raises(
        NetworkError, match=r"no head for pose reads files of frequency-2 .*, and no network for pose that reads pictures"
    ):
        FileAnalyst(Asked(None, "pose")).answer(coded)
    with pytest.raises(SettingsError, match="bands = 4"):
        FileAnalyst(Asked(None, "segment", bands=4)).answer(coded)
    with pytest.raises(SettingsError, match="bands = 2; a picture has none"):
        FileAnalyst(Asked(None, "segment", bands=2)).answer(picture_bytes(Picture(np.zeros((8, 8, 3), np.uint8)), ".png"))


def test_in_one_call_and_one_command(coded: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = foveal.analyze(coded, task="segment", bands=2)
    assert isinstance(found, ClassMap)
    path = tmp_path / "photo.fvl"
    path.write_bytes(coded)
    assert main(["analyze", str(path), "--task", "segment", "--bands", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    runs = np.array(report["runs"])
    assert np.array_equal(np.repeat(runs[0::2], runs[1::2]).reshape(200, 150), found.classes)
    assert (report["read_from"], report["file_bytes"], report["network"]) == ("latent", len(coded), "latent:heads")
    assert report["bytes_read"] == codec_by_name("frequency").bytes_needed(coded, settings=DecodeSettings(2))
    overlay = tmp_path / "over.png"
    assert main(["analyze", str(path), "--task", "segment", "--overlay", str(overlay)]) == 0
    assert (
        f"from latents of 3 bands, {len(coded)} of {len(coded)} bytes; a picture was made for the overlay alone"
        in capsys.readouterr().out
    )
    assert foveal.read_picture(overlay).width >= 150
    assert main(["analyze", str(path), "--task", "segment", "--from", "pixels"]) == 0
    assert "no picture was made" not in capsys.readouterr().out
    assert main(["analyze", str(path)]) == 2
    assert main(["analyze", str(path), "--task", "segment", "--from", "bits"]) == 2
    assert "--from" in capsys.readouterr().err


def test_a_file_that_was_cut_is_read_as_far_as_it_is_whole(
    coded: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, _ = (band.bytes for band in codec_by_name("frequency").describe(coded).bands)
    cut = coded[: len(coded) - sum(band.bytes for band in codec_by_name("frequency").describe(coded).bands[1:])]
    whole = foveal.analyze(coded, task="segment", bands=1)
    found = foveal.analyze(cut, task="segment", bands=1, allow_partial=True)
    assert isinstance(whole, ClassMap)
    assert isinstance(found, ClassMap)
    assert first > 0 < second
    assert np.array_equal(whole.classes, found.classes)
    for source in ("latent", "pixels"):
        with pytest.raises(FormatError, match="--allow-partial"):
            foveal.analyze(cut, task="segment", source=source)
    path = tmp_path / "cut.fvl"
    path.write_bytes(cut)
    assert main(["analyze", str(path), "--task", "segment", "--allow-partial", "--overlay", str(tmp_path / "over.png")]) == 0
    said = f"from latents of 1 band, {len(cut)} of {len(cut)} bytes; a picture was made for the overlay alone"
    assert said in capsys.readouterr().out
    assert main(["analyze", str(path), "--task", "segment", "--from", "pixels", "--allow-partial"]) == 0
    assert f"from the decoded picture, {len(cut)} of {len(cut)} bytes: pixels were asked for" in capsys.readouterr().out


def test_an_overlay_is_drawn_over_what_was_read(coded: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Damage behind the bands that are asked for does no harm."""
    path, over = tmp_path / "photo.fvl", tmp_path / "over.png"
    path.write_bytes(coded[:-20] + bytes([coded[-20] ^ 1]) + coded[-19:])
    assert main(["analyze", str(path), "--task", "segment", "--bands", "1", "--overlay", str(over)]) == 0
    assert over.is_file()
    assert main(["analyze", str(path), "--task", "segment", "--overlay", str(over)]) == 1
    capsys.readouterr()
