"""What an encode asks for around a codec."""

from __future__ import annotations

import pytest

from foveal.codecs.around.chain import Around, asked_around, wrapped
from foveal.codecs.registry import codec_by_name
from foveal.errors import SettingsError, UnknownWeightsError


def test_what_is_asked_for_is_read() -> None:
    assert asked_around(None, None) is None
    assert asked_around("npp", None) == Around(preprocess="npp")
    assert asked_around("npp:hevc", None) == Around(preprocess="npp", trained_for="hevc")
    assert asked_around(None, "full") == Around(restore="full")


@pytest.mark.parametrize(
    ("preprocess", "restore", "words"),
    [
        ("sharpen", None, "preprocess = 'sharpen'; npp or npp:CODEC is allowed"),
        ("", None, "preprocess = ''"),
        (":hevc", None, "preprocess = ''"),
        ("npp:", None, "preprocess = 'npp:'"),
        (True, None, "preprocess = True; a word"),
        (b"npp", None, "preprocess = b'npp'; a word"),
        (None, "half", "restore = 'half'; compact or full is allowed"),
        (None, "", "restore = ''"),
        ("npp", "full", "which is for machines, and a restoration, which is for people"),
    ],
)
def test_other_names_are_refused(preprocess: str | None, restore: str | None, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        asked_around(preprocess, restore)


@pytest.mark.parametrize("around", [Around(preprocess="npp"), Around(restore="full")])
def test_a_learned_codec_has_nothing_around_it(around: Around) -> None:
    with pytest.raises(SettingsError, match="gdn is learned"):
        around.wrap(codec_by_name("gdn"))


def test_nothing_asked_for_changes_nothing() -> None:
    codec = codec_by_name("jpeg")
    assert wrapped(codec, None) is codec
    with pytest.raises(SettingsError, match="no network around the codec"):
        Around()


def test_a_codec_without_networks_is_told() -> None:
    with pytest.raises(UnknownWeightsError, match="no preprocess network for webp"):
        Around(preprocess="npp", trained_for="webp").wrap(codec_by_name("jpeg"))
