"""What the tests of the proxy's teachers and of its lessons share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from foveal.picture import Picture
from foveal.tasks.proxy import teachers


@pytest.fixture
def photographs(tmp_path: Path, photo: Picture) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.roll(photo.samples, 70 * i, axis=1)[: 200 + i]).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def scenes(tmp_path: Path, photo: Picture) -> Path:
    """Two road scenes whose left half is bright and of class 3, the right one dark and of class 8."""
    folder = tmp_path / "camvid"
    (folder / "train").mkdir(parents=True)
    (folder / "train_labels").mkdir()
    mask = np.full((180, 240), 3, np.uint8)
    mask[:, 120:] = 8
    samples = photo.samples[:180, :240] // 4
    samples[:, :120] += 190
    for i in range(2):
        Image.fromarray(samples).save(folder / "train" / f"{i}.png")
        Image.fromarray(mask).save(folder / "train_labels" / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny ONNX networks with the names, inputs and sizes of the teachers: each map is means of areas, its first channel the first input's."""
    onnx = pytest.importorskip("onnx", reason="the proxy's teachers need it: pip install 'foveal[distil]'")
    pytest.importorskip("onnxruntime", reason="the proxy's teachers need it: pip install 'foveal[distil]'")
    from onnx import TensorProto, helper, numpy_helper

    folder = tmp_path_factory.mktemp("networks")

    def pooled(x: str, y: str, area: int, channels: int, into: int = 3) -> list[Any]:
        weight = np.random.default_rng(area + channels).normal(0, 0.01, (channels, into, 1, 1)).astype(np.float32)
        weight[0] = np.eye(into, dtype=np.float32)[0][:, None, None]
        constant = helper.make_node("Constant", [], [f"{y}w"], value=numpy_helper.from_array(weight))
        if area == 224:
            pools = [helper.make_node("GlobalAveragePool", [x], [f"{y}p"])]
        else:
            means = numpy_helper.from_array(np.full((into, 1, area, area), 1 / area**2, np.float32))
            pools = [
                helper.make_node("Constant", [], [f"{y}m"], value=means),
                helper.make_node("Conv", [x, f"{y}m"], [f"{y}p"], strides=[area, area], group=into),
            ]
        return [*pools, constant, helper.make_node("Conv", [f"{y}p", f"{y}w"], [y])]

    def shape(name: str, *sides: int) -> list[Any]:
        return [helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(sides, np.int64)))]

    def write(name: str, nodes: list[Any], x: tuple[str, list[int]], y: tuple[str, list[int]]) -> None:
        ends = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, s)] for n, s in (x, y)]
        model = helper.make_model(
            helper.make_graph(nodes, "tiny", *ends), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        )
        onnx.save(model, folder / name)

    nodes: list[Any] = [*shape("flat", 1, 85, -1), *shape("dim", 0)]
    for area, stem in zip((8, 16, 32), teachers._STEMS, strict=True):
        nodes += [*pooled("images", stem, area, 64), *pooled("images", f"o{area}", area, 85)]
        nodes += [
            helper.make_node("Sigmoid", [f"o{area}"], [f"s{area}"]),
            helper.make_node("Reshape", [f"s{area}", "flat"], [f"f{area}"]),
        ]
    nodes += [helper.make_node("Concat", ["f8", "f16", "f32"], ["all"], axis=2)]
    nodes += [helper.make_node("Transpose", ["all"], ["output"], perm=[0, 2, 1])]
    write(teachers.DETECTOR, nodes, ("images", [1, 3, 416, 416]), ("output", [1, 3549, 85]))

    nodes = [*pooled("rgb", teachers._SCENE[0], 16, 96), *pooled("rgb", teachers._SCENE[1], 32, 320)]
    nodes += pooled("rgb", teachers._LOGITS, 224, 1001)
    nodes += [helper.make_node("Flatten", [teachers._LOGITS], ["row"]), helper.make_node("Softmax", ["row"], ["out"])]
    write(teachers.CLASSIFIER, nodes, ("rgb", [1, 3, 224, 224]), ("out", [1, 1001]))

    nodes = [*shape("count", 1, 4420, 1), *shape("from", 0), *shape("to", 4420), *shape("line", 1, -1), *shape("axis", 1)]
    nodes += [helper.make_node("Constant", [], ["minus"], value=numpy_helper.from_array(np.array(-1, np.float32)))]
    nodes += [
        helper.make_node("Reshape", ["input", "line"], ["row"]),
        helper.make_node("Slice", ["row", "from", "to", "axis"], ["part"]),
        helper.make_node("Reshape", ["part", "count"], ["face"]),
        helper.make_node("Mul", ["face", "minus"], ["none"]),
        helper.make_node("Concat", ["none", "face"], ["both"], axis=2),
        helper.make_node("Softmax", ["both"], ["scores"], axis=2),
    ]
    write(teachers.FACES, nodes, ("input", [1, 3, 240, 320]), ("scores", [1, 4420, 2]))
    return folder
