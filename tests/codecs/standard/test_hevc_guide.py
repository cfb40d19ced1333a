"""hevc and kvazaar with a guide: bits go where they are asked to, files stay files, and a map that was lost is an error."""

from __future__ import annotations

import dataclasses
import re
import subprocess

import numpy as np
import pytest
import skimage.data

import foveal.codecs.standard.av_frames as av_frames
import foveal.codecs.standard.hevc as hevc
import foveal.codecs.standard.kvazaar as kvazaar
from foveal.codecs.base import EncodeSettings
from foveal.codecs.guide import Guide
from foveal.codecs.registry import codec_by_name
from foveal.codecs.standard.hevc_heads import QuantiserHeads, quantiser_heads
from foveal.codecs.standard.hevc_stream import hevc_units
from foveal.codecs.standard.process import ffmpeg_program, run_program
from foveal.codecs.standard.true_size import NOTE_ID, Unit
from foveal.errors import (
    BackendError,
    DamagedError,
    MissingDependencyError,
    SettingsError,
    TruncatedError,
    UnsupportedError,
)
from foveal.media.color import to_samples, to_ycbcr
from foveal.metrics.psnr import psnr_rgb_db
from foveal.picture import Picture

pytest.importorskip("av")
pytest.importorskip("imageio_ffmpeg")

CODECS = ["hevc", "kvazaar"]
FAST = {"hevc": "medium", "kvazaar": "fast"}
BLOCK = {"hevc": 32, "kvazaar": 64}
PHOTO = skimage.data.astronaut()


def photo(width: int, height: int, left: int = 100) -> Picture:
    return Picture(np.ascontiguousarray(PHOTO[:height, left : left + width]))


def encode(name: str, picture: Picture, quality: float = 60, preset: str | None = None, **more) -> bytes:
    return codec_by_name(name).encode(picture, EncodeSettings(quality=quality, preset=preset or FAST[name], **more))


def decode(data: bytes) -> Picture:
    return codec_by_name("hevc").decode(data)


def uneven(rows: int = 5, columns: int = 7) -> Guide:
    """No two places alike, and not the same when it is turned or mirrored."""
    return Guide(np.random.default_rng(3).uniform(-1, 1, (rows, columns)).astype(np.float32))


def halves() -> Guide:
    return Guide(np.array([[-1, 1]], np.float32))


def of_machines(guide: Guide) -> Guide:
    """As files for machines have it: soft, and with the standard's matrices."""
    return dataclasses.replace(guide, sharp=False, matrices=True)


def told(data: bytes) -> dict[str, int]:
    """What FFmpeg reads in the heads of a stream, by the standard's names; the first of each."""
    arguments = ["-hide_banner", "-f", "hevc", "-i", "pipe:0", "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"]
    lines = subprocess.run([ffmpeg_program(), *arguments], input=data, capture_output=True, check=True).stderr.decode()
    found = re.findall(r"(\w+) +[01]+ = (-?\d+)$", lines, re.MULTILINE)
    return {name: int(value) for name, value in reversed(found)}


def errors(picture: Picture, data: bytes, side: int):
    """The mean squared error of luma in each block of ``side`` pixels: what halved chroma loses hides that of fine files."""
    square = ((picture.samples.astype(float) - decode(data).samples) @ [0.2126, 0.7152, 0.0722]) ** 2
    rows, columns = picture.height // side, picture.width // side
    return square[: rows * side, : columns * side].reshape(rows, side, columns, side).mean((1, 3))


class TestWhereTheBitsGo:
    @pytest.mark.parametrize("name", CODECS)
    @pytest.mark.parametrize("quality", [30, 60])
    def test_error_follows_the_guide_block_by_block(self, name, quality):
        picture, side = photo(7 * BLOCK[name], 5 * BLOCK[name], 40), BLOCK[name]
        even, guided = (encode(name, picture, quality, guide=guide) for guide in (None, uneven()))
        moved = np.log2(errors(picture, guided, side) / errors(picture, even, side)) / 2
        asked = uneven().octaves
        assert np.corrcoef(moved.ravel(), asked.ravel())[0, 1] > 0.85
        assert 0.3 < np.polyfit(asked.ravel(), moved.ravel(), 1)[0] < 1.2

    def test_sixteen_pixels_are_enough_for_hevc(self):
        """A stripe of one block is better than those beside it."""
        picture, octaves = photo(256, 256), np.zeros((16, 16), np.float32)
        octaves[:, 8] = -2
        even, guided = (encode("hevc", picture, guide=guide) for guide in (None, Guide(octaves)))
        change = 10 * np.log10(errors(picture, guided, 16) / errors(picture, even, 16)).mean(0)
        assert change[8] < -8
        assert np.abs(np.delete(change, 8)).max() < 1

    @pytest.mark.parametrize("name", CODECS)
    def test_the_ends_of_the_scale(self, name):
        octaves = np.array([[-8, 8], [8, -8]], np.float32)
        picture = photo(256, 256)
        error = errors(picture, encode(name, picture, guide=Guide(octaves), chroma="420"), 128)
        assert error[0, 0] * 20 < error[0, 1]
        assert error[1, 1] * 20 < error[1, 0]

    @pytest.mark.parametrize("name", CODECS)
    def test_a_guide_that_is_the_same_everywhere_is_a_quality(self, name):
        picture, scale = photo(96, 80), codec_by_name(name).info.scale
        coarser = Guide(np.full((3, 2), 0.5, np.float32))
        at = 1 + 99 * 30 / abs(scale.fine - scale.coarse)
        below = 1 + 99 * 27 / abs(scale.fine - scale.coarse)
        assert encode(name, picture, at, guide=coarser) == encode(name, picture, below)
        for hold_rate in (False, True):
            assert encode(name, picture, at, guide=Guide(np.zeros((9, 9), np.float32), hold_rate)) == encode(name, picture, at)

    def test_chroma_alone_can_be_coarser(self):
        picture = photo(256, 256)
        even = Guide(np.zeros((1, 1), np.float32))
        found = [decode(encode("hevc", picture, guide=dataclasses.replace(even, chroma_octaves=c))) for c in (0, 1, -1)]
        truth = to_ycbcr(picture.samples, "444").planes
        luma, blue, red = (
            [np.log10(((to_ycbcr(f.samples, "444").planes[i].astype(float) - truth[i]) ** 2).mean()) for f in found]
            for i in range(3)
        )
        assert max(luma) - min(luma) < 0.02
        assert blue[2] < blue[0] < blue[1]
        assert red[2] < red[0] < red[1]
        gray = Picture(np.ascontiguousarray(picture.samples[:, :, :1]))
        assert decode(encode("hevc", gray, guide=dataclasses.replace(even, chroma_octaves=1))).is_gray


class TestBlocksOfMaps:
    def side(self, data: bytes) -> int:
        """Pixels a side of the largest block."""
        heads = told(data)
        smallest, steps = (
            heads[f"log2_{name}_luma_coding_block_size{end}"] for name, end in (("min", "_minus3"), ("diff_max_min", ""))
        )
        return 8 << (smallest + steps)

    def test_a_soft_guide_leaves_blocks_as_they_are(self):
        picture = photo(256, 192)
        sharp, soft = (encode("hevc", picture, guide=dataclasses.replace(uneven(), sharp=sharp)) for sharp in (True, False))
        assert (self.side(sharp), self.side(soft), self.side(encode("hevc", picture))) == (16, 64, 64)
        assert [told(data)["entropy_coding_sync_enabled_flag"] for data in (sharp, soft)] == [0, 1]
        large = Picture(np.ascontiguousarray(np.resize(PHOTO, (64, 4098, 3))))
        sides = [
            self.side(encode("hevc", large, 20, "ultrafast", guide=dataclasses.replace(halves(), sharp=sharp)))
            for sharp in (1, 0)
        ]
        assert sides == [32, self.side(encode("hevc", large, 20, "ultrafast"))]

    def test_a_soft_guide_moves_the_bits_too(self):
        picture = photo(7 * 64, 5 * 64, 40)
        even, guided = (encode("hevc", picture, guide=guide) for guide in (None, dataclasses.replace(uneven(), sharp=False)))
        moved = np.log2(errors(picture, guided, 64) / errors(picture, even, 64)) / 2
        assert np.corrcoef(moved.ravel(), uneven().octaves.ravel())[0, 1] > 0.85

    def test_where_no_map_is_needed_nothing_changes(self):
        even = Guide(np.full((2, 2), 0.4, np.float32))
        assert encode("hevc", photo(96, 80), guide=even) == encode(
            "hevc", photo(96, 80), guide=dataclasses.replace(even, sharp=False)
        )

    def test_kvazaar_looks_past_it(self):
        one, other = (
            encode("kvazaar", photo(192, 128), guide=dataclasses.replace(uneven(), sharp=sharp)) for sharp in (True, False)
        )
        assert one == other


class TestMatrices:
    """High frequencies are quantised more coarsely than low ones."""

    @pytest.mark.parametrize("name", CODECS)
    @pytest.mark.parametrize("quality", [20, 45])
    @pytest.mark.parametrize("flat", [True, False])
    def test_they_are_the_standards(self, name, quality, flat):
        picture, guide = photo(256, 256), Guide(np.zeros((1, 1), np.float32)) if flat else uneven()
        plain, coarser = (encode(name, picture, quality, guide=dataclasses.replace(guide, matrices=on)) for on in (False, True))
        assert 0.7 < len(coarser) / len(plain) < 0.99
        assert -1.5 < psnr_rgb_db(picture, decode(coarser)) - psnr_rgb_db(picture, decode(plain)) < 0
        heads = [told(data) for data in (plain, coarser)]
        assert [head["scaling_list_enabled_flag"] for head in heads] == [0, 1]
        assert heads[1]["sps_scaling_list_data_present_flag"] == 0
        assert heads[1]["pps_scaling_list_data_present_flag"] == 0

    @pytest.mark.parametrize("name", CODECS)
    def test_low_frequencies_are_kept(self, name):
        """The error of means over 8x8 pixels grows less than the rest."""
        picture, even = photo(256, 256), Guide(np.zeros((1, 1), np.float32))
        grown = []
        for on in (False, True):
            error = (
                picture.samples.astype(float)
                - decode(encode(name, picture, 30, guide=dataclasses.replace(even, matrices=on))).samples
            ).mean(2)
            low = error.reshape(32, 8, 32, 8).mean((1, 3))
            grown.append(((low**2).mean(), (error**2).mean() - (low**2).mean()))
        low, high = (coarser / plain for plain, coarser in zip(*grown, strict=True))
        assert low < 1.05 < high + 0.03
        assert low < high

    @pytest.mark.parametrize("chroma", ["422", "444", "gray"])
    def test_of_any_chroma_a_fine_file_is_exact(self, chroma):
        """A decoder that took other matrices would show it."""
        picture = photo(130, 98)
        if chroma == "gray":
            picture = Picture(np.ascontiguousarray(picture.samples[:, :, :1]))
        data = encode("hevc", picture, 97, chroma="420" if chroma == "gray" else chroma, guide=of_machines(uneven()))
        assert told(data)["scaling_list_enabled_flag"] == 1
        assert psnr_rgb_db(picture, decode(data)) > 41

    @pytest.mark.parametrize("name", CODECS)
    def test_the_file_is_as_large_as_one_without(self, name):
        picture = photo(384, 320, 60)
        size = len(encode(name, picture, 40))
        data = encode(name, picture, 40, guide=dataclasses.replace(of_machines(uneven()), hold_rate=True))
        assert abs(len(data) / size - 1) <= 0.01
        assert told(data)["scaling_list_enabled_flag"] == 1


class TestHeldRate:
    @pytest.mark.parametrize("quality", [20, 55, 90])
    @pytest.mark.parametrize("name", CODECS)
    def test_the_file_is_as_large_as_without(self, name, quality):
        picture = photo(384, 320, 60)
        size = len(encode(name, picture, quality))
        data = encode(name, picture, quality, guide=dataclasses.replace(uneven(), hold_rate=True))
        assert abs(len(data) / size - 1) <= 0.01
        moved = errors(picture, data, 64) / errors(picture, encode(name, picture, quality), 64)
        assert moved.max() / moved.min() > 2

    @pytest.mark.parametrize("quality", [1, 100])
    def test_at_the_ends_of_the_scale_too(self, quality):
        picture = photo(384, 320, 60)
        size = len(encode("hevc", picture, quality))
        data = encode("hevc", picture, quality, guide=dataclasses.replace(uneven(), hold_rate=True))
        assert abs(len(data) / size - 1) <= 0.01

    @pytest.mark.parametrize("name", CODECS)
    def test_a_level_of_all_does_not_matter(self, name):
        picture = photo(130, 100)
        lifted = Guide(uneven().octaves + np.float32(0.5), True)
        assert encode(name, picture, guide=lifted) == encode(name, picture, guide=dataclasses.replace(uneven(), hold_rate=True))


class TestFiles:
    @pytest.mark.parametrize("name", CODECS)
    @pytest.mark.parametrize("guide", [uneven(), of_machines(uneven())])
    @pytest.mark.parametrize("size", [(95, 63), (66, 50), (1, 1), (17, 5), (3, 130)])
    def test_any_size_comes_back(self, name, guide, size):
        picture = photo(*size)
        data = encode(name, picture, 90, guide=guide)
        assert decode(data).samples.shape == picture.samples.shape
        assert psnr_rgb_db(picture, decode(data)) > 34
        described = codec_by_name("hevc").describe(data)
        assert (described.width, described.height, described.bytes) == (*size, len(data))
        assert (NOTE_ID in data) == any(side % (2 if name == "hevc" else 8) or side < 8 for side in size)

    @pytest.mark.parametrize("chroma", ["422", "444"])
    def test_hevc_guides_each_chroma(self, chroma):
        picture = photo(130, 67)
        data = encode("hevc", picture, chroma=chroma, guide=halves())
        assert codec_by_name("hevc").describe(data).chroma == chroma
        assert quantiser_heads(hevc_units(data)).varies

    @pytest.mark.parametrize("name", CODECS)
    @pytest.mark.parametrize("guide", [uneven(), of_machines(uneven())])
    @pytest.mark.parametrize("suffix", [None, ".mp4"])
    def test_another_decoder_gives_the_same(self, name, guide, suffix, tmp_path):
        picture = photo(192, 136)
        data = encode(name, picture, suffix=suffix, guide=guide)
        path = tmp_path / "x"
        path.write_bytes(data)
        source = ["-i", str(path)] if suffix else ["-f", "hevc", "-i", str(path)]
        arguments = [ffmpeg_program(), "-loglevel", "warning", *source, "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1"]
        raw = np.frombuffer(run_program(arguments, stdin=b"", timeout_s=60), np.uint8)
        luma, rest = raw[: 192 * 136].reshape(136, 192), raw[192 * 136 :].reshape(2, 68, 96)
        planes = dataclasses.replace(to_ycbcr(picture.samples, "420", full_range=True), planes=(luma, *rest))
        assert (to_samples(planes) == decode(data).samples).all()

    @pytest.mark.parametrize(("size", "block"), [((2048, 1088), 16), ((2050, 1088), 32), ((4098, 64), 32)])
    def test_blocks_are_those_that_levels_allow(self, size, block):
        picture = Picture(np.ascontiguousarray(np.resize(PHOTO, (size[1], size[0], 3))))
        assert hevc.X265(to_ycbcr(picture.samples, "420"), "ultrafast", None).block == block
        assert decode(encode("hevc", picture, 20, "ultrafast", guide=halves())).samples.shape == picture.samples.shape

    @pytest.mark.parametrize("name", CODECS)
    @pytest.mark.parametrize("guide", [uneven(), of_machines(uneven())])
    def test_threads_change_nothing(self, name, guide):
        one, two = (encode(name, photo(200, 140), guide=guide, threads=threads) for threads in (1, 2))
        assert one == two

    def test_each_of_many_regions_is_attached_in_its_turn(self):
        """They pass a filter each, some at once: what all of them together need would grow with the square of their number."""
        regions = [av_frames.Region(16 * (i % 25), 16 * (i // 25), 16, 8, 1 + i % 7) for i in range(350)]
        frame = av_frames.attach_regions(av_frames.load_av().VideoFrame(400, 300, "gray"), regions)
        (data,) = frame.side_data
        found = np.frombuffer(bytes(data), "<i4").reshape(350, 7)  # size of a row, top, bottom, left, right, offset as a fraction
        assert found[:, 1:5].tolist() == [[r.y, r.y + r.height, r.x, r.x + r.width] for r in regions]
        assert np.allclose(found[:, 5] / found[:, 6] * 51, [r.offset for r in regions], atol=1e-3)


class TestBadGuides:
    @pytest.mark.parametrize(
        "octaves", [np.full((2, 2), np.nan), np.full((2, 2), 9), np.zeros((0, 3)), np.zeros(4), np.array([["a"]])]
    )
    def test_the_map(self, octaves):
        with pytest.raises(SettingsError, match="a guide"):
            Guide(octaves)

    @pytest.mark.parametrize("octaves", [2.1, -3, float("nan")])
    def test_chroma(self, octaves):
        with pytest.raises(SettingsError, match="chroma coarser by"):
            Guide(np.zeros((1, 1), np.float32), chroma_octaves=octaves)

    @pytest.mark.parametrize("name", CODECS)
    def test_another_type(self, name):
        with pytest.raises(SettingsError, match=r"no foveal\.codecs\.guide\.Guide"):
            encode(name, photo(64, 64), guide=np.zeros((2, 2)))


class TestTheMapIsSeen:
    def lose_regions(self, monkeypatch):
        monkeypatch.setattr(av_frames, "attach_regions", lambda frame, _: frame)

    @pytest.mark.parametrize(("key", "value"), [("aq-mode", 0), ("aq-strength", 0)])
    def test_not_where_adaptive_quantisation_is_off(self, monkeypatch, key, value):
        real = hevc.X265._options

        def options(*arguments):
            found = real(*arguments)
            return found | {"x265-params": found["x265-params"] + f":{key}={value}"}

        monkeypatch.setattr(hevc.X265, "_options", options)
        with pytest.raises(BackendError, match="ignored the guide"):
            encode("hevc", photo(128, 128), guide=halves())

    def test_not_where_a_constant_qp_is_set(self, monkeypatch):
        real = hevc.X265._options
        monkeypatch.setattr(hevc.X265, "_options", lambda *a: {k: v for k, v in real(*a).items() if k != "crf"} | {"qp": "30"})
        with pytest.raises(BackendError, match="ignored the guide"):
            encode("hevc", photo(128, 128), guide=halves())

    @pytest.mark.parametrize("quality", [1, 50, 100])
    @pytest.mark.parametrize("guide", [halves(), uneven(), of_machines(uneven()), Guide(np.array([[-0.1, 0.1]], np.float32))])
    def test_not_where_the_regions_are_lost(self, monkeypatch, quality, guide):
        self.lose_regions(monkeypatch)
        with pytest.raises(BackendError, match="ignored the guide"):
            encode("hevc", photo(192, 128), quality, guide=guide)

    def test_a_held_rate_looks_too(self, monkeypatch):
        self.lose_regions(monkeypatch)
        with pytest.raises(BackendError, match="ignored the guide"):
            encode("hevc", photo(128, 128), guide=dataclasses.replace(halves(), hold_rate=True))

    @pytest.mark.parametrize("quality", [1, 30, 60, 100])
    @pytest.mark.parametrize("preset", ["ultrafast", "slow"])
    def test_no_false_alarm_where_there_is_little_to_code(self, quality, preset):
        noise = np.random.default_rng(0)
        corner = np.full((320, 320, 3), 255, np.uint8)
        corner[300:, 300:] = noise.integers(0, 256, (20, 20, 3))
        ramp = np.repeat((np.mgrid[:192, :192][1] // 2)[:, :, None], 3, 2).astype(np.uint8)
        faint = noise.integers(127, 130, (256, 256, 3)).astype(np.uint8)
        plain = [np.full((200, 300, 3), level, np.uint8) for level in (0, 128, 255)]
        tiny = [photo(*size).samples for size in ((1, 1), (16, 16), (17, 17), (33, 20))]
        for samples in (corner, ramp, faint, *plain, *tiny):
            for guide in (halves(), uneven(), of_machines(uneven())):
                encode("hevc", Picture(samples), quality, preset, guide=guide)

    def test_kvazaar_says_so_when_it_takes_no_map(self, monkeypatch):
        real = kvazaar._Kvazaar._run
        monkeypatch.setattr(kvazaar._Kvazaar, "_run", lambda self, qp, _: real(self, qp, ()))
        with pytest.raises(BackendError, match="ignored the guide"):
            encode("kvazaar", photo(128, 128), guide=halves())

    def test_kvazaar_dies_by_name(self, monkeypatch):
        monkeypatch.setattr(kvazaar, "_REACH", 51)
        with pytest.raises(BackendError, match=r"(?s)failed with status .*QP delta"):
            encode("kvazaar", photo(192, 64), guide=Guide(np.array([[-8, 8, -8]], np.float32)))

    def test_kvazaar_cannot_name_every_folder(self, monkeypatch, tmp_path):
        folder = tmp_path / "a,b=c"
        folder.mkdir()
        monkeypatch.setattr(kvazaar.tempfile, "tempdir", str(folder))
        with pytest.raises(BackendError, match="let TMPDIR be"):
            encode("kvazaar", photo(128, 128), guide=halves())
        assert list(folder.iterdir()) == []

    def test_an_old_pyav_cannot_tell(self, monkeypatch):
        monkeypatch.setattr(av_frames, "_packets", lambda *_: [b"a packet without side data"])
        with pytest.raises(MissingDependencyError, match="PyAV 16"):
            encode("hevc", photo(64, 64), guide=halves())


def ue(value: int) -> str:
    """An Exp-Golomb number in bits."""
    return "0" * (len(f"{value + 1:b}") - 1) + f"{value + 1:b}"


def unit(kind: int, bits: str) -> Unit:
    return Unit(kind, 0, 0, int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big"))


class TestHeads:
    @pytest.mark.parametrize("preset", ["ultrafast", "medium"])
    @pytest.mark.parametrize("chroma", ["420", "444", "gray"])
    def test_the_quantiser_of_x265(self, preset, chroma):
        picture = photo(64, 80)
        if chroma == "gray":
            picture, chroma = Picture(np.ascontiguousarray(picture.samples[:, :, :1])), "420"
        scale = codec_by_name("hevc").info.scale
        for crf in (12, 33, 47):
            quality = 1 + 99 * (crf + 0.25 - scale.coarse) / (scale.fine - scale.coarse)
            heads = quantiser_heads(hevc_units(encode("hevc", picture, quality, preset, chroma=chroma)))
            assert (heads.varies, heads.slice_qp) == (True, crf - 3)

    @pytest.mark.parametrize("preset", ["ultrafast", "placebo"])
    def test_the_quantiser_of_kvazaar(self, preset):
        for qp in (1, 20, 48):
            quality = 1 + 99 * (48 - qp) / 47
            heads = quantiser_heads(hevc_units(encode("kvazaar", photo(64, 80), quality, preset)))
            assert (heads.varies, heads.slice_qp) == (False, qp)

    @pytest.mark.parametrize(("ordering", "levels"), [(False, (1, 0)), (True, (0, 1)), (True, (1, 1))])
    def test_a_head_of_two_layers(self, ordering, levels):
        """Written here by hand: one of 4:2:0 with offset, and a slice 7 below the picture's 26 + 3."""
        zero, layers = ue(0), f"{levels[0]}{levels[1]}" + "0" * 14 + "0" * (88 * levels[0] + 8 * levels[1])
        size = "0000" + "001" + "0" * 97 + layers + zero + ue(1) + ue(64) + ue(80) + "0"
        sequence = size + zero * 3 + str(int(ordering)) + ue(4) * (6 if ordering else 3) + zero * 6 + "00" + "1"
        picture = zero * 2 + "0" + "1" + "010" + "10" + zero * 2 + ue(5) + "00" + "1"
        head = "10" + zero + "00" + ue(2) + "1" + "11" + ue(14)
        units = [unit(33, sequence), unit(34, picture), unit(19, head)]
        assert quantiser_heads(units) == QuantiserHeads(True, 22)
        for i, what in enumerate(("sequence parameter set", "picture parameter set", "head of the slice")):
            with pytest.raises(DamagedError, match=f"no {what}"):
                quantiser_heads(units[:i] + units[i + 1 :])
            cut = [dataclasses.replace(u, payload=u.payload[:2]) if u is units[i] else u for u in units]
            with pytest.raises((TruncatedError, DamagedError), match=what):
                quantiser_heads(cut)

    def test_lists_of_the_standard_are_read_past(self):
        lists = run_program(
            [ffmpeg_program(), "-loglevel", "error", "-f", "lavfi", "-i", "color=s=64x64", "-frames:v", "1", "-c:v", "libx265",
             "-x265-params", "log-level=none:scaling-list=default", "-f", "hevc", "pipe:1"],
            stdin=b"", timeout_s=60,
        )  # fmt: skip
        heads = told(lists)
        assert (heads["scaling_list_enabled_flag"], heads["sps_scaling_list_data_present_flag"]) == (1, 0)
        qp = 26 + heads["init_qp_minus26"] + heads["slice_qp_delta"]
        assert quantiser_heads(hevc_units(lists)) == QuantiserHeads(bool(heads["cu_qp_delta_enabled_flag"]), qp)

    def test_tools_of_others_are_refused(self):
        """Scaling lists of a file's own."""
        size = "0000" + "000" + "0" * 97 + ue(0) + ue(1) + ue(64) + ue(80) + "0" + ue(0) * 3 + "0" + ue(4) * 3 + ue(0) * 6
        picture = unit(34, ue(0) * 2 + "0" + "0" + "000" + "10" + ue(0) * 2 + ue(5) + "00" + "1")
        head = unit(19, "10" + ue(0) + ue(2) + "11" + ue(14))
        for lists in ("0", "10"):
            assert quantiser_heads([unit(33, size + lists + "0" + "1"), picture, head]) == QuantiserHeads(True, 22)
        with pytest.raises(UnsupportedError, match="scaling lists of its own"):
            quantiser_heads([unit(33, size + "11" + "0" + "1"), picture, head])


class TestKvazaar:
    def test_gray_and_size_of_its_files(self):
        gray = Picture(np.ascontiguousarray(PHOTO[:48, 100:149, 1:2]))
        found = decode(encode("kvazaar", gray, 80))
        assert (found.samples == found.samples[:, :, :1]).all()
        assert psnr_rgb_db(gray, found) > 36

    def test_it_is_as_good_as_x265(self):
        """At the same QP: within 4 % of the bits and 0.4 dB."""
        picture = photo(256, 256)
        ours, theirs = (encode(name, picture, 60, "slower" if name == "kvazaar" else "slow") for name in ("kvazaar", "hevc"))
        assert abs(psnr_rgb_db(picture, decode(ours)) - psnr_rgb_db(picture, decode(theirs))) < 0.4
        assert 0.9 < len(ours) / len(theirs) < 1.1

    def test_matrix_and_range_are_in_the_stream(self):
        red = np.zeros((64, 64, 3), np.uint8)
        red[:, :, 0] = 255
        found = decode(encode("kvazaar", Picture(red), 95)).samples.astype(int)
        assert np.abs(found - red).max() <= 3

    def test_quality_raises_size_and_psnr(self):
        picture = photo(128, 128)
        prepared = codec_by_name("kvazaar").prepare(picture, EncodeSettings(preset="fast"))
        coded = [prepared.encode(quality) for quality in (1, 25, 50, 75, 100)]
        psnrs = [psnr_rgb_db(picture, decode(data)) for data in coded]
        assert [len(data) for data in coded] == sorted({len(data) for data in coded})
        assert psnrs == sorted(psnrs)
        assert (psnrs[0] < 28, psnrs[-1] > 38) == (True, True)

    def test_the_programs_say_nothing(self, capfd):
        encode("kvazaar", photo(70, 50), guide=uneven())
        encode("hevc", photo(70, 50), guide=uneven())
        assert "".join(capfd.readouterr()) == ""
