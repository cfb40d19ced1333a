"""``foveal train``."""

from __future__ import annotations

import json
import math
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from foveal.cli.options import Json
from foveal.threads import MOST_THREADS


class Device(StrEnum):
    """Where networks run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A TOML file, such as recipes/frequency.toml.")],
    run: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder of this run: checkpoints, weights and log. A run in it goes on.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="What to train on: photographs, or for a network such as camvid-segment its folder of scenes. May be left out to --export a run as it is.",
        ),
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0, metavar="M", help="Stop after M minutes. Default: when the recipe's steps are done.")
    ] = math.inf,
    threads: Annotated[
        int | None, typer.Option(min=1, max=MOST_THREADS, metavar="N", help="CPU threads. Default: torch's own choice.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to train; auto takes CUDA where it is there.")] = Device.AUTO,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="WEIGHTS",
            help="Start a fresh run from these weights: a .safetensors(.xz) file, a run's folder, or a name such as frequency-2.",
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Then freeze the averaged weights to what the codec or the network loads, and write them to DIR."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The exported file's name. Default: the recipe's.")] = None,
    photos: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="For the card of exported weights: what they were trained on, photographs or scenes, in words; --data names the folder.",
        ),
    ] = "not said",
    terms: Annotated[
        str, typer.Option(metavar="TEXT", help="For the card: on what terms those pictures may be used.")
    ] = "not said",
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="For the card: the preset of `foveal encode` that takes these weights, such as mse or ms-ssim."
        ),
    ] = None,
    figures: Annotated[
        str, typer.Option(metavar="TEXT", help="For the card: what the weights score, and how that was measured.")
    ] = "not measured yet",
    recipe_note: Annotated[
        str, typer.Option(metavar="TEXT", help="For the card: what the recipe does not say of this run.")
    ] = "",
    base: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Export the difference to weights that ship, such as frequency-2, that the run went on from: a smaller file.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a learned codec, or a network that reads pictures, by a recipe; resume a run, or export one.

    Photographs are all pictures in DIR that the recipe's pattern takes (any, by the recipes that come with foveal);
    for camvid-segment DIR is CamVid, with pictures in train and val, and masks of the same names in train_labels and val_labels (docs/tasks.md).
    A line a minute tells how it goes; with --json it goes to standard error, and one object at the end says what was done. Stop with Ctrl-C or --minutes: the same command goes on from the last checkpoint.
    """
    if data is None and export is None:
        raise typer.BadParameter("--data DIR is needed to train (or --export DIR to export the run as it is)")
    from foveal.training.config import read_recipe

    config = read_recipe(recipe)
    log = partial(print, flush=True, file=sys.stderr if as_json else sys.stdout)
    done: dict[str, object] = {"recipe": str(recipe), "run": str(run)}
    if data is not None:
        from foveal.cli.training_inputs import check_device, load_initial
        from foveal.training import loop

        check_device(device.value)
        initial = load_initial(start, config.trains) if start else None
        progress = loop.train(config, data, run, minutes=minutes, device=device.value, threads=threads, initial=initial, log=log)
        done |= {"step": progress.step, "steps": config.steps, "minutes": round(progress.minutes, 1)}
        log(f"{run}: step {progress.step} of {config.steps}, {progress.minutes:.1f} minutes in all")
    if export is not None:
        from foveal.codecs.learned.weights import SUFFIX
        from foveal.training.export import Provenance, export_run

        provenance = Provenance(
            name or recipe.stem,
            data=photos,
            data_terms=terms,
            recipe=recipe.name,
            figures=figures,
            preset=preset,
            recipe_note=recipe_note,
            base=base,
        )
        card = export_run(config, run, export, provenance, data)
        done |= {"exported": str(export / f"{card.name}{SUFFIX}"), "weights": card.id}
        log(f"exported {card.name}, weights {card.id}, to {export}")
    if as_json:
        print(json.dumps(done))
