"""From a run to weights that ship: frozen tensors, and a card that says where they come from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from foveal.codecs.learned.weights import SUFFIX, WeightsCard, pack_weights
from foveal.errors import RecipeError
from foveal.media.output import write_whole
from foveal.training.checkpoint import Progress, load_tensors
from foveal.training.config import AnyConfig
from foveal.training.subject import Provenance as Provenance
from foveal.training.subjects import subject_of


def export_run(config: AnyConfig, run: Path, out: Path, provenance: Provenance, data: Path | None = None) -> WeightsCard:
    """Writes ``<name>.safetensors.xz`` and ``<name>.json`` of a run's averaged weights into ``out``.

    ``data``: what the training learned from; a codec with tables by scale counts its symbols on some of it.

    Raises:
        RecipeError: the run holds no weights, or they do not fit the recipe, or the base.
    """
    subject = subject_of(config)
    model = subject.build().eval()
    try:
        model.load_state_dict(load_tensors(run, "average"))
        progress = Progress(**json.loads((run / "progress.json").read_text()))
    except RuntimeError as error:
        raise RecipeError(
            f"{run} holds no run of this recipe: its weights are not those of {subject.name} of these sizes"
        ) from error
    except (OSError, TypeError, ValueError) as error:
        raise RecipeError(f"{run} holds no run of this recipe: {error}; `foveal train` makes one") from error
    frozen = subject.freeze(model, data)
    try:
        made_id, written = pack_weights(frozen.tensors, provenance.base)
    except (OSError, ValueError) as error:
        raise RecipeError(f"cannot tell these weights apart from {provenance.base}: {error}; leave the base out") from error
    made = WeightsCard(
        name=provenance.name,
        id=made_id,
        config=dataclasses.asdict(model.config),  # type: ignore[arg-type]
        data=provenance.data,
        data_terms=provenance.data_terms,
        recipe="; ".join(part for part in (provenance.recipe, frozen.note, provenance.recipe_note) if part),
        steps=progress.step,
        minutes=round(progress.minutes, 1),
        machine=progress.machine,
        figures=provenance.figures,
        licence=provenance.licence,
        base=provenance.base,
    )
    card = subject.card(made, provenance)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / f"{card.name}{SUFFIX}", written)
    write_whole(out / f"{card.name}.json", (json.dumps(dataclasses.asdict(card), indent=2) + "\n").encode())
    return card
