"""hevc, av1 and vvc: stills as video streams, checked against what was put in and against a second decoder."""

from __future__ import annotations

import dataclasses
import io
import itertools
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import skimage.data

from foveal.codecs.base import EncodeSettings
from foveal.codecs.registry import codec_by_name
from foveal.codecs.sniff import codec_of
from foveal.codecs.standard import true_size
from foveal.codecs.standard.process import ffmpeg_program, run_program
from foveal.errors import (
    BackendError,
    DamagedError,
    FormatError,
    FovealError,
    LimitError,
    MissingDependencyError,
    PictureError,
    UnsupportedError,
)
from foveal.limits import Limits
from foveal.media.color import Matrix, to_samples, to_ycbcr
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture

av = pytest.importorskip("av")
pytest.importorskip("imageio_ffmpeg")

CODECS = ["hevc", "av1", "vvc"]
FAST = {"hevc": "medium", "av1": "8", "vvc": "faster"}
DEMUXER = {"hevc": "hevc", "av1": "obu", "vvc": "vvc"}
SIZES = [(96, 64), (95, 63), (70, 50), (1, 1), (500, 1), (1, 500), (17, 5)]
PHOTO = skimage.data.astronaut()
SATURATED = np.repeat(np.repeat(np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.uint8), 32, 0), 32, 1)


def photo(width: int, height: int, left: int = 100) -> Picture:
    """A crop of the photograph; long sides begin at its edge."""
    top, left = (0 if height > 400 else 20), (0 if width > 400 else left)
    return Picture(np.ascontiguousarray(PHOTO[top : top + height, left : left + width]))


def encode(name: str, picture: Picture, quality: float = 60, **more) -> bytes:
    return codec_by_name(name).encode(picture, EncodeSettings(quality=quality, preset=FAST[name], **more))


@pytest.fixture(scope="module")
def files() -> dict[tuple[str, str], bytes]:
    """One small file, of an odd size, for each codec and suffix."""
    suffixes = {"hevc": ".hevc", "av1": ".obu", "vvc": ".266"}
    return {
        (name, suffix): encode(name, photo(49, 65), 30, suffix=suffix) for name in CODECS for suffix in (suffixes[name], ".mp4")
    }


class TestRoundTrip:
    @pytest.mark.parametrize("name", CODECS)
    @pytest.mark.parametrize("size", SIZES)
    def test_any_size_comes_back(self, name, size):
        picture = photo(*size)
        data = encode(name, picture, 80)
        decoded = codec_by_name(name).decode(data)
        assert decoded.samples.shape == picture.samples.shape
        assert psnr_rgb_db(picture, decoded) > 36
        described = codec_by_name(name).describe(data)
        assert (described.width, described.height, described.channels) == (*size, 3)
        assert (described.chroma, described.bit_depth, described.bytes) == ("420", 10 if name == "vvc" else 8, len(data))

    def test_every_decode_of_a_narrow_picture_is_the_same(self):
        """The VVC decoder with several threads gave 33 different pictures in 600 decodes of such a file."""
        data, codec = encode("vvc", photo(1, 500), 80), codec_by_name("vvc")
        with ThreadPoolExecutor(6) as pool:
            decoded = set(pool.map(lambda _: codec.decode(data).samples.tobytes(), range(200)))
        assert len(decoded) == 1

    @pytest.mark.parametrize("chroma", ["420", "422", "444"])
    @pytest.mark.parametrize("size", [(64, 48), (63, 47), (3, 3)])
    def test_hevc_has_each_chroma(self, chroma, size):
        picture = photo(*size)
        data = encode("hevc", picture, 80, chroma=chroma)
        assert codec_by_name("hevc").describe(data).chroma == chroma
        assert psnr_rgb_db(picture, codec_by_name("hevc").decode(data)) > 36

    @pytest.mark.parametrize("name", CODECS)
    def test_quality_raises_size_and_psnr(self, name):
        picture, codec = photo(96, 96), codec_by_name(name)
        prepared = codec.prepare(picture, EncodeSettings(preset=FAST[name]))
        coded = [prepared.encode(quality) for quality in (1, 20, 40, 60, 80, 100)]
        psnrs = [psnr_rgb_db(picture, codec.decode(data)) for data in coded]
        assert [len(data) for data in coded] == sorted({len(data) for data in coded})
        assert psnrs == sorted(psnrs)
        assert psnrs[0] < 28
        assert psnrs[-1] > 38

    @pytest.mark.parametrize("name", CODECS)
    def test_psnr_is_worth_the_bits(self, name):
        """At one bit a pixel, what these encoders give on this crop; JPEG gives about 31 dB."""
        picture, codec = photo(256, 192, 120), codec_by_name(name)
        prepared = codec.prepare(picture, EncodeSettings(preset=FAST[name]))
        best = max(
            (prepared.encode(q) for q in range(30, 75, 3)), key=lambda data: len(data) if len(data) <= 256 * 192 / 8 else 0
        )
        assert psnr_rgb_db(picture, codec.decode(best)) > {"hevc": 33.5, "av1": 33.5, "vvc": 34}[name]

    @pytest.mark.parametrize("name", CODECS)
    def test_gray(self, name):
        picture = Picture(np.ascontiguousarray(PHOTO[:48, 100:149, 1:2]))
        decoded = codec_by_name(name).decode(encode(name, picture, 80))
        assert decoded.is_gray == (name == "hevc")
        assert psnr_rgb_db(picture, decoded) > 36
        assert (decoded.samples == decoded.samples[:, :, :1]).all()

    @pytest.mark.parametrize("name", CODECS)
    def test_threads_change_nothing(self, name):
        picture = photo(130, 140)
        assert encode(name, picture, threads=1) == encode(name, picture, threads=2)

    @pytest.mark.parametrize("name", CODECS)
    def test_several_threads_at_once(self, name):
        pictures = [photo(66, 70, left) for left in range(100, 200, 25)]
        alone = [codec_by_name(name).decode(encode(name, picture)).samples for picture in pictures]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda p: codec_by_name(name).decode(encode(name, p)).samples, pictures))
        assert all((a == b).all() for a, b in zip(alone, together, strict=True))

    @pytest.mark.slow
    @pytest.mark.parametrize("name", CODECS)
    @pytest.mark.parametrize("size", [(5000, 1), (1, 5000)])
    def test_very_long_pictures(self, name, size):
        samples = np.resize(PHOTO.reshape(-1, 3), (size[1], size[0], 3))
        decoded = codec_by_name(name).decode(encode(name, Picture(samples), 80))
        assert decoded.samples.shape == samples.shape


class TestHevcSizes:
    def test_a_fraction_of_crf_gives_a_size_between(self):
        codec = codec_by_name("hevc")
        prepared = codec.prepare(photo(320, 320, 100), EncodeSettings(preset="medium"))
        scale = codec.info.scale
        sizes = [
            len(prepared.encode(1 + 99 * (crf - scale.coarse) / (scale.fine - scale.coarse)))
            for crf in np.arange(30, 31.01, 0.125)
        ]
        steps = [(a - b) / a for a, b in itertools.pairwise(sizes)]
        assert 0.06 < 1 - sizes[-1] / sizes[0] < 0.15
        assert max(steps) < 0.03
        assert min(steps) > -0.004


class TestColour:
    @pytest.mark.parametrize(
        ("name", "chroma"), [("hevc", "420"), ("hevc", "422"), ("hevc", "444"), ("av1", "420"), ("vvc", "420")]
    )
    def test_saturated_colours(self, name, chroma):
        codec = codec_by_name(name)
        data = encode(name, Picture(SATURATED), 95, chroma=chroma)
        difference = np.abs(codec.decode(data).samples.astype(int) - SATURATED)
        inside = np.zeros((64, 64), bool)
        for y in (0, 32):
            for x in (0, 32):
                inside[y + 8 : y + 24, x + 8 : x + 24] = True
        assert difference[inside].max() <= 6
        if chroma == "444":
            assert difference.max() <= 24

    @pytest.mark.parametrize("name", CODECS)
    @pytest.mark.parametrize("suffix", ["", ".mp4"])
    def test_matrix_and_range_are_in_the_stream(self, name, suffix, tmp_path):
        data = encode(name, Picture(SATURATED), suffix=suffix or None)
        path = tmp_path / f"x{suffix}"
        path.write_bytes(data)
        said = subprocess.run(
            [ffmpeg_program(), "-hide_banner", "-i", str(path)], capture_output=True, check=False
        ).stderr.decode()
        assert "pc, bt709" in said

    @pytest.mark.parametrize("full_range", [False, True])
    @pytest.mark.parametrize(
        ("matrix", "word"), [(Matrix.BT709, "bt709"), (Matrix.BT601, "smpte170m"), (Matrix.BT2020_NCL, "bt2020nc")]
    )
    @pytest.mark.parametrize("depth", [8, 10])
    def test_what_others_declare_is_honoured(self, full_range, matrix, word, depth):
        planes = to_ycbcr(SATURATED, "444", matrix=matrix, full_range=full_range, bit_depth=depth)
        data = x265(planes, f"colormatrix={word}:range={'full' if full_range else 'limited'}", depth)
        assert np.abs(codec_by_name("hevc").decode(data).samples.astype(int) - SATURATED).max() <= 6

    def test_nothing_declared_means_bt601_in_limited_range(self):
        planes = to_ycbcr(SATURATED, "444", matrix=Matrix.BT601)
        assert np.abs(codec_by_name("hevc").decode(x265(planes, "", 8)).samples.astype(int) - SATURATED).max() <= 6

    def test_another_matrix_is_refused_by_name(self):
        data = x265(to_ycbcr(SATURATED, "444"), "colormatrix=ycgco", 8)
        with pytest.raises(UnsupportedError, match=r"matrix 8 \(CICP\)"):
            codec_by_name("hevc").decode(data)

    def test_rgb_planes(self):
        samples = photo(64, 48).samples
        raw = b"".join(np.ascontiguousarray(samples[:, :, i]).tobytes() for i in (1, 2, 0))
        decoded = codec_by_name("hevc").decode(ffmpeg_x265(raw, 64, 48, "gbrp", "info=0:log-level=none"))
        assert psnr_rgb_db(Picture(samples), decoded) > 38

    @pytest.mark.parametrize("name", CODECS)
    def test_a_profile_is_applied(self, name):
        from PIL import ImageCms

        made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        swapped = made.replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ").replace(b"....", b"bXYZ")
        picture = photo(64, 48)
        blue_is_red = Picture(np.ascontiguousarray(picture.samples[:, :, ::-1]))
        decoded = codec_by_name(name).decode(encode(name, dataclasses.replace(picture, icc=swapped), 80))
        assert decoded.icc is None
        assert psnr_rgb_db(blue_is_red, decoded) > 33

    @pytest.mark.parametrize(
        ("name", "size"), [("hevc", (65535, 1)), ("vvc", (1, 65535)), ("av1", (16385, 1)), ("av1", (1, 8705))]
    )
    def test_sides_that_no_encoder_takes_are_refused(self, name, size):
        with pytest.raises(PictureError, match="make it smaller"):
            encode(name, Picture(np.zeros((size[1], size[0], 3), np.uint8)))

    @pytest.mark.parametrize("name", CODECS)
    def test_alpha_is_refused(self, name):
        picture = dataclasses.replace(photo(64, 48), alpha=np.full((48, 64), 7, np.uint8))
        with pytest.raises(PictureError, match="--background"):
            encode(name, picture)


def x265(planes, parameters: str, depth: int) -> bytes:
    height, width = planes.planes[0].shape
    raw = b"".join(plane.tobytes() for plane in planes.planes)
    return ffmpeg_x265(raw, width, height, "yuv444p" + ("10le" if depth == 10 else ""), f"info=0:log-level=none:{parameters}")


def ffmpeg_x265(raw: bytes, width: int, height: int, pixels: str, parameters: str) -> bytes:
    before = [
        "-loglevel",
        "error",
        "-f",
        "rawvideo",
        "-pix_fmt",
        pixels,
        "-s",
        f"{width}x{height}",
        "-i",
        "pipe:0",
        "-frames:v",
        "1",
    ]
    after = [
        "-c:v",
        "libx265",
        "-crf",
        "8",
        "-preset",
        "ultrafast",
        "-x265-params",
        parameters.rstrip(":"),
        "-f",
        "hevc",
        "pipe:1",
    ]
    return run_program([ffmpeg_program(), *before, *after], stdin=raw, timeout_s=60)


class TestSecondDecoder:
    @pytest.mark.parametrize("name", CODECS)
    @pytest.mark.parametrize("suffix", ["", ".mp4"])
    def test_the_program_decodes_the_same_planes(self, name, suffix, tmp_path):
        picture = photo(70, 66)
        data = encode(name, picture, suffix=suffix or None)
        path = tmp_path / "x"
        path.write_bytes(data)
        as_is = ["-f", "rawvideo", "-pix_fmt", "yuv420p10le" if name == "vvc" else "yuv420p", "pipe:1"]
        source = ["-i", str(path)] if suffix else ["-f", DEMUXER[name], "-i", str(path)]
        raw = run_program([ffmpeg_program(), "-loglevel", "error", *source, *as_is], stdin=b"", timeout_s=60)
        depth = 10 if name == "vvc" else 8
        samples = np.frombuffer(raw, np.uint8 if depth == 8 else "<u2").astype(np.uint8 if depth == 8 else np.uint16)
        luma, rest = samples[: 70 * 66].reshape(66, 70), samples[70 * 66 :].reshape(2, 33, 35)
        planes = dataclasses.replace(to_ycbcr(picture.samples, "420", full_range=True, bit_depth=depth), planes=(luma, *rest))
        assert (to_samples(planes) == codec_by_name(name).decode(data).samples).all()

    @pytest.mark.parametrize("name", CODECS)
    def test_others_look_past_the_note(self, name, tmp_path):
        path = tmp_path / "x"
        path.write_bytes(encode(name, photo(3, 3)))
        pixels = ["-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"]
        arguments = [ffmpeg_program(), "-loglevel", "warning", "-f", DEMUXER[name], "-i", str(path), *pixels]
        assert len(run_program(arguments, stdin=b"", timeout_s=60)) == {"hevc": 16, "av1": 4, "vvc": 32}[name] ** 2

    @pytest.mark.parametrize("name", CODECS)
    def test_a_clip_gives_its_first_frame(self, name):
        first, second = photo(64, 64), photo(64, 64, 200)
        both = encode(name, first) + encode(name, second)
        assert (codec_by_name(name).decode(both).samples == codec_by_name(name).decode(encode(name, first)).samples).all()

    def test_the_files_are_known_again(self, files):
        for (name, _), data in files.items():
            assert codec_of(data).info.name == name


class TestNote:
    @pytest.mark.parametrize("size", [(1, 1), (5, 0x100), (0x0300, 0x01000003), (768, 65535)])
    def test_it_survives_the_escapes_of_nal_units(self, size):
        unit = true_size.nal_note(b"\x4e\x01", size)
        assert unit.count(b"\0\0\1") == 1
        assert b"\0\0\0" not in unit[4:]
        assert b"\0\0\2" not in unit
        units = list(true_size.nal_units(unit, 0, 1, 63))
        assert true_size.read_nal_note(units, 39) == size

    @pytest.mark.parametrize("name", CODECS)
    def test_none_where_none_is_needed(self, name):
        assert true_size.NOTE_ID not in encode(name, photo(64, 64))
        assert true_size.NOTE_ID in encode(name, photo(3, 3))

    @pytest.mark.parametrize("name", CODECS)
    def test_one_that_cannot_be_true_is_damage(self, name):
        data = encode(name, photo(3, 3))
        at = data.index(true_size.NOTE_ID) + 16
        lying = data[:at] + b"\x01\x01\x01\x01" + data[at + 5 if name != "av1" else at + 4 :]
        with pytest.raises(FormatError):
            codec_by_name(name).describe(lying)


class TestDamage:
    @pytest.mark.parametrize("name", CODECS)
    def test_cut_and_changed_files_give_own_errors(self, name, files):
        codec, chance = codec_by_name(name), random.Random(name)
        for (owner, _), data in files.items():
            if owner != name:
                continue
            cuts = [data[:end] for end in range(0, len(data), max(1, len(data) // 60))]
            places = [chance.randrange(len(data)) for _ in range(60)] + list(range(min(60, len(data))))
            changed = [data[:i] + bytes([v]) + data[i + 1 :] for i in places for v in (0, 255, data[i] ^ 255)]
            large = [data[:i] + b"\x80\0\0\0" + data[i + 4 :] for i in places]
            noise = [data[: chance.randrange(60)] + chance.randbytes(200) for _ in range(20)]
            assert failures(codec, [*cuts, *changed, *large, *noise]) > 60

    @pytest.mark.parametrize("name", CODECS)
    def test_nothing_at_all(self, name):
        for data in (b"", b"\0", b"\0\0\1", bytes(1000), b"\x12\x00", b"\0\0\0\x14ftypisom" + bytes(8)):
            with pytest.raises(FormatError):
                codec_by_name(name).decode(data)

    @pytest.mark.parametrize("name", CODECS)
    def test_files_of_the_others(self, name, files):
        for (owner, _), data in files.items():
            if owner != name:
                with pytest.raises((FormatError, UnsupportedError)):
                    codec_by_name(name).decode(data)

    def test_another_codec_in_mp4_is_named(self):
        target = io.BytesIO()
        with av.open(target, "w", format="mp4") as sink:
            stream = sink.add_stream("mpeg4", rate=25)
            stream.width = stream.height = 64
            sink.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")) + stream.encode(None))
        with pytest.raises(UnsupportedError, match="mpeg4, not hevc"):
            codec_by_name("hevc").decode(target.getvalue())

    def test_limits(self, files):
        for (name, _), data in files.items():
            codec = codec_by_name(name)
            for limits in (Limits(pixels=1000), Limits(side=40), Limits(payload_bytes=20)):
                for call in (codec.decode, codec.describe):
                    with pytest.raises(LimitError):
                        call(data, limits)
            assert codec.decode(data, Limits(side=66, pixels=66 * 50)).height == 65

    @pytest.mark.parametrize("name", CODECS)
    def test_a_larger_picture_behind_a_small_head_is_refused(self, name):
        """The slices are those of 320x320, whatever the first head says; the decoder stops before it makes the frame."""
        small, large = encode(name, photo(64, 64)), encode(name, photo(320, 320))
        head = list(true_size.obus(small) if name == "av1" else true_size.nal_units(small, 0, 1, 63))[:-1]
        limits = Limits(pixels=5000) if name == "hevc" else Limits()  # HEVC's head is that of the last parameter sets
        with pytest.raises(LimitError if name == "hevc" else DamagedError):
            codec_by_name(name).decode(small[: head[-1].end] + large, limits)

    def test_vvc_says_so_when_the_encoder_has_no_room(self):
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        with pytest.raises(BackendError, match="lower quality"):
            encode("vvc", Picture(noise), 100)


def failures(codec, files: list[bytes]) -> int:
    """How many of the files neither decode nor describe; whatever else than foveal's own errors escapes fails the test."""
    failed = 0
    limits = Limits(pixels=1 << 20)
    for data in files:
        try:
            codec.decode(data, limits)
            codec.describe(data, limits)
        except FovealError:
            failed += 1
    return failed


def test_the_libraries_say_nothing(capfd):
    for name in CODECS:
        codec_by_name(name).decode(encode(name, photo(70, 50)))
    written = capfd.readouterr()
    assert written.out + written.err == ""


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependencyError, match="pip install av"):
        encode("hevc", photo(64, 64))


def test_no_thread_is_left():
    before = threading.active_count()
    codec_by_name("av1").decode(encode("av1", photo(64, 64)))
    assert threading.active_count() == before
