"""The wheel, built and installed into an empty environment, encodes and decodes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = """
import numpy as np, foveal
picture = foveal.Picture(np.full((32, 48, 3), 90, np.uint8))
back = foveal.decode(foveal.encode(picture, quality=70))
assert back.samples.shape == (32, 48, 3) and abs(back.samples.astype(int) - 90).max() < 12
assert foveal.__file__.startswith({where!r}), foveal.__file__
print("ok")
"""


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=900, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("foveal-*.whl")
    run(sys.executable, "-m", "venv", "env")
    python = str(tmp_path / "env" / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(wheel))
    assert run(python, "-c", CODE.format(where=str(tmp_path))).strip() == "ok"
    assert "gdn" in run(str(tmp_path / "env" / "bin" / "foveal"), "codecs")
