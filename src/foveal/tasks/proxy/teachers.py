"""The networks that the proxy learns from, as ONNX files: a detector, a classifier and a finder of faces.

Their outputs and some of their inner maps are taken; the files themselves are the user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
import numpy.typing as npt
from PIL import Image

from foveal.errors import MissingDependencyError, NetworkError
from foveal.tasks.proxy.crops import SIDE, Pixels

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DETECTOR, CLASSIFIER, FACES = "yolox_nano_coco.onnx", "mobilenet_v2_imagenet.onnx", "ultraface_rfb_320.onnx"
_STEMS: Final = ("input.599", "input.671", "input.743")  # what YOLOX's heads read, at 1/8, 1/16 and 1/32
_SCENE: Final = ("/n/Conv_38_output_0", "/n/Conv_50_output_0")  # the last linear bottlenecks at 1/16 and 1/32 of 224
_LOGITS: Final = "/n/Conv_52_output_0"
_CLASSIFIER_SIDE = 224
_FACE_SIZE = (320, 240)
_FACE_GRIDS: Final = ((30, 40, 3), (15, 20, 2), (8, 10, 2), (4, 5, 3))  # rows, columns, boxes of each place
_GRIDS: Final = (52, 26, 13)
FACE_GRID: Final = 52

Array = npt.NDArray[np.float32]


@final
@dataclass(frozen=True, eq=False)
class Lesson:
    """What the teachers say of a square, channels first: features and objects at 1/8 to 1/32, scene at 14 and 7 places a side.

    classes: probabilities. faces: the largest probability of a face at each 8 pixels.
    """

    features: tuple[Array, Array, Array]
    objects: tuple[Array, Array, Array]
    scene: tuple[Array, Array]
    classes: Array
    faces: Array


@final
class Teachers:
    """The three networks of a folder.

    Raises:
        MissingDependencyError: onnx or onnxruntime is not installed. NetworkError: a file is missing or another network.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self._detector = _open(folder / DETECTOR, _STEMS, threads)
        self._classifier = _open(folder / CLASSIFIER, (*_SCENE, _LOGITS), threads)
        self._faces = _open(folder / FACES, (), threads)

    def teach(self, square: Pixels) -> Lesson:
        """What they say of a square ``(416, 416, 3)`` in 0..255."""
        bgr = np.ascontiguousarray(square[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)
        told: list[Any] = self._detector.run(["output", *_STEMS], {"images": bgr})
        rows, maps = told[0][0], list[Array]()
        for grid in _GRIDS:
            own, rows = rows[: grid * grid], rows[grid * grid :]
            maps.append(own.T.reshape(-1, grid, grid))
        image = Image.fromarray(square)
        small = np.asarray(image.resize((_CLASSIFIER_SIDE, _CLASSIFIER_SIDE), Image.Resampling.BILINEAR), np.float32)
        s16, s32, logits = self._classifier.run(
            [*_SCENE, _LOGITS], {"rgb": np.ascontiguousarray(small.transpose(2, 0, 1)[None] / 255)}
        )
        flat = np.exp(logits.reshape(-1) - logits.max())
        wide = (np.asarray(image.resize(_FACE_SIZE, Image.Resampling.BILINEAR), np.float32) - 127) / 128
        scores: Any = self._faces.run(["scores"], {"input": np.ascontiguousarray(wide.transpose(2, 0, 1)[None])})[0]
        features = (told[1][0], told[2][0], told[3][0])
        return Lesson(features, (maps[0], maps[1], maps[2]), (s16[0], s32[0]), flat / flat.sum(), _faces(scores[0, :, 1]))


def _faces(scores: Array) -> Array:
    """The largest score over all boxes of a place, on one grid of the square."""
    out = np.zeros((FACE_GRID, FACE_GRID), np.float32)
    for rows, columns, boxes in _FACE_GRIDS:
        own, scores = scores[: rows * columns * boxes], scores[rows * columns * boxes :]
        best = Image.fromarray(own.reshape(rows, columns, boxes).max(2))
        out = np.maximum(out, np.asarray(best.resize((FACE_GRID, FACE_GRID), Image.Resampling.NEAREST)))
    return out


def _open(path: Path, inner: tuple[str, ...], threads: int) -> InferenceSession:
    """A session that also gives the named inner tensors."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError("the proxy's teachers need onnx and onnxruntime; pip install 'foveal[distil]'") from error
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    try:
        model: Any = onnx.load(path)
        for name in inner:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        return onnxruntime.InferenceSession(model.SerializeToString(), options)
    except OSError as error:
        raise NetworkError(
            f"cannot read {path}: {error.strerror}; the proxy learns from {DETECTOR}, {CLASSIFIER}, {FACES}"
        ) from error
    except Exception as error:  # onnx and the runtime have errors of many kinds
        raise NetworkError(f"{path} is not the network that the proxy learns from: {error}") from error


assert _GRIDS[0] * 8 == SIDE
