"""Guided codecs and their baselines as curves of a bench."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_run import StepCodec

import foveal.tasks.builtin
from foveal.bench.around_variants import InNetworks, SteeredInNetworks
from foveal.bench.coded_cache import CodedKey
from foveal.bench.detector_boxes import BoxesCodec, blocks_inside
from foveal.bench.guided_variants import Adaptive, ForMachine, InBoxes, LowPass
from foveal.bench.plan import BenchPlan, CodecRun, parse_codecs
from foveal.bench.readers import Reader
from foveal.bench.report import write_report
from foveal.bench.rows import read_rows, select_latest, select_readings
from foveal.bench.run import run_bench
from foveal.bench.trip import settings_of
from foveal.codecs.around.chain import Around
from foveal.codecs.around.preprocess import preprocessing
from foveal.codecs.base import DecodeSettings, EncodeSettings
from foveal.codecs.guide import Guide
from foveal.codecs.registry import codec_by_name
from foveal.errors import InputError, NetworkError, SettingsError
from foveal.guidance.machine import MachineCodec
from foveal.guidance.reader import TASKS, Machine
from foveal.picture import Picture
from foveal.tasks.base import Task
from foveal.tasks.results import Boxes, ClassScores
from foveal.tasks.scorings import scoring
from foveal.tasks.vocabulary import Vocabulary


class Finder(Task):
    """Finds the same boxes everywhere, of these scores."""

    scoring = scoring("detect")
    classes = Vocabulary("things", ("thing",))

    def __init__(self, corners=((40, 60, 90, 130),), scores=(0.9,), label="Finder"):
        self.label, self.seen = label, []
        self.found = Boxes(np.array(corners, np.float32).reshape(-1, 4), np.zeros(len(scores), np.int64), np.float32(scores))

    def prepare(self, source):
        return source

    def predict(self, prepared):
        self.seen.append(prepared)
        return self.found


class Guesser(Finder):
    """Answers classify."""

    scoring = scoring("classify")

    def predict(self, prepared):
        return ClassScores(np.ones(1, np.float32))


def reader(task=None, network_id="id-1"):
    return Reader(task or Finder(), network_id, {})


@pytest.mark.parametrize(
    ("text", "variant", "label"),
    [
        ("hevc:medium:machine", ForMachine(Machine()), "hevc:medium:machine"),
        ("hevc:machine=pose+detect:medium", ForMachine(Machine(("detect", "pose"))), "hevc:medium:machine=detect+pose"),
        ("HEVC:Machine=Fast", ForMachine(Machine(search="fast")), "hevc:machine=fast"),
        ("kvazaar:machine=full", ForMachine(Machine(search="full")), "kvazaar:machine=full"),
        ("vvc:machine=classify+detect+segment+pose", ForMachine(Machine(TASKS)), "vvc:machine"),
        ("frequency:bands=1:machine", ForMachine(Machine()), "frequency:bands=1:machine"),
        ("jpeg:lowpass:444", LowPass(0.7), "jpeg:444:lowpass"),
        ("hevc:lowpass=0.7", LowPass(0.7), "hevc:lowpass"),
        ("hevc:lowpass=1.25", LowPass(1.25), "hevc:lowpass=1.25"),
        ("hevc:444:aq", Adaptive(), "hevc:444:aq"),
        ("hevc:boxes=Finder", InBoxes("Finder", 1.0), "hevc:boxes=Finder"),
        ("hevc:medium:boxes=yolo-x+1.5", InBoxes("yolo-x", 1.5), "hevc:medium:boxes=yolo-x+1.5"),
        ("hevc:boxes=onnx:/Some/Net_2.onnx", InBoxes("onnx:/Some/Net_2.onnx"), "hevc:boxes=Net_2"),
        ("hevc:machine:npp", SteeredInNetworks(ForMachine(Machine()), InNetworks(Around("npp"))), "hevc:npp:machine"),
        ("jpeg:npp=hevc:lowpass", SteeredInNetworks(LowPass(), InNetworks(Around("npp", "hevc"))), "jpeg:npp=hevc:lowpass"),
        ("hevc:compact:boxes=a", SteeredInNetworks(InBoxes("a"), InNetworks(Around(restore="compact"))), "hevc:compact:boxes=a"),
        ("hevc:boxes=torch:a.b:Make+2", InBoxes("torch:a.b:Make", 2.0), "hevc:boxes=a.b:Make+2"),
    ],
)
def test_a_variant_is_one_more_option(text, variant, label):
    (run,) = parse_codecs(text, (10,))
    assert (run.variant, run.label) == (variant, label)
    assert parse_codecs(label, (10,))[0].label == label


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hevc:lowpass=0", "lowpass=0 changes nothing"),
        ("jpeg:aq", "jpeg has no adaptive quantisation of its own; leave adaptive out"),
        ("hevc:aq=2", "aq takes no value"),
        ("vvc:machine=fast", "vvc has no steps of its own inside a picture"),
        ("hevc:machine=fly", "no 'fly'; there are classify, detect, segment, pose, fast, full"),
        ("hevc:machine=pose+pose", "'pose' is one too many"),
        ("hevc:machine=fast+full", "'full' is one too many"),
        ("hevc:machine=", "machine= without a value"),
        ("hevc:lowpass=wide", "lowpass of 'wide'; a number"),
        ("hevc:lowpass=nan", "lowpass of 'nan'; a number"),
        ("hevc:lowpass=65", "a low-pass of sigma = 65.0 pixels; a number of 0 to 64"),
        ("frequency:bands=1:lowpass", "matches the size of whole files; leave bands out"),
        ("hevc:boxes", "boxes without a detector"),
        ("hevc:boxes=", "boxes= without a value"),
        ("hevc:boxes=a+9", "boxes with 9 octaves; above 0 and up to 8"),
        ("hevc:boxes=a+0", "boxes with 0 octaves"),
        ("hevc:aq:machine", "'machine' is not one more setting of hevc; .*variant machine.*, aq, boxes"),
        ("hevc:npp:compact", "'compact' is not one more setting.*once each.*; network npp.*, compact, restored"),
        ("webp:npp:aq:npp", "network npp.=CODEC.$"),
        ("hevc:npp:aq:machine", "'machine' is not one more setting"),
        ("hevc:npp:aq:restored", "'restored' is not one more setting"),
        ("hevc:npp:lowpass=0", "lowpass=0 changes nothing"),
        ("hevc:aq:boxes=a", "'boxes=a' is not one more setting"),
        ("gdn:444", r"once each: variant machine\[=WORD\+WORD\], lowpass\[=PIXELS\], boxes="),
    ],
)
def test_what_a_codec_does_not_have_is_said_at_once(text, words):
    with pytest.raises(SettingsError, match=words):
        parse_codecs(text)


@pytest.fixture
def plan(tmp_path, photo):
    pytest.importorskip("av")
    Image.fromarray(photo.samples[:150, 60:210]).save(tmp_path / "0.png")
    variants = ("", ":machine=detect", ":lowpass=0.5", ":aq", ":boxes=Finder")
    runs = parse_codecs(",".join(f"hevc:ultrafast{variant}" for variant in variants), (30, 50))
    return BenchPlan((tmp_path / "0.png",), runs, tmp_path / "out", ssim=False, threads=1, command="bench", readers=(reader(),))


def test_each_variant_is_a_curve_of_its_own_and_goes_on(plan, monkeypatch):
    done = run_bench(plan)
    assert (done.measured, done.failed) == (1 + 5 * 2 * 2, ())
    file = read_rows(done.path)
    rows = {(row.label.removeprefix("hevc:ultrafast"), row.quality): row for row in file.rows}
    for quality in (30, 50):
        plain, machine, passed, adaptive, boxes = (
            rows[f"{end}", quality] for end in ("", ":machine=detect", ":lowpass=0.5", ":aq", ":boxes=Finder")
        )
        assert (plain.variant, plain.variant_id) == (None, None)
        assert [one.variant for one in (machine, passed, adaptive, boxes)] == [
            "machine=detect",
            "lowpass=0.5",
            "aq",
            "boxes=Finder",
        ]
        assert len({one.bytes for one in (plain, machine, adaptive, boxes)}) == 4
        assert passed.bytes == pytest.approx(plain.bytes, rel=0.01)
        assert passed.psnr_rgb_db < plain.psnr_rgb_db
        assert boxes.bytes < 0.9 * plain.bytes
    ids = {row.variant: row.variant_id for row in file.rows}
    assert len({*ids.values()}) == 5
    assert all(one.variant_id == ids[one.label.partition("ultrafast:")[2] or None] for one in file.readings if one.quality)

    again = run_bench(plan)
    assert (again.measured, again.reused) == (0, 21)
    report = write_report([done.path], plan.out, anchor="hevc:ultrafast", draws=10)
    assert {cell.label.rpartition(":")[2] for cell in report.summary.bd} == {
        "machine=detect",
        "lowpass=0.5",
        "aq",
        "boxes=Finder",
    }
    assert "hevc:ultrafast:boxes=Finder" in report.markdown.read_text()

    card = foveal.tasks.builtin.network_card("proxy")
    monkeypatch.setattr(foveal.tasks.builtin, "network_card", lambda name: replace(card, id="another"))
    anew = run_bench(plan)
    assert (anew.measured, anew.reused) == (2 * 2, 17)
    assert {row.variant for row in read_rows(done.path).rows[-2:]} == {"machine=detect"}
    file = read_rows(done.path)
    kept, notes = select_latest(file.rows)
    assert {row.variant_id for row in kept if row.variant == "machine=detect"} == {file.rows[-1].variant_id}
    assert notes == (
        "hevc:ultrafast:machine=detect: 2 rows of another version, other weights, another guide or another number of threads left out",
    )
    readings = [one for one in select_readings([file.readings], kept)[0] if one.label.endswith("machine=detect")]
    assert [one.variant_id for one in readings] == [file.rows[-1].variant_id] * 2
    older = [one for one in file.readings if one.variant_id != file.rows[-1].variant_id]
    assert not [one for one in select_readings([older], kept)[0] if one.label.endswith("machine=detect")]


def test_a_new_detector_measures_its_boxes_anew(plan):
    run = next(run for run in plan.codecs if run.label.endswith("boxes=Finder"))
    plan = replace(plan, codecs=(run,))
    first = run_bench(plan)
    assert run_bench(plan).measured == 0
    changed = replace(plan, readers=(reader(Finder(corners=((0, 0, 20, 20),)), "id-2"),))
    assert run_bench(changed).measured == 2 * 2 + 1
    sizes = [row.bytes for row in read_rows(first.path).rows]
    assert len({*sizes}) == 4


def test_a_detector_of_no_use_is_said_before_anything_runs(tmp_path):
    plan = BenchPlan((tmp_path / "0.png",), (CodecRun("step", (50,), variant=InBoxes("other")),), tmp_path / "out", ssim=False)
    for readers, variant, error, words in (
        ((), InBoxes("other"), SettingsError, "boxes=other: no network of the bench has that label; there are none"),
        ((reader(),), InBoxes("other"), SettingsError, "there are Finder: add it by --network"),
        ((reader(Guesser()),), InBoxes("Finder"), SettingsError, "it answers classify; a network that answers detect"),
        ((), InBoxes("onnx:none.onnx"), NetworkError, "boxes=onnx:none.onnx: onnx:none.onnx: there is no such file"),
    ):
        with pytest.raises(error, match=words):
            run_bench(
                replace(plan, readers=readers, codecs=(CodecRun("step", (50,), variant=variant),)), load=lambda _: StepCodec()
            )
    assert not plan.out.exists()


def test_blocks_that_a_box_covers_a_part_of_are_inside():
    corners = np.array([(16, 0, 32, 16), (31.5, 33, 33, 47), (-9, 70, 3, 99), (50, 20, 50, 30)], np.float32)
    assert blocks_inside(corners, 60, 75).astype(int).tolist() == [
        [0, 1, 0, 0],
        [0, 0, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 0],
        [1, 0, 0, 0],
    ]
    assert not blocks_inside(corners[:0], 60, 75).any()


class Noting(StepCodec):
    """Notes the guides that it is asked to follow."""

    def __init__(self):
        super().__init__()
        self.info, self.asked = replace(self.info, importance=True), []

    def _prepare(self, picture, settings):
        self.asked.append(settings.guide)
        return super()._prepare(picture, settings)


def test_outside_the_boxes_that_are_sure_blocks_are_coarser(photo):
    picture = Picture(photo.samples[:75, :60].copy())
    codec, finder = Noting(), Finder(((16, 0, 32, 16), (0, 0, 60, 75)), (0.9, 0.29))
    guided = BoxesCodec(codec, finder, 1.5)
    data = guided.encode(picture, EncodeSettings(50))
    (guide,) = codec.asked
    assert not guide.hold_rate
    wanted = np.full((5, 4), 1.5)
    wanted[0, 1] = 0
    assert guide.on_cells(60, 75, 16) == pytest.approx(wanted)
    assert finder.seen == [picture]
    assert guided.decode(data).samples.shape == picture.samples.shape
    with pytest.raises(SettingsError, match="a guide and regions by a detector's boxes"):
        guided.encode(picture, EncodeSettings(guide=Guide(np.zeros((1, 1), np.float32))))


def test_a_picture_without_boxes_gets_a_plain_file(photo):
    codec = Noting()
    plain = codec.encode(photo, EncodeSettings(50))
    assert BoxesCodec(codec, Finder((), ()), 1).encode(photo, EncodeSettings(50)) == plain
    assert BoxesCodec(codec, Finder(scores=(0.2,)), 1).encode(photo, EncodeSettings(50)) == plain
    assert codec.asked == [None] * 3


def test_ids_change_with_all_that_a_variant_depends_on(monkeypatch):
    def ids(*variants, network_id="id-1"):
        return [one.open("hevc", (reader(network_id=network_id),), None).id for one in variants]

    variants = (ForMachine(Machine()), ForMachine(Machine(("pose",))), LowPass(), LowPass(0.8), Adaptive(), InBoxes("Finder"))
    first = ids(*variants, InBoxes("Finder", 1.5))
    assert len({*first}) == 7
    assert ids(*variants) == first[:-1]
    assert ids(InBoxes("Finder"), network_id="id-2") != [first[5]]
    between = InNetworks(Around("npp")), InNetworks(Around("npp", "jpeg"))
    both = [SteeredInNetworks(variant, one) for variant in variants for one in between]
    assert len({*ids(*variants, *between, *both)}) == 6 + 2 + 12
    finer = replace(Machine(), allocation=replace(Machine().allocation, focus=0.7))
    assert ids(ForMachine(finer)) != [first[0]]


def test_only_the_adaptive_variant_changes_settings():
    for variant in (None, ForMachine(Machine()), LowPass(), InBoxes("a")):
        assert not settings_of(CodecRun("hevc", (50,), "444", variant=variant), 50, 1).adaptive
    for variant in (Adaptive(), SteeredInNetworks(Adaptive(), InNetworks(Around("npp")))):
        assert settings_of(CodecRun("hevc", (50,), "444", variant=variant), 50, 1) == EncodeSettings(
            50, "444", threads=1, adaptive=True
        )


def test_steered_in_networks_is_what_an_encode_with_both_is(photo):
    pytest.importorskip("av")
    picture = Picture(photo.samples[:96, :128])
    variant = parse_codecs("hevc:machine:npp")[0].variant
    codec = variant.open("hevc", (), 1).wrap(codec_by_name("hevc"))
    data = codec.encode(picture, EncodeSettings(30, threads=1))
    settings = EncodeSettings(30, threads=1)
    assert data == MachineCodec(preprocessing(codec_by_name("hevc")), hold_rate=False).encode(picture, settings)
    assert data != MachineCodec(codec_by_name("hevc"), hold_rate=False).encode(picture, settings)
    assert codec.decode(data, settings=DecodeSettings(threads=1)).width == 128


def test_kept_files_of_plain_codecs_have_the_names_that_they_had():
    plain = CodedKey("sha", "hevc", 50.0, 1, "1.0", None)
    assert plain.name == hashlib.sha256(json.dumps(["sha", "hevc", 50.0, 1, "1.0", None]).encode()).hexdigest()[:32]
    assert len({plain.name, replace(plain, variant_id="a").name, replace(plain, variant_id="b").name}) == 3


def test_rows_and_readings_of_before_variants_still_read(plan):
    done = run_bench(replace(plan, codecs=plan.codecs[:1]))
    lines = [json.loads(line) for line in done.path.read_text().splitlines()]
    for line in lines:
        for name in ("variant", "variant_id"):
            line.pop(name, None)
    plan.rows_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    old = read_rows(plan.rows_path)
    assert {(row.variant, row.variant_id) for row in old.rows} == {(None, None)}
    assert len(old.readings) == 3
    assert run_bench(replace(plan, codecs=plan.codecs[:1])).measured == 0
    damaged = next(line for line in lines if line["kind"] == "row")
    del damaged["encode_s"]
    plan.rows_path.write_text("".join(json.dumps(line) + "\n" for line in (lines[0], damaged, lines[0])))
    with pytest.raises(InputError, match="line 2: not a record"):
        read_rows(plan.rows_path)


def test_a_network_may_be_spelled_in_place_of_a_label(monkeypatch):
    task, asked = Finder(), []
    task.identity, task.record = "network", "record"

    def open_task(spec, threads=None):
        asked.append((spec, threads))
        return task

    monkeypatch.setattr("foveal.tasks.opening.open_task", open_task)
    variant = InBoxes("onnx:somewhere/Net.onnx")
    assert variant.open("hevc", (reader(),), 3).id != InBoxes("Finder").open("hevc", (reader(),), 3).id
    assert asked == [("onnx:somewhere/Net.onnx", 3)]


def test_paths_of_networks_keep_their_capitals():
    (run,) = parse_codecs("HEVC:MEDIUM:boxes=onnx:/A/B.onnx", (50,))
    assert run.variant == InBoxes(f"onnx:{Path('/A/B.onnx')}")
    assert (run.codec, run.preset) == ("hevc", "medium")
    assert codec_by_name(run.codec).info.adaptive
