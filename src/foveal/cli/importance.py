"""``foveal importance``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli.batches import show_batch
from foveal.cli.options import Json, MaxPixels, Overwrite, Threads, Workers, make_limits
from foveal.cli.show import json_line, naming, stream_for

if TYPE_CHECKING:
    from foveal.guidance.showing import ImportanceReport


def importance(
    source: Annotated[
        str, typer.Argument(metavar="PICTURE", help="A picture or coded file, a folder of them, or - for standard input.")
    ],
    out: Annotated[
        str,
        typer.Option(
            metavar="OUT",
            help="A picture file to draw into; a .npy file for a map that encode --importance takes; a folder for a folder; - writes PNG.",
        ),
    ],
    tasks: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Some of classify,detect,segment,pose. Default: all of them together."),
    ] = None,
    scores: Annotated[
        str, typer.Option(metavar="HOW", help="harm: as the proxy has learned it, in one pass; gradients: its own gradients.")
    ] = "harm",
    raw: Annotated[bool, typer.Option("--raw", help="For a folder: write .npy maps, and draw nothing.")] = False,
    as_json: Json = False,
    threads: Threads = None,
    workers: Workers = None,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = None,
) -> None:
    """Show where machines look in a picture: how much each pixel matters to them, and which blocks are of interest.

    Colours are the score of each pixel over its mean, by powers of two; outlined are the blocks of 16 pixels that score above the middle one.
    """
    from foveal.guidance.reader import check_scores, parse_tasks
    from foveal.guidance.showing import ImportanceRequest, importance_batch, importance_file
    from foveal.sources import is_folder

    request = ImportanceRequest(parse_tasks(tasks), check_scores(scores), raw, threads, make_limits(max_pixels))
    if is_folder(source):
        batch = importance_batch(source, out, request)
        show_batch(*batch, verb="read", workers=workers, overwrite=overwrite, as_json=as_json)
        return
    if raw:
        raise typer.BadParameter("--raw is for a folder; of one picture, name a .npy file with --out")
    with naming(source):
        report = importance_file(source, out, request, overwrite=overwrite)
    print(json_line(report) if as_json else _text(report), file=stream_for(out))


def _text(report: ImportanceReport) -> str:
    return (
        f"{report.output}: {report.width}x{report.height} for {', '.join(report.tasks)}; highest {report.highest:.3g} times the mean, "
        f"{report.region_blocks} of {report.blocks} blocks in the region of interest, {report.importance_s:.2f} s"
    )
