"""The command: a whole run, one that goes on, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import time
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from PIL import Image

from foveal.cli.main import main
from foveal.digits.codec import load_networks
from foveal.digits.measure import load_measured
from foveal.digits.plan import Folder, points_of
from foveal.digits.recipe import read_recipe

pytest.importorskip("matplotlib")
pytest.importorskip("scipy")
TOTAL = 2 + 3 + 2 * 2 * 3


def command(recipe: Path, data: Path, out: Path, *more: str) -> list[str]:
    return ["rdc-digits", str(recipe), "--data", str(data), "--out", str(out), *more]


@pytest.fixture(scope="module")
def whole(recipe_file: Path, digits_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main(command(recipe_file, digits_file, out)) == 0
    return out


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of a whole run, to be spoilt."""
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def test_a_whole_run_leaves_points_plots_and_a_report(whole: Path, recipe_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = points_of(read_recipe(recipe_file).grid)
    found = [load_measured(Folder(whole), point) for point in points]
    assert len((whole / "points.csv").read_text().splitlines()) == len(points) + 1
    for one, point in zip(found, points, strict=True):
        assert one is not None
        assert one.row.weights == load_networks(Folder(whole).weights(point)).id
        assert one.row.rate_bits == pytest.approx(one.digits.file_bits.mean())
        assert set(one.digits.file_bits % 8) == {0}
        assert one.row.longest_bytes == one.digits.file_bits.max() / 8
        assert (one.digits.file_bits <= 8 * (one.digits.ideal_bits / 8 + 1)).all()
    report = (whole / "report.md").read_text()
    for words in ("12 codecs", "## Points", "## The claims", "## What contradicts the theory", "`"):
        assert words in report
    for name in ("surface", "rate-distortion", "rate-error", "trade", "held-out"):
        assert f"({name}.png)" in report
        with Image.open(whole / f"{name}.png") as drawn:
            assert drawn.width > 500


def test_a_run_goes_on_and_what_is_made_again_is_the_same(
    run: Path, recipe_file: Path, digits_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, points = Folder(run), points_of(read_recipe(recipe_file).grid)
    before = [load_measured(folder, point) for point in points]
    folder.row(points[0]).unlink()  # killed before its last file
    folder.row(points[1]).write_text("{")  # damaged
    folder.digits(points[2]).write_bytes(b"PK")
    folder.weights(points[3]).unlink()
    assert main(command(recipe_file, digits_file, run, "--json")) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["done"], told["total"], told["report"]) == (TOTAL, TOTAL, str(run / "report.md"))
    assert f"{TOTAL} of {TOTAL}: d" in err
    assert err.splitlines()[0] == f"{TOTAL - 4} of {TOTAL}: work begins"
    assert err.count(" of ") == 5
    for point, one in zip(points, before, strict=True):
        again = load_measured(folder, point)
        assert again is not None
        assert one is not None
        assert (again.digits.ideal_bits == one.digits.ideal_bits).all()
        assert again.row.weights == one.row.weights


@pytest.mark.parametrize("missing", ["matplotlib", "scipy"])
def test_what_the_report_needs_is_asked_for_before_any_work(
    recipe_file: Path,
    digits_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
) -> None:
    known = importlib.util.find_spec

    def without(name: str) -> ModuleSpec | None:
        return None if name == missing else known(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    assert main(command(recipe_file, digits_file, tmp_path / "r")) == 1
    assert f"needs {missing}; pip install 'foveal[bench]'" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_no_time_begins_nothing_and_says_how_to_go_on(
    recipe_file: Path, digits_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(recipe_file, digits_file, tmp_path / "r", "--minutes", "0")) == 0
    assert capsys.readouterr().out.strip().endswith(f"0 of {TOTAL} done, 0 minutes in all; the same command goes on")
    assert not (tmp_path / "r" / "report.md").exists()


def test_a_killed_run_leaves_no_process_and_goes_on_to_the_same(
    run: Path, whole: Path, recipe_file: Path, digits_file: Path
) -> None:
    for path in (run / "points").iterdir():
        path.unlink()
    arguments = command(recipe_file, digits_file, run)
    process = subprocess.Popen(
        [sys.executable, "-m", "foveal", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == f"5 of {TOTAL}: work begins\n"
    assert process.stderr.readline().startswith(f"6 of {TOTAL}: ")
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    done = len(list((run / "points").glob("*.json")))
    rest = process.stderr.read()  # ends when the workers, who hold its other end, have ended too
    process.stderr.close()
    assert process.stdout is not None
    process.stdout.close()
    assert "Traceback" not in rest
    assert 1 <= done < TOTAL - 5
    time.sleep(0.5)
    left = len(list((run / "points").glob("*.json")))
    assert left < TOTAL - 5
    assert main([*arguments, "--jobs", "1"]) == 0
    for point in points_of(read_recipe(recipe_file).grid):
        ours, theirs = load_measured(Folder(run), point), load_measured(Folder(whole), point)
        assert ours is not None
        assert theirs is not None
        assert ours.row.weights == theirs.row.weights
        assert (ours.digits.mse == theirs.digits.mse).all()


def test_a_polite_kill_leaves_no_process_and_no_warning(run: Path, recipe_file: Path, digits_file: Path) -> None:
    for path in (run / "points").iterdir():
        path.unlink()
    process = subprocess.Popen(
        [sys.executable, "-m", "foveal", *command(recipe_file, digits_file, run)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == f"5 of {TOTAL}: work begins\n"
    assert process.stderr.readline().startswith(f"6 of {TOTAL}: ")
    process.terminate()
    out, err = process.communicate(timeout=60)  # ends when the workers, who hold its other end, have ended too
    assert (process.returncode, out) == (128 + signal.SIGTERM, "")
    assert all(" of " in line for line in err.splitlines()), err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[0, 32]", "[8, 32]", "begin with 8; 0 is needed too"),
        ("[0, 32]", "[0]", "classification_weights = [0.0]; the report compares"),
        ("[0.005, 0.05]", "[0.05]", "distortion_weights = [0.05]; the report compares"),
    ],
)
def test_weights_that_the_report_cannot_compare_are_refused_before_any_work(
    recipe_file: Path, digits_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(recipe_file.read_text().replace(old, new))
    assert main(command(other, digits_file, tmp_path / "r")) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("latents = 5", "latents = 6", "recipe.codec.latents is 5 there and 6 here"),
        ("seeds = [1, 2, 3]", "seeds = [1, 2, 4]", "recipe.grid.seeds is [1, 2, 3] there and [1, 2, 4] here"),
    ],
)
def test_another_recipe_is_refused_by_name(
    run: Path,
    recipe_file: Path,
    digits_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    words: str,
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(recipe_file.read_text().replace(old, new))
    assert main(command(other, digits_file, run)) == 1
    err = capsys.readouterr().err
    assert words in err
    assert "--out" in err


def test_other_digits_and_foreign_folders_are_refused(
    run: Path, recipe_file: Path, tmp_path: Path, digits_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    with np.load(digits_file) as held:
        arrays = dict(held)
    arrays["test_labels"] = arrays["test_labels"][::-1]
    np.savez(tmp_path / "other.npz", **arrays)
    assert main(command(recipe_file, tmp_path / "other.npz", run)) == 1
    assert "data is '" in capsys.readouterr().err
    (run / "run.json").write_text("[]")
    assert main(command(recipe_file, digits_file, run)) == 1
    assert "cannot be read" in capsys.readouterr().err
    (run / "run.json").unlink()
    assert main(command(recipe_file, digits_file, run)) == 1
    assert "no run.json" in capsys.readouterr().err


def test_a_classifier_that_is_not_good_enough_stops_the_run(
    recipe_file: Path, digits_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hasty = tmp_path / "hasty.toml"
    text = recipe_file.read_text().replace("least_accuracy = 90", "least_accuracy = 100")
    hasty.write_text(text.replace("[frozen]\nsteps = 60", "[frozen]\nsteps = 1"))
    assert main(command(hasty, digits_file, tmp_path / "r", "--jobs", "1")) == 1
    err = capsys.readouterr().err
    assert "the frozen classifier is right on" in err
    assert "name another --out" in err


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [(["--jobs", "0"], 2, "--jobs"), (["--minutes", "-1"], 2, "--minutes"), ([], 1, "cannot read the digits")],
)
def test_command_lines_that_cannot_be_done_are_told(
    recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], status: int, words: str
) -> None:
    assert main(command(recipe_file, tmp_path / "none.npz", tmp_path / "r", *more)) == status
    assert words in capsys.readouterr().err
