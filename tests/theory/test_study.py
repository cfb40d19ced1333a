from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.errors import InputError, TheoryError
from foveal.theory.operating import OperatingPoint, read_points, standings
from foveal.theory.plots import contour_png, surface_png
from foveal.theory.solver import Points
from foveal.theory.source import Source
from foveal.theory.sources import bernoulli
from foveal.theory.study import study
from foveal.theory.subject import bernoulli_subject, gaussian_subject, largest_difference, source_subject
from foveal.theory.surface import COLUMNS

ASYMMETRIC = bernoulli_subject(0.4, (0.05, 0.3), "classifier")


def _picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_the_ranges_begin_where_nothing_is_reached_and_end_where_nothing_is_sent() -> None:
    surface = ASYMMETRIC.surface(10)
    assert not surface.feasible[:, 0].any()
    assert surface.feasible[:, -1].all()
    assert surface.rate[-1, -1] == 0.0
    assert surface.rate[0, -1] == pytest.approx(0.971, abs=1e-3)
    closed = ASYMMETRIC.closed_surface(surface)
    assert closed is not None
    assert largest_difference(surface, closed) < 1e-5


def test_a_difference_in_what_is_feasible_is_infinite() -> None:
    wide, narrow = ASYMMETRIC.surface(4), ASYMMETRIC.surface(4, classification=(0.3, 0.4))
    assert largest_difference(wide, narrow) == math.inf


def test_sources_without_anything_to_choose_have_a_surface_too() -> None:
    one = Source(np.array([1.0]), np.array([[1.0, 0.0]]), np.array([[0.0]]), np.array([[1.0, 0.0]]))
    for definition in ("classifier", "entropy"):
        surface = source_subject(one, definition).surface(3)
        assert (surface.rate == 0).all()


def test_the_table_has_every_point_and_says_inf() -> None:
    surface = ASYMMETRIC.surface(3)
    rows = list(csv.DictReader(io.StringIO(surface.csv())))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 9
    assert [row["rate_bits"] == "inf" for row in rows] == [row["feasible"] == "0" for row in rows]
    assert float(rows[2]["rate_bits"]) == pytest.approx(surface.rate[0, 2], abs=1e-9)
    assert float(rows[2]["classification"]) == pytest.approx(surface.classification[2])


def test_prices_are_the_slopes_of_the_surface() -> None:
    points = np.array([[0.2, 0.25], [0.2001, 0.25], [0.2, 0.2501]])
    found = ASYMMETRIC.solve(points)
    slopes = (found.rate[0] - found.rate[1:]) / 1e-4
    assert found.prices[0] == pytest.approx(slopes, abs=0.03)


def test_operating_points_and_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "codec.csv"
    path.write_text("name, rate ,distortion,classification\na,0.5,0.15,0.25\nb,0.1,0.15,0.25\nc,0.3,0.3,0.01\n")
    points = read_points(path)
    assert points[0] == OperatingPoint(0.5, 0.15, 0.25)
    above, below, nowhere = standings(ASYMMETRIC, points)
    assert above.above_bits == pytest.approx(0.5 - above.limit)
    assert 0 < above.above_bits < 0.5
    assert below.above_bits < 0
    assert (nowhere.limit, nowhere.above_bits) == (math.inf, -math.inf)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column 'rate'"),
        ("rate,distortion\n1,2\n", "no column 'classification'"),
        ("rate,distortion,classification\n", "0 points"),
        ("rate,distortion,classification\n1,2,x\n", "line 2: classification = 'x'"),
        ("rate,distortion,classification\n1,nan,1\n", "distortion = 'nan'"),
        ("rate,distortion,classification\n-1,2,1\n", "line 2: rate = '-1'"),
        ("rate,distortion,classification\n1,2\n", "classification = None"),
    ],
)
def test_a_file_of_points_that_says_nothing_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "codec.csv"
    path.write_text(text)
    with pytest.raises(TheoryError, match=says):
        read_points(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TheoryError, match="UTF-8"):
        read_points(path)


def test_the_plots_show_the_surface_what_is_out_of_reach_and_the_points() -> None:
    surface = ASYMMETRIC.surface(30)
    standing = standings(ASYMMETRIC, (OperatingPoint(0.8, 0.3, 0.25),))
    for draw, gray in ((surface_png, 1000), (contour_png, 10_000)):
        plain, pointed = _picture(draw(surface, "C")), _picture(draw(surface, "C", standing))
        for color, least in (((217, 217, 217), gray), ((68, 1, 84), 20)):  # gray, more than a legend's; the darkest of the scale
            assert (np.abs(plain.astype(int) - color).max(axis=2) < 12).sum() > least, (draw, color)
        orange = [(np.abs(p.astype(int) - (213, 94, 0)).max(axis=2) < 12).sum() for p in (plain, pointed)]
        assert orange[0] == 0 < 20 < orange[1]


def test_a_cell_is_gray_only_where_none_of_its_corners_can_be_reached() -> None:
    """Of three points on an axis only those of the first column are out of reach, so each cell of theirs holds some of the border."""
    surface = ASYMMETRIC.surface(3)
    assert surface.feasible.sum() == 6
    picture = _picture(contour_png(surface, "C"))
    assert (np.abs(picture.astype(int) - 217).max(axis=2) < 12).sum() < 10_000  # such as the legend's


def test_a_legend_covers_nothing() -> None:
    surface = ASYMMETRIC.surface(30)
    picture = _picture(contour_png(surface, "C"))
    height, width = picture.shape[:2]
    corner = picture[int(0.16 * height) : int(0.22 * height), int(0.7 * width) : int(0.78 * width)]
    assert corner[:, :, 1].max() < 60  # the green of the lowest rates; that of a legend's paper is 255


def test_a_name_is_no_formula() -> None:
    surface = replace(ASYMMETRIC.surface(3), name="x_{$ and $}")
    assert _picture(surface_png(surface, "C")).any()
    assert _picture(contour_png(surface, "C")).any()


def test_nothing_to_draw_is_an_error() -> None:
    surface = ASYMMETRIC.surface(3, classification=(0.0, 0.1))
    with pytest.raises(TheoryError, match="nothing to draw"):
        surface_png(surface, "C")


def test_a_study_writes_three_files_and_tells_of_them(tmp_path: Path) -> None:
    report = study(ASYMMETRIC, tmp_path / "s.png", points=8)
    assert [Path(file).name for file in report.files] == ["s.png", "s-contour.png", "s.csv"]
    assert all(Path(file).stat().st_size > 500 for file in report.files)
    assert report.closed_form_difference_bits is not None
    assert report.closed_form_difference_bits < 1e-5
    assert (report.points, report.feasible, report.monotone, report.convex) == (64, 56, True, True)
    formula = study(gaussian_subject(1.0, 0.9, "entropy"), tmp_path / "g.png", points=6)
    assert formula.closed_form_difference_bits is None
    for out in (tmp_path / "s.pdf", ""):
        with pytest.raises(InputError, match=r"out '.*' must end in"):
            study(ASYMMETRIC, out)
    with pytest.raises(TheoryError, match=r"range 1\.\.0"):
        study(ASYMMETRIC, tmp_path / "s.png", distortion=(1.0, 0.0))


def test_what_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    def work(points: np.ndarray) -> Points:
        raise AssertionError(f"{len(points)} points were worked on")

    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "codec.csv").write_text("rate,distortion,classification\n0.5,0.15,0.25\n")
    subject = replace(ASYMMETRIC, solve=work)
    for out in ("none/s.png", "file/s.png", "folder.png"):
        with pytest.raises(InputError, match=f"cannot write .*{out.split('/')[0].split('.')[0]}"):
            study(subject, tmp_path / out)
    with pytest.raises(InputError, match="written over the points"):
        study(subject, tmp_path / "codec.png", points_csv=tmp_path / "codec.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codec.csv", "file", "folder.csv"]


def test_points_beyond_the_axes_are_counted_and_told_of_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "codec.csv").write_text("rate,distortion,classification\n0.5,0.15,0.25\n0.5,2,0.25\n")
    report = study(ASYMMETRIC, tmp_path / "s.png", points=4, points_csv=tmp_path / "codec.csv")
    assert (len(report.operating_points), report.not_drawn) == (2, 1)


def test_a_subject_says_all_that_it_hangs_on() -> None:
    assert gaussian_subject(1.0, 0.9, "classifier", threshold=1.0).name == "Gaussian, sigma 1, rho 0.9, threshold 1"
    assert gaussian_subject(1.0, 0.9, "classifier").name == "Gaussian, sigma 1, rho 0.9"
    assert "standard deviation 1" in gaussian_subject(2.0, 0.9, "entropy").axis_name
    assert "H(S|U)" in source_subject(bernoulli(), "entropy").axis_name
    with pytest.raises(TheoryError, match="threshold 1"):
        gaussian_subject(1.0, 0.9, "entropy", threshold=1.0)
