"""How codecs are asked for, and which pictures a folder holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from foveal.bench.pictures import find_pictures, picture_names
from foveal.bench.plan import BenchPlan, CodecRun, default_qualities, parse_codecs
from foveal.codecs.registry import all_codecs
from foveal.errors import InputError, SettingsError, UnknownCodecError


def test_names_chroma_and_presets_are_recognised():
    runs = parse_codecs("gdn, jpeg,HEVC:444,vvc:faster,hevc:slow:422,avif:9:444", (10, 50))
    found = [(run.codec, run.chroma, run.preset, run.label) for run in runs]
    assert found == [
        ("gdn", None, None, "gdn"),
        ("jpeg", None, None, "jpeg"),
        ("hevc", "444", None, "hevc:444"),
        ("vvc", None, "faster", "vvc:faster"),
        ("hevc", "422", "slow", "hevc:422:slow"),
        ("avif", "444", "9", "avif:444:9"),
    ]
    assert all(run.qualities == (10.0, 50.0) for run in runs)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("jpeg,nosuch", UnknownCodecError, "no codec 'nosuch'; there are frequency, gdn"),
        ("jpeg,,webp", UnknownCodecError, "no codec ''"),
        ("jpeg:fast", SettingsError, "'fast' is not one more setting of jpeg; once each: chroma 420, 422, 444"),
        ("gdn:444", SettingsError, "once each: variant machine"),
        ("frequency:bands=3", SettingsError, "prefix bands=1, bands=2"),
        ("hevc:444:420", SettingsError, "'420' is not one more setting"),
        ("vvc:444", SettingsError, "chroma 420; preset medium, faster"),
    ],
)
def test_what_cannot_be_asked_for_is_named(text, error, words):
    with pytest.raises(error, match=words):
        parse_codecs(text)


def test_every_codec_has_default_qualities_that_all_give_other_files():
    for info in all_codecs():
        qualities = default_qualities(info)
        assert len({info.scale.native(quality) for quality in qualities}) == (5 if info.scale.parameter == "iterations" else 8), (
            info.name
        )
        assert parse_codecs(info.name)[0].qualities == qualities


def test_qualities_are_sorted_once_and_checked():
    assert CodecRun("jpeg", (50, 10, 50)).qualities == (10.0, 50.0)
    with pytest.raises(SettingsError, match=r"\[0, 101\] of jpeg"):
        CodecRun("jpeg", (0, 50, 101))
    with pytest.raises(SettingsError, match="one or more"):
        parse_codecs("jpeg", ())


def test_a_plan_needs_pictures_and_different_labels():
    pictures = (Path("a.png"),)
    with pytest.raises(SettingsError, match="hevc:444 is asked for twice"):
        BenchPlan(pictures, parse_codecs("hevc:444,jpeg,hevc:444"), Path("out"))
    with pytest.raises(SettingsError, match="0 pictures"):
        BenchPlan((), parse_codecs("jpeg"), Path("out"))


def test_pictures_of_a_folder(tmp_path):
    for name in ("b.PNG", "a.jpg", "sub/c.tif", "notes.txt", ".hidden/d.png", "._a.png"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    found = find_pictures(tmp_path)
    assert picture_names(found) == ("a.jpg", "b.PNG", "sub/c.tif")
    assert find_pictures(tmp_path / "a.jpg") == (tmp_path / "a.jpg",)
    assert picture_names(find_pictures(tmp_path / "a.jpg")) == ("a.jpg",)


def test_no_pictures_is_said(tmp_path):
    with pytest.raises(InputError, match="no picture in"):
        find_pictures(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        find_pictures(tmp_path / "none")
