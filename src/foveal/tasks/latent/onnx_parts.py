"""Both parts of a third-party network that is cut: the front makes the tensors of the cut from pixels, the tail answers from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from foveal.errors import MissingDependencyError, NetworkError
from foveal.tasks.latent.cuts import Cut
from foveal.tasks.networks.base import file_identity
from foveal.threads import available_cores


@final
class OnnxPart:
    """A part of a network, run by ONNX Runtime on the CPU. threads: how many a run may use, None for one a core.

    Raises:
        NetworkError: the runtime cannot open it. MissingDependencyError: onnxruntime has to be installed.
    """

    def __init__(self, model: bytes, threads: int | None, label: str) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise _missing() from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or available_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise NetworkError(f"ONNX Runtime cannot open {label}: {error}") from error
        self._label, self._names = label, [known.name for known in self._session.get_inputs()]

    def run(self, arrays: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """The outputs for a batch of one. Raises NetworkError: the part fails."""
        try:
            outputs = self._session.run(None, dict(zip(self._names, arrays, strict=True)))
        except Exception as error:
            raise NetworkError(f"{self._label} fails: {error}") from error
        return tuple(np.asarray(output) for output in outputs)


def open_front(path: Path, cut: Cut, threads: int | None = None) -> OnnxPart:
    """From the network's input to the tensors of the cut. Raises as ``open_tail``."""
    model = checked_model(path, cut)
    inputs = [entry.name for entry in model.graph.input if entry.name not in {known.name for known in model.graph.initializer}]
    return OnnxPart(_between(path, model, cut, inputs, [t.name for t in cut.tensors]), threads, f"the front of {path.name}")


def open_between(path: Path, cut: Cut, threads: int | None = None) -> Callable[[Tensor], list[Tensor]] | None:
    """From the tensor by way of which a cut lies, of any number of pictures, to those of the cut; None where it lies by way of none. Raises as
    ``open_tail``.
    """
    if cut.way is None:
        return None
    model, names = checked_model(path, cut), [tensor.name for tensor in cut.tensors]
    part = OnnxPart(_between(path, model, cut, [cut.way.name], names), threads, f"the middle of {path.name}")

    def grown(x: Tensor) -> list[Tensor]:
        rows = [part.run([one[None].numpy()]) for one in x.detach().cpu().contiguous()]
        return [torch.from_numpy(np.concatenate(maps)).to(x.device) for maps in zip(*rows, strict=True)]

    return grown


def open_tail(path: Path, cut: Cut, threads: int | None = None) -> OnnxPart:
    """From the tensors of the cut to the network's outputs.

    Raises:
        NetworkError: no such file, or another one than the cut is of. MissingDependencyError: onnx or onnxruntime has to be installed.
    """
    return OnnxPart(tail_model(path, cut), threads, f"the tail of {path.name}")


def tail_model(path: Path, cut: Cut) -> bytes:
    """The tail as an ONNX file. Raises as ``open_tail``."""
    model = checked_model(path, cut)
    outputs = [entry.name for entry in model.graph.output]
    return _between(path, model, cut, [tensor.name for tensor in cut.tensors], outputs)


def joined_tail(path: Path, cut: Cut) -> tuple[bytes, str]:
    """The tail as a network of one input, all tensors of the cut one after the other ``(1, numbers)``, and the name of its first output.

    Raises as ``open_tail``.
    """
    import onnx

    model = onnx.load_from_string(tail_model(path, cut))
    nodes: list[Any] = []
    constants: list[Any] = []
    start, joined = 0, "foveal_joined"

    def constant(name: str, *values: int) -> str:
        constants.append(onnx.numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    axis = constant(f"{joined}_axis", 1)
    for number, tensor in enumerate(cut.tensors):
        end, own = start + tensor.channels * tensor.rows * tensor.columns, f"{joined}_{number}"
        bounds = [constant(f"{own}_from", start), constant(f"{own}_to", end)]
        shape = constant(f"{own}_shape", 1, tensor.channels, tensor.rows, tensor.columns)
        nodes.append(onnx.helper.make_node("Slice", [joined, *bounds, axis], [f"{own}_flat"]))
        nodes.append(onnx.helper.make_node("Reshape", [f"{own}_flat", shape], [tensor.name]))
        start = end
    graph: Any = model.graph
    nodes += graph.node
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    graph.input.append(onnx.helper.make_tensor_value_info(joined, onnx.TensorProto.FLOAT, (1, start)))
    return model.SerializeToString(), graph.output[0].name


def checked_model(path: Path, cut: Cut) -> Any:
    """The network in a file, an ``onnx.ModelProto`` that knows the shapes of the cut's tensors. Raises as ``open_tail``."""
    try:
        import onnx
    except ImportError as error:
        raise _missing() from error
    if not path.is_file():
        raise NetworkError(f"{path}: there is no such file; the head needs {cut.network}.onnx, for which it was trained")
    if (found := file_identity(path)) != cut.sha256:
        raise NetworkError(
            f"{path} is another network (SHA-256 {found[:16]}...) than the head was trained for: {cut.network}.onnx of SHA-256 "
            f"{cut.sha256[:16]}... fits; give that file, or train a head for this one"
        )
    try:
        model: Any = onnx.load(path)
    except Exception as error:  # onnx has errors of many kinds
        raise NetworkError(f"{path} is no ONNX network that can be read: {error}") from error
    made = {name for node in model.graph.node for name in node.output}
    tensors = {tensor.name: tensor for tensor in (*cut.made, *cut.tensors)}
    if lacking := [name for name in tensors if name not in made]:
        raise NetworkError(f"{path} has no tensor {', '.join(lacking)}; the head was trained for {', '.join(tensors)}")
    known = {name: (1, tensor.channels, tensor.rows, tensor.columns) for name, tensor in tensors.items()}
    kept = [entry for entry in model.graph.value_info if entry.name not in known]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)
    for name, shape in known.items():
        model.graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    return model


def _between(path: Path, model: Any, cut: Cut, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    from onnx.utils import Extractor

    try:
        part: Any = Extractor(model).extract_model(list(inputs), list(outputs))
    except Exception as error:
        raise NetworkError(f"{path} cannot be cut at {', '.join(tensor.name for tensor in cut.tensors)}: {error}") from error
    return part.SerializeToString()


def _missing() -> MissingDependencyError:
    return MissingDependencyError("networks that go on from latents need onnx and onnxruntime: pip install 'foveal[tasks]'")
