from __future__ import annotations

import json
from pathlib import Path

import pytest

from foveal.cli.main import main


def test_a_surface_in_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "surface.png"
    assert main(["rdc", "--out", str(out), "--points", "6", "--p", "0.4", "--flips", "0.05,0.3", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["definition"], about["points"], about["monotone"], about["convex"]) == ("classifier", 36, True, True)
    assert about["closed_form_difference_bits"] < 1e-5
    assert about["gap_bits"] < 1e-5
    assert {path.name for path in tmp_path.iterdir()} == {"surface.png", "surface-contour.png", "surface.csv"}


@pytest.mark.parametrize("definition", ["classifier", "entropy"])
@pytest.mark.parametrize("source", ["bernoulli", "gaussian", "file"])
def test_all_sources_under_both_definitions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, definition: str
) -> None:
    path = tmp_path / "source.json"
    path.write_text('{"probabilities": [0.2, 0.3, 0.5], "labels": [0, 0, 1], "distortion": "hamming", "classifier": [0, 0, 1]}')
    name = str(path) if source == "file" else source
    ranges = ["--d-range", "0.3,0.9"] if source == "gaussian" else []
    assert (
        main(["rdc", "--source", name, "--definition", definition, "--out", str(tmp_path / "s.png"), "--points", "4", *ranges])
        == 0
    )
    said = capsys.readouterr().out
    assert f"{definition} definition" in said
    assert "monotone, convex" in said


def test_points_of_a_codec_are_held_against_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = tmp_path / "codec.csv"
    points.write_text("rate,distortion,classification\n0.9,0.2,0.3\n0.01,0.1,0.3\n0.5,0.2,0.01\n")
    arguments = ["rdc", "--out", str(tmp_path / "s.png"), "--points", "4", "--points-csv", str(points)]
    assert main(arguments) == 0
    *_, outside, first, second, third = capsys.readouterr().out.splitlines()
    assert "1 of 3 operating points lie outside of the axes" in outside
    assert "bit above the limit of 0.2781" in first  # 1 - h(0.2)
    assert "BELOW the limit" in second
    assert "no code can be" in third
    assert main([*arguments, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)["operating_points"]
    assert about[0]["above_bits"] == pytest.approx(0.9 - 0.2781, abs=1e-4)
    assert about[2]["limit"] is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--p", "1.5"], "p = 1.5"),
        (["--p", "nan"], "p = nan"),
        (["--flips", "0.1"], "--flips '0.1'"),
        (["--d-range", "1,0"], "--d-range '1,0'"),
        (["--c-range", "0,inf"], "--c-range '0,inf'"),
        (["--rho", "0.9"], "--rho belongs to --source gaussian"),
        (["--source", "gaussian", "--p", "0.5"], "--p belongs to --source bernoulli"),
        (["--source", "gaussian", "--definition", "entropy", "--threshold", "1"], "threshold 1"),
        (["--source", "Bernoulli"], "bernoulli, gaussian, or a JSON file"),
        (["--source", "gaussian", "--sigma", "1e200"], "sigma = 1e+200"),
        (["--c-range", "a,b"], "--c-range 'a,b'"),
        (["--definition", "fidelity"], "definition 'fidelity'"),
        (["--source", "none.json"], "cannot read none.json"),
        (["--source", "gaussian", "--rho", "2"], "rho = 2"),
        (["--source", "gaussian", "--sigma", "0", "--definition", "entropy"], "sigma"),
        (["--points-csv", "none.csv"], "cannot read none.csv"),
        (["--c-range", "0,0.05"], "nothing to draw"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["rdc", "--out", str(tmp_path / "s.png"), "--points", "3", *arguments]) == 1
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
