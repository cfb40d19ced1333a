"""What several trainings learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveal.picture import Picture


@pytest.fixture
def photos(tmp_path: Path, photo: Picture) -> Path:
    """A folder of four pictures of other sizes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(4):
        Image.fromarray(np.roll(photo.samples, 40 * i, axis=0)[: 128 + i, :160]).save(folder / f"{i}.png")
    return folder
