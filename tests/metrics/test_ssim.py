"""SSIM and MS-SSIM against the library called directly, and the sizes they are defined for."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from foveal.errors import PictureError
from foveal.metrics.ssim import ms_ssim, ssim, ssim_db
from foveal.picture import Picture

pytest.importorskip("pytorch_msssim")


def noise(height, width, channels=3, seed=0):
    return Picture(np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8))


def distorted(picture, strength=20):
    error = np.random.default_rng(1).normal(0, strength, picture.samples.shape)
    return Picture(np.clip(picture.samples + error, 0, 255).astype(np.uint8))


def test_identical_pictures_give_one():
    picture = noise(170, 180)
    assert ssim(picture, picture) == pytest.approx(1, abs=1e-6)
    assert ms_ssim(picture, picture) == pytest.approx(1, abs=1e-6)


def test_equals_the_library_called_directly():
    import pytorch_msssim
    import torch

    a = noise(161, 200)
    b = distorted(a)
    tensors = [torch.tensor(p.samples, dtype=torch.float32).permute(2, 0, 1)[None] for p in (a, b)]
    assert ssim(a, b) == pytest.approx(float(pytorch_msssim.ssim(*tensors, data_range=255)), abs=1e-6)
    assert ms_ssim(a, b) == pytest.approx(float(pytorch_msssim.ms_ssim(*tensors, data_range=255)), abs=1e-6)
    assert 0.5 < ssim(a, b) < ms_ssim(a, b) < 1


def test_gray_equals_its_rgb():
    gray = noise(165, 165, 1)
    other = distorted(gray)
    assert ms_ssim(gray, other) == pytest.approx(ms_ssim(Picture(gray.rgb()), Picture(other.rgb())))


def test_a_callers_autocast_changes_nothing():
    import torch

    a = noise(161, 161)
    b = distorted(a)
    plain = ssim(a, b), ms_ssim(a, b)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (ssim(a, b), ms_ssim(a, b)) == plain


def test_too_small_pictures_are_refused_by_name():
    with pytest.raises(PictureError, match="160x300 is not defined; each side must be 161"):
        ms_ssim(noise(300, 160), noise(300, 160))
    with pytest.raises(PictureError, match="each side must be 11"):
        ssim(noise(10, 30), noise(10, 30))
    assert ssim(noise(11, 11), noise(11, 11)) == pytest.approx(1, abs=1e-6)


def test_decibels():
    assert ssim_db(0.9) == pytest.approx(10)
    assert ssim_db(0.99) == pytest.approx(20)
    assert ssim_db(1.0) == math.inf


def test_importing_the_metrics_imports_no_torch():
    modules = "foveal.metrics.ssim, foveal.metrics.psnr, foveal.metrics.bd, foveal.bench.run, foveal.bench.report"
    code = f"import {modules}, sys; print([m for m in ('torch', 'matplotlib', 'scipy', 'bjontegaard') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
