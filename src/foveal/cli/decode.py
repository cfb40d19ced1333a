"""``foveal decode``."""

from __future__ import annotations

from typing import Annotated

import typer

from foveal.cli.batches import show_batch
from foveal.cli.options import Json, MaxPixels, Overwrite, Threads, Workers, make_limits, parse_crop
from foveal.cli.show import decoded_line, json_line, naming, stream_for


def decode(
    source: Annotated[str, typer.Argument(metavar="IN", help="A coded file, a folder of them, or - for standard input.")],
    output: Annotated[str, typer.Argument(metavar="OUT", help="The picture or folder to write, or - for standard output.")],
    bands: Annotated[
        int | None, typer.Option(metavar="N", help="Decode the N coarsest bands: a smaller read, a coarser picture.")
    ] = None,
    crop: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H", help="Decode the part W x H pixels large that begins X,Y from the top left.")
    ] = None,
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Take a truncated .fvl file, such as half a download, as far as it goes.")
    ] = False,
    threads: Threads = None,
    as_json: Json = False,
    workers: Workers = None,
    overwrite: Overwrite = False,
    max_pixels: MaxPixels = None,
) -> None:
    """Decode a .fvl file, or any standard file that foveal writes, to a picture.

    OUT's suffix names the format of the picture: .png, .ppm, .tiff and what else Pillow writes; - writes PNG.
    The codec is found from the file's first bytes, not from its name. With --bands, and with --crop where the file has tiles,
    no more of a .fvl file is read than they need; `foveal info` lists its bands and tiles.

    A folder is a batch of PNG files: finished ones are skipped when the command is run again, and a file that
    fails does not stop the others. Status: 0 all done, 1 something failed, 2 a command line that cannot be read.
    """
    from foveal.files import DecodeRequest, decode_file
    from foveal.folders import decode_batch
    from foveal.sources import is_folder

    request = DecodeRequest(make_limits(max_pixels), threads, bands, parse_crop(crop), allow_partial)
    if is_folder(source):
        batch = decode_batch(source, output, request)
        show_batch(*batch, verb="decoded", workers=workers, overwrite=overwrite, as_json=as_json)
        return
    with naming(source):
        report = decode_file(source, output, request, overwrite=overwrite)
    print(json_line(report) if as_json else decoded_line(report), file=stream_for(output))
