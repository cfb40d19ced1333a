"""Compact-and-restore around real codecs: files, targets, odd pictures, and what is wrong with them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from foveal.codecs.around import cards
from foveal.codecs.around.cards import AroundCard, Part
from foveal.codecs.around.compact import restored, restoring
from foveal.codecs.around.note import RestoreNote, read_note, with_note
from foveal.codecs.around.restoration import RestoreConfig, RestoreModel, load_networks
from foveal.codecs.base import DecodeSettings, EncodeSettings, Region
from foveal.codecs.guide import Guide
from foveal.codecs.learned import weights
from foveal.codecs.registry import codec_by_name
from foveal.codecs.search import Target, encode_to_target
from foveal.errors import FormatError, LimitError, PictureError, SettingsError, UnknownWeightsError, UnsupportedError
from foveal.limits import Limits
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture

SIZES = {"channels": 6, "blocks": 1, "compact_channels": 4}


def _write(folder: Path, part: Part, host: str, seed: int) -> None:
    """Networks that change a picture a little, each in its own way."""
    torch.manual_seed(seed)
    config = RestoreConfig(**SIZES, full=int(part == "restore"))
    model = RestoreModel(config)
    with torch.no_grad():
        assert model.restore.tail.bias is not None
        model.restore.tail.bias += 0.01 * torch.randn(12)
    tensors = {name: tensor.half() for name, tensor in model.state_dict().items()}
    made, data = weights.pack_weights(tensors)
    words = dict.fromkeys(("data", "data_terms", "recipe", "machine", "figures", "licence"), "none")
    card = AroundCard(
        name=f"{part}-{host}", id=made, config=dataclasses.asdict(config), steps=0, minutes=0.0, part=part, host=host,
        default=True, **words,
    )  # fmt: skip
    (folder / f"{card.name}{weights.SUFFIX}").write_bytes(data)
    (folder / f"{card.name}.json").write_text(json.dumps(dataclasses.asdict(card)))


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Small networks in the place of those that came with the installation."""
    seeds = iter(range(4))
    for host in ("jpeg", "hevc"):
        for part in ("compact", "restore"):
            _write(tmp_path, part, host, next(seeds))
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.setattr(cards, "FOLDER", tmp_path)
    cards.around_cards.cache_clear()
    load_networks.cache_clear()
    yield tmp_path
    cards.around_cards.cache_clear()
    load_networks.cache_clear()


def _fast(host: str, quality: float = 60) -> EncodeSettings:
    return EncodeSettings(quality, preset=None if host == "jpeg" else "ultrafast", threads=1)


@pytest.mark.parametrize("host", ["jpeg", "hevc"])
@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 3), (17, 34, 3), (50, 41, 1)])
def test_pictures_of_any_size_come_back(host: str, compact: bool, shape: tuple[int, int, int], photo: Picture) -> None:
    plain = codec_by_name(host)
    picture = Picture(np.ascontiguousarray(photo.samples[: shape[0], : shape[1], : shape[2]]))
    data = restoring(plain, compact=compact).encode(picture, _fast(host))
    reader = restored(plain, data)
    assert reader is not None
    back = reader.decode(data)
    assert back.samples.shape == shape
    assert psnr_rgb_db(picture, back) > 17
    found = reader.describe(data)
    assert (found.codec, found.width, found.height, found.bytes) == (host, shape[1], shape[0], len(data))
    assert found.weights == cards.card_for("compact" if compact else "restore", host).id
    coded = plain.decode(data)
    halved = 2 if compact else 1
    assert (coded.width, coded.height) == (-(-shape[1] // halved), -(-shape[0] // halved))
    assert not compact or coded.samples.shape != back.samples.shape or shape[:2] == (1, 1)


def test_the_network_runs_when_the_file_is_read(photo: Picture) -> None:
    plain = codec_by_name("jpeg")
    data = restoring(plain, compact=False).encode(photo, _fast("jpeg"))
    reader = restored(plain, data)
    assert reader is not None
    assert (reader.decode(data).samples != plain.decode(data).samples).any()


def test_mp4_holds_it_too(photo: Picture) -> None:
    plain = codec_by_name("hevc")
    settings = dataclasses.replace(_fast("hevc"), suffix=".mp4")
    data = restoring(plain, compact=True).encode(Picture(photo.samples[:70, :71]), settings)
    assert data[4:8] == b"ftyp"
    reader = restored(plain, data)
    assert reader is not None
    assert reader.decode(data).samples.shape == (70, 71, 3)


def test_files_without_a_note_are_the_hosts(photo: Picture) -> None:
    plain = codec_by_name("jpeg")
    data = plain.encode(photo, _fast("jpeg"))
    assert restored(plain, data) is None
    wrapped = restoring(plain, compact=True)
    assert (wrapped.decode(data).samples == plain.decode(data).samples).all()
    assert wrapped.describe(data) == plain.describe(data)


def test_targets_and_crops_are_of_the_true_picture(photo: Picture) -> None:
    codec = restoring(codec_by_name("jpeg"), compact=True)
    best = encode_to_target(codec, photo, EncodeSettings(), Target(bpp=0.3))
    assert 0.25 < 8 * len(best.data) / (photo.width * photo.height) <= 0.3
    whole = codec.decode(best.data)
    part = codec.decode(best.data, settings=DecodeSettings(crop=Region(130, 200, 60, 50)))
    assert (part.samples == whole.samples[200:250, 130:190]).all()
    assert codec.bytes_needed(best.data) == len(best.data)


def test_quality_follows_the_hosts_steps(photo: Picture) -> None:
    codec = restoring(codec_by_name("jpeg"), compact=True)
    prepared = codec.prepare(photo)
    assert prepared.encode(50.2) == prepared.encode(50)
    assert prepared.encode(51) != prepared.encode(50)
    for quality in (0, 101, float("nan")):
        with pytest.raises(SettingsError):
            prepared.encode(quality)


def test_a_guide_reaches_the_host(photo: Picture) -> None:
    codec = restoring(codec_by_name("jpeg"), compact=True)
    octaves = np.zeros((4, 4), np.float32)
    octaves[:, 2:] = 3
    guided = codec.encode(photo, dataclasses.replace(_fast("jpeg"), guide=Guide(octaves)))
    plain = codec.encode(photo, _fast("jpeg"))
    assert len(guided) < len(plain)
    error = [((codec.decode(data).samples.astype(int) - photo.samples) ** 2).mean((0, 2)) for data in (guided, plain)]
    assert error[0][160:].mean() > 1.05 * error[1][160:].mean()
    assert error[0][:100].mean() == pytest.approx(error[1][:100].mean(), rel=0.02)


def test_icc_and_exif_travel_with_jpeg(photo: Picture) -> None:
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = b"MM\0*\0\0\0\x08\0\0\0\0\0\0"
    codec = restoring(codec_by_name("jpeg"), compact=True)
    back = codec.decode(codec.encode(Picture(photo.samples, icc=icc, exif=exif), _fast("jpeg")))
    assert back.icc == icc
    assert back.exif is not None


def test_alpha_is_refused_as_the_host_refuses_it(photo: Picture) -> None:
    alpha = np.full(photo.samples.shape[:2], 128, np.uint8)
    for host in ("jpeg", "hevc"):
        with pytest.raises(PictureError, match="holds no alpha"):
            restoring(codec_by_name(host), compact=True).encode(Picture(photo.samples, alpha))


def test_hosts_without_networks_or_without_a_place_for_the_note_are_named(shipped: Path) -> None:
    with pytest.raises(UnsupportedError, match="webp"):
        restoring(codec_by_name("webp"), compact=True)
    (shipped / "compact-hevc.json").unlink()
    cards.around_cards.cache_clear()
    with pytest.raises(UnknownWeightsError, match="no compact network for hevc; there is one for: jpeg"):
        restoring(codec_by_name("hevc"), compact=True)


def _noted(photo: Picture, note: RestoreNote) -> bytes:
    plain = codec_by_name("jpeg")
    return with_note("jpeg", plain.encode(Picture(photo.samples[:32, :48])), note)


def test_wrong_notes_are_refused_by_name(photo: Picture) -> None:
    codec, own = codec_by_name("jpeg"), bytes.fromhex(cards.card_for("compact", "jpeg").id)
    other = bytes.fromhex(cards.card_for("compact", "hevc").id)

    def read(note: RestoreNote, limits: Limits = Limits()) -> None:
        data = _noted(photo, note)
        reader = restored(codec, data)
        assert reader is not None
        reader.decode(data, limits)

    read(RestoreNote(True, 96, 64, 5000, own))
    read(RestoreNote(True, 95, 63, 5000, own))
    with pytest.raises(FormatError, match="the picture has 48x32"):
        read(RestoreNote(True, 97, 64, 5000, own))
    with pytest.raises(FormatError, match="which are for hevc"):
        read(RestoreNote(True, 96, 64, 5000, other))
    with pytest.raises(UnknownWeightsError, match="01020304"):
        read(RestoreNote(True, 96, 64, 5000, b"\1\2\3\4"))
    with pytest.raises(UnknownWeightsError, match="as a restore network, but that is a compact network for jpeg"):
        read(RestoreNote(False, 48, 32, 5000, own))
    with pytest.raises(LimitError):
        read(RestoreNote(True, 96, 64, 5000, own), Limits(pixels=4000))
    with pytest.raises(LimitError):
        read(RestoreNote(True, 4_000_000_000, 64, 5000, own))


def test_describing_needs_no_weights_but_a_size_that_fits(photo: Picture) -> None:
    codec = codec_by_name("jpeg")
    data = _noted(photo, RestoreNote(True, 96, 64, 5000, b"\1\2\3\4"))
    reader = restored(codec, data)
    assert reader is not None
    assert (reader.describe(data).width, reader.describe(data).weights) == (96, "01020304")
    with pytest.raises(FormatError):
        reader.describe(_noted(photo, RestoreNote(True, 90, 64, 5000, b"\1\2\3\4")))
    with pytest.raises(LimitError):
        reader.describe(data, Limits(pixels=4000))


def test_a_cut_file_is_damage(photo: Picture) -> None:
    codec = restoring(codec_by_name("hevc"), compact=True)
    data = codec.encode(photo, _fast("hevc"))
    for end in (0, 10, 60, 100, len(data) // 2):
        with pytest.raises(FormatError):
            codec.decode(data[:end])


def test_looking_for_a_note_takes_no_torch(photo: Picture, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(restoring(codec_by_name("jpeg"), compact=True).encode(photo, _fast("jpeg")))
    assert read_note("jpeg", path.read_bytes()) is not None
    code = (
        "import sys, pathlib; from foveal.codecs.around.compact import restored; from foveal.codecs.registry import codec_by_name;"
        f"data = pathlib.Path({str(path)!r}).read_bytes();"
        "print(restored(codec_by_name('jpeg'), data).describe(data).width, 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert out.split() == ["256", "False"]
