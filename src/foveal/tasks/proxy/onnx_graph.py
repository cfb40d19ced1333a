"""An ONNX network run in torch, so that gradients pass to what it reads: for the teachers, whose own runtime gives none.

The runtime folds constants and shapes first; what is left is written out in a few kinds of nodes. Others are refused by name.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor
from torch.nn import functional

from foveal.errors import MissingDependencyError, NetworkError

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class _Node:
    kind: str
    into: tuple[str, ...]
    out: str
    attributes: Attributes


@final
class OnnxGraph:
    """The part of an ONNX network of one input that leads to some of its tensors.

    Raises:
        MissingDependencyError: onnx or onnxruntime is not installed.
        NetworkError: the file cannot be read, has several inputs, holds no such tensors, or nodes that are not known here.
    """

    def __init__(self, path: Path, wanted: Sequence[str]) -> None:
        self._path = path
        nodes, self._constants, self._input = _folded(path)
        made_by = {node.out: node for node in nodes}
        missing = [name for name in wanted if name not in made_by]
        if missing:
            raise NetworkError(f"{path} has no tensor {', '.join(missing)}: it is another network than the one that is taught by")
        needed, queue = set[str](), list(wanted)
        while queue:
            node = made_by.get(queue.pop())
            if node is not None and node.out not in needed:
                needed.add(node.out)
                queue += node.into
        self._nodes, self._wanted = [node for node in nodes if node.out in needed], tuple(wanted)
        unknown = sorted({called for node in self._nodes if (called := _called(node)) not in _KINDS})
        if unknown:
            raise NetworkError(f"{path} has nodes {', '.join(unknown)}; known are {', '.join(sorted(_KINDS))}")

    def __call__(self, x: Tensor) -> list[Tensor]:
        """The wanted tensors for an input of the network's own shape.

        Raises:
            NetworkError: another shape, or a node of a form that is not known here.
        """
        known = {**self._constants, self._input: x}
        for node in self._nodes:
            try:
                known[node.out] = _KINDS[node.kind]([known[name] for name in node.into if name], node.attributes)
            except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
                raise NetworkError(f"{self._path} cannot be run: {node.kind}, which gives {node.out}: {error!r}") from error
        return [known[name] for name in self._wanted]


def _folded(path: Path) -> tuple[list[_Node], dict[str, Tensor], str]:
    """Nodes in order, constants by name, and the name of the input, after the runtime has folded what does not depend on it."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError("the proxy's teachers need onnx and onnxruntime; pip install 'foveal[distil]'") from error
    runtime: Any = onnxruntime
    if not path.is_file():
        raise NetworkError(f"{path} is missing; the proxy learns from the networks that docs/guidance.md names")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        with tempfile.TemporaryDirectory(prefix="foveal-graph-") as folder:
            options.optimized_model_filepath = str(Path(folder, "folded.onnx"))
            runtime.InferenceSession(str(path), options)
            model: Any = onnx.load(options.optimized_model_filepath)
    except Exception as error:  # onnx and the runtime have errors of many kinds
        raise NetworkError(f"{path} is no ONNX network that can be read: {error}") from error
    graph, version = model.graph, next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    constants = {t.name: torch.from_numpy(onnx.numpy_helper.to_array(t).copy()) for t in graph.initializer}
    nodes: list[_Node] = []
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant":
            constants[node.output[0]] = torch.from_numpy(onnx.numpy_helper.to_array(attributes["value"]).copy())
        else:
            if node.op_type == "Softmax" and version < _SOFTMAX_OF_ONE_AXIS:
                attributes = {"from": attributes.get("axis", 1)}
            nodes.append(_Node(node.op_type, tuple(node.input), node.output[0], attributes))
    inputs = [entry.name for entry in graph.input if entry.name not in constants]
    if len(inputs) != 1:
        raise NetworkError(f"{path} has the inputs {', '.join(inputs)}; a network of one is needed")
    return nodes, constants, inputs[0]


def _called(node: _Node) -> str:
    """Its kind, and what it asks for that the kind does not do here."""
    odd = [f"{name} = {found!r}" for name, usual in _USUAL.items() if (found := node.attributes.get(name, usual)) != usual]
    return " of ".join([node.kind, *odd])


def _whole(x: Tensor) -> list[int]:
    """The numbers in a tensor of one dimension, which are whole."""
    return [round(float(value)) for value in x]


def _padded(x: Tensor, pads: Sequence[int], value: float = 0.0) -> Tensor:
    """pads: of rows and columns, before and after, as ONNX has them."""
    top, left, bottom, right = pads
    return functional.pad(x, (left, right, top, bottom), value=value) if any(pads) else x


def _conv(x: list[Tensor], of: Attributes) -> Tensor:
    padded = _padded(x[0], of.get("pads", (0, 0, 0, 0)))
    bias = x[2] if len(x) > 2 else None
    return functional.conv2d(padded, x[1], bias, of.get("strides", 1), 0, of.get("dilations", 1), of.get("group", 1))


def _max_pool(x: list[Tensor], of: Attributes) -> Tensor:
    return functional.max_pool2d(
        _padded(x[0], of.get("pads", (0, 0, 0, 0)), -float("inf")), of["kernel_shape"], of.get("strides", 1)
    )


def _batch_norm(x: list[Tensor], of: Attributes) -> Tensor:
    return functional.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=of.get("epsilon", 1e-5))


def _slice(x: list[Tensor], of: Attributes) -> Tensor:
    starts, ends, axes = (_whole(x[i]) if len(x) > i else list(of[name]) for i, name in ((1, "starts"), (2, "ends"), (3, "axes")))
    steps = _whole(x[4]) if len(x) > 4 else [1] * len(axes)
    parts = [slice(None)] * x[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        parts[axis] = slice(start, end, step)
    return x[0][tuple(parts)]


def _reshape(x: list[Tensor], of: Attributes) -> Tensor:
    return x[0].reshape([x[0].shape[i] if side == 0 else side for i, side in enumerate(_whole(x[1]))])


def _doubled(x: list[Tensor], of: Attributes) -> Tensor:
    """Nearest neighbours, by whole factors. Raises ValueError: other factors, sizes in their place, or others' neighbours."""
    near = of.get("coordinate_transformation_mode", b"half_pixel"), of.get("nearest_mode", b"round_prefer_floor")
    if near not in ((b"half_pixel", b"round_prefer_floor"), (b"asymmetric", b"floor")):
        raise ValueError(f"{near[0]} and {near[1]}")
    one, also, down, across = _whole(x[-1])
    if not x[-1].is_floating_point() or (one, also) != (1, 1) or x[-1].tolist() != [one, also, down, across]:
        raise ValueError(f"by {x[-1].tolist()}; whole factors of rows and columns are needed")
    return x[0].repeat_interleave(down, 2).repeat_interleave(across, 3)


def _space_to_depth(x: list[Tensor], of: Attributes) -> Tensor:
    """The places of each block as channels: those of its first pixel, then of the next to the right."""
    batch, channels, height, width = x[0].shape
    side = of["blocksize"]
    blocks = x[0].reshape(batch, channels, height // side, side, width // side, side)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(batch, channels * side**2, height // side, width // side)


def _gather(x: list[Tensor], of: Attributes) -> Tensor:
    """Parts along one axis. Raises ValueError: indices of other than one dimension."""
    if x[1].ndim != 1:
        raise ValueError(f"indices of {x[1].ndim} dimensions; one is known")
    axis: int = of.get("axis", 0)
    return x[0].index_select(axis, x[1] % x[0].shape[axis])


def _softmax(x: list[Tensor], of: Attributes) -> Tensor:
    """Over one axis; in networks of old over all from one on."""
    return x[0].flatten(of["from"]).softmax(-1).view_as(x[0]) if "from" in of else x[0].softmax(of.get("axis", -1))


_SOFTMAX_OF_ONE_AXIS: Final = 13
"""The version of ONNX's operators since which it is so."""
_USUAL: Final[Mapping[str, object]] = {"auto_pad": b"NOTSET", "ceil_mode": 0, "mode": b"nearest"}
"""Of attributes that would change a result, the only values that are known."""
_KINDS: Final[Mapping[str, Callable[[list[Tensor], Attributes], Tensor]]] = {
    "Add": lambda x, of: x[0] + x[1],
    "BatchNormalization": _batch_norm,
    "Clip": lambda x, of: x[0].clamp(float(x[1]), float(x[2])),
    "Concat": lambda x, of: torch.cat(x, of["axis"]),
    "Conv": _conv,
    "Div": lambda x, of: x[0] / x[1],
    "Exp": lambda x, of: x[0].exp(),
    "Flatten": lambda x, of: x[0].reshape(math.prod(x[0].shape[: of.get("axis", 1)]), -1),
    "Gather": _gather,
    "GlobalAveragePool": lambda x, of: x[0].mean((2, 3), keepdim=True),
    "MaxPool": _max_pool,
    "Mul": lambda x, of: x[0] * x[1],
    "Relu": lambda x, of: x[0].relu(),
    "Reshape": _reshape,
    "Resize": _doubled,
    "Sigmoid": lambda x, of: x[0].sigmoid(),
    "Slice": _slice,
    "Softmax": _softmax,
    "SpaceToDepth": _space_to_depth,
    "Sub": lambda x, of: x[0] - x[1],
    "Transpose": lambda x, of: x[0].permute(*of["perm"]),
}
