"""What ``foveal train`` takes beside the recipe, checked before the run begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from foveal.errors import InputError, SettingsError

if TYPE_CHECKING:
    from torch import Tensor


def load_initial(start: str) -> dict[str, Tensor]:
    """Tensors by name: of the weights that ship under that name, else of a safetensors file or a run's folder.

    Raises:
        InputError: the file is missing or damaged.
    """
    from safetensors.torch import load_file

    from foveal.codecs.learned.weights import cards
    from foveal.training.checkpoint import load_tensors

    path = next((card.path for card in cards() if card.name == start), Path(start))
    try:
        return load_tensors(path, "average") if path.is_dir() else load_file(path)
    except Exception as error:  # the library's own error has no type to name
        raise InputError(
            f"cannot read the weights {path}: {error}; a .safetensors file, a run's folder or the name of weights that ship is needed"
        ) from error


def check_device(device: str) -> None:
    """Raises SettingsError if this torch cannot use ``device``."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device cuda, but this torch sees no CUDA device; leave --device out, or install torch for CUDA")
