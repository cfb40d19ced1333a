"""The report: files that exist and hold the figures of the rows."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.bench.curves import read_measured, read_published
from foveal.bench.report import write_report
from foveal.bench.rows import Header, Row, to_line
from foveal.errors import InputError, SettingsError

pytest.importorskip("matplotlib")
pytest.importorskip("bjontegaard")
ROOT = Path(__file__).parents[2]
ANCHORS = Path(os.environ.get("FOVEAL_ANCHORS", ROOT.parent / "shared" / "anchors"))
HEADER = Header("2026-01-02T03:04:05+00:00", "foveal bench <x>", "A CPU", 2, "Linux", "3.11", (("numpy", "2"),))
STEPS = range(5)


def row(label, picture, step, *, factor=1.0, offset=0.0, seconds=1.0):
    rate = factor * 0.1 * 2**step * (1 if picture == "a.png" else 3)
    db = 28 + 3 * step + offset + (0 if picture == "a.png" else 1)
    return Row(
        picture=picture, picture_sha256=picture, codec=label, label=label, quality=10.0 * step + 10, chroma=None, preset=None,
        threads=None, foveal="1", weights=None, parameter="p", parameter_value=1.0, width=100, height=80,
        bytes=round(1000 * rate), bpp=rate, psnr_rgb_db=db, psnr_y_db=db + 1, ssim=0.9, ms_ssim=1 - 0.1 / 2**step,
        encode_s=seconds, decode_s=seconds / 10,
    )  # fmt: skip


def rows_of(label, **changes):
    return [row(label, picture, step, **changes) for picture in ("a.png", "b.png") for step in STEPS]


def write(path, rows):
    path.write_bytes(b"".join(map(to_line, [HEADER, *rows])))
    return path


def cell(report, label, metric):
    return next(found for found in report.summary.bd if (found.label, found.metric) == (label, metric))


def test_all_files_are_there_and_hold_the_figures(tmp_path):
    rows = rows_of("base", seconds=2.0) + rows_of("half:444", factor=0.5, seconds=1.0)
    report = write_report([write(tmp_path / "r.jsonl", rows)], tmp_path / "out", anchor="base")
    found = cell(report, "half:444", "psnr_rgb")
    assert found.result.value_percent == pytest.approx(-50)
    assert found.mean_percent == pytest.approx(-50)
    assert (found.pictures, found.computed, found.paired) == (2, 2, 2)
    assert [(t.label, t.encode_ratio, t.decode_ratio, t.encode_s) for t in report.summary.times] == [
        ("base", 1.0, 1.0, 2.0),
        ("half:444", 0.5, 0.5, 1.0),
    ]
    out = tmp_path / "out"
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
        "rd_ms_ssim.png", "rd_psnr.png", "report.html", "report.md", "results/base.json", "results/half-444.json", "summary.json",
    ]  # fmt: skip
    markdown = (out / "report.md").read_text()
    assert "| half:444 | -50.0 | -50.0 (2 of 2) |" in markdown
    assert "| half:444 | 0.5 | 0.5 | 2 |" in markdown
    assert "pchip" in markdown
    assert "A CPU, 2 cores" in markdown
    summary = json.loads((out / "summary.json").read_text())
    assert summary["bd"][0]["result"]["value_percent"] == pytest.approx(-50)
    html = (out / "report.html").read_text()
    assert html.count('src="data:image/png;base64,') == 2
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "foveal bench &lt;x&gt;" in html


def test_one_codec_gets_no_table_of_bd_rates(tmp_path):
    """Nor do curves without a metric in common; a line says why."""
    path = write(tmp_path / "r.jsonl", rows_of("base"))
    (tmp_path / "p.json").write_text('{"results": {"bpp": [1, 2], "ms-ssim": [0.9, 0.95]}}')
    unlike = write(tmp_path / "unlike.jsonl", [replace(one, ms_ssim=None) for one in rows_of("base")])
    for rows, published in ((path, ()), (unlike, (tmp_path / "p.json",))):
        text = write_report([rows], tmp_path / "out", anchor="base", published=published).markdown.read_text()
        assert "## BD-rate" not in text
        assert "- No BD-rates: they compare two curves of one metric, and there are no two." in text
        assert "| base | 1 | 1 | 2 |" in text
    rows = rows_of("base") + rows_of("half", factor=0.5)
    text = write_report([write(tmp_path / "two.jsonl", rows)], tmp_path, anchor="base").markdown.read_text()
    assert "## BD-rate" in text
    assert "No BD-rates" not in text


def test_results_are_means_over_pictures_in_the_compressai_form(tmp_path):
    write_report([write(tmp_path / "r.jsonl", rows_of("base", seconds=2.0))], tmp_path, anchor="base")
    published = read_published(tmp_path / "results" / "base.json")
    curve = published.curve("psnr_rgb")
    assert curve.bpp == pytest.approx([0.2 * 2**step for step in STEPS])
    assert curve.quality == pytest.approx([28.5 + 3 * step for step in STEPS])
    assert published.curve("ms_ssim").quality[0] == pytest.approx(10)
    results = json.loads((tmp_path / "results" / "base.json").read_text())["results"]
    assert sorted(results) == ["bpp", "decoding_time", "encoding_time", "ms-ssim-rgb", "psnr-rgb"]
    assert results["encoding_time"] == [2.0] * 5


def test_plots_show_something_in_every_curves_colour(tmp_path):
    rows = rows_of("base") + rows_of("half", factor=0.5)
    report = write_report([write(tmp_path / "r.jsonl", rows)], tmp_path, anchor="base")
    for path in report.plots:
        pixels = np.array(Image.open(io.BytesIO(path.read_bytes())).convert("RGB")).reshape(-1, 3)
        for colour in ((0, 0, 0), (0xD5, 0x5E, 0x00)):
            assert (pixels == colour).all(axis=1).sum() > 500


def test_drawing_leaves_the_global_state_of_matplotlib_alone():
    code = """
import sys, matplotlib
from foveal.bench.plots import Line, draw_png
from foveal.metrics.bd import Curve
before = matplotlib.rcParams.copy()
assert draw_png([Line(Curve("a", (0.1, 0.2), (30.0, 33.0)), "run")], "title", "dB").startswith(b"\\x89PNG")
print("matplotlib.pyplot" in sys.modules, matplotlib.rcParams.copy() == before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_failed_rows_are_shown_and_leave_out_their_picture_alone(tmp_path):
    rows = rows_of("base") + rows_of("half", factor=0.5)
    rows[-1] = replace(rows[-1], error="a | b\nc", bpp=None, psnr_rgb_db=None, psnr_y_db=None, ms_ssim=None)
    report = write_report([write(tmp_path / "r.jsonl", rows)], tmp_path, anchor="base")
    found = cell(report, "half", "psnr_rgb")
    assert (found.pictures, found.paired) == (1, 1)
    assert found.result.value_percent == pytest.approx(-50)
    assert "half: PSNR (RGB) at all settings for 1 of 2 pictures." in report.summary.notes
    assert [(f.label, f.pictures, f.quality) for f in report.summary.failures] == [("half", ("b.png",), 50.0)]
    assert "| half | b.png | 50 | a \\| b c |" in report.markdown.read_text()


def test_a_setting_that_always_fails_is_no_point_of_the_curve(tmp_path):
    rows = [replace(r, error="no") if r.quality == 50 else r for r in rows_of("half", factor=0.5)]
    report = write_report([write(tmp_path / "r.jsonl", rows_of("base") + rows)], tmp_path, anchor="base")
    found = cell(report, "half", "psnr_rgb")
    assert found.result.value_percent == pytest.approx(-50)
    assert found.result.basis.notes == ("half: 4 points, 5 are recommended",)


def test_curves_that_cannot_be_compared_say_why(tmp_path):
    falling = [replace(r, psnr_rgb_db=20.0) if r.quality == 50 else r for r in rows_of("falling")]
    above = rows_of("above", offset=40.0)
    report = write_report([write(tmp_path / "r.jsonl", [*rows_of("base"), *falling, *above])], tmp_path, anchor="base")
    fitted = cell(report, "falling", "psnr_rgb")
    assert fitted.result.basis.fit == "pareto"
    assert (fitted.computed, fitted.paired) == (0, 2)
    refused = cell(report, "above", "psnr_rgb")
    assert refused.result is None
    assert "do not overlap" in refused.refusal
    text = report.markdown.read_text()
    assert "| falling | +0.0† | – (0 of 2) |" in text.replace("-0.0", "+0.0")
    assert "| above | – | – (0 of 2) |" in text
    assert "above, PSNR (RGB): none, the qualities of base and above do not overlap" in text


def test_infinite_and_undefined_values_are_left_out(tmp_path):
    rows = [replace(r, psnr_rgb_db=float("inf")) if r.quality == 50 else r for r in rows_of("half", factor=0.5)]
    rows = [replace(r, ms_ssim=None) for r in rows]
    report = write_report([write(tmp_path / "r.jsonl", rows_of("base") + rows)], tmp_path, anchor="base")
    assert cell(report, "half", "psnr_rgb").dropped_infinite == 1
    assert cell(report, "half", "psnr_rgb").result.value_percent == pytest.approx(-50)
    assert cell(report, "half", "ms_ssim").result is None
    results = json.loads((tmp_path / "results" / "half.json").read_text())["results"]
    assert len(results["bpp"]) == len(results["psnr-rgb"]) == 4
    assert "ms-ssim-rgb" not in results


def test_an_unknown_anchor_or_no_good_row_is_named(tmp_path):
    path = write(tmp_path / "r.jsonl", rows_of("base"))
    with pytest.raises(SettingsError, match="no curve 'vtm' to compare with; there are base"):
        write_report([path], tmp_path, anchor="vtm")
    with pytest.raises(SettingsError, match="no curve 'x'"):
        write_report([path], tmp_path, anchor="base", time_anchor="x")
    bad = write(tmp_path / "bad.jsonl", [replace(row("base", "a.png", 0), error="broken")])
    with pytest.raises(InputError, match=r"no good row .*; the first error: broken"):
        write_report([bad], tmp_path, anchor="base")


@pytest.mark.parametrize("text", ["{", "{}", '{"results": {"bpp": [1, 2], "psnr": [1]}}', '{"results": {"bpp": ["x"]}}', "[]"])
def test_damaged_published_files_are_named(tmp_path, text):
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"p\.json is not a results file"):
        read_published(path)


def test_damaged_measured_files_are_named(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"image": "a.png"}\n')
    with pytest.raises(InputError, match=r"m\.jsonl, line 1: not a measured point"):
        read_measured(path)


@pytest.mark.skipif(not ANCHORS.is_dir(), reason="no measured anchors; set FOVEAL_ANCHORS")
def test_published_and_measured_curves_are_drawn_beside_and_serve_as_anchors(tmp_path):
    path = write(tmp_path / "r.jsonl", rows_of("base"))
    published = [ANCHORS / "published_kodak" / name for name in ("vtm.json", "paper-elic2022_ms-ssim.json")]
    measured = ANCHORS / "measured_kodak.jsonl"
    report = write_report([path], tmp_path, anchor="published:vtm", published=published, measured=measured)
    assert cell(report, "measured:avif", "psnr_rgb").result.value_percent == pytest.approx(43.5, abs=0.06)
    assert cell(report, "measured:avif", "ms_ssim").result.value_percent == pytest.approx(4.7, abs=0.06)
    assert cell(report, "measured:avif", "psnr_rgb").paired == 0
    assert cell(report, "published:paper-elic2022_ms-ssim", "psnr_rgb").result is None
    assert cell(report, "published:paper-elic2022_ms-ssim", "ms_ssim").result.value_percent == pytest.approx(-12.8, abs=0.1)
    assert report.summary.time_anchor == "base"
    paired = write_report([path], tmp_path, anchor="measured:x265", measured=measured)
    assert cell(paired, "measured:jpeg", "psnr_rgb").paired == 24
    assert cell(paired, "measured:jpeg", "psnr_rgb").computed > 20
