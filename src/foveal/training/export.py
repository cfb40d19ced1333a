"""From a run to weights that ship: frozen tensors, and a card that says where they come from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from foveal.codecs.learned.weights import SUFFIX, Card, WeightsCard, pack_weights, read_tensors
from foveal.errors import RecipeError
from foveal.media.output import write_whole
from foveal.training.checkpoint import Progress, load_tensors
from foveal.training.config import AnyConfig
from foveal.training.models import trainable
from foveal.training.subject import Frozen
from foveal.training.subject import Provenance as Provenance
from foveal.training.subjects import subject_of


def export_run(config: AnyConfig, run: Path, out: Path, provenance: Provenance, data: Path | None = None) -> WeightsCard:
    """Writes ``<name>.safetensors.xz`` and ``<name>.json`` of a run's averaged weights into ``out``, and beside them what else the run made.

    ``data``: what the training learned from; a codec with tables by scale counts its symbols on some of it.

    Raises:
        RecipeError: the run holds no weights, or they do not fit the recipe, or the base.
        UnknownWeightsError: the weights that they extend are not here.
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
    sizes: dict[str, int | float | str] = dataclasses.asdict(model.config)  # type: ignore[arg-type]
    made, written = _packed(subject.freeze(model, data), sizes, provenance, progress)
    card = subject.card(made, provenance)
    _write(card, written, out)
    for beside in subject.companions(model, card):
        made, written = _packed(
            beside.frozen, beside.config, dataclasses.replace(provenance, name=beside.name, base=beside.base), progress
        )
        _write(beside.card(made), written, out)
    return card


def _packed(
    frozen: Frozen, sizes: dict[str, int | float | str], provenance: Provenance, progress: Progress
) -> tuple[WeightsCard, bytes]:
    """What every card has, and the bytes of the weights."""
    try:
        made_id, written = pack_weights(frozen.tensors, provenance.base, frozen.extends)
    except (OSError, ValueError) as error:
        raise RecipeError(f"cannot tell these weights apart from {provenance.base}: {error}; leave the base out") from error
    made = WeightsCard(
        name=provenance.name,
        id=made_id,
        config=sizes,
        data=provenance.data,
        data_terms=provenance.data_terms,
        recipe="; ".join(part for part in (provenance.recipe, frozen.note, provenance.recipe_note) if part),
        steps=progress.step,
        minutes=round(progress.minutes, 1),
        machine=progress.machine,
        figures=provenance.figures,
        licence=provenance.licence,
        base=provenance.base,
        extends=frozen.extends,
    )
    return made, written


def export_again(path: Path, out: Path, name: str, note: str = "") -> Card:
    """Writes weights of a codec that an earlier export made, with its card beside them, as an export does now: their floats
    shortened. Steps, entropy networks and tables stay the integers that they are.

    Raises:
        RecipeError: the file or its card does not serve.
    """
    try:
        tensors = read_tensors(path)
        old = Card(**json.loads(path.with_name(f"{path.name.removesuffix(SUFFIX)}.json").read_text()))
        codec = trainable(old.codec)
        model = codec.build(dict(old.config)).eval()
        model.load_state_dict(codec.thaw(tensors))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RecipeError(f"{path} holds no weights of a codec with their card beside them: {error}") from error
    if codec.shorten is None:
        raise RecipeError(f"the weights of {old.codec} ship in float16; export its run")
    short = codec.shorten(model)
    networks = tuple({f"{part.split('.', 1)[0]}." for part in short})
    made_id, written = pack_weights({n: t for n, t in tensors.items() if not n.startswith(networks)} | short)
    recipe = "; ".join(part for part in (old.recipe, note) if part)
    card = dataclasses.replace(old, name=name, id=made_id, recipe=recipe, base=None, extends=None)
    _write(card, written, out)
    return card


def _write(card: WeightsCard, written: bytes, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / f"{card.name}{SUFFIX}", written)
    write_whole(out / f"{card.name}.json", (json.dumps(dataclasses.asdict(card), indent=2) + "\n").encode())
