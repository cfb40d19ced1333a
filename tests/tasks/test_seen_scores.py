"""The scores that others saw of third-party networks, reached on the pictures themselves.

The networks are found through FOVEAL_MODELS, default ../shared/models beside the repository.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foveal.media.image_io import read_picture
from foveal.tasks.labels import LabelledSet, NetworkTruths, known_set
from foveal.tasks.opening import open_task
from foveal.tasks.pixel import PixelTask
from foveal.tasks.results import Joints, Result, Truth

pytestmark = pytest.mark.slow

MODELS = Path(os.environ.get("FOVEAL_MODELS", Path(__file__).parents[3] / "shared" / "models"))
PLACES = {"classify": "imagenet500", "detect": "coco/val2017", "segment": "coco/val2017", "pose": "pose"}


def _open(spelling: str) -> PixelTask:
    kind, _, name = spelling.partition(":")
    if not (MODELS / name).is_file():
        pytest.skip(f"no network {MODELS / name}; set FOVEAL_MODELS to measure it")
    pytest.importorskip({"onnx": "onnxruntime", "tflite": "ai_edge_litert"}[kind], reason=f"{kind} networks cannot be run here")
    return open_task(f"{kind}:{MODELS / name}", threads=1)


def _labels(task: PixelTask, data_folder: Path) -> LabelledSet:
    found = known_set(data_folder / PLACES[task.scoring.name])
    if found is None:
        pytest.skip(f"no {PLACES[task.scoring.name]} in {data_folder}")
    return found.labels(task.scoring.name)


@cache
def _read(spelling: str, data_folder: Path) -> tuple[PixelTask, Mapping[str, Result], Mapping[str, Truth]]:
    """The network, what it says of each picture, and what is labelled, in its classes."""
    task = _open(spelling)
    labels = _labels(task, data_folder)
    truths = NetworkTruths(labels, task.classes, {picture: picture.stem for picture in labels.pictures})
    return task, {picture.stem: task.analyze(read_picture(picture)) for picture in labels.pictures}, truths


def _scores(spelling: str, data_folder: Path) -> dict[str, float]:
    task, results, truths = _read(spelling, data_folder)
    tallies: list[Any] = [task.scoring.tally(results[name], truths[name]) for name in truths]
    return dict(zip([metric.name for metric in task.scoring.metrics], task.scoring.scores(tallies).tolist(), strict=True))


@pytest.mark.parametrize(
    ("network", "metric", "seen"),
    [
        ("onnx:mobilenet_v2_imagenet.onnx", "top1", 88.8),
        ("tflite:mobilenet_v1_0.75_192_quant.tflite", "top1", 80.7),
        ("onnx:yolox_nano_coco.onnx", "ap50", 50.2),
        ("tflite:deeplabv3_mnv2_pascal_quant.tflite", "miou", 49.0),
        ("tflite:deeplabv3_mnv2_pascal_quant.tflite", "pixel_accuracy", 88.0),
    ],
)
def test_scores_are_those_that_were_seen(network: str, metric: str, seen: float, data_folder: Path) -> None:
    assert _scores(network, data_folder)[metric] == pytest.approx(seen, abs=1.0)


@pytest.mark.parametrize(
    ("network", "metric", "seen", "here"),
    [("onnx:yolox_nano_coco.onnx", "ap75", 35.6, 37.7), ("onnx:yolo_fastestv2_coco.onnx", "ap50", 33.0, 34.5)],
)
def test_scores_that_are_above_those_seen(network: str, metric: str, seen: float, here: float, data_folder: Path) -> None:
    """AP75 hangs on how boxes come back to pixels: resizing as Pillow does gives 35, as OpenCV does 36 to 38. The score of
    Yolo-FastestV2 was seen as "about 33", which sets no place behind the point; detections below 0.05 add one point to it.
    """
    score = _scores(network, data_folder)[metric]
    assert score >= seen - 1
    assert score == pytest.approx(here, abs=1.0)


def test_pose(data_folder: Path) -> None:
    """The .67 was seen on 250 pictures that are not named, by a definition that is not either. It is met with a torso (left shoulder
    to right hip) taken also where its joints are hidden and their places in the file are no places: too long a torso, which
    forgives too much. Samples of 250 pictures give 63 to 70 so; the mean over pictures, where joints are pooled here, 68.2.
    What foveal reports, of pictures with a visible torso, is lower, and asserted below.
    """
    task, results, truths = _read("tflite:movenet_single_pose_lightning_ptq.tflite", data_folder)
    body = [index for index, name in enumerate(task.classes.names) if name.split()[-1] in _LIMBS]
    shoulder, hip = task.classes.index("left shoulder"), task.classes.index("right hip")
    near, joints = 0, 0
    for name in truths:
        result, truth = results[name], truths[name]
        assert isinstance(result, Joints)
        assert isinstance(truth, Joints)
        torso = np.linalg.norm(truth.points[shoulder] - truth.points[hip])
        visible = [index for index in body if truth.scores[index] > 0]
        if torso > 0:
            away = np.linalg.norm(result.points[visible] - truth.points[visible], axis=1)
            near, joints = near + int((away <= torso / 2).sum()), joints + len(visible)
    assert 100 * near / joints == pytest.approx(67, abs=1.0)
    tallies = [task.scoring.tally(results[name], truths[name]) for name in truths]
    assert sum(tally.joints > 0 for tally in tallies) == 489
    np.testing.assert_allclose(task.scoring.scores(tallies), [60.7, 36.7], atol=1.0)


_LIMBS = {"shoulder", "elbow", "wrist", "hip", "knee", "ankle"}
