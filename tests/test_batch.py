from __future__ import annotations

import json
import os
import time
import warnings
from functools import partial
from pathlib import Path

import pytest

from foveal.batch import BatchJob, BatchPlan, BatchSummary, Outcome, plan_batch, run_batch, settings_digest
from foveal.batch_log import LOG_NAME
from foveal.errors import FormatError, InputError, PrecisionWarning, SettingsError


def work(fault: str, job: BatchJob) -> int:
    """Writes the input in capitals; files whose content names a fault have it."""
    text = job.source.read_text()
    if text == "bad":
        raise FormatError("this one is damaged")
    if text == "bug":
        raise ZeroDivisionError("a fault of ours")
    if text == "kill":
        os._exit(9)
    if text == "slow":
        time.sleep(1.0)
    if text == "nothing":
        return 0
    if text == "deep":
        warnings.warn("16 bits became 8", PrecisionWarning, stacklevel=1)
    job.target.write_text(text.upper() + fault)
    return len(text)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name, text in {"a.png": "one", "b.JPG": "two", "sub/c.png": "three", "notes.txt": "no", ".hidden.png": "no"}.items():
        (folder / name).write_text(text)
    return folder


def plan_of(source: Path, settings: str = "s") -> BatchPlan:
    return plan_batch(source, source.parent / "out", ".fvl", (".png", ".jpg"), settings)


def run(
    source: Path, settings: str = "s", *, workers: int = 1, overwrite: bool = False, mark: str = ""
) -> tuple[BatchSummary, dict[str, Outcome[int]]]:
    seen: dict[str, Outcome[int]] = {}
    plan = plan_of(source, settings)
    summary = run_batch(
        plan, partial(work, mark), workers=workers, on_done=lambda o: seen.update({o.name: o}), overwrite=overwrite
    )
    assert len(seen) == len(plan.jobs) + len(plan.refused)
    return summary, seen


def states(seen: dict[str, Outcome[int]]) -> dict[str, str]:
    return {name: outcome.state for name, outcome in seen.items()}


def test_finds_pictures_below_and_keeps_relative_paths(source: Path) -> None:
    summary, seen = run(source, workers=2)
    out = source.parent / "out"
    assert summary == BatchSummary(3, 0, ())
    assert {p.relative_to(out).as_posix(): p.read_text() for p in out.rglob("*.fvl")} == {
        "a.fvl": "ONE",
        "b.fvl": "TWO",
        "sub/c.fvl": "THREE",
    }
    assert {name: outcome.result for name, outcome in seen.items()} == {"a.png": 3, "b.JPG": 3, "sub/c.png": 5}


def test_one_failure_is_reported_and_the_rest_done(source: Path) -> None:
    for name, text in {"bad.png": "bad", "bug.png": "bug", "nothing.png": "nothing"}.items():
        (source / name).write_text(text)
    summary, _ = run(source, workers=2)
    reasons = {failure.name: failure.reason for failure in summary.failed}
    assert summary.done == 3
    assert reasons["bad.png"] == "this one is damaged"
    assert reasons["bug.png"] == "ZeroDivisionError: a fault of ours"
    assert "was not written" in reasons["nothing.png"]


def test_a_dying_worker_is_blamed_on_its_job_alone(source: Path) -> None:
    (source / "aa.png").write_text("kill")
    (source / "ab.png").write_text("slow")
    (source / "sub/z.png").write_text("kill")
    start = time.monotonic()
    summary, seen = run(source, workers=3)
    assert summary.done == 4
    assert sorted(failure.name for failure in summary.failed) == ["aa.png", "sub/z.png"]
    assert "worker process died" in seen["aa.png"].reason
    assert time.monotonic() - start < 60


def test_a_second_run_does_only_what_is_missing(source: Path) -> None:
    run(source)
    (source.parent / "out/sub/c.fvl").unlink()
    summary, seen = run(source, mark="!")
    assert states(seen) == {"a.png": "skipped", "b.JPG": "skipped", "sub/c.png": "done"}
    assert (summary.done, summary.skipped) == (1, 2)
    assert (source.parent / "out/a.fvl").read_text() == "ONE"


def test_other_settings_do_all_again(source: Path) -> None:
    run(source, settings_digest("encode", 40))
    assert run(source, settings_digest("encode", 41), mark="!")[0].done == 3
    assert (source.parent / "out/a.fvl").read_text() == "ONE!"
    assert run(source, settings_digest("encode", 41))[0].skipped == 3


def test_a_changed_input_or_a_torn_output_is_done_again(source: Path) -> None:
    run(source)
    (source / "a.png").write_text("six")
    os.utime(source / "a.png", ns=(1, 1))
    (source.parent / "out/b.fvl").write_text("")
    assert states(run(source)[1]) == {"a.png": "done", "b.JPG": "done", "sub/c.png": "skipped"}
    assert (source.parent / "out/a.fvl").read_text() == "SIX"


def test_a_file_that_was_never_ours_is_not_replaced(source: Path) -> None:
    foreign = source.parent / "out/a.fvl"
    foreign.parent.mkdir()
    foreign.write_text("precious")
    summary, seen = run(source)
    assert states(seen) == {"a.png": "failed", "b.JPG": "done", "sub/c.png": "done"}
    assert "no batch of foveal wrote it" in summary.failed[0].reason
    assert foreign.read_text() == "precious"
    assert run(source, overwrite=True)[0] == BatchSummary(1, 2, ())
    assert foreign.read_text() == "ONE"


def test_what_a_killed_run_left_is_known_as_ours(source: Path) -> None:
    run(source)
    log = source.parent / "out" / LOG_NAME
    begun = [line for line in log.read_text().splitlines() if json.loads(line)["output_bytes"] == -1]
    log.write_text("\n".join([*begun, '{"output": "sub/c.f']))
    assert run(source)[0] == BatchSummary(3, 0, ())
    assert run(source)[0] == BatchSummary(0, 3, ())


def test_two_inputs_of_one_output_are_told_apart_by_name(source: Path) -> None:
    (source / "a.jpg").write_text("other")
    summary, _ = run(source)
    assert [failure.name for failure in summary.failed] == ["a.png"]
    assert "a.jpg already writes" in summary.failed[0].reason
    assert (source.parent / "out/a.fvl").read_text() == "OTHER"


def test_an_input_is_never_replaced_by_an_output(source: Path) -> None:
    (source / "b.png").write_text("x")
    plan = plan_batch(source, source, ".png", (".png", ".jpg"), "s")
    assert not plan.jobs or {job.name for job in plan.jobs} == {"b.JPG"}
    summary = run_batch(plan, partial(work, ""), workers=1, overwrite=True)
    assert {failure.name for failure in summary.failed} >= {"a.png", "sub/c.png", "b.png"}
    assert (source / "a.png").read_text() == "one"
    assert (source / "b.png").read_text() == "x"


@pytest.mark.parametrize("out", [".", "inner"])
def test_outputs_are_no_inputs_of_the_next_run(source: Path, out: str) -> None:
    (source / "inner").mkdir()
    if out == "inner":
        (source / "inner/decoded.png").write_text("of another command")
    for expected in (BatchSummary(3, 0, ()), BatchSummary(0, 3, ())):
        plan = plan_batch(source, source / out, ".jpg", (".png", ".jpg"), "s")
        assert {job.name for job in plan.jobs} == {"a.png", "b.JPG", "sub/c.png"}
        assert run_batch(plan, partial(work, ""), workers=1) == expected


def test_warnings_of_a_worker_come_back(source: Path) -> None:
    (source / "a.png").write_text("deep")
    assert run(source)[1]["a.png"].notes == ("16 bits became 8",)


def test_an_input_that_vanishes_is_a_failure(source: Path) -> None:
    plan = plan_of(source)
    (source / "a.png").unlink()
    summary = run_batch(plan, partial(work, ""), workers=1)
    assert summary.done == 2
    assert "a.png" in summary.failed[0].reason


def test_what_cannot_begin_is_refused(source: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        plan_batch(source / "a.png", source, ".fvl", (".png",), "s")
    with pytest.raises(InputError, match="no file of"):
        plan_batch(source, source / "out", ".fvl", (".webp",), "s")
    with pytest.raises(SettingsError, match="workers = 0"):
        run_batch(plan_of(source), partial(work, ""), workers=0)
    (source.parent / "out").write_text("a file")
    with pytest.raises(InputError, match="output folder"):
        run_batch(plan_of(source), partial(work, ""), workers=1)
