"""What ``foveal train`` takes beside the recipe, checked before the run begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from foveal.errors import InputError, SettingsError

if TYPE_CHECKING:
    from torch import Tensor


def load_initial(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a safetensors file. Raises InputError: it is missing or damaged."""
    from safetensors.torch import load_file

    try:
        return load_file(str(path))
    except Exception as error:  # the library's own error has no type to name
        raise InputError(f"cannot read the weights {path}: {error}; a .safetensors file is needed") from error


def check_device(device: str) -> None:
    """Raises SettingsError if this torch cannot use ``device``."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device cuda, but this torch sees no CUDA device; leave --device out, or install torch for CUDA")
