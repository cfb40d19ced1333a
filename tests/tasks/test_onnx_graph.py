"""ONNX networks run in torch: they compute what the runtime computes, gradients pass, and what is not known is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from foveal.errors import MissingDependencyError, NetworkError
from foveal.tasks.proxy import onnx_graph
from foveal.tasks.proxy.onnx_graph import OnnxGraph

onnx: Any = pytest.importorskip("onnx", reason="the proxy's teachers need it: pip install 'foveal[distil]'")
runtime: Any = pytest.importorskip("onnxruntime", reason="the proxy's teachers need it: pip install 'foveal[distil]'")

SHAPE = (2, 4, 9, 8)
CHANCE = np.random.default_rng(5)


def node(kind: str, into: str, out: str, **attributes: Any) -> Any:
    """A node; names of tensors between commas."""
    return onnx.helper.make_node(kind, into.split(","), [out], **attributes)


def weight(*sides: int) -> np.ndarray:
    return CHANCE.normal(0, 0.4, sides).astype(np.float32)


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def single(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


@dataclass(frozen=True)
class Drawn:
    """A network by hand. kinds: of the nodes that have to be left when the runtime has folded what it can."""

    kinds: str
    nodes: Sequence[Any]
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    version: int = 17
    inputs: tuple[str, ...] = ("x",)
    outputs: tuple[str, ...] = ("y",)

    def save(self, path: Path) -> Path:
        helper = onnx.helper
        constants = [onnx.numpy_helper.from_array(values, name) for name, values in self.constants.items()]
        inputs = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, SHAPE) for name in self.inputs]
        outputs = [helper.make_empty_tensor_value_info(name) for name in self.outputs]
        graph = helper.make_graph(list(self.nodes), "drawn", inputs, outputs, constants)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.version)], ir_version=8), path)
        return path


ENLARGED = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
NETWORKS = {
    "strided": Drawn(
        "Conv", [node("Conv", "x,w,b", "y", strides=[2, 3], pads=[0, 1, 2, 3])], {"w": weight(5, 4, 3, 3), "b": weight(5)}
    ),
    "bare": Drawn("Conv", [node("Conv", "x,w", "y")], {"w": weight(5, 4, 2, 3)}),
    "grouped": Drawn("Conv", [node("Conv", "x,w", "y", group=2, pads=[1, 1, 1, 1])], {"w": weight(6, 2, 3, 3)}),
    "dilated": Drawn("Conv", [node("Conv", "x,w,b", "y", dilations=[2, 3])], {"w": weight(3, 4, 3, 2), "b": weight(3)}),
    "alone": Drawn(
        "BatchNormalization Relu BatchNormalization",
        [
            node("BatchNormalization", "x,s,b,m,v", "n", epsilon=0.1),
            node("Relu", "n", "r"),
            node("BatchNormalization", "r,s,b,m,v", "y"),
        ],
        {"s": weight(4), "b": weight(4), "m": weight(4), "v": np.square(weight(4))},
    ),
    "swish": Drawn("Sigmoid Mul Add", [node("Sigmoid", "x", "s"), node("Mul", "x,s", "m"), node("Add", "m,x", "y")]),
    "scaled": Drawn(
        "Sub Div Exp Mul",
        [node("Sub", "x,mean", "d"), node("Div", "d,spread", "n"), node("Exp", "n", "e"), node("Mul", "e,factor", "y")],
        {"mean": weight(4, 1, 1), "spread": 1 + np.square(weight(1, 4, 1, 1)), "factor": weight(8)},
    ),
    "relu6": Drawn("Clip", [node("Clip", "x,low,high", "y")], {"low": np.float32(-0.3), "high": np.float32(0.7)}),
    "slices of old": Drawn(
        "Slice Slice Concat",
        [
            node("Slice", "x", "a", axes=[2, 3], starts=[1, 0], ends=[8, -2]),
            node("Slice", "x", "b", axes=[3, 2], starts=[2, -8], ends=[99, -1]),
            node("Concat", "a,b", "y", axis=1),
        ],
        version=9,
    ),
    "slices in steps": Drawn(
        "Slice Slice Concat",
        [
            node("Slice", "x,ab,ae,axes,as", "a"),
            node("Slice", "x,bb,be,axes,as", "b"),
            node("Concat", "a,b", "y", axis=1),
        ],
        {"ab": whole(0, 1), "ae": whole(8, 2**31 - 1), "bb": whole(1, -8), "be": whole(99, -1), "as": whole(2, 3), "axes": whole(2, -1)},
    ),
    "slices of one step": Drawn(
        "Slice", [node("Slice", "x,b,e,axes", "y")], {"b": whole(1, 2), "e": whole(3, 7), "axes": whole(1, 2)}
    ),
    "focused": Drawn(
        "Slice SpaceToDepth Gather Gather",
        [
            node("Slice", "x,b,e,axes", "s"),
            node("SpaceToDepth", "s", "d", blocksize=4),
            node("Gather", "d,order", "g", axis=1),
            node("Gather", "g,batch", "y"),
        ],
        {"b": whole(0), "e": whole(8), "axes": whole(2), "order": whole(5, 0, 63, -64, -1), "batch": whole(1)},
    ),
    "enlarged": Drawn(
        "Resize Concat",
        [node("Resize", "x,,by", "l", **ENLARGED), node("Concat", "l,l", "y", axis=-1)],
        {"by": single(1, 1, 2, 2)},
    ),
    "enlarged unevenly": Drawn("Resize", [node("Resize", "x,,by", "y")], {"by": single(1, 1, 3, 2)}),
    "enlarged of old": Drawn("Resize", [node("Resize", "x,by", "y", mode="nearest")], {"by": single(1, 1, 2, 4)}, 10),
    "largest": Drawn("MaxPool", [node("MaxPool", "x", "y", kernel_shape=[5, 3], strides=[1, 2], pads=[2, 1, 1, 0])]),
    "largest beside": Drawn("MaxPool", [node("MaxPool", "x", "y", kernel_shape=[2, 2])]),
    "class": Drawn(
        "GlobalAveragePool Flatten Softmax",
        [node("GlobalAveragePool", "x", "g"), node("Flatten", "g", "f"), node("Softmax", "f", "y")],
    ),
    "flat from 2": Drawn("Flatten", [node("Flatten", "x", "y", axis=2)]),
    "all flat": Drawn("Flatten", [node("Flatten", "x", "y", axis=0)]),
    "shares": Drawn("Softmax", [node("Softmax", "x", "y", axis=1)]),
    "shares of old": Drawn("Softmax", [node("Softmax", "x", "y", axis=2)], version=9),
    "shares of the last axis of old": Drawn("Softmax", [node("Softmax", "x", "y", axis=3)], version=9),
    "boxes": Drawn(
        "Reshape Transpose Reshape Concat",
        [
            node("Reshape", "x,rows", "r"),
            node("Transpose", "r", "t", perm=[2, 0, 1]),
            node("Reshape", "x,other", "o"),
            node("Transpose", "o", "u", perm=[2, 0, 1]),
            node("Concat", "t,u", "y", axis=0),
        ],
        {"rows": whole(0, 0, -1), "other": whole(0, 4, 72)},
    ),
}  # fmt: skip


def run(path: Path, x: np.ndarray, wanted: Sequence[str] = ("y",)) -> list[np.ndarray]:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(str(path), options).run(list(wanted), {"x": x})


@pytest.fixture(params=NETWORKS)
def drawn(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Drawn, Path]:
    network = NETWORKS[request.param]
    return network, network.save(tmp_path / "drawn.onnx")


def test_every_known_kind_is_drawn() -> None:
    assert {kind for network in NETWORKS.values() for kind in network.kinds.split()} == onnx_graph._KINDS.keys()


def test_torch_computes_what_the_runtime_computes(drawn: tuple[Drawn, Path]) -> None:
    network, path = drawn
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    graph = OnnxGraph(path, ["y"])
    assert {kind.kind for kind in graph._nodes} == set(network.kinds.split())
    (expected,) = run(path, x)
    (found,) = graph(torch.from_numpy(x))
    assert tuple(found.shape) == expected.shape
    assert np.allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_differences(drawn: tuple[Drawn, Path]) -> None:
    """Along a random direction, of a random sum of all that comes out, as the runtime computes it."""
    _, path = drawn
    chance = np.random.default_rng(1)
    # A step of each sample in its own order: no two are nearer than the step, so none of a maximum changes places.
    ranks = chance.permutation(np.prod(SHAPE)).reshape(SHAPE)
    x, way = ((ranks / ranks.max() - 0.513) * 4).astype(np.float32), chance.normal(0, 0.2, SHAPE).astype(np.float32)
    step = np.float32(1e-2)
    shares = chance.normal(size=run(path, x)[0].shape)
    ahead, behind = (float((run(path, x + sign * step * way)[0] * shares).sum()) for sign in (1, -1))
    given = torch.from_numpy(x).requires_grad_(True)
    (found,) = OnnxGraph(path, ["y"])(given)
    (slope,) = torch.autograd.grad((found * torch.from_numpy(shares).float()).sum(), given)
    told = float((slope.numpy().astype(np.float64) * way).sum())
    spread = float(np.abs(slope.numpy() * way).sum())
    assert spread > 0
    assert told == pytest.approx((ahead - behind) / (2 * float(step)), rel=0.02, abs=0.004 * spread)


def branches(unknown: str = "Cos") -> Drawn:
    """Two ways from one input, one of them through a node that is not known."""
    nodes = [node("Relu", "x", "r"), node("Exp", "r", "y"), node("Sigmoid", "r", "s"), node(unknown, "s", "z")]
    return Drawn("", nodes, outputs=("y", "z"))


def test_only_what_leads_to_the_wanted_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, asked = branches().save(tmp_path / "two.onnx"), list[str]()
    for kind in ("Relu", "Exp", "Sigmoid"):
        real = onnx_graph._KINDS[kind]
        monkeypatch.setitem(onnx_graph._KINDS, kind, lambda x, of, kind=kind, real=real: asked.append(kind) or real(x, of))
    x = torch.randn(SHAPE)
    assert torch.equal(OnnxGraph(path, ["y"])(x)[0], x.relu().exp())
    assert asked == ["Relu", "Exp"]
    asked.clear()
    inner, last, first = OnnxGraph(path, ["s", "y", "r"])(x)
    assert torch.equal(inner, x.relu().sigmoid())
    assert torch.equal(last, x.relu().exp())
    assert torch.equal(first, x.relu())
    assert sorted(asked) == ["Exp", "Relu", "Sigmoid"]
    with pytest.raises(NetworkError, match=r"two\.onnx has nodes Cos; known are Add, BatchNormalization, Clip"):
        OnnxGraph(path, ["z"])


def test_constants_of_nodes_and_of_old_files_are_known(tmp_path: Path) -> None:
    """Those of ``Constant``, those that follow from others, and those that a file of old lists as inputs with a value."""
    by = onnx.helper.make_node("Constant", [], ["by"], value=onnx.numpy_helper.from_array(single(3)))
    nodes = [by, node("Exp", "by", "power"), node("Mul", "x,power", "m"), node("Add", "m,more", "y")]
    path = Drawn("", nodes, {"more": np.full(SHAPE, 7, np.float32)}, 9, ("x", "more")).save(tmp_path / "old.onnx")
    x = torch.randn(SHAPE)
    graph = OnnxGraph(path, ["y"])
    assert "Exp" not in {kind.kind for kind in graph._nodes}
    assert torch.allclose(graph(x)[0], x * np.exp(3) + 7)


@pytest.mark.parametrize("wanted", [["none"], ["y", "none", "more"], ["x"]])
def test_tensors_that_are_not_there_are_named(wanted: list[str], tmp_path: Path) -> None:
    path = branches().save(tmp_path / "two.onnx")
    there = [name for name in wanted if name != "y"]
    with pytest.raises(NetworkError, match=rf"two\.onnx has no tensor {', '.join(there)}: it is another network"):
        OnnxGraph(path, wanted)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Drawn("", [node("MaxPool", "x", "y", kernel_shape=[2, 2], ceil_mode=1)]), "nodes MaxPool of ceil_mode = 1; known"),
        (
            Drawn("", [node("Conv", "x,w", "y", auto_pad="SAME_UPPER")], {"w": weight(1, 4, 3, 3)}),
            "nodes Conv of auto_pad = b'SAME_UPPER'; known",
        ),
        (
            Drawn("", [node("Resize", "x,,by", "y", mode="linear")], {"by": single(1, 1, 2, 2)}),
            "nodes Resize of mode = b'linear'; known",
        ),
        (Drawn("", [node("Add", "x,z", "y")], inputs=("x", "z")), "has the inputs x, z; a network of one is needed"),
    ],
)
def test_what_kinds_do_not_do_is_named(network: Drawn, words: str, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=words):
        OnnxGraph(network.save(tmp_path / "other.onnx"), ["y"])


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Drawn("", [node("Clip", "x,low", "y")], {"low": np.float32(0)}), "Clip, which gives y"),
        (Drawn("", [node("Transpose", "x", "y")]), "Transpose, which gives y.*perm"),
        (Drawn("", [node("Resize", "x,,by", "y")], {"by": single(1, 1, 1.5, 2)}), "by .*1.5, 2.0.; whole factors"),
        (Drawn("", [node("Resize", "x,,by", "y")], {"by": single(1, 2, 2, 2)}), "whole factors of rows and columns"),
        (Drawn("", [node("Resize", "x,,,to", "y")], {"to": whole(2, 4, 18, 16)}), "by .2, 4, 18, 16.; whole factors"),
        (
            Drawn(
                "",
                [node("Slice", "x,b,e,axes", "one"), node("Resize", "one,,,to", "y")],
                {"b": whole(0, 0), "e": whole(1, 1), "axes": whole(0, 1), "to": whole(1, 1, 18, 16)},
            ),
            "by .1, 1, 18, 16.; whole factors",
        ),
        (
            Drawn("", [node("Resize", "x,,by", "y", coordinate_transformation_mode="align_corners")], {"by": single(1, 1, 3, 2)}),
            "align_corners",
        ),
        (
            Drawn("", [node("Slice", "x,b,e,a,s", "y")], {"b": whole(8), "e": whole(1), "a": whole(2), "s": whole(-1)}),
            "Slice, which gives y.*step",
        ),
    ],
)
def test_forms_that_are_not_known_are_named_when_they_are_run(network: Drawn, words: str, tmp_path: Path) -> None:
    graph = OnnxGraph(network.save(tmp_path / "other.onnx"), ["y"])
    with pytest.raises(NetworkError, match=rf"other\.onnx cannot be run: .*{words}"):
        graph(torch.randn(SHAPE))


def test_an_input_of_another_shape_is_named(tmp_path: Path) -> None:
    graph = OnnxGraph(NETWORKS["strided"].save(tmp_path / "c.onnx"), ["y"])
    with pytest.raises(NetworkError, match=r"c\.onnx cannot be run: Conv, which gives y.*channels"):
        graph(torch.randn(1, 3, 9, 8))


def test_files_that_hold_no_network_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "junk.onnx").write_bytes(b"no network at all")
    for name, words in (
        ("junk.onnx", "is no ONNX network that can be read: "),
        ("none.onnx", "is missing; the proxy learns from"),
    ):
        with pytest.raises(NetworkError, match=f"{name} {words}"):
            OnnxGraph(tmp_path / name, ["y"])
    for module in ("onnx", "onnxruntime"):
        with monkeypatch.context() as patch:
            patch.setitem(__import__("sys").modules, module, None)
            with pytest.raises(MissingDependencyError, match=r"pip install 'foveal\[distil\]'"):
                OnnxGraph(tmp_path / "junk.onnx", ["y"])
