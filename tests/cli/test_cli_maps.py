"""A folder of importance maps: for a batch, and for one picture of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

import foveal
import foveal.codecs.learned.held_map
from foveal.batch import BatchJob, run_batch
from foveal.cli.main import main
from foveal.codecs.base import EncodeSettings
from foveal.codecs.guide import Guide
from foveal.codecs.held_rate import Held
from foveal.errors import InputError, SettingsError
from foveal.files import EncodeRequest, encode_file
from foveal.folders import encode_batch

WITH_MAPS = EncodeRequest("frequency", EncodeSettings(40, threads=1), importance="maps")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures and the maps of two of them, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/more", "maps/more"):
        Path(name).mkdir(parents=True)
    for number, name in enumerate(("a.png", "more/b.png", "c.png")):
        samples = skimage.data.astronaut()[64 * number : 64 * number + 64, 160:256]
        Image.fromarray(samples).save(Path("in") / name)
    ramp = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (64, 1))
    Image.fromarray((255 * ramp).astype(np.uint8)).save("maps/a.PNG")
    np.save("maps/more/b.npy", 1 - ramp)
    return tmp_path


def stand_in(job: BatchJob) -> None:
    """A worker that codes nothing."""
    job.target.write_bytes(b"coded")


def test_each_picture_takes_the_map_of_its_place_and_stem() -> None:
    plan, worker = encode_batch("in", "out", WITH_MAPS)
    assert plan.note == "1 without an importance map"
    for job in plan.jobs:
        job.target.parent.mkdir(parents=True, exist_ok=True)
    taken = {job.name: worker(job).importance for job in plan.jobs}
    assert taken == {"a.png": "maps/a.PNG", "c.png": None, "more/b.png": "maps/more/b.npy"}
    for job in plan.jobs:
        plain = foveal.encode(foveal.read_picture(job.source), quality=40, threads=1)
        mapped = job.beside is not None
        assert (job.target.read_bytes() != plain) == mapped
        assert (foveal.info(job.target.read_bytes()).importance_bytes > 0) == mapped


def test_the_rate_is_held_where_there_is_a_map() -> None:
    request = EncodeRequest("frequency", EncodeSettings(40, threads=1), importance="maps", hold_rate=True)
    plan, worker = encode_batch("in", "out", request)
    Path("out").mkdir()
    reports = {job.name: worker(job) for job in plan.jobs if job.name in ("a.png", "c.png")}
    assert reports["a.png"].quality != 40
    assert reports["c.png"].quality == 40


@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.parametrize(("name", "more"), [("even.png", []), ("ends.png", ["--hold-rate"])])
def test_a_map_that_moved_nothing_is_told_and_not_reported(
    name: str, more: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (8, 8), 99).save("even.png")
    Image.fromarray(np.array([[255, 0], [0, 0]], np.uint8)).save("ends.png")
    encode = ["encode", "in/a.png", "a.fvl", "--json", "--importance"]
    with monkeypatch.context() as patch:
        patch.setattr(foveal.codecs.learned.held_map, "hold_size", lambda *_: Held(50, 1.0))  # no strength holds the rate
        assert main([*encode, name, *more]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["importance"] is None
    assert err.startswith(f"warning: the importance map {name} moved nothing, and the file holds none")
    assert ("leave hold_rate out" in err) == bool(more)
    assert foveal.info(Path("a.fvl").read_bytes()).importance_bytes == 0
    assert main([*encode, "ends.png"]) == 0
    out, err = capsys.readouterr()
    assert (json.loads(out)["importance"], err) == ("ends.png", "")


def test_a_picture_is_coded_again_when_its_map_changes() -> None:
    def done() -> list[str]:
        names = list[str]()
        plan, _ = encode_batch("in", "out", WITH_MAPS)
        run_batch(plan, stand_in, workers=1, on_done=lambda o: names.extend([o.name] * (o.state == "done")))
        return sorted(names)

    assert done() == ["a.png", "c.png", "more/b.png"]
    assert done() == []
    Image.new("L", (5, 5), 9).save("maps/a.PNG")
    assert done() == ["a.png"]
    Image.new("L", (5, 5), 9).save("maps/c.tif")
    assert done() == ["c.png"]
    Path("maps/more/b.npy").unlink()
    assert done() == ["more/b.png"]
    assert done() == []


def test_pictures_are_coded_again_when_the_rate_is_to_be_held() -> None:
    for request, done in ((WITH_MAPS, 3), (WITH_MAPS, 0), (replace(WITH_MAPS, hold_rate=True), 3)):
        plan, _ = encode_batch("in", "out", request)
        states = list[str]()
        run_batch(plan, stand_in, workers=1, on_done=lambda o, states=states: states.append(o.state))
        assert states.count("done") == done


def test_maps_among_the_pictures_folders_are_no_pictures() -> None:
    Path("maps").rename("in/maps")
    plan, _ = encode_batch("in", "out", EncodeRequest("frequency", EncodeSettings(), importance="in/maps"))
    assert {job.name for job in plan.jobs} == {"a.png", "c.png", "more/b.png"}
    assert plan.note == "1 without an importance map"


def test_two_maps_of_one_picture_stop_that_picture_alone() -> None:
    Image.new("L", (5, 5), 9).save("maps/a.tif")
    plan, _ = encode_batch("in", "out", WITH_MAPS)
    assert [job.name for job in plan.jobs] == ["c.png", "more/b.png"]
    (refused,) = plan.refused
    assert refused.name == "a.png"
    assert "several importance maps: maps/a.PNG, maps/a.tif" in refused.reason


def test_folders_that_cannot_serve_are_named() -> None:
    Path("empty").mkdir()
    for importance, words in (("empty", "no importance map in empty"), ("in", "holds the pictures too")):
        with pytest.raises(InputError, match=words):
            encode_batch("in", "out", EncodeRequest("frequency", EncodeSettings(), importance=importance))
    with pytest.raises(SettingsError, match=r"belongs to one picture.*folder of maps"):
        encode_batch("in", "out", EncodeRequest("frequency", EncodeSettings(), importance="maps/a.PNG"))
    given = EncodeSettings(guide=Guide(np.ones((2, 2), np.float32)))
    with pytest.raises(SettingsError, match="belongs to one picture"):
        encode_batch("in", "out", EncodeRequest("frequency", given))


def test_one_picture_takes_its_map_from_a_folder_too() -> None:
    report = encode_file("in/more/b.png", "b.fvl", EncodeRequest("frequency", EncodeSettings(40), importance="maps/more"))
    assert report.importance == "maps/more/b.npy"
    encode_file("in/more/b.png", "same.fvl", EncodeRequest("frequency", EncodeSettings(40), importance="maps/more/b.npy"))
    assert Path("b.fvl").read_bytes() == Path("same.fvl").read_bytes()
    for source, importance, kind, words in (
        ("in/c.png", "maps", InputError, r"no importance map of in/c\.png in maps; c is needed there"),
        ("in/a.png", "in", InputError, "holds the pictures too"),
        ("-", "maps", SettingsError, "standard input has no name"),
    ):
        with pytest.raises(kind, match=words):
            encode_file(source, "none.fvl", EncodeRequest("frequency", EncodeSettings(), importance=importance))
    assert not Path("none.fvl").exists()


def test_the_command_says_how_many_had_no_map(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["encode", "in", "out", "--importance", "maps", "--workers", "1"]
    assert main([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    rows = {row["name"]: row["importance"] for row in map(json.loads, out.splitlines())}
    assert rows == {"a.png": "maps/a.PNG", "c.png": None, "more/b.png": "maps/more/b.npy"}
    assert err == "3 encoded, 0 up to date, 0 failed; 1 without an importance map\n"
    assert main(arguments) == 0
    assert capsys.readouterr().out == "0 encoded, 3 up to date, 0 failed; 1 without an importance map\n"
