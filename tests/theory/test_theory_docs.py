"""What docs/theory.md shows is run as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from foveal.cli.main import main
from foveal.theory.solver import classifier_rate
from foveal.theory.source import Source

DOCS = (Path(__file__).parents[2] / "docs" / "theory.md").read_text(encoding="utf-8")


def _blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)


def test_the_python_of_the_document_runs() -> None:
    blocks = _blocks("python")
    assert len(blocks) >= 6
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/theory.md", "exec"), names)


def test_the_source_of_the_document_is_one(tmp_path: Path) -> None:
    (text,) = _blocks("json")
    (tmp_path / "dice.json").write_text(text)
    source = Source.read(tmp_path / "dice.json")
    assert source.name == "a loaded die of three faces"
    assert classifier_rate(source, 1.0, 0.0) == pytest.approx(1.0, abs=1e-5)  # the class is a fair coin


def test_the_commands_of_the_document_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dice.json").write_text(_blocks("json")[0])
    Path("codec.csv").write_text("rate,distortion,classification\n0.5,0.15,0.25\n")
    commands = [line.split("#")[0] for line in _blocks("")[0].splitlines() if line.startswith("foveal ")]
    assert len(commands) >= 5
    for command in commands:
        words = re.sub(r"--points \d+", "", command)
        assert main([*shlex.split(words)[1:], "--points", "3"]) == 0, command
        assert Path("surface.png").exists()
        assert Path("surface-contour.png").exists()
        assert Path("surface.csv").exists()
