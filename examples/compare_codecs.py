"""Codes one photograph with every codec at about the same rate, and lays the results side by side.

Usage: python examples/compare_codecs.py [PICTURE] [--bpp 0.5] [--out out/demo]
Without a picture, a photograph that comes with scikit-image is taken.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

import foveal
from foveal.codecs.base import CodecInfo, EncodeSettings
from foveal.codecs.search import Target, encode_to_target
from foveal.media.output import write_whole
from foveal.metrics import rate
from foveal.metrics.psnr import psnr_rgb_db
from foveal.metrics.ssim import ms_ssim

_PRESETS = {"vvc": "faster"}  # seconds instead of a minute for the search; its `medium` codes 1-2 % better
_TILE = 384


@dataclass(frozen=True)
class Result:
    """One codec's row: its file, what it decodes to, and the seconds of one encode and one decode."""

    codec: CodecInfo
    data: bytes
    decoded: foveal.Picture
    bpp: float
    psnr_db: float
    ms_ssim: float
    encode_s: float
    decode_s: float


def code(picture: foveal.Picture, info: CodecInfo, bpp: float) -> Result:
    """Finds the codec's quality for the rate, then times one encode and one decode at it."""
    codec = foveal.codec_by_name(info.name)
    settings = EncodeSettings(preset=_PRESETS.get(info.name))
    found = encode_to_target(codec, picture, settings, Target(bpp=bpp))
    start = time.perf_counter()
    data = codec.encode(picture, EncodeSettings(found.quality, preset=settings.preset))
    middle = time.perf_counter()
    decoded = codec.decode(data)
    end = time.perf_counter()
    return Result(
        info,
        data,
        decoded,
        rate.bpp(len(data), picture.width, picture.height),
        psnr_rgb_db(picture, decoded),
        ms_ssim(picture, decoded),
        middle - start,
        end - middle,
    )


def table(results: list[Result], picture: foveal.Picture, name: str) -> Table:
    """The one table."""
    out = Table(title=f"{name}, {picture.width}x{picture.height}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("codec", "file", "bytes", "bpp", "PSNR dB", "MS-SSIM", "encode s", "decode s"):
        out.add_column(column, justify="left" if column in ("codec", "file") else "right", no_wrap=True)
    for r in results:
        out.add_row(
            r.codec.name,
            r.codec.suffixes[0],
            f"{len(r.data):,}",
            f"{r.bpp:.3f}",
            f"{r.psnr_db:.2f}",
            f"{r.ms_ssim:.4f}",
            f"{r.encode_s:.2f}",
            f"{r.decode_s:.2f}",
        )
    return out


def side_by_side(results: list[Result], picture: foveal.Picture) -> Image.Image:
    """The same cut of the original and of every codec, labelled."""
    tiles = [("original", picture)] + [(f"{r.codec.name}  {r.bpp:.3f} bpp  {r.psnr_db:.1f} dB", r.decoded) for r in results]
    columns = 4
    rows = -(-len(tiles) // columns)
    band, font = 26, ImageFont.load_default(size=16)
    sheet = Image.new("RGB", (columns * (_TILE + 8) + 8, rows * (_TILE + band + 8) + 8), "white")
    draw = ImageDraw.Draw(sheet)
    top, left = (max(0, side - _TILE) // 2 for side in (picture.height, picture.width))
    for i, (label, tile) in enumerate(tiles):
        x, y = 8 + i % columns * (_TILE + 8), 8 + i // columns * (_TILE + band + 8)
        draw.text((x, y + 2), label, "black", font)
        cut = np.ascontiguousarray(tile.rgb()[top : top + _TILE, left : left + _TILE])
        sheet.paste(Image.fromarray(cut), (x, y + band))
    return sheet


def main() -> None:
    """Runs the comparison and writes the files, the decoded pictures and the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?", type=Path)
    parser.add_argument("--bpp", type=float, default=0.5)
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    options = parser.parse_args()
    console = Console()
    if options.picture is None:
        from skimage.data import coffee

        name, picture = "coffee (scikit-image)", foveal.Picture(coffee())
    else:
        name, picture = options.picture.name, foveal.read_picture(options.picture)
    options.out.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    failed: list[str] = []
    for info in track(foveal.all_codecs(), "coding", console=console, transient=True):
        try:
            results.append(code(picture, info, options.bpp))
        except foveal.FovealError as error:
            failed.append(f"{info.name}: {error}")
    for result in results:
        write_whole(options.out / f"photo{result.codec.suffixes[0]}", result.data)
        foveal.write_picture(result.decoded, options.out / f"{result.codec.name}.png")
    sheet = options.out / "side_by_side.png"
    side_by_side(results, picture).save(sheet)
    console.print(table(results, picture, name))
    console.print(f"files, decoded pictures and the sheet: {sheet}")
    for line in failed:
        console.print(f"[red]failed[/red] {line}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
