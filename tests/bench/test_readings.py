"""Networks in a bench: one file for the row and all networks, readings that resume, and accuracy from them."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_run import StepCodec

from foveal.bench.accuracy import accuracies
from foveal.bench.plan import BenchPlan, CodecRun
from foveal.bench.readers import UNCOMPRESSED, Reader
from foveal.bench.readings import Reading
from foveal.bench.report import write_report
from foveal.bench.rows import read_rows, select_latest, select_readings, to_line
from foveal.bench.run import run_bench
from foveal.cli.bench_show import bench_lines, failed_lines
from foveal.errors import LabelError, NetworkError, SettingsError
from foveal.tasks.base import Task
from foveal.tasks.results import Boxes, ClassLabel, ClassScores, TrueBoxes
from foveal.tasks.scorings import scoring
from foveal.tasks.vocabulary import Vocabulary

QUALITIES = (10.0, 50.0, 100.0)


class Brightness(Task):
    """Scores class n by how many samples are n modulo 7: a network that any rounding confuses."""

    scoring = scoring("classify")
    classes = Vocabulary("remainders", tuple("0123456"))

    def __init__(self, label="brightness", broken=()):
        self.label, self.broken, self.seen = label, broken, []

    def prepare(self, source):
        return source.samples

    def predict(self, prepared):
        self.seen.append(prepared)
        if prepared.shape[0] in self.broken:
            raise NetworkError("cannot read that")
        scores = np.bincount(prepared.astype(int).ravel() % 7, minlength=7)
        return ClassScores(scores.astype(np.float32))


@pytest.fixture
def plan(tmp_path):
    paths = []
    for index in range(6):
        samples = np.random.default_rng(index).integers(0, 256, (24 + index, 24, 3), np.uint8)
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(samples).save(paths[-1])
    codecs = (CodecRun("step", QUALITIES),)
    return BenchPlan(tuple(paths), codecs, tmp_path / "out", ssim=False, command="bench", readers=(reader(),))


def reader(task=None, truths=None):
    return Reader(task or Brightness(), "id-1", truths or {f"{n}.png": ClassLabel(n) for n in range(5)})


def test_one_file_serves_the_row_and_all_networks(plan):
    codec, other = StepCodec(), Brightness("other")
    plan = replace(plan, readers=(*plan.readers, reader(other)))
    seen = []
    done = run_bench(plan, lambda record, count, total: seen.append((count, total)), load=lambda _: codec)
    assert (done.measured, done.failed) == (6 * (3 + 2 * 4), ())
    assert seen[-1] == (66, 66)
    assert len(codec.encoded) == 1 + 6 * 3
    file = read_rows(done.path)
    assert (len(file.rows), len(file.readings)) == (18, 48)
    rows = {(row.picture, row.label, row.quality): row for row in file.rows}
    for one in file.readings:
        if one.label == UNCOMPRESSED:
            assert (one.quality, one.bpp, one.agreement) == (None, None, one.agreement)
        else:
            row = rows[one.picture, one.label, one.quality]
            assert (one.bytes, one.bpp) == (row.bytes, row.bpp)
        assert (one.labelled is None) == (one.picture == "5.png")
        assert one.agreement is not None
    assert len(other.seen) == 6 * (1 + 3)


def test_a_network_that_comes_later_reads_the_kept_files(plan):
    run_bench(plan, load=lambda _: StepCodec())
    codec, later = StepCodec(), Brightness("later")
    again = run_bench(replace(plan, readers=(reader(later),)), load=lambda _: codec)
    assert (again.measured, again.reused) == (6 * 4, 18)
    assert codec.encoded == []
    with_both = replace(plan, readers=(*plan.readers, reader(later)))
    assert run_bench(with_both, load=lambda _: codec).measured == 0


def test_readings_are_done_again_when_the_network_or_the_label_changes(plan):
    run_bench(plan, load=lambda _: StepCodec())
    changed = replace(plan, readers=(replace(plan.readers[0], network_id="id-2"),))
    assert run_bench(changed, load=lambda _: StepCodec()).measured == 24
    labels = {**plan.readers[0].truths, "0.png": ClassLabel(6)}
    other = replace(plan, readers=(Reader(Brightness(), "id-2", labels),))
    assert run_bench(other, load=lambda _: StepCodec()).measured == 4
    file = read_rows(plan.rows_path)
    kept, _ = select_readings([file.readings], select_latest(file.rows)[0])
    assert len(kept) == 24
    assert {one.network_id for one in kept} == {"id-2"}


def test_the_bench_itself_says_which_network_and_labels_count(plan, tmp_path):
    run_bench(plan, load=lambda _: StepCodec())
    labels = {**plan.readers[0].truths, "0.png": ClassLabel(6)}
    other = replace(plan, out=tmp_path / "other", readers=(Reader(Brightness(), "id-2", labels),))
    done = run_bench(other, load=lambda _: StepCodec())
    files = [read_rows(done.path), read_rows(plan.rows_path)]
    rows = select_latest([row for file in files for row in file.rows])[0]
    kept, notes = select_readings([file.readings for file in files], rows)
    assert {one.network_id for one in kept} == {"id-2"}
    assert notes == ()  # all that is left out is there anew
    kept, notes = select_readings([file.readings for file in reversed(files)], rows)
    assert {one.network_id for one in kept} == {"id-1"}
    cut = [one for one in files[0].readings if one.label == "uncompressed"]
    kept, notes = select_readings([cut, files[1].readings], rows)
    assert notes == ("brightness: 18 readings of step by another network or record of that name left out",)
    assert {one.label for one in kept} == {"uncompressed"}


def test_readings_by_other_labels_count_for_agreement(plan, tmp_path):
    run_bench(plan, load=lambda _: StepCodec())
    labels = {**plan.readers[0].truths, "0.png": ClassLabel(6)}
    other = replace(plan, out=tmp_path / "other", readers=(Reader(Brightness(), plan.readers[0].network_id, labels),))
    done = run_bench(other, load=lambda _: StepCodec())
    own, also = read_rows(done.path), read_rows(plan.rows_path)
    cut = [one for one in own.readings if one.label == "uncompressed"]
    kept, notes = select_readings([cut, also.readings], select_latest([*own.rows, *also.rows])[0])
    assert notes == ("brightness: 3 readings of step by other labels count for agreement alone",)
    assert len(kept) == 24
    assert all(
        one.labelled is None and one.agreement is not None for one in kept if one.picture == "0.png" and one.label == "step"
    )


def test_a_network_that_fails_on_one_picture_is_reported_and_the_rest_is_done(plan):
    task = Brightness(broken=(26,))
    done = run_bench(replace(plan, readers=(reader(task),)), load=lambda _: StepCodec())
    assert {one.picture for one in done.failed} == {"2.png"}
    assert {one.error for one in done.failed} == {"cannot read that", "on the picture itself: cannot read that"}
    assert (done.measured, len(done.failed)) == (18 + 5 * 4, 4)
    report = write_report([done.path], plan.out / "report", anchor="step")
    text = report.markdown.read_text()
    assert "| brightness | 2.png | – | cannot read that (4 readings) |" in text
    assert failed_lines(done.failed) == ["brightness 2.png: cannot read that (4 readings)"]
    by_labels, by_itself = report.summary.accuracy
    assert (by_labels.pictures, by_labels.left_out) == (4, ("2.png",))  # of five labelled ones
    assert (by_itself.pictures, by_itself.left_out) == (5, ("2.png",))
    assert "4 pictures. Left out, because some reading failed or is not there: 1 picture (2.png)." in text
    mended = run_bench(plan, load=lambda _: StepCodec())
    assert (mended.measured, mended.failed) == (4, ())


def test_a_network_that_fails_on_every_picture_is_told_once_and_has_no_scores(plan):
    task = Brightness("broken", broken=range(100))
    done = run_bench(replace(plan, readers=(*plan.readers, reader(task))), load=lambda _: StepCodec())
    assert len(done.failed) == 6 * 4
    assert failed_lines(done.failed) == ["broken 0.png, 1.png, 2.png, … (6 pictures): cannot read that (24 readings)"]
    report = write_report([done.path], plan.out / "report", anchor="step", draws=10)
    text = report.markdown.read_text()
    assert text.count("cannot read that") == 1
    no_scores = "classify by broken, against labels: no scores; no picture has a reading of every codec and quality."
    assert (
        f"{no_scores} Left out, because some reading failed or is not there: 5 pictures (0.png, 1.png, 2.png, 3.png, 4.png)."
        in text
    )
    assert "6 pictures (0.png, 1.png, 2.png, 3.png, 4.png, …)" in text
    assert [one.network for one in report.summary.accuracy if one.nothing is None] == ["brightness"] * 2


def test_what_a_codec_cannot_code_is_told_by_its_row_alone(plan):
    done = run_bench(plan, load=lambda _: StepCodec(broken=(50.0,)))
    assert len(done.failed) == 6 * 2
    assert failed_lines(done.failed)[-1] == "step 5.png quality 50: cannot do 50"
    assert len(failed_lines(done.failed)) == 6


class Sees(Task):
    """Finds one object of class 0 in every picture, over all of it, of a given score."""

    scoring = scoring("detect")
    classes = Vocabulary("things", ("thing",))

    def __init__(self, label, score):
        self.label, self.score = label, score

    def prepare(self, source):
        return source.samples

    def predict(self, prepared):
        height, width = prepared.shape[:2]
        return Boxes(np.float32([[0, 0, width, height]]), np.zeros(1, np.int64), np.float32([self.score]))


@pytest.mark.parametrize("labelled", [(), (3,), range(12)])
def test_a_set_without_an_object_has_a_word_in_the_place_of_scores(tmp_path, labelled):
    """labelled: the pictures that hold an object; the network is never sure of one. NumPy's warnings are errors here."""
    paths = [tmp_path / f"{index:02}.png" for index in range(12)]
    for path in paths:
        Image.new("RGB", (24, 24), (9, 99, 200)).save(path)
    truths = {
        path.name: TrueBoxes(np.float32([[0, 0, 24, 24]] * (n in labelled)).reshape(-1, 4), np.zeros(int(n in labelled), np.int64), np.zeros(int(n in labelled), bool))
        for n, path in enumerate(paths)
    }  # fmt: skip
    codecs = (CodecRun("step", QUALITIES), CodecRun("other", QUALITIES))
    readers = (Reader(Sees("unsure", 0.1), "id", truths),)
    plan = BenchPlan(tuple(paths), codecs, tmp_path / "out", ssim=False, command="bench", readers=readers)
    done = run_bench(plan, load=lambda _: StepCodec())
    assert not done.failed
    report = write_report([done.path], tmp_path / "report", anchor="step", draws=40)
    text = report.markdown.read_text()
    nothing = "no scores; no object to find in 12 pictures."
    assert f"detect by unsure, against its own results on the uncompressed pictures (agreement): {nothing}" in text
    assert (f"detect by unsure, against labels: {nothing}" in text) == (not labelled)
    assert not re.search(r"\bnan\b", text)
    assert "NaN" not in report.summary_json.read_text()
    assert "other against step, detect by unsure (agreement): none: no object to find" in bench_lines(done, report)
    by_labels = report.summary.accuracy[0]
    if labelled:
        assert by_labels.ceiling[0] > 0
        known = len(labelled) > 1  # of a set with one object a third of the draws holds none
        assert [math.isnan(point.low) for point in by_labels.curves[0].points] == [not known] * 3
    else:
        assert (by_labels.nothing, by_labels.curves) == ("no object to find", ())


def test_a_score_of_nothing_is_kept_by_no_rate():
    miss = made("x", 1.0, "0", False, 1.0).labelled
    readings = [replace(one, labelled=miss) for one in known_readings(50)]
    labels = accuracies(readings, "a", scoring, draws=5)[0]
    assert labels.curves[0].needed == (None,) * 3
    assert labels.deltas[0].refusal == "all points of a and of b score 0"


def test_two_networks_of_one_name_are_refused(plan):
    with pytest.raises(SettingsError, match="brightness is asked for twice"):
        replace(plan, readers=(reader(), reader()))


def made(label, quality, picture, hit, bpp):
    tally = scoring("classify").dump(scoring("classify").tally(ClassScores(np.float32([1, 0])), ClassLabel(int(not hit))))
    return Reading(picture, picture, label, quality, None, "1", None, "classify", "net", "id", "t", 10, bpp, tally, tally)


def known_readings(pictures=400):
    """Codec ``b`` spends half the bits of ``a`` at the same scores: 50, 60, 70, 80, 90 % at 0.1, 0.2, 0.4, 0.8, 1.6 bpp."""
    found = [made(UNCOMPRESSED, None, str(n), n % 100 < 95, None) for n in range(pictures)]
    for step in range(5):
        for n in range(pictures):
            hit = n % 100 < 50 + 10 * step
            found.append(made("a", step + 1.0, str(n), hit, 0.1 * 2**step))
            found.append(made("b", step + 1.0, str(n), hit, 0.05 * 2**step))
    return found


def test_known_curves_give_known_deltas():
    labels, agreement = accuracies(known_readings(), "a", scoring, draws=40)
    assert (labels.truths, agreement.truths) == ("labels", "agreement")
    assert labels.ceiling[0] == 95
    assert labels.pictures == 400
    (delta,) = labels.deltas
    assert delta.label == "b"
    assert delta.rate.value == pytest.approx(-50)
    assert delta.rate.low == pytest.approx(-50)  # the two hit the same pictures, so no draw tells them apart
    assert delta.score.value == pytest.approx(10)
    a, b = labels.curves
    assert [point.scores[0] for point in a.points] == [50, 60, 70, 80, 90]
    assert a.points[0].low < 50 < a.points[0].high
    shares = [estimate and estimate.value for estimate in b.needed]
    assert shares[0] is None  # 94.05 % is never reached
    assert shares[1] is None  # nor is 90.25 %
    assert shares[2] == pytest.approx(0.4 * 2 ** ((0.9 * 95 - 80) / 10))


def test_pictures_without_all_readings_are_left_out_and_counted():
    readings = [one for one in known_readings(100) if not (one.label == "b" and one.quality == 3 and one.picture == "7")]
    labels = accuracies(readings, "a", scoring, draws=5)[0]
    assert (labels.pictures, labels.left_out) == (99, ("7",))


def test_curves_that_never_meet_are_refused_by_name():
    readings = known_readings(100)
    far = [replace(one, label="far", bpp=one.bpp * 1000) for one in readings if one.label == "b"]
    labels = accuracies([*readings, *far], "a", scoring, draws=5)[0]
    assert "do not overlap" in next(delta.refusal for delta in labels.deltas if delta.label == "far")


def test_the_report_holds_plots_tables_and_json(plan, tmp_path):
    rows = run_bench(replace(plan, readers=()), load=lambda _: StepCodec()).path.read_bytes()
    path = tmp_path / "rows.jsonl"
    readings = [replace(one, foveal="v") for one in known_readings(100)]
    like = [replace(row, label=name) for row in read_rows(plan.rows_path).rows for name in ("a", "b")]
    path.write_bytes(rows + b"".join(map(to_line, [*(replace(row, foveal="v") for row in like), *readings])))
    report = write_report([path], tmp_path / "report", anchor="a", draws=20)
    text = report.markdown.read_text()
    assert "classify by net, against labels" in text
    assert "-50.0 [-50.0, -50.0]" in text
    assert "paired bootstrap" in text
    assert (tmp_path / "report" / "classify_net_labels.png").stat().st_size > 10_000
    data = json.loads(report.summary_json.read_text())
    assert data["accuracy"][0]["deltas"][0]["rate"]["value"] == pytest.approx(-50)


def test_a_label_that_cannot_be_read_fails_its_readings_alone(plan):
    class Torn(dict):
        def get(self, name, default=None):
            if name == "1.png":
                raise LabelError("torn")
            return super().get(name, default)

    torn = Reader(Brightness(), "id-1", Torn(plan.readers[0].truths))
    done = run_bench(replace(plan, readers=(torn,)), load=lambda _: StepCodec())
    assert {(one.picture, one.error) for one in done.failed} == {("1.png", "the label: torn")}
    assert len(done.failed) == 4


def test_few_pictures_give_no_interval_and_a_first_point_only_a_bound():
    few = accuracies(known_readings(100), "a", scoring, draws=20)[0]
    assert few.draws == 20
    readings = [one for one in known_readings(100) if int(one.picture) % 20 == 0]
    five = accuracies(readings, "a", scoring, draws=20)[0]
    assert (five.pictures, five.draws) == (5, 0)
    assert all(estimate is None or estimate.low is None for estimate in five.curves[0].needed)
    easy = [one for one in known_readings(100) if one.label != "b" or one.quality == 5]
    curve = accuracies(easy, "a", scoring, draws=20)[0].curves[1]
    assert curve.needed[2].at_most
    assert (curve.needed[2].value, curve.needed[2].low) == (pytest.approx(0.8), None)


def test_one_delta_stands_without_the_other():
    readings = known_readings(200)
    always = made("x", 1.0, "0", True, 1.0).labelled
    better = [
        replace(one, label="c", labelled=always if int(one.picture) % 100 < 91 + one.quality else one.labelled, agreement=None)
        for one in readings
        if one.label == "a"
    ]
    labels = accuracies([*readings, *better], "a", scoring, draws=5)[0]
    delta = next(delta for delta in labels.deltas if delta.label == "c")
    assert delta.rate is None
    assert delta.score.value > 10
    assert "do not overlap" in delta.refusal


def test_curves_that_are_flat_at_the_ceiling_say_so():
    readings = [replace(one, labelled=made("x", 1.0, "0", True, 1.0).labelled) for one in known_readings(50)]
    labels = accuracies(readings, "a", scoring, draws=5)[0]
    assert "have one score" in labels.deltas[0].refusal
