"""From a run to weights that ship: frozen tensors, and a card that says where they come from."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor

from foveal.codecs.learned.scale_tables import counted_cdf
from foveal.codecs.learned.weights import Card, weights_id
from foveal.errors import RecipeError
from foveal.media.output import write_whole
from foveal.training.checkpoint import Progress, load_tensors
from foveal.training.config import TrainConfig
from foveal.training.data import load_photos
from foveal.training.models import build_model, trainable


@dataclass(frozen=True)
class Provenance:
    """What a card says beside what the run itself knows. ``name`` is the file's, without suffix."""

    name: str
    data: str
    data_terms: str
    recipe: str
    figures: str = "not measured yet"
    licence: str = "Apache-2.0"
    default: bool = True
    preset: str | None = None


_COUNTED_PHOTOS = 24


def export_run(config: TrainConfig, run: Path, out: Path, provenance: Provenance, data: Path | None = None) -> Card:
    """Writes ``<name>.safetensors`` and ``<name>.json`` of a run's averaged weights into ``out``.

    ``data``: the photographs of the training; a codec with tables by scale counts its symbols on some of them.

    Raises:
        RecipeError: the run holds no weights, or they do not fit the recipe.
    """
    model = build_model(config.codec, config.model).eval()
    try:
        model.load_state_dict(load_tensors(run, "average"))
        progress = Progress(**json.loads((run / "progress.json").read_text()))
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise RecipeError(f"{run} holds no run of this recipe: {error}; `foveal train` makes one") from error
    tensors = trainable(config.codec).freeze(model)
    recipe = provenance.recipe
    if data is not None and hasattr(model, "expected"):
        tensors["tables.cdf"] = torch.from_numpy(counted_cdf(model, _photos(data, config)).astype(np.int32))  # type: ignore[arg-type]
        recipe += f"; tables counted on {_COUNTED_PHOTOS} of the photographs"
    frozen = save_safetensors({name: t.contiguous() for name, t in tensors.items()})
    card = Card(
        name=provenance.name,
        codec=config.codec,
        id=weights_id(frozen),
        default=provenance.default,
        config=dataclasses.asdict(model.config),  # type: ignore[arg-type]
        data=provenance.data,
        data_terms=provenance.data_terms,
        recipe=recipe,
        steps=progress.step,
        minutes=round(progress.minutes, 1),
        machine=progress.machine,
        figures=provenance.figures,
        licence=provenance.licence,
        preset=provenance.preset,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / f"{card.name}.safetensors", frozen)
    write_whole(out / f"{card.name}.json", (json.dumps(dataclasses.asdict(card), indent=2) + "\n").encode())
    return card


def _photos(data: Path, config: TrainConfig) -> list[Tensor]:
    photos, _ = load_photos(data, config.data, least_side=config.crop)
    chosen = photos[:: max(1, len(photos) // _COUNTED_PHOTOS)][:_COUNTED_PHOTOS]
    cut = [photo[: photo.shape[0] // 64 * 64, : photo.shape[1] // 64 * 64] for photo in chosen]
    return [torch.from_numpy(photo.copy()).permute(2, 0, 1).float() / 255 for photo in cut]
