"""Options that several verbs share, and how their text is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, cast

import typer

from foveal.codecs.base import Chroma, Region
from foveal.codecs.search import Target, parse_size
from foveal.errors import SettingsError
from foveal.limits import DEFAULT_LIMITS, Limits
from foveal.sources import PIPE
from foveal.threads import MOST_THREADS, MOST_WORKERS

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line, instead of text.")]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_THREADS,
        metavar="N",
        help="Threads that one picture may use. Default: the codec's own choice, 1 in a batch.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, max=MOST_WORKERS, metavar="N", help="Processes that work on a batch at the same time. Default: one for each core."
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Also replace files that no batch of foveal wrote, and an input by its own output.")
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Accept pictures of up to N pixels. Default: 178956970, a bound against hostile files."
    ),
]


def choose_codec(name: str | None, output: str) -> tuple[str, str | None]:
    """The codec's name, and the suffix to write: by ``name``, else by ``output``, our own for a folder or a pipe.

    Raises:
        UnknownCodecError: no codec has that name or writes that suffix, or several do.
    """
    from foveal.codecs.registry import DEFAULT_CODEC, codec_for_suffix

    suffix = "" if output in ("", PIPE) else Path(output).suffix.lower()
    if name is not None:
        return name, suffix or None
    if output in ("", PIPE):
        return DEFAULT_CODEC, None
    return codec_for_suffix(suffix).name, suffix


def parse_target(bpp: float | None, size: str | None, psnr_db: float | None) -> Target | None:
    """The target, or None if none is given. Raises SettingsError: a value out of range, or two of them."""
    if bpp is None and size is None and psnr_db is None:
        return None
    return Target(bpp, None if size is None else parse_size(size), psnr_db)


def make_limits(pixels: int | None) -> Limits:
    """The default limits, with another number of pixels if one is given."""
    return DEFAULT_LIMITS if pixels is None else Limits(pixels=pixels)


def parse_color(text: str | None) -> tuple[int, int, int] | None:
    """R, G, B in 0..255 of ``#rrggbb``. Raises SettingsError: anything else."""
    if text is None:
        return None
    if re.fullmatch("#[0-9a-fA-F]{6}", text) is None:
        raise SettingsError(f"colour {text!r}; # and six hexadecimal digits are needed, such as '#ffffff'")
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def parse_chroma(text: str | None) -> Chroma | None:
    """``420`` or ``4:2:0``; whether the codec has it is for the codec to say."""
    return None if text is None else cast(Chroma, text.replace(":", ""))


def parse_crop(text: str | None) -> Region | None:
    """The part of a picture that ``x,y,w,h`` means; whether the picture holds it is for the codec to say.

    Raises:
        SettingsError: not four whole numbers.
    """
    if text is None:
        return None
    if re.fullmatch(r"\s*-?\d{1,9}\s*(,\s*-?\d{1,9}\s*){3}", text, re.ASCII) is None:
        raise SettingsError(f"crop {text!r}; x,y,width,height in pixels are needed, four whole numbers such as 0,0,640,480")
    x, y, width, height = map(int, text.split(","))
    return Region(x, y, width, height)


def parse_qualities(text: str | None) -> tuple[float, ...] | None:
    """Numbers between commas. Raises SettingsError: anything else."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(f"qualities {text!r}; numbers of 1..100 between commas are needed, such as 10,30,50") from error
