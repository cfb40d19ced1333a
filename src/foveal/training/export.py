"""From a run to weights that ship: frozen tensors, and a card that says where they come from."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from safetensors.torch import save as save_safetensors

from foveal.codecs.learned.gdn import GdnModel, freeze
from foveal.codecs.learned.weights import Card, weights_id
from foveal.errors import RecipeError
from foveal.media.output import write_whole
from foveal.training.checkpoint import Progress
from foveal.training.config import TrainConfig
from foveal.training.models import build_model


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


def export_run(config: TrainConfig, run: Path, out: Path, provenance: Provenance) -> Card:
    """Writes ``<name>.safetensors`` and ``<name>.json`` of a run's averaged weights into ``out``.

    Raises:
        RecipeError: the run holds no weights, or they do not fit the recipe.
    """
    model = build_model(config.codec, config.model)
    assert isinstance(model, GdnModel)
    try:
        model.load_state_dict(load_file(run / "average.safetensors"))
        progress = Progress(**json.loads((run / "progress.json").read_text()))
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise RecipeError(f"{run} holds no run of this recipe: {error}; `foveal train` makes one") from error
    data = save_safetensors({name: t.contiguous() for name, t in freeze(model).items()})
    card = Card(
        name=provenance.name,
        codec=config.codec,
        id=weights_id(data),
        default=provenance.default,
        config=dataclasses.asdict(model.config),
        data=provenance.data,
        data_terms=provenance.data_terms,
        recipe=provenance.recipe,
        steps=progress.step,
        minutes=round(progress.minutes, 1),
        machine=progress.machine,
        figures=provenance.figures,
        licence=provenance.licence,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / f"{card.name}.safetensors", data)
    write_whole(out / f"{card.name}.json", (json.dumps(dataclasses.asdict(card), indent=2) + "\n").encode())
    return card
