"""``foveal encode``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foveal.cli.batches import show_batch
from foveal.cli.options import (
    Json,
    MaxPixels,
    Overwrite,
    Threads,
    Workers,
    choose_codec,
    make_limits,
    parse_chroma,
    parse_color,
    parse_target,
)
from foveal.cli.show import encoded_line, json_line, naming, stream_for


def encode(
    source: Annotated[str, typer.Argument(metavar="IN", help="A picture, a folder of pictures, or - for standard input.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="The file or folder to write, or - for standard output.")],
    codec: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The codec. Default: the one that OUT's suffix names, frequency for .fvl, a folder or -."
        ),
    ] = None,
    quality: Annotated[
        float | None, typer.Option(metavar="Q", help="1 (smallest file) to 100 (best picture). Default: 50.")
    ] = None,
    target_bpp: Annotated[
        float | None, typer.Option(metavar="B", help="Search for the best file of at most B bits per pixel.")
    ] = None,
    target_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Search for the best file of at most SIZE: 40000, 40KB, 1.5MB, 64KiB.")
    ] = None,
    target_psnr: Annotated[
        float | None, typer.Option(metavar="DB", help="Search for the smallest file of at least DB dB (RGB).")
    ] = None,
    chroma: Annotated[str | None, typer.Option(metavar="FORMAT", help="400, 420, 422 or 444, where the codec has it.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The codec's own name for speed against size, or for what its weights were trained for."
        ),
    ] = None,
    background: Annotated[
        str | None, typer.Option(metavar="'#rrggbb'", help="Lay a transparent picture over this colour.")
    ] = None,
    importance: Annotated[
        str | None,
        typer.Option(
            metavar="MAP",
            help="Where the bits shall go: a picture of any size, white matters most, or a .npy of 0..1; or a folder of maps, "
            "each with its picture's stem.",
        ),
    ] = None,
    hold_rate: Annotated[
        bool, typer.Option("--hold-rate", help="With --importance: make the file as large as without it at this quality.")
    ] = False,
    reader: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="READER",
            help="person or machine; for a machine a network says where the bits go, in a file as large as a plain one.",
        ),
    ] = "person",
    tasks: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="With --for machine: some of classify,detect,segment,pose. Default: all of them."),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="HOW", help="With --for machine: fast or full, code at 3 or 8 steps and choose each block's by what is lost."
        ),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(metavar="HOW", help="With --for machine: harm (default) or gradients, how importance is found."),
    ] = None,
    reads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --for machine: pixels of the longer side at which it reads; finer detail is filtered away. 416; 0 keeps all.",
        ),
    ] = None,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="The codec's own adaptive quantisation, where it has one: hevc, kvazaar.")
    ] = False,
    preprocess: Annotated[
        str | None,
        typer.Option(
            metavar="NETWORK",
            help="Before a standard codec, for machines: npp, or npp:hevc for the network that was trained for another codec.",
        ),
    ] = None,
    restore: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="For people: full, mend what is decoded; compact, code half the size and restore it. Other decoders show the picture as it is coded.",
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(metavar="N", help="Tiles of N x N pixels, a multiple of 128 from 256 to 4096, where the codec has them."),
    ] = None,
    threads: Threads = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Decode the new file and check it before it replaces anything.")
    ] = False,
    explain: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Of one picture: write what it looks like after each band or iteration, and what is left, into DIR.",
        ),
    ] = None,
    as_json: Json = False,
    workers: Workers = None,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = None,
) -> None:
    """Code a picture, or a folder of pictures, into real files.

    OUT's suffix chooses the codec: .fvl for our own, .jpg .jp2 .webp .avif .jxl .hevc .obu .266 for the standard ones.
    Set at most one of --quality, --target-bpp, --target-size and --target-psnr. A size target is never exceeded.

    A folder is a batch: OUT is a folder too, finished files are skipped when the command is run again, and a
    picture that fails does not stop the others. With a folder of maps, a picture that has none is coded without; the
    summary says how many. Status: 0 all done, 1 something failed, 2 a command line that cannot be read.
    """
    from foveal.codecs.around.chain import asked_around
    from foveal.codecs.base import EncodeSettings
    from foveal.files import EncodeRequest, check_output, encode_file
    from foveal.folders import encode_batch
    from foveal.guidance.reader import asked_machine
    from foveal.sources import is_folder

    given = sum(value is not None for value in (quality, target_bpp, target_size, target_psnr))
    if given > 1:
        raise typer.BadParameter("set only one of --quality, --target-bpp, --target-size and --target-psnr")
    folder = is_folder(source)
    if not folder:
        check_output(output)
    name, suffix = choose_codec(codec, "" if folder else output)
    request = EncodeRequest(
        codec=name,
        settings=EncodeSettings(
            50.0 if quality is None else quality,
            parse_chroma(chroma),
            preset,
            suffix,
            threads,
            tile=tile,
            adaptive=adaptive,
        ),
        target=parse_target(target_bpp, target_size, target_psnr),
        background=parse_color(background),
        verify=verify,
        limits=make_limits(max_pixels),
        importance=importance,
        hold_rate=hold_rate,
        machine=asked_machine(reader, tasks, search, scores, reads),
        around=asked_around(preprocess, restore),
        explain=explain,
    )
    if folder:
        if explain is not None:
            raise typer.BadParameter("--explain is for one picture; IN is a folder of them")
        batch = encode_batch(source, output, request)
        show_batch(*batch, verb="encoded", workers=workers, overwrite=overwrite, as_json=as_json)
        return
    with naming(source):
        report = encode_file(source, output, request, overwrite=overwrite)
    print(json_line(report) if as_json else encoded_line(report), file=stream_for(output))
