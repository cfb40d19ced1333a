"""Tiny ONNX networks with the inputs and outputs of those that heads feed, cuts of them, and latents by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from foveal.codecs.learned.frequency.latents import Latents
from foveal.tasks.latent import cuts
from foveal.tasks.latent.cuts import Cut, CutTensor
from foveal.tasks.latent.network import LatentConfig, TrunkFeatures
from foveal.tasks.latent.weights import LatentCard
from foveal.tasks.networks.base import file_identity

CLASSIFIER, DETECTOR = "mobilenet_v2_imagenet", "yolox_nano_coco"
SIZES: Mapping[str, Any] = {
    "latent_0": 3, "latent_1": 3, "latent_2": 3, "coarse": 8, "middle": 8, "blocks": 1, "spectrum": 8,
    "segment": 0, "adapter": 8, "adapter_blocks": 1,
}  # fmt: skip
FED: Mapping[str, Any] = {**SIZES, CLASSIFIER: 1, DETECTOR: 1, "things": 80}


def for_all(features: Tensor) -> TrunkFeatures:
    """The same features for each head."""
    return TrunkFeatures(features, features)


def make_networks(folder: Path) -> Path:
    """``folder`` with a classifier whose cut has one tensor, and a detector whose cut has three."""
    onnx: Any = pytest.importorskip("onnx", reason="networks are cut with it: pip install 'foveal[tasks]'")
    pytest.importorskip("onnxruntime", reason="networks run in it: pip install 'foveal[tasks]'")
    helper, chance = onnx.helper, np.random.default_rng(3)
    folder.mkdir(parents=True, exist_ok=True)

    def write(
        name: str, nodes: list[Any], constants: dict[str, Any], sides: list[int], into: str, out: tuple[str, list[int]]
    ) -> None:
        arrays = [onnx.numpy_helper.from_array(values, key) for key, values in constants.items()]
        ends = [[helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s)] for n, s in ((into, sides), out)]
        graph = helper.make_graph(nodes, "tiny", *ends, arrays)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / f"{name}.onnx")

    def areas(side: int, unit: float) -> Any:
        """Four mixtures of the means of squares of pixels."""
        mixed = chance.normal(0, 2 / unit, (4, 3, 1, 1))
        return (np.ones((1, 1, side, side)) * mixed / side**2).astype(np.float32)

    classes = {"a": areas(16, 1), "b": chance.normal(0, 1, (1001, 4, 1, 1)).astype(np.float32)}
    nodes = [
        helper.make_node("Conv", ["rgb", "a"], ["middle"], strides=[16, 16]),
        helper.make_node("Relu", ["middle"], ["rectified"]),
        helper.make_node("GlobalAveragePool", ["rectified"], ["pooled"]),
        helper.make_node("Conv", ["pooled", "b"], ["logits"]),
        helper.make_node("Flatten", ["logits"], ["row"]),
        helper.make_node("Softmax", ["row"], ["out"]),
    ]
    write(CLASSIFIER, nodes, classes, [1, 3, 224, 224], "rgb", ("out", [1, 1001]))

    nodes, cells = [], {"flat": np.array([1, 85, -1], np.int64)}
    bias = np.full(85, -6, np.float32)
    bias[4:6] = -3, 3
    for stride in (8, 16, 32):
        cells |= {
            f"a{stride}": areas(stride, 255),
            f"b{stride}": chance.normal(0, 1, (85, 4, 1, 1)).astype(np.float32),
            "bias": bias,
        }
        nodes += [
            helper.make_node("Conv", ["images", f"a{stride}"], [f"t{stride}"], strides=[stride, stride]),
            helper.make_node("Conv", [f"t{stride}", f"b{stride}", "bias"], [f"o{stride}"]),
            helper.make_node("Sigmoid", [f"o{stride}"], [f"s{stride}"]),
            helper.make_node("Reshape", [f"s{stride}", "flat"], [f"f{stride}"]),
        ]
    nodes += [helper.make_node("Concat", ["f8", "f16", "f32"], ["all"], axis=2)]
    nodes += [helper.make_node("Transpose", ["all"], ["output"], perm=[0, 2, 1])]
    write(DETECTOR, nodes, cells, [1, 3, 416, 416], "images", ("output", [1, 3549, 85]))
    return folder


def make_cuts(folder: Path) -> dict[str, Cut]:
    """The cuts of these networks."""
    classifier = Cut(CLASSIFIER, file_identity(folder / f"{CLASSIFIER}.onnx"), (CutTensor("middle", 4, 14, 14, 16),), 50.0)
    grids = tuple(CutTensor(f"t{stride}", 4, 416 // stride, 416 // stride, stride) for stride in (8, 16, 32))
    return {CLASSIFIER: classifier, DETECTOR: Cut(DETECTOR, file_identity(folder / f"{DETECTOR}.onnx"), grids, 50.0)}


def by_way(folder: Path) -> Cut:
    """A cut of the classifier behind another tensor, by way of which it lies."""
    first = make_cuts(folder)[CLASSIFIER]
    return replace(first, tensors=(CutTensor("rectified", 4, 14, 14, 16),), way=first.tensors[0])


def take_cuts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Cut]:
    """Puts these cuts in the place of the known ones; the classifier's second lies by way of its first."""
    made = make_cuts(folder)
    monkeypatch.setattr(cuts, "CUTS", {CLASSIFIER: (made[CLASSIFIER], by_way(folder)), DETECTOR: (made[DETECTOR],)})
    return made


def latents(width: int, height: int, bands: int = 3) -> Latents:
    """Of a picture of this size."""
    chance = np.random.default_rng(width)
    rows, columns = -(-height // 64), -(-width // 64)
    made = [chance.normal(0, 1, (3, rows * side, columns * side)).astype(np.float32) for side in (1, 2, 4)[:bands]]
    return Latents(tuple(made), np.full((8, 1, 1), 0.125, np.float32), width, height, "00c0ffee", 1000)


def card(sizes: Mapping[str, Any] = FED) -> LatentCard:
    """Of weights that nobody has."""
    config = {name: getattr(LatentConfig(**sizes), name) for name in LatentConfig.__dataclass_fields__}
    return LatentCard(
        name="tiny", id="00000001", config=config, data="", data_terms="", recipe="", steps=1, minutes=0, machine="", figures="",
        licence="", reads="00c0ffee", heads=f"things,{CLASSIFIER},{DETECTOR}", least_bands=2,
    )  # fmt: skip
