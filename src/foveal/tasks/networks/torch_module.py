"""Networks that are torch modules: a user's own, those of transformers, and those that come with foveal."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, final

from numpy.typing import NDArray

from foveal.errors import NetworkError
from foveal.tasks.networks.base import Network
from foveal.threads import thread_limit

if TYPE_CHECKING:
    import torch
    from torch import nn

DEFAULT_FACTORY: Final = "network"
"""The attribute that ``torch:package.module`` means."""


@final
class TorchNetwork(Network):
    """Runs a module, in evaluation mode and without gradients. threads: how many a run may use, None for torch's own choice.

    Its outputs are the tensors that it returns: one, or those of a tuple, a list or a mapping, in their order.
    """

    def __init__(self, module: nn.Module, threads: int | None = None, label: str = "the network") -> None:
        self._module, self._threads, self._label = module.eval(), threads, label

    @cached_property
    def identity(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A hash of the module's numbers, its layers and the file of its class."""
        file = inspect.getsourcefile(type(self._module))
        digest = hashlib.sha256(repr(self._module).encode() + (Path(file).read_bytes() if file else b""))
        for name, tensor in self._module.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode() + _array(tensor).tobytes())
        return digest.hexdigest()

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        import torch

        try:
            with thread_limit(self._threads), torch.inference_mode():
                return tuple(_array(tensor) for tensor in _tensors(self._module(torch.from_numpy(batch))))
        except Exception as error:
            raise NetworkError(f"{self._label} fails: {type(error).__name__}: {error}") from error


def load_module(spec: str) -> tuple[nn.Module, Path | None]:
    """The module that ``package.module:factory`` names, and the Python file it is in. The factory is called without arguments; a
    module ready-made will do too. Without ``:factory`` it is called ``network``.

    Raises:
        NetworkError: it cannot be imported, there is no such factory, or it fails or gives something else.
    """
    import torch

    place, _, name = spec.partition(":")
    try:
        code = importlib.import_module(place)
    except Exception as error:
        raise NetworkError(
            f"torch:{spec}: cannot import {place}: {type(error).__name__}: {error}; is it on PYTHONPATH?"
        ) from error
    made: Any = getattr(code, name or DEFAULT_FACTORY, None)
    if made is None:
        raise NetworkError(f"torch:{spec}: {place} has no {name or DEFAULT_FACTORY}; name a factory: torch:{place}:FACTORY")
    if not isinstance(made, torch.nn.Module):
        try:
            made = made()
        except Exception as error:
            raise NetworkError(f"torch:{spec}: the factory fails: {type(error).__name__}: {error}") from error
    if not isinstance(made, torch.nn.Module):
        raise NetworkError(f"torch:{spec} gives a {type(made).__name__}; a torch.nn.Module is needed")
    file = inspect.getsourcefile(code)
    return made, None if file is None else Path(file)


def _tensors(output: Any) -> Iterator[torch.Tensor]:
    import torch

    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, Mapping):
        for part in cast("Mapping[str, Any]", output).values():
            yield from _tensors(part)
    elif isinstance(output, list | tuple):
        for part in cast("list[Any]", output):
            yield from _tensors(part)
    elif output is not None:
        raise NetworkError(f"a {type(output).__name__} among the outputs; tensors are needed")


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    import torch

    return (tensor.to(torch.float32) if tensor.is_floating_point() else tensor).cpu().contiguous().numpy()
