"""BD-rate and BD-quality: golden figures, and curves that must be refused or fitted by name."""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foveal.errors import CurveError
from foveal.metrics.bd import Curve, _isotonic, bd_quality, bd_rate
from foveal.metrics.ssim import ssim_db

pytest.importorskip("bjontegaard")
ROOT = Path(__file__).parents[2]
ANCHORS = Path(os.environ.get("FOVEAL_ANCHORS", ROOT.parent / "shared" / "anchors"))

BPP = (0.1, 0.2, 0.4, 0.8, 1.6)
DB = (28.0, 31.0, 34.0, 37.0, 40.0)


def curve(bpp=BPP, db=DB, label="test"):
    return Curve(label, tuple(bpp), tuple(db))


ANCHOR = curve(label="anchor")


@pytest.mark.parametrize("method", ["pchip", "akima"])
def test_known_deltas(method):
    same = bd_rate(ANCHOR, curve(), method=method)
    assert same.value_percent == pytest.approx(0, abs=1e-9)
    assert (same.basis.method, same.basis.fit, same.basis.overlap, same.basis.notes) == (method, None, 1.0, ())
    halved = curve([b / 2 for b in BPP])
    assert bd_rate(ANCHOR, halved, method=method).value_percent == pytest.approx(-50)
    assert bd_rate(halved, ANCHOR, method=method).value_percent == pytest.approx(100)
    # 3 dB for each doubling, so half the rate at equal quality is 3 dB at equal rate.
    assert bd_quality(ANCHOR, halved, method=method).value == pytest.approx(3)


def test_the_order_of_points_and_duplicates_do_not_matter():
    shuffled = curve([0.8, 0.1, 1.6, 0.2, 0.4, 0.2], [37, 28, 40, 31, 34, 31])
    result = bd_rate(ANCHOR, shuffled)
    assert result.value_percent == pytest.approx(0, abs=1e-9)
    assert result.basis.fit is None


def test_a_curve_that_falls_is_refused_or_fitted_by_name():
    falling = curve((*BPP, 3.2), (28, 31, 34, 37, 36.5, 40))
    with pytest.raises(CurveError, match=r"test does not rise: 37 dB at 0.8 bpp, then 36.5 dB at 1.6 bpp; .*fit='pareto'"):
        bd_rate(ANCHOR, falling)
    with pytest.raises(CurveError, match="anchor does not rise"):
        bd_rate(curve(falling.bpp, falling.quality, "anchor"), curve())
    result = bd_rate(ANCHOR, falling, fit="pareto")
    assert result.basis.fit == "pareto"
    assert result.basis.notes == ("test: 1 of 6 points no better than a cheaper one left out",)
    assert result.value_percent == bd_rate(ANCHOR, curve((0.1, 0.2, 0.4, 0.8, 3.2), DB)).value_percent


def test_one_rate_with_two_qualities_is_refused_or_fitted():
    double = curve((*BPP, 0.2), (*DB, 30.0))
    with pytest.raises(CurveError, match="does not rise"):
        bd_rate(ANCHOR, double)
    assert bd_rate(ANCHOR, double, fit="pareto").value_percent == pytest.approx(0, abs=1e-9)


def test_a_plateau_is_not_a_rise():
    flat = curve((*BPP, 3.2), (*DB, 40.0))
    with pytest.raises(CurveError, match=r"40 dB at 1\.6 bpp, then 40 dB at 3\.2 bpp"):
        bd_quality(ANCHOR, flat)


def test_curves_without_overlap_are_refused():
    with pytest.raises(CurveError, match=r"do not overlap: 28\.\.40 and 48\.\.60 dB"):
        bd_rate(ANCHOR, curve(db=[db + 20 for db in DB]))
    with pytest.raises(CurveError, match="the rates of anchor and test do not overlap"):
        bd_quality(ANCHOR, curve([b * 100 for b in BPP]))
    with pytest.raises(CurveError, match="do not overlap"):
        bd_rate(ANCHOR, curve(db=[db + 12 for db in DB]))  # they touch in one point


def test_a_small_overlap_is_said():
    result = bd_rate(ANCHOR, curve(db=[db + 9 for db in DB]))
    assert result.basis.overlap == pytest.approx(0.25)
    assert (result.basis.low, result.basis.high) == (37, 40)
    assert result.basis.notes == ("the qualities of anchor and test share only 25% of the narrower range",)


def test_few_points_are_refused_or_said():
    with pytest.raises(CurveError, match="test has 3 usable points; 4 are needed"):
        bd_rate(ANCHOR, curve(BPP[:3], DB[:3]))
    with pytest.raises(CurveError, match="test has 3 usable points"):  # the same point twice is one point
        bd_rate(ANCHOR, curve((*BPP[:3], BPP[0]), (*DB[:3], DB[0])))
    assert bd_rate(ANCHOR, curve(BPP[:4], DB[:4])).basis.notes == ("test: 4 points, 5 are recommended",)
    with pytest.raises(CurveError, match="test has 0 usable points"):
        bd_rate(ANCHOR, curve((), ()), fit="pareto")


@pytest.mark.parametrize("point", [(math.nan, 30.0), (0.3, math.nan), (0.3, math.inf), (0.0, 30.0), (-1.0, 30.0)])
def test_values_that_are_no_points_are_refused(point):
    with pytest.raises(CurveError, match="finite values and a rate above 0"):
        bd_rate(ANCHOR, curve((*BPP, point[0]), (*DB, point[1])), fit="pareto")


def test_lists_of_different_length_are_refused():
    with pytest.raises(CurveError, match="5 rates and 4 qualities"):
        curve(BPP, DB[:4])


GOLDEN = {  # BD-rate in % against published VTM: PSNR, MS-SSIM
    "measured:avif": (43.5, 4.7), "measured:jpeg": (198.7, 119.6), "measured:jxl": (105.4, 52.0),
    "measured:vvenc": (28.9, 13.9), "measured:webp": (87.2, 59.9), "measured:x265": (50.0, 40.5),
    "measured:x265_444": (25.9, 21.6), "published:compressai-mbt2018-mean_mse_cpu": (21.3, 3.1),
    "published:compressai-bmshj2018-factorized_mse_cpu": (68.1, 17.4), "published:jpeg2000": (98.0, 113.4),
}  # fmt: skip


@pytest.mark.skipif(not ANCHORS.is_dir(), reason="no measured anchors; set FOVEAL_ANCHORS")
@pytest.mark.parametrize("label", GOLDEN)
def test_golden_figures_on_kodak(label):
    anchor, test = _kodak("published:vtm"), _kodak(label)
    found = [bd_rate(base, other).value_percent for base, other in zip(anchor, test, strict=True)]
    assert found == pytest.approx(GOLDEN[label], abs=0.06)


def _kodak(label):
    kind, name = label.split(":")
    if kind == "published":
        data = json.loads((ANCHORS / "published_kodak" / f"{name}.json").read_text())["results"]
        points = list(zip(data["bpp"], data["psnr-rgb"], data["ms-ssim-rgb"], strict=True))
    else:
        by_setting = defaultdict(list)
        for line in (ANCHORS / "measured_kodak.jsonl").read_text().splitlines():
            row = json.loads(line)
            if row["codec"] == name:
                by_setting[row["q"]].append((row["bpp"], row["psnr"], row["ms_ssim"]))
        points = [tuple(map(fmean, zip(*rows, strict=True))) for rows in by_setting.values()]
    bpp, psnr, index = zip(*points, strict=True)
    return Curve(label, bpp, psnr), Curve(label, bpp, tuple(map(ssim_db, index)))


def test_scores_that_fall_are_fitted_isotonically():
    noisy = Curve("noisy", BPP, (50.0, 62.0, 60.0, 64.0, 64.0), "%")
    with pytest.raises(CurveError, match=r"62 % at 0\.2 bpp, then 60 % at 0\.4 bpp"):
        bd_quality(noisy, noisy)
    pooled = Curve("pooled", (0.1, math.sqrt(0.08), 0.8), (50.0, 61.0, 64.0), "%")
    same = bd_rate(pooled, noisy, fit="isotonic")
    assert same.value_percent == pytest.approx(0, abs=1e-9)
    assert same.basis.fit == "isotonic"
    assert "noisy: 2 of 5 points pooled with their neighbours" in same.basis.notes
    better = Curve("better", BPP, tuple(score + 2 for score in noisy.quality), "%")
    found = bd_quality(noisy, better, fit="isotonic")
    assert (found.value, found.unit) == (pytest.approx(2), "%")


@given(st.lists(st.tuples(st.floats(0.01, 4), st.floats(0, 100)), min_size=2, max_size=9, unique_by=lambda point: point[0]))
def test_an_isotonic_fit_rises_and_keeps_the_means(points):
    fitted = _isotonic(sorted(points))
    assert all(a < b and c < d for (a, c), (b, d) in pairwise(fitted))
    assert min(q for _, q in points) - 1e-9 <= fitted[0][1]
    assert fitted[-1][1] <= max(q for _, q in points) + 1e-9


def test_curves_of_two_units_are_refused():
    with pytest.raises(CurveError, match="one unit is needed"):
        bd_rate(ANCHOR, Curve("score", BPP, DB, "%"))


def test_a_plateau_may_be_measured_as_long_as_one_likes():
    short = Curve("short", BPP[:3], (50.0, 90.0, 100.0), "%")
    long = Curve("long", BPP, (50.0, 90.0, 100.0, 100.0, 100.0), "%")
    assert bd_rate(long, short, fit="isotonic").value_percent == pytest.approx(0, abs=1e-9)
