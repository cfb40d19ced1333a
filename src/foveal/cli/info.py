"""``foveal info``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from foveal.cli.options import Json, MaxPixels, make_limits
from foveal.cli.show import info_json, info_text
from foveal.errors import FovealError


def info(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Coded files, or - for standard input.")],
    as_json: Json = False,
    max_pixels: MaxPixels = None,
) -> None:
    """Tell what coded files say of themselves: geometry, codec, weights, tiles, bits per band, CRC. Nothing is decoded for it.

    A file that cannot be read does not stop the others. Status: 0 all read, 1 something failed.
    """
    from foveal.codecs.sniff import describe_file
    from foveal.sources import read_source

    limits, failed = make_limits(max_pixels), False
    for file in files:
        try:
            about = describe_file(read_source(file, limits), limits)
        except FovealError as error:
            print(f"error: {file}: {error}", file=sys.stderr)
            failed = True
            continue
        print(info_json(file, about) if as_json else info_text(file, about))
    if failed:
        raise typer.Exit(1)
