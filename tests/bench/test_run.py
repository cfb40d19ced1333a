"""Running, failing and resuming, with a tiny codec: samples rounded to a step, then zlib."""

from __future__ import annotations

import json
import math
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from foveal.bench.plan import BenchPlan, CodecRun
from foveal.bench.rows import read_rows, select_latest
from foveal.bench.run import run_bench
from foveal.codecs.base import BandInfo, Codec, CodecInfo, FileInfo, Prepared, QualityScale
from foveal.errors import BackendError, InputError, MissingDependencyError
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture


class StepPrepared(Prepared):
    def __init__(self, codec, picture):
        self.codec, self.picture = codec, picture

    def encode(self, quality):
        self.codec.encoded.append(quality)
        if quality in self.codec.broken:
            raise BackendError(f"cannot do {quality:g}")
        step = int(self.codec.info.scale.native(quality))
        samples = self.picture.samples
        return struct.pack("<3H", *samples.shape[:2], step) + zlib.compress((samples // step).tobytes())


class StepCodec(Codec):
    def __init__(self, name="step", broken=(), weights=None):
        scale = QualityScale("step", 61, 1, False)
        super().__init__(CodecInfo(900, name, "steps", (".step",), scale, learned=weights is not None))
        self.broken, self.weights, self.encoded = broken, weights, []

    def _prepare(self, picture, settings):
        return StepPrepared(self, picture)

    def _decode(self, data, limits, settings):
        height, width, step = struct.unpack("<3H", data[:6])
        flat = np.frombuffer(zlib.decompress(data[6:]), np.uint8).reshape(height, width, 3)
        return Picture(np.minimum(flat.astype(int) * step + step // 2, 255).astype(np.uint8))

    def describe(self, data, limits=None):
        return FileInfo(self.info.name, len(data), 1, 1, 3, weights=self.weights)


QUALITIES = (10.0, 50.0, 100.0)


@pytest.fixture
def plan(tmp_path):
    for index, size in enumerate(((40, 32), (48, 24))):
        samples = np.random.default_rng(index).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(samples).save(tmp_path / f"{index}.png")
    pictures = (tmp_path / "0.png", tmp_path / "1.png")
    return BenchPlan(pictures, (CodecRun("step", QUALITIES),), tmp_path / "out", ssim=False, command="foveal bench pictures")


def test_every_row_holds_what_was_measured(plan):
    codec, seen = StepCodec(), []
    summary = run_bench(plan, lambda row, done, total: seen.append((row, done, total)), load=lambda name: codec)
    assert (summary.measured, summary.reused, summary.failed) == (6, 0, ())
    assert [(done, total) for _, done, total in seen] == [(n, 6) for n in range(1, 7)]
    file = read_rows(summary.path)
    assert [row for row, _, _ in seen] == list(file.rows)
    for row in file.rows:
        picture = Picture(np.array(Image.open(plan.pictures[int(row.picture[0])])))
        data = StepPrepared(codec, picture).encode(row.quality)
        assert row.bytes == len(data)
        assert row.bpp == pytest.approx(8 * len(data) / (picture.width * picture.height))
        assert row.psnr_rgb_db == psnr_rgb_db(picture, codec.decode(data))
        assert (row.width, row.height) == (picture.width, picture.height)
        assert (row.parameter, row.parameter_value) == ("step", codec.info.scale.native(row.quality))
        assert row.encode_s > 0
        assert row.decode_s > 0
    header = file.headers[0]
    assert header.command == "foveal bench pictures"
    assert header.cores >= 1
    assert dict(header.versions)["numpy"] == np.__version__


def test_infinite_psnr_is_null_in_the_file_and_inf_again(plan):
    path = run_bench(plan, load=lambda name: StepCodec()).path
    best = [row for row in read_rows(path).rows if row.quality == 100]
    assert [row.psnr_rgb_db for row in best] == [math.inf, math.inf]  # step 1 keeps every sample
    for line in path.read_text().splitlines():
        data = json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
        if data.get("quality") == 100:
            assert data["psnr_rgb_db"] is None


def test_ssim_is_measured_where_it_is_defined(plan):
    pytest.importorskip("pytorch_msssim")
    rows = read_rows(run_bench(replace(plan, ssim=True), load=lambda name: StepCodec()).path).rows
    assert all(0 < row.ssim <= 1 + 1e-6 for row in rows)
    assert all(row.ms_ssim is None and row.error is None for row in rows)


def test_ssim_asked_for_later_is_measured_then(plan):
    pytest.importorskip("pytorch_msssim")
    run_bench(plan, load=lambda name: StepCodec())
    again = run_bench(replace(plan, ssim=True), load=lambda name: StepCodec())
    assert (again.measured, again.reused) == (6, 0)
    kept, _ = select_latest(read_rows(again.path).rows)
    assert len(kept) == 6
    assert all(row.ssim is not None for row in kept)


def test_missing_library_is_said_before_anything_runs(plan, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install torch"):
        run_bench(replace(plan, ssim=True), load=lambda name: StepCodec())
    assert not plan.rows_path.exists()


def test_a_finished_bench_runs_nothing_again(plan):
    run_bench(plan, load=lambda name: StepCodec())
    before = plan.rows_path.read_bytes()
    codec = StepCodec()
    summary = run_bench(plan, load=lambda name: codec)
    assert (summary.measured, summary.reused, codec.encoded) == (0, 6, [])
    assert plan.rows_path.read_bytes() == before


class KillError(BaseException):
    pass


@pytest.mark.parametrize("cut", [1, 40, 0])
def test_resumes_after_a_kill_and_a_half_written_line(plan, cut):
    def kill(row, done, total):
        if done == 4:
            raise KillError

    with pytest.raises(KillError):
        run_bench(plan, kill, load=lambda name: StepCodec())
    whole = plan.rows_path.read_bytes()
    plan.rows_path.write_bytes(whole[: len(whole) - cut])
    left = 4 if cut < 2 else 3  # only the newline is gone: the row is whole
    assert len(read_rows(plan.rows_path).rows) == left
    codec = StepCodec()
    summary = run_bench(plan, load=lambda name: codec)
    assert (summary.measured, summary.reused) == (6 - left, left)
    assert len(codec.encoded) == 6 - left + 1  # one to warm up
    rows = read_rows(plan.rows_path).rows
    assert sorted((row.picture, row.quality) for row in rows) == [(f"{p}.png", q) for p in (0, 1) for q in QUALITIES]


def test_damage_in_the_middle_is_named(plan):
    run_bench(plan, load=lambda name: StepCodec())
    lines = plan.rows_path.read_bytes().split(b"\n")
    lines[2] = lines[2][:30]
    plan.rows_path.write_bytes(b"\n".join(lines))
    with pytest.raises(InputError, match="line 3: not a record of a bench"):
        run_bench(plan, load=lambda name: StepCodec())


def test_changed_pictures_settings_and_weights_are_measured_again(plan):
    run_bench(plan, load=lambda name: StepCodec(weights="one"))
    assert run_bench(plan, load=lambda name: StepCodec(weights="one")).reused == 6
    assert run_bench(plan, load=lambda name: StepCodec(weights="two")).measured == 6
    assert run_bench(replace(plan, threads=1), load=lambda name: StepCodec(weights="two")).measured == 6
    Image.new("RGB", (20, 20), (1, 2, 3)).save(plan.pictures[0])
    summary = run_bench(plan, load=lambda name: StepCodec(weights="two"))
    assert (summary.measured, summary.reused) == (3, 3)


def test_failures_are_rows_and_the_rest_goes_on(plan):
    plan.pictures[0].write_bytes(b"no picture")
    plan = replace(plan, codecs=(CodecRun("absent", (50.0,)), CodecRun("step", QUALITIES)))

    def load(name):
        if name == "absent":
            raise MissingDependencyError("pip install absent")
        return StepCodec(broken=(50.0,))

    summary = run_bench(plan, load=load)
    assert summary.measured == 2
    errors = [(row.label, row.picture, row.quality, row.error) for row in read_rows(summary.path).rows if row.error]
    assert len(errors) == len(summary.failed) == 6
    assert ("absent", "1.png", 50.0, "pip install absent") in errors
    assert ("step", "1.png", 50.0, "cannot do 50") in errors
    assert {quality for label, picture, quality, _ in errors if (label, picture) == ("step", "0.png")} == set(QUALITIES)


def test_foreign_errors_are_rows_too_and_failed_rows_are_tried_again(plan):
    class Foreign(StepCodec):
        def _decode(self, data, limits, settings):
            raise ZeroDivisionError

    summary = run_bench(plan, load=lambda name: Foreign())
    assert len(summary.failed) == 6
    assert {row.error for row in summary.failed} == {"ZeroDivisionError: no message"}
    mended = run_bench(plan, load=lambda name: StepCodec())
    assert (mended.measured, mended.failed) == (6, ())
    kept, notes = select_latest(read_rows(mended.path).rows)
    assert all(row.error is None for row in kept)
    assert notes == ()


def test_rows_of_other_weights_and_same_names_are_not_mixed(plan):
    run_bench(plan, load=lambda name: StepCodec(weights="one"))
    run_bench(plan, load=lambda name: StepCodec(weights="two"))
    rows = read_rows(plan.rows_path).rows
    kept, notes = select_latest(rows)
    assert {row.weights for row in kept} == {"two"}
    assert "step: 6 rows of another version" in notes[0]
    with pytest.raises(InputError, match=r"two different pictures named 0\.png"):
        select_latest([*rows, replace(rows[-6], picture_sha256="other")])


def test_a_prefix_of_the_bands_is_a_curve_of_its_own(plan):
    class Banded(StepCodec):
        """Coarse steps, then as many bytes that a reader of the first band never sees."""

        def __init__(self):
            super().__init__("step", weights="w")
            self.info = replace(self.info, bands=2)

        def describe(self, data, limits=None):
            bands = (BandInfo(0, len(data) - 7, 0), BandInfo(1, 7, 0))
            return FileInfo(self.info.name, len(data), 1, 1, 3, weights=self.weights, bands=bands)

        def _decode(self, data, limits, settings):
            assert settings.allow_partial == (len(data) == self.cut)
            return super()._decode(data if settings.allow_partial else data[:-7], limits, settings)

        def _prepare(self, picture, settings):
            prepared = super()._prepare(picture, settings)
            plain = prepared.encode

            def encode(quality):
                data = plain(quality)
                self.cut = len(data)
                return data + bytes(7)

            prepared.encode = encode
            return prepared

    codec = Banded()
    runs = (CodecRun("step", QUALITIES), CodecRun("step", QUALITIES, bands=1))
    summary = run_bench(replace(plan, codecs=runs), load=lambda name: codec)
    assert not summary.failed
    rows = read_rows(summary.path).rows
    size = {(row.label, row.picture, row.quality): row.bytes for row in rows}
    assert {label for label, _, _ in size} == {"step", "step:bands=1"}
    assert all(size["step", picture, q] == size["step:bands=1", picture, q] + 7 for _, picture, q in size)
    again = run_bench(replace(plan, codecs=runs), load=lambda name: codec)
    assert (again.measured, again.reused) == (0, 12)
