"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

# Under several test workers, each takes one thread: more would only wait for each other. Set before torch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from foveal.picture import Picture

settings.register_profile("foveal", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("foveal")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real pictures; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("FOVEAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real pictures at {folder}; set FOVEAL_DATA to measure on them")
    return folder


@pytest.fixture(scope="session")
def photo() -> Picture:
    """A real photograph, 256x256."""
    skimage = pytest.importorskip("skimage.data", reason="scikit-image brings the test photographs: pip install scikit-image")
    return Picture(np.ascontiguousarray(skimage.astronaut()[0:256, 128:384]))


@pytest.fixture(scope="session")
def kodak(data_folder: Path) -> list[Picture]:
    """The 24 Kodak pictures."""
    paths = sorted((data_folder / "kodak").glob("*.png"))
    assert len(paths) == 24
    return [Picture(np.asarray(Image.open(path).convert("RGB"))) for path in paths]
