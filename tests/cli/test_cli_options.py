from __future__ import annotations

import os
import sys
import threading

import pytest

from foveal.cli.options import choose_codec, parse_chroma, parse_color, parse_qualities, parse_target
from foveal.cli.show import json_line
from foveal.codecs.search import Target
from foveal.errors import SettingsError, UnknownCodecError
from foveal.files import thread_limit


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        (None, "a.jpg", ("jpeg", ".jpg")),
        (None, "a.FVL", ("frequency", ".fvl")),
        (None, "-", ("frequency", None)),
        (None, "", ("frequency", None)),
        ("hevc", "a.mp4", ("hevc", ".mp4")),
        ("vvc", "-", ("vvc", None)),
        ("vvc", "plain", ("vvc", None)),
    ],
)
def test_the_codec_by_name_or_suffix(name: str | None, output: str, expected: tuple[str, str | None]) -> None:
    assert choose_codec(name, output) == expected


def test_a_file_without_suffix_names_no_codec() -> None:
    with pytest.raises(UnknownCodecError, match="without suffix"):
        choose_codec(None, "plain")


def test_texts_of_options() -> None:
    assert parse_color("#0aFF10") == (10, 255, 16)
    assert parse_color(None) is None
    assert parse_chroma("4:2:2") == parse_chroma("422") == "422"
    assert parse_qualities("10,30.5") == (10, 30.5)
    assert parse_target(None, None, None) is None
    assert parse_target(None, "4KiB", None) == Target(size_bytes=4096)
    for bad in ("#fff", "ffffff", "#gggggg", ""):
        with pytest.raises(SettingsError, match="colour"):
            parse_color(bad)
    with pytest.raises(SettingsError, match="qualities"):
        parse_qualities("10;20")


def test_json_has_no_infinity() -> None:
    assert json_line({"a": (float("inf"), 1.5), "b": Target(bpp=2.0)}) == (
        '{"a": [null, 1.5], "b": {"bpp": 2.0, "size_bytes": null, "psnr_db": null}}'
    )


def test_the_bound_of_threads_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert "torch" in sys.modules
    environment, before = dict(os.environ), torch.get_num_threads()
    with thread_limit(1):
        assert torch.get_num_threads() == 1
        with thread_limit(3):
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 1
        assert dict(os.environ) == environment
    assert torch.get_num_threads() == before
    monkeypatch.delitem(sys.modules, "torch")
    with thread_limit(2):  # nothing to bound
        assert "torch" not in sys.modules


def test_threads_that_are_inside_at_once_each_take_their_bound_back() -> None:
    import torch

    before, found, environment = torch.get_num_threads(), dict[str, int](), dict(os.environ)
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with thread_limit(1):
            first_in.set()
            second_in.wait(20)
        found["first"] = torch.get_num_threads()
        first_out.set()

    def second() -> None:
        first_in.wait(20)
        with thread_limit(2):
            second_in.set()
            first_out.wait(20)
            found["bound"] = torch.get_num_threads()
        found["second"] = torch.get_num_threads()

    def new() -> None:
        found["new"] = torch.get_num_threads()

    torch.set_num_threads(5)
    try:
        for targets in ((first, second), (new,)):
            threads = [threading.Thread(target=target) for target in targets]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
        assert found == {"first": 5, "bound": 2, "second": 5, "new": 5}
        assert torch.get_num_threads() == 5
        assert dict(os.environ) == environment
    finally:
        torch.set_num_threads(before)
