"""``foveal analyze``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foveal.cli.batches import show_batch
from foveal.cli.options import Json, MaxPixels, Overwrite, Threads, Workers, make_limits
from foveal.cli.show import json_line, stream_for
from foveal.errors import FovealError

if TYPE_CHECKING:
    from foveal.tasks.analysis import AnalyzeReport, AnalyzeRequest


class ReadFrom(StrEnum):
    """What a network reads of a coded file."""

    AUTO = "auto"
    LATENT = "latent"
    PIXELS = "pixels"


def analyze(
    pictures: Annotated[
        list[str],
        typer.Argument(metavar="PICTURE...", help="Pictures or coded files, one folder of them, or - for standard input."),
    ],
    network: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="onnx:FILE, tflite:FILE, torch:MODULE:FACTORY, hf:NAME or builtin:NAME. Default: what comes with foveal for the task.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="classify, detect, segment, pose or things. Default: what the network answers."),
    ] = None,
    source: Annotated[
        ReadFrom,
        typer.Option(
            "--from",
            help="latent: read the file, make no picture. pixels: decode it. auto: latent where a head fits.",
        ),
    ] = ReadFrom.AUTO,
    bands: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Read only so many bands of a file, the coarsest first.")
    ] = None,
    allow_partial: Annotated[bool, typer.Option("--allow-partial", help="Take a file that was cut, with what is there.")] = False,
    record: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What the network is given and says. Default: the .toml beside it, or foveal's own."),
    ] = None,
    overlay: Annotated[
        str | None,
        typer.Option(metavar="OUT", help="Draw what was found: a picture file; for several pictures a folder; - writes PNG."),
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most N classes or objects, the surest first.")] = None,
    out: Annotated[str | None, typer.Option(metavar="DIR", help="For a folder: where a JSON file for each picture goes.")] = None,
    as_json: Json = False,
    threads: Threads = None,
    workers: Workers = None,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = None,
) -> None:
    """Ask a network what is in pictures: their class, objects, the class of each pixel, or a person's joints.

    Of a .fvl file that a head of foveal reads no picture is made; --from says otherwise. An overlay is drawn over the decoded picture.

    PICTURE is any file that foveal reads or decodes. A network needs a record of what it is given and says (docs/tasks.md).
    A text lists classes of 0.5 % or more, objects of a score of 0.3 and joints of 0.2, JSON lists all; --top chooses by number.

    A picture that fails does not stop the others. A folder is a batch: finished ones are skipped when the command
    is run again. Status: 0 all done, 1 something failed, 2 a command line that cannot be read.
    """
    from foveal.sources import is_folder
    from foveal.tasks.analysis import AnalyzeRequest, analyze_batch
    from foveal.tasks.choice import Asked

    if network is None and task is None:
        raise typer.BadParameter("name a --network, or a --task for what comes with foveal")
    asked = Asked(network, task, record, source.value, bands, threads, make_limits(max_pixels), allow_partial)
    request = AnalyzeRequest(asked, overlay, top)
    if len(pictures) == 1 and is_folder(pictures[0]):
        if out is None:
            raise typer.BadParameter(f"{pictures[0]} is a folder; say with --out DIR where the results go")
        batch = analyze_batch(pictures[0], out, request, overwrite=overwrite)
        show_batch(*batch, verb="analyzed", workers=workers, overwrite=overwrite, as_json=as_json)
        return
    if out is not None:
        raise typer.BadParameter("--out is for a folder of pictures; here the results are printed")
    _analyze_each(pictures, request, overwrite, as_json)


def _analyze_each(pictures: list[str], request: AnalyzeRequest, overwrite: bool, as_json: bool) -> None:
    from dataclasses import replace

    from foveal.tasks.analysis import analyze_file
    from foveal.tasks.choice import FileAnalyst

    overlays = _overlays(pictures, request.overlay)
    analyst = FileAnalyst(request.asked)
    failed = False
    for picture, overlay in zip(pictures, overlays, strict=True):
        try:
            report = analyze_file(picture, analyst, replace(request, overlay=overlay), overwrite=overwrite)
        except FovealError as error:
            if len(pictures) == 1:
                raise
            print(f"error: {picture}: {error}", file=sys.stderr)
            failed = True
            continue
        print(json_line(report) if as_json else _text(report, request.top is not None), file=stream_for(overlay or ""))
    if failed:
        raise typer.Exit(1)


def _overlays(pictures: list[str], overlay: str | None) -> list[str | None]:
    """Where each picture is drawn: the file itself, or files in the folder. Raises FovealError: two would be one file."""
    from foveal.errors import InputError

    if overlay is None or len(pictures) == 1:
        return [overlay] * len(pictures)
    folder = Path(overlay)
    if overlay == "-" or folder.is_file():
        raise InputError(f"--overlay {overlay}: several pictures need a folder to draw into")
    paths = [str(folder / (Path(picture).stem + ".png")) for picture in pictures]
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise InputError(f"two pictures would be drawn into {twice}; analyze them one by one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}") from error
    return [*paths]


def _text(report: AnalyzeReport, every: bool) -> str:
    from foveal.tasks.answers import finding_lines
    from foveal.tasks.wording import counted

    seconds = report.read_s + report.analyze_s
    lines = [f"{report.input}: {report.task} by {report.network}, {report.width}x{report.height}, {seconds:.2f} s"]
    if report.read_from == "latent":
        made = "no picture was made" if report.overlay is None else "a picture was made for the overlay alone"
        lines.append(
            f"  from latents of {counted(report.bands or 0, 'band')}, {report.bytes_read} of {report.file_bytes} bytes; {made}"
        )
    elif report.why is not None or report.bytes_read < report.file_bytes:
        why = "" if report.why is None else f": {report.why}"
        lines.append(f"  from the decoded picture, {report.bytes_read} of {report.file_bytes} bytes{why}")
    return "\n".join([*lines, *(f"  {line}" for line in finding_lines(report.found, every))])
