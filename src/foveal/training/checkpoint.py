"""A run on disk: safetensors only, written whole or not at all, in files below 16 MiB as long as each tensor is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from foveal.errors import RecipeError

_FILE_BYTES = 15 << 20
_MOMENTS, _MOVED = ("exp_avg", "exp_avg_sq"), "step"


@dataclass(frozen=True)
class Progress:
    """How far a run is. ``minutes`` is time spent in the loop, over all sittings; ``trains`` what, empty in runs of old."""

    step: int = 0
    minutes: float = 0.0
    machine: str = ""
    trains: str = ""


def save(folder: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Writes weights, averaged weights, the optimizer's moments and how often it moved each weight, and, last, the progress."""
    folder.mkdir(parents=True, exist_ok=True)
    names = _names(model, optimizer)
    state = optimizer.state_dict()["state"]
    _write(folder, "model", model.state_dict())
    _write(folder, "average", average.state_dict())
    for moment in (*_MOMENTS, _MOVED):
        _write(folder, moment, {n: state[i][moment] for i, n in enumerate(names) if i in state})
    partial = folder / "progress.json.partial"
    partial.write_text(json.dumps(asdict(progress)))
    partial.replace(folder / "progress.json")


def resume(folder: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, trains: str) -> Progress:
    """Loads a run of ``trains`` into the given objects; a folder without one gives a fresh ``Progress``.

    Raises:
        RecipeError: a file of the run is damaged, or the run is of something else, or of other sizes than the recipe's.
    """
    if not (folder / "progress.json").exists():
        return Progress()
    try:
        return _resume(folder, model, average, optimizer, trains)
    except RecipeError:
        raise
    except Exception as error:  # safetensors, json and torch each have errors of their own
        reason = str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
        raise RecipeError(f"the run in {folder} cannot go on: {reason}; begin another with --run in a new folder") from error


def _resume(folder: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, trains: str) -> Progress:
    progress = Progress(**json.loads((folder / "progress.json").read_text()))
    if progress.trains not in ("", trains):
        raise RecipeError(
            f"the run in {folder} cannot go on: it is a run of {progress.trains}, the recipe trains {trains}; "
            f"take its recipe, or begin another with --run in a new folder"
        )
    tensors = load_tensors(folder, "model")
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise RecipeError(
            f"the run in {folder} cannot go on: its weights are not those of {trains} of the recipe's sizes; "
            "take its own recipe, or begin another with --run in a new folder"
        ) from error
    average.load_state_dict(load_tensors(folder, "average"))
    moments = {m: load_tensors(folder, m) for m in _MOMENTS}
    # Runs of old do not say it. A step without a part of the model, as on few bands, does not move that part.
    moved = load_tensors(folder, _MOVED) if (folder / f"{_MOVED}.safetensors").exists() else {}
    all_steps = torch.tensor(float(progress.step))
    state = optimizer.state_dict()
    for i, name in enumerate(_names(model, optimizer)):
        if name in moments["exp_avg"]:
            state["state"][i] = {m: moments[m][name] for m in moments} | {_MOVED: moved.get(name, all_steps).clone()}
    optimizer.load_state_dict(state)
    return progress


def _names(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    """The parameters' names in the optimizer's order, which goes by groups."""
    name_of = {id(p): name for name, p in model.named_parameters()}
    return [name_of[id(p)] for group in optimizer.param_groups for p in group["params"]]


def load_tensors(folder: Path, stem: str) -> dict[str, Tensor]:
    """All tensors of ``<stem>.safetensors`` and the ``<stem>.1.safetensors`` and so on that go on from it.

    Raises:
        OSError, SafetensorError: the first is missing, or one is damaged.
    """
    tensors = load_file(folder / f"{stem}.safetensors")
    for path in sorted(folder.glob(f"{stem}.*.safetensors")):
        tensors |= load_file(path)
    return tensors


def _write(folder: Path, stem: str, tensors: dict[str, Tensor]) -> None:
    files: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        size += tensor.nbytes
        if size > _FILE_BYTES and files[-1]:
            files.append({})
            size = tensor.nbytes
        files[-1][name] = tensor.detach().cpu().contiguous()
    for number, part in enumerate(files):
        path = folder / (f"{stem}.{number}.safetensors" if number else f"{stem}.safetensors")
        partial = path.with_suffix(".partial")
        save_file(part, partial)
        partial.replace(path)
