"""The step that a codec is measured to quantise by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from foveal.codecs.base import Codec, CodecInfo, DecodeSettings, EncodeSettings, FileInfo, Prepared, QualityScale
from foveal.codecs.guide import Guide
from foveal.codecs.guided.step_curve import StepCurve
from foveal.codecs.registry import codec_by_name
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.picture import Picture

INFO = CodecInfo(200, "rounding", "Rounds samples to a step of 2^(100 - quality) / 10", (".x",), QualityScale("q", 1, 100, True))


@dataclass
class Rounding(Codec):
    """A codec whose step is known, and which counts what it codes."""

    info: CodecInfo = INFO
    pixels: list[int] = field(default_factory=list)

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> Prepared:
        assert settings.guide is None
        self.pixels.append(picture.samples[..., 0].size)
        return RoundingPrepared(picture)

    def _decode(self, data: bytes | memoryview, limits: Limits, settings: DecodeSettings) -> Picture:
        rows, columns = np.frombuffer(data[:8], np.int32)
        return Picture(np.frombuffer(data[8:], np.uint8).reshape(rows, columns, -1))

    def describe(self, data: bytes, limits: Limits = DEFAULT_LIMITS) -> FileInfo:
        raise NotImplementedError


class RoundingPrepared(Prepared):
    def __init__(self, picture: Picture) -> None:
        self.samples = picture.samples

    def encode(self, quality: float) -> bytes:
        step = step_at(quality)
        rounded = np.clip(np.rint(self.samples / step) * step, 0, 255).astype(np.uint8)
        return np.array(rounded.shape[:2], np.int32).tobytes() + rounded.tobytes()


def step_at(quality: float) -> float:
    return 2 ** ((100 - quality) / 20)


def noise(height: int, width: int) -> Picture:
    return Picture(np.random.default_rng(1).integers(40, 216, (height, width, 1), dtype=np.uint8))


def test_it_finds_the_step_of_a_uniform_quantiser_between_measured_qualities_too() -> None:
    curve = StepCurve(Rounding(), noise(64, 64), EncodeSettings())
    for quality in (1.0, 12.0, 17.3, 30.0, 45.0):
        assert curve.step(quality) == pytest.approx(step_at(quality), rel=0.1)


def test_a_quality_is_moved_by_octaves_and_stays_on_the_scale() -> None:
    codec = Rounding()
    curve = StepCurve(codec, noise(64, 64), EncodeSettings())
    assert curve.moved(30, -1) == pytest.approx(30 + 0.7 * 20, abs=2)
    assert curve.moved(30, 0.5) == pytest.approx(30 - 0.7 * 10, abs=2)
    assert curve.moved(30, 0) == pytest.approx(30)
    assert curve.moved(30, 8) == 1
    assert curve.moved(30, -8) == 100
    assert len(codec.pixels) <= 10


def test_a_quality_is_coded_once_and_only_if_needed() -> None:
    codec = Rounding()
    curve = StepCurve(codec, noise(16, 16), EncodeSettings(guide=Guide(np.ones((1, 1), np.float32))))
    assert codec.pixels == []
    assert curve.step(47) == curve.step(47)
    assert len(codec.pixels) == 2
    curve.step(49)
    assert len(codec.pixels) == 2


@pytest.mark.parametrize(("height", "width", "pixels"), [(20, 30, 600), (600, 700, 512 * 512), (30, 3000, 30 * 512)])
def test_large_pictures_are_judged_by_a_part(height: int, width: int, pixels: int) -> None:
    codec = Rounding()
    StepCurve(codec, noise(height, width), EncodeSettings()).step(12)
    assert codec.pixels == [pixels]


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif", "jpeg2000"])
def test_the_steps_of_real_codecs_fall_with_quality(photo: Picture, name: str) -> None:
    codec = codec_by_name(name)
    profiled = replace(photo, icc=b"no profile", alpha=np.zeros(photo.samples.shape[:2], np.uint8))  # no part of the measure
    curve = StepCurve(codec, profiled, EncodeSettings())
    steps = [curve.step(quality) for quality in (5, 20, 40, 60, 80, 95)]
    assert steps == sorted(set(steps), reverse=True)
    assert 20 < steps[0] < 120
    assert 1 < steps[-1] < 12


def test_gray_and_a_perfect_codec() -> None:
    flat = Picture(np.full((16, 16, 1), 50, np.uint8))
    assert StepCurve(Rounding(), flat, EncodeSettings()).step(100) == 0.25  # no error at all: the least that is told
