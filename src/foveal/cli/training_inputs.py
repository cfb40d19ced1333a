"""What ``foveal train`` takes beside the recipe, checked before the run begins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from foveal.errors import InputError, RecipeError, SettingsError

if TYPE_CHECKING:
    from torch import Tensor


def load_initial(start: str, codec: str) -> dict[str, Tensor]:
    """Tensors by name: of the weights that ship under that name, else of a safetensors file or a run's folder.

    ``codec``: the one that the recipe trains.

    Raises:
        InputError: the file is missing or damaged. RecipeError: its card says that it is of another codec.
    """
    from foveal.codecs.learned.weights import FOLDER, SUFFIX, cards, read_tensors
    from foveal.training.checkpoint import load_tensors

    shipped = FOLDER / f"{Path(start).name}{SUFFIX}"
    path = shipped if start == Path(start).name and shipped.exists() else Path(start)
    found = _trained(path.with_name(path.name.removesuffix(".xz")).with_suffix(".json"))
    if found not in (None, codec):
        own = " or ".join(card.name for card in cards() if card.codec == codec) or f"those of a run of {codec}"
        raise RecipeError(
            f"the weights {start} are of {found}, the recipe trains {codec}; start from {own}, take a recipe of {found}, "
            "or leave --from out"
        )
    try:
        return load_tensors(path, "average") if path.is_dir() else read_tensors(path)
    except Exception as error:  # the library's own error has no type to name
        raise InputError(
            f"cannot read the weights {path}: {error}; a .safetensors file (under xz, .safetensors.xz), a run's folder "
            "or the name of weights that ship is needed"
        ) from error


def _trained(path: Path) -> str | None:
    """The codec, or the task's network, that the card at ``path`` names; None where there is no card."""
    try:
        card: object = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(card, dict):
        return None
    values = cast(dict[str, object], card)
    name = values.get("codec", values.get("network"))
    return name if isinstance(name, str) else None


def check_device(device: str) -> None:
    """Raises SettingsError if this torch cannot use ``device``."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("device cuda, but this torch sees no CUDA device; leave --device out, or install torch for CUDA")
