"""Files for machines: plain files of their codec, as large as those for people, with the bits elsewhere."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

import foveal
from foveal.codecs.base import Codec, DecodeSettings, EncodeSettings, FileInfo, Prepared
from foveal.codecs.guide import Guide
from foveal.codecs.guided.low_pass import low_pass
from foveal.codecs.learned.gains import octave_in_quality
from foveal.codecs.learned.weights import cards
from foveal.codecs.registry import all_codecs, codec_by_name
from foveal.codecs.search import Target, encode_to_target
from foveal.errors import LimitError, SettingsError, TargetError
from foveal.guidance.feature_distortion import FeatureDistortion
from foveal.guidance.importance import Importance, ProxyReader
from foveal.guidance.machine import MachineCodec
from foveal.guidance.reader import (
    READS,
    TASKS,
    Machine,
    asked_machine,
    blur_of,
    check_machine,
    check_scores,
    encode_for,
    for_reader,
)
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture
from foveal.tasks.proxy.network import Proxy, ProxyConfig

SMALL = ProxyConfig(8, 8, 8, 16, 16, 1, 1, 1, features=8, scene_coarse=8, scene_whole=8, classes=5)
GDN = next(info for info in all_codecs() if info.name == "gdn")


@pytest.fixture(scope="module")
def reader() -> ProxyReader:
    torch.manual_seed(1)
    return ProxyReader(Proxy(SMALL, folded=True).eval().requires_grad_(False))


@pytest.fixture(scope="module")
def picture(photo: Picture) -> Picture:
    return Picture(photo.samples[:160, 40:200].copy())


class Noted(Codec):
    """Codes nothing, and notes what it is asked; its files have the quality, and are larger with a guide; its pictures are the darker
    the coarser it is.
    """

    def __init__(self) -> None:
        super().__init__(dataclasses.replace(GDN, name="noted"))
        self.asked: list[EncodeSettings] = []
        self.limits: list[Limits] = []
        self.qualities: list[tuple[bool, float]] = []
        self.prepared: list[Picture] = []

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        self.asked.append(settings)
        self.prepared.append(picture)
        return NotedPicture(self, settings.guide)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        self.limits.append(limits)
        shown = self.prepared[-1] if self.prepared else Picture(np.zeros((1, 1, 3), np.uint8))
        return Picture((shown.samples * (len(data) / 4000)).astype(np.uint8))

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        return FileInfo("noted", len(data), 1, 1, 3)


class NotedPicture(Prepared):
    def __init__(self, codec: Noted, guide: Guide | None) -> None:
        self._codec, self._guided = codec, guide is not None
        self._larger = guide is not None and not guide.hold_rate

    def encode(self, quality: float) -> bytes:
        self._codec.qualities.append((self._guided, quality))
        return bytes(round((520 if self._larger else 400) * 2 ** (quality / 30)))


@pytest.mark.parametrize("name", ["gdn", "frequency", "hevc"])
def test_a_file_for_a_machine_is_a_plain_one_of_the_same_size(name: str, reader: ProxyReader, picture: Picture) -> None:
    codec, settings = codec_by_name(name), EncodeSettings(40, threads=1)
    plain = codec.encode(picture, settings)
    data = MachineCodec(codec, Machine(), reader).encode(picture, settings)
    assert data != plain
    assert abs(len(data) / len(plain) - 1) < 0.02
    decoded = codec.decode(data)
    assert decoded.samples.shape == picture.samples.shape
    assert np.abs(decoded.samples.astype(int) - picture.samples).mean() < 15
    assert foveal.info(data).codec == name
    assert data == MachineCodec(codec, Machine(), reader).encode(picture, settings)
    assert data != MachineCodec(codec, Machine(("pose",)), reader).encode(picture, settings)


@pytest.mark.parametrize("search", ["fast", "full"])
def test_a_search_gives_a_plain_file_of_the_same_size(search: Any, reader: ProxyReader, picture: Picture) -> None:
    codec, settings = codec_by_name("gdn"), EncodeSettings(40, threads=1)
    plain, data = codec.encode(picture, settings), MachineCodec(codec, Machine(search=search), reader).encode(picture, settings)
    assert abs(len(data) / len(plain) - 1) < 0.02
    assert foveal.info(data).importance_bytes > 0
    assert foveal.decode(data).samples.shape == picture.samples.shape


def test_a_target_decides_the_size_alone(reader: ProxyReader, picture: Picture) -> None:
    codec = MachineCodec(codec_by_name("gdn"), Machine(), reader, hold_rate=False)
    found = encode_to_target(codec, picture, EncodeSettings(threads=1), Target(bpp=0.8))
    assert found.within
    assert len(found.data) <= 0.8 * 160 * 160 / 8
    assert foveal.info(found.data).importance_bytes > 0
    better = encode_to_target(codec, picture, EncodeSettings(threads=1), Target(psnr_db=28))
    assert better.psnr_db is not None
    assert 28 <= better.psnr_db < 28.5


def test_the_guide_says_where_the_bits_go(reader: ProxyReader, picture: Picture) -> None:
    noted = Noted()
    assert len(MachineCodec(noted, Machine(), reader, hold_rate=False).encode(picture, EncodeSettings(40))) == round(
        520 * 2 ** (4 / 3)
    )
    (asked,) = noted.asked
    assert asked.guide is not None
    assert not asked.guide.hold_rate
    assert not asked.guide.sharp
    assert asked.guide.matrices
    assert asked.guide.chroma_octaves == Machine().allocation.chroma
    assert asked.guide.octaves.shape == (10, 10)
    assert asked.quality == 40
    for scores in ("harm", "gradients"):
        noted = Noted()
        MachineCodec(noted, Machine(("detect",), scores=scores), reader, hold_rate=False).encode(picture)
        (asked,) = noted.asked
        expected = Machine().allocation.octaves(reader.importance(picture, ("detect",), scores), picture)
        assert asked.guide is not None
        assert np.allclose(asked.guide.octaves, expected, atol=1e-5)


@pytest.mark.parametrize(("tasks", "scores"), [(("pose",), "gradients"), (("detect",), "harm")])
def test_a_search_goes_by_importance_too(
    tasks: tuple[str, ...], scores: Any, reader: ProxyReader, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the picture as it was, for the asked tasks."""
    asked: list[tuple[Picture, np.ndarray]] = []

    def octaves(
        _: object, __: ProxyReader, own: Picture, ___: object, importance: Importance, *sides: int, **more: object
    ) -> Any:
        asked.append((own, importance.score))
        return np.linspace(-1, 1, sides[0] * sides[1]).reshape(sides)

    monkeypatch.setattr(FeatureDistortion, "octaves", octaves)
    noted = Noted()
    machine = Machine(tasks, search="fast", scores=scores, reads=100)
    MachineCodec(noted, machine, reader, hold_rate=False).encode(picture)
    ((own, score),) = asked
    assert own is picture
    assert np.allclose(score, reader.importance(picture, tasks, scores).score, rtol=1e-4)
    guide = noted.asked[-1].guide
    assert guide is not None
    assert np.allclose(guide.octaves, np.linspace(-1, 1, 100).reshape(10, 10), atol=1e-6)
    assert (guide.hold_rate, guide.sharp, guide.matrices) == (False, False, True)
    assert guide.chroma_octaves == Machine().allocation.chroma


def test_a_file_is_as_large_as_a_plain_one(reader: ProxyReader, picture: Picture) -> None:
    """The codec itself holds it, at the quality asked, or at the one where a filtered picture is as large as the whole one."""
    for machine in (Machine(), Machine(search="fast"), Machine(reads=64), Machine(search="fast", reads=64)):
        noted = Noted()
        size = len(noted.encode(picture, EncodeSettings(60)))
        assert len(MachineCodec(noted, machine, reader).encode(picture, EncodeSettings(60))) == pytest.approx(size, rel=0.01)
        assert noted.qualities[-1] == (True, pytest.approx(60, abs=0.3))
    hevc = codec_by_name("hevc")
    plain = len(hevc.encode(picture, EncodeSettings(40)))
    assert len(MachineCodec(hevc, Machine(reads=64), reader).encode(picture, EncodeSettings(40))) == pytest.approx(
        plain, rel=0.02
    )


def test_a_target_below_what_estimates_reach_is_met_by_a_held_size(picture: Picture) -> None:
    jxl = codec_by_name("jxl")
    least = len(MachineCodec(jxl, Machine(), hold_rate=False).encode(picture, EncodeSettings(1)))
    wanted = (len(jxl.encode(picture, EncodeSettings(1))) + least) // 2
    data = encode_for(jxl, Machine(), picture, EncodeSettings(), Target(size_bytes=wanted), DEFAULT_LIMITS).data
    assert len(data) <= wanted < least
    with pytest.raises(TargetError):
        encode_for(jxl, None, picture, EncodeSettings(), Target(size_bytes=10), DEFAULT_LIMITS)


def test_a_search_codes_at_its_steps_as_far_as_the_scale_goes(reader: ProxyReader, picture: Picture) -> None:
    octave = GDN.octave
    assert octave is not None
    for quality, trials in ((50.0, (-1, 0, 1.5)), (1.0, (-1, 0)), (100.0, (0, 1.5)), (20.0, (-1, 0, 0.955))):
        noted = Noted()
        MachineCodec(noted, Machine(search="fast"), reader, hold_rate=False).encode(picture, EncodeSettings(quality))
        near = next(q for guided, q in noted.qualities if not guided) + trials[0] * octave
        assert abs(near - quality) <= octave / 8 + 1e-9
        plain = [(near - q) / octave for guided, q in noted.qualities if not guided]
        assert plain == pytest.approx(trials, abs=0.02)
        assert noted.qualities[-1] == (True, quality)
        assert sum(guided for guided, _ in noted.qualities) == 1


def test_near_qualities_share_a_choice(reader: ProxyReader, picture: Picture) -> None:
    noted = Noted()
    prepared = MachineCodec(noted, Machine(search="fast"), reader, hold_rate=False).prepare(picture, EncodeSettings())
    for quality in (50.0, 50.3, 49.9, 50.1):
        prepared.encode(quality)
    assert sum(not guided for guided, _ in noted.qualities) == 3
    prepared.encode(70.0)
    assert sum(not guided for guided, _ in noted.qualities) == 6


def test_a_callers_limits_and_threads_reach_the_codec(reader: ProxyReader, picture: Picture) -> None:
    wide, noted = Limits(pixels=10**9), Noted()
    coder = MachineCodec(noted, Machine(search="fast"), reader, hold_rate=False, limits=wide)
    coder.encode(picture, EncodeSettings(threads=2), wide)
    assert noted.limits == [wide] * 3
    assert {settings.threads for settings in noted.asked} == {2}
    tight = Limits(pixels=100)
    with pytest.raises(LimitError):
        MachineCodec(noted, Machine(), reader).encode(picture, EncodeSettings(), tight)
    with pytest.raises(LimitError):
        MachineCodec(noted, Machine(), reader, limits=tight).encode(picture)


def test_reading_a_file_is_the_codecs_own_affair(reader: ProxyReader) -> None:
    codec = MachineCodec(Noted(), Machine(), reader)
    assert codec.describe(b"abc").codec == "noted"
    assert codec.bytes_needed(b"abc") == 3
    assert codec.decode(bytes(4000)).samples.shape == (1, 1, 3)


def test_what_cannot_be_is_named(reader: ProxyReader, picture: Picture) -> None:
    mapped = EncodeSettings(guide=Guide(np.ones((2, 2), np.float32)))
    with pytest.raises(SettingsError, match="a guide and a file for a machine"):
        MachineCodec(codec_by_name("gdn"), Machine(), reader).encode(picture, mapped)
    stepless = dataclasses.replace(GDN, octave=None)
    check_machine(Machine(), stepless, mapped=False, hold_rate=False)
    with pytest.raises(SettingsError, match="gdn has no steps of its own inside a picture"):
        check_machine(Machine(search="full"), stepless, mapped=False, hold_rate=False)
    with pytest.raises(SettingsError, match="quality 0"):
        MachineCodec(codec_by_name("gdn"), Machine(search="fast"), reader).encode(picture, EncodeSettings(0))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("dog", None, None), "a file for 'dog'; person or machine is allowed"),
        (("person", "detect", None), "tasks = 'detect' for a person; ask --for machine"),
        (("person", None, "fast"), "search = 'fast' for a person"),
        (("machine", "detect,fly", None), "tasks = 'detect,fly'; one or more of classify, detect"),
        (("machine", "", None), "one or more of"),
        (("machine", [], None), "one or more of"),
        (("machine", (1,), None), "tasks = '1'; one or more of"),
        (("machine", None, "slow"), "search = 'slow'; fast or full is allowed"),
        (("person", None, None, "harm"), "scores = 'harm' for a person; ask --for machine"),
        (("person", None, None, None, 300), "reads = 300 for a person; ask --for machine"),
        (("person", None, None, None, 0), "reads = 0 for a person; ask --for machine"),
        (("machine", None, None, "heat"), "scores = 'heat'; harm or gradients is allowed"),
        (("machine", None, None, ""), "scores = ''; harm or gradients is allowed"),
        (("machine", None, None, None, 15), "reads = 15; a whole number of pixels from 16 on is allowed"),
        (("machine", None, None, None, -1), "reads = -1; a whole number of pixels"),
        (("machine", None, None, None, 99.5), "reads = 99.5; a whole number of pixels"),
    ],
)
def test_askings_are_checked(asked: Any, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        asked_machine(*asked)


def test_askings_are_understood() -> None:
    assert asked_machine("person") is None
    assert asked_machine("machine") == Machine(TASKS)
    assert asked_machine("machine", " pose, detect") == Machine(("detect", "pose"))
    assert asked_machine("machine", ["detect"]) == Machine(("detect",))
    assert asked_machine("machine", None, "full") == Machine(search="full")
    assert asked_machine("machine", scores="gradients") == Machine(scores="gradients") != Machine()
    assert asked_machine("machine", None, "fast", "harm") == Machine(search="fast")
    assert asked_machine("machine", reads=300) == Machine(reads=300) != Machine()
    assert asked_machine("machine", reads=READS) == asked_machine("machine") == Machine(reads=416)
    assert asked_machine("machine", reads=0) == Machine(reads=None)
    codec = codec_by_name("gdn")
    assert for_reader(codec, None) is codec


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"scores": "heat"}, "scores = 'heat'; harm or gradients is allowed"),
        ({"scores": None}, "scores = None; harm or gradients is allowed"),
        ({"reads": 15}, "reads = 15; a whole number of pixels from 16 on is allowed, or 0"),
        ({"reads": "all"}, "reads = 'all'"),
        ({"reads": True}, "reads = True"),
    ],
)
def test_machines_that_cannot_be_are_named(more: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Machine(**more)


def test_kinds_of_scores_are_checked() -> None:
    assert [check_scores(name) for name in ("harm", "gradients")] == ["harm", "gradients"]
    with pytest.raises(SettingsError, match="scores = 'harms'; harm or gradients is allowed"):
        check_scores("harms")


def test_what_a_machine_does_not_read_is_filtered_away(reader: ProxyReader, photo: Picture) -> None:
    """Importance is of the picture as it was."""
    assert blur_of(416, 300, 416) == blur_of(300, 200, 416) == blur_of(9000, 9000, None) == 0
    assert blur_of(832, 300, 416) == blur_of(300, 832, 416) == pytest.approx(0.43 * 3**0.5)
    assert blur_of(417, 1, 416) < 0.1 < blur_of(500, 1, 416) < blur_of(500, 1, 300)
    blurred = low_pass(photo, blur_of(256, 256, 100))
    assert (blurred.samples != photo.samples).any()
    for reads, expected in ((100, blurred), (None, photo), (256, photo), (READS, photo)):
        noted = Noted()
        MachineCodec(noted, Machine(reads=reads), reader, hold_rate=False).encode(photo)
        (shown,) = noted.prepared
        assert (shown.samples == expected.samples).all()
        (asked,) = noted.asked
        assert asked.guide is not None
        assert np.allclose(asked.guide.octaves, Machine().allocation.octaves(reader.importance(photo), photo), atol=1e-5)
    noted = Noted()
    MachineCodec(noted, Machine(reads=100, search="fast"), reader, hold_rate=False).encode(photo)
    assert len(noted.prepared) == 2
    assert all((shown.samples == blurred.samples).all() for shown in noted.prepared)
    noted = Noted()
    MachineCodec(noted, Machine(reads=16), reader, hold_rate=False).encode(Picture(np.zeros((4, 3000, 3), np.uint8)))
    assert noted.prepared[0].width == 3000


def test_what_is_asked_reaches_the_codec_of_a_machine(picture: Picture) -> None:
    noted, tight = Noted(), Limits(pixels=100)
    for_reader(noted, Machine(), hold_rate=False).encode(picture)
    for_reader(noted, Machine()).encode(picture)
    assert [settings.guide is None for settings in noted.asked] == [False, False]
    with pytest.raises(LimitError):
        for_reader(noted, Machine(), limits=tight).encode(picture)


def test_one_call_makes_a_file_for_a_machine(picture: Picture) -> None:
    plain = foveal.encode(picture, codec="gdn", quality=30)
    data = foveal.encode(picture, codec="gdn", quality=30, reader="machine", tasks="detect")
    assert abs(len(data) / len(plain) - 1) < 0.02
    assert foveal.info(data).importance_bytes > 0
    small = foveal.encode(picture, codec="gdn", target=Target(bpp=0.5), reader="machine")
    assert 0.97 * 0.5 * 160 * 160 / 8 <= len(small) <= 0.5 * 160 * 160 / 8
    for more, words in (
        ({"importance": np.ones((2, 2), np.float32)}, "an importance map, or a guide, and a file for a machine"),
        ({"guide": Guide(np.ones((2, 2), np.float32))}, "an importance map, or a guide, and a file for a machine"),
        ({"hold_rate": True}, "hold_rate and a file for a machine"),
    ):
        with pytest.raises(SettingsError, match=words):
            foveal.encode(picture, codec="gdn", reader="machine", **more)


def test_octaves_of_the_scale_are_those_of_the_codecs() -> None:
    infos = {info.name: info for info in all_codecs()}
    for card in cards():
        if infos[card.codec].octave is not None:
            told = octave_in_quality(card.config["coarse_lambda"], card.config["fine_lambda"])
            assert infos[card.codec].octave == pytest.approx(told, abs=0.05)
    for name in ("hevc", "kvazaar"):
        info = infos[name]
        assert info.octave is not None
        assert info.scale.coarse - info.scale.fine == 47
        assert math.isclose(info.octave * 47 / 99, 6)
    assert all(info.importance for info in infos.values() if info.octave is not None)
