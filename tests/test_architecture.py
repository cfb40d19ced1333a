"""The import rules of ARCHITECTURE.md, the public names, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import foveal

SOURCE = Path(foveal.__file__).parent
INTEGER_ONLY = {"torch", "safetensors"}
FORBIDDEN = {
    "entropy": {*INTEGER_ONLY, "PIL", "foveal.codecs", "foveal.container", "foveal.media"},
    "container": {*INTEGER_ONLY, "PIL", "constriction", "foveal.codecs", "foveal.media", "foveal.entropy"},
    "media": {*INTEGER_ONLY, "foveal.codecs", "foveal.entropy", "foveal.container"},
    "codecs": {"foveal.cli", "foveal.bench", "foveal.training", "foveal.batch", "foveal.api", "foveal.guidance"},
    "metrics": {"foveal.codecs", "foveal.bench", "foveal.cli"},
    "tasks": {"typer", "rich", "av", "foveal.cli", "foveal.bench", "foveal.training", "foveal.guidance"},
    "guidance": {"typer", "rich", "av", "onnxruntime", "foveal.cli", "foveal.bench", "foveal.training", "foveal.api"},
    "training": {"typer", "rich", "av", "constriction", "foveal.cli", "foveal.bench"},
    "bench": {"foveal.cli", "foveal.training"},
    "theory": {"typer", "foveal.cli", "foveal.bench", "foveal.training", "foveal.tasks", "foveal.guidance"},
    "digits": {"typer", "rich", "foveal.cli", "foveal.training", "foveal.tasks", "foveal.guidance", "foveal.api"},
}


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_packages_import_only_what_they_may(package: str) -> None:
    for path in (SOURCE / package).rglob("*.py"):
        for name in _imports(path):
            parts = name.split(".")
            prefixes = {".".join(parts[: i + 1]) for i in range(len(parts))}
            assert not prefixes & FORBIDDEN[package], f"{path.relative_to(SOURCE)} imports {name}"


def test_only_process_starts_programs() -> None:
    for path in SOURCE.rglob("*.py"):
        if path.name != "process.py":
            assert not _imports(path) & {"subprocess", "os.system"}, path


def test_files_stay_readable() -> None:
    long = {str(p.relative_to(SOURCE)): n for p in SOURCE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 300}
    assert not long


def test_public_names() -> None:
    assert foveal.__all__ == sorted(foveal.__all__)
    assert all(hasattr(foveal, name) for name in foveal.__all__)
    assert len(foveal.__all__) <= 16


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


def test_importing_foveal_is_quick_and_takes_no_torch() -> None:
    """The limit is on processor time, which other programs on the machine disturb least."""
    code = "import time; t = time.process_time(); import foveal, sys; print(time.process_time() - t, 'torch' in sys.modules)"
    seconds, torch_there = min(_python(code).split() for _ in range(3))
    assert torch_there == "False"
    assert float(seconds) < 0.5


def test_training_needs_neither_the_entropy_coder_nor_the_command_line() -> None:
    blocked = "{'constriction', 'av', 'typer', 'rich', 'pytorch_msssim', 'matplotlib', 'imagecodecs'}"
    code = f"import sys\nfor name in {blocked}: sys.modules[name] = None\nimport foveal.training.loop, foveal.training.export\nprint('ok')"
    assert _python(code).strip() == "ok"
