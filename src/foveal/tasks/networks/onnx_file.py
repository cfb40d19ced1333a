"""Networks in ONNX files, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import MissingDependencyError, NetworkError
from foveal.tasks.networks.base import Declared, Network, file_identity
from foveal.threads import available_cores

_TYPES: Final = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}


@final
class OnnxNetwork(Network):
    """Opens a file with one input. threads: how many a run may use, None for one a core.

    Raises:
        NetworkError: it cannot be opened. MissingDependencyError: onnxruntime has to be installed.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingDependencyError("networks in ONNX files need onnxruntime: pip install 'foveal[tasks]'") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or available_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong comes as an exception; the rest is about the file's making
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise NetworkError(f"ONNX Runtime cannot open {path}: {error}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(known.name for known in inputs) or "none"
            raise NetworkError(f"{path} has {len(inputs)} inputs ({names}); a network of one input, the picture, is needed")
        self._name, self._path, self.identity = inputs[0].name, path, file_identity(path)
        shape = tuple(side if isinstance(side, int) else None for side in inputs[0].shape)
        self.declared = Declared(shape, _TYPES.get(inputs[0].type, inputs[0].type))

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        try:
            return tuple(np.asarray(output) for output in self._session.run(None, {self._name: batch}))
        except Exception as error:
            raise NetworkError(f"{self._path.name} fails: {error}") from error
