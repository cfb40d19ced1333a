"""The codecs' own adaptive quantisation: other plain files, of sizes that still move with quality."""

from __future__ import annotations

import numpy as np
import pytest

from foveal.cli.main import main
from foveal.codecs.base import EncodeSettings
from foveal.codecs.guide import Guide
from foveal.codecs.registry import all_codecs, codec_by_name
from foveal.codecs.standard import hevc
from foveal.codecs.standard.hevc_heads import quantiser_heads
from foveal.codecs.standard.hevc_stream import hevc_units
from foveal.errors import SettingsError
from foveal.picture import Picture

pytest.importorskip("av")
pytest.importorskip("imageio_ffmpeg")
THERE = [info.name for info in all_codecs() if info.adaptive]


def even(name: str, picture: Picture, quality: float, **more: bool) -> bytes:
    return codec_by_name(name).encode(picture, EncodeSettings(quality, preset="ultrafast", threads=1, **more))


def test_hevc_and_kvazaar_have_one() -> None:
    assert THERE == ["hevc", "kvazaar"]


@pytest.mark.parametrize("name", THERE)
def test_it_moves_bits_by_what_the_codec_sees(name: str, photo: Picture) -> None:
    plain, adaptive = even(name, photo, 50), even(name, photo, 50, adaptive=True)
    assert adaptive != plain
    assert 0.7 < len(adaptive) / len(plain) < 1.3
    assert quantiser_heads(hevc_units(adaptive)).varies
    assert codec_by_name(name).decode(adaptive).samples.shape == photo.samples.shape


@pytest.mark.parametrize("name", THERE)
def test_it_takes_small_pictures(name: str, photo: Picture) -> None:
    small = Picture(photo.samples[:5, :19].copy())
    assert codec_by_name(name).decode(even(name, small, 60, adaptive=True)).samples.shape == (5, 19, 3)


def test_the_fraction_of_crf_counts_beside_it(photo: Picture) -> None:
    step = 99 / 47
    sizes = [len(even("hevc", photo, 50 + part * step, adaptive=True)) for part in (0, 0.25, 0.5, 0.75, 1)]
    assert sizes == sorted(set(sizes))


def test_it_is_that_of_x265_itself(photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode 2 in groups of 32 is what x265 does untold; of the strength it has to be told, since ``tune=psnr`` takes it to 0."""
    codec, settings = codec_by_name("hevc"), EncodeSettings(45, preset="medium", threads=1, adaptive=True)
    told = codec.encode(photo, settings)
    monkeypatch.setattr(hevc, "_ADAPTIVE", {"aq-strength": 1.0})
    assert codec.encode(photo, settings) == told


def test_what_cannot_be_done_is_named(photo: Picture) -> None:
    with pytest.raises(SettingsError, match="jpeg has no adaptive quantisation of its own; leave adaptive out"):
        codec_by_name("jpeg").encode(photo, EncodeSettings(adaptive=True))
    guide = Guide(np.zeros((1, 1), np.float32))
    with pytest.raises(SettingsError, match="a guide and adaptive quantisation, which would both move the bits"):
        codec_by_name("hevc").encode(photo, EncodeSettings(adaptive=True, guide=guide))


def test_the_command_line_asks_for_it(photo: Picture, tmp_path, monkeypatch, capsys) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo.samples).save("a.png")
    words = ["--preset", "ultrafast", "--quality", "50", "--threads", "1"]
    assert main(["encode", "a.png", "a.hevc", *words, "--adaptive"]) == 0
    assert (tmp_path / "a.hevc").read_bytes() == even("hevc", photo, 50, adaptive=True)
    assert main(["encode", "a.png", "a.jpg", "--adaptive"]) != 0
    assert "jpeg has no adaptive quantisation" in capsys.readouterr().err
    assert main(["codecs"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.split()}
    assert [name for name in ("hevc", "kvazaar", "jpeg") if " adaptive" in rows[name]] == THERE
