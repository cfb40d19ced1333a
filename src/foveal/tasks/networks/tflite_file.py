"""Networks in TensorFlow Lite files, run by LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import MissingDependencyError, NetworkError
from foveal.tasks.networks.base import Declared, Network, file_identity
from foveal.threads import available_cores


@final
class TfliteNetwork(Network):
    """Opens a file with one input. threads: how many a run may use, None for one a core.

    Raises:
        NetworkError: it cannot be opened. MissingDependencyError: ai-edge-litert has to be installed.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingDependencyError("networks in .tflite files need ai-edge-litert: pip install 'foveal[tflite]'") from error
        try:
            self._interpreter = Interpreter(str(path), num_threads=threads or available_cores())
            self._interpreter.allocate_tensors()
        except Exception as error:
            raise NetworkError(f"LiteRT cannot open {path}: {error}") from error
        inputs = self._interpreter.get_input_details()
        if len(inputs) != 1:
            raise NetworkError(f"{path} has {len(inputs)} inputs; a network of one input, the picture, is needed")
        self._input, self._outputs, self._path = inputs[0], self._interpreter.get_output_details(), path
        self.identity = file_identity(path)
        self._shape = tuple(int(side) for side in self._input["shape"])
        signature = self._input.get("shape_signature", self._input["shape"])
        shape = tuple(None if side < 0 else int(side) for side in signature)
        self.declared = Declared(shape, np.dtype(self._input["dtype"]).name)

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        try:
            if batch.shape != self._shape:
                self._interpreter.resize_tensor_input(self._input["index"], list(batch.shape), strict=True)
                self._interpreter.allocate_tensors()
                self._shape = batch.shape
            self._interpreter.set_tensor(self._input["index"], batch)
            self._interpreter.invoke()
            return tuple(self._real(output) for output in self._outputs)
        except Exception as error:
            raise NetworkError(f"{self._path.name} fails: {error}") from error

    def _real(self, output: dict[str, Any]) -> NDArray[Any]:
        """An output, as real numbers if it is quantised."""
        values = self._interpreter.get_tensor(output["index"])
        scale, zero_point = output["quantization"]
        if not scale:
            return values
        return ((values.astype(np.float32) - zero_point) * np.float32(scale)).astype(np.float32)
