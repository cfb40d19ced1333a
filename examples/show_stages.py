"""Lays what ``foveal encode --explain DIR`` wrote side by side: pictures in one row, what was still wrong with them below.

Usage: python examples/show_stages.py DIR [--stages 1,2,4,8,16] [--crop 0,0,256,256] [--out out/stages.webp]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

_LABEL, _GAP = 24, 6


def sheet(folder: Path, stages: list[dict[str, Any]], crop: tuple[int, int, int, int] | None) -> Image.Image:
    """Two rows, a column for each stage, labelled. crop: x, y, width and height in pixels; the whole picture if left out."""
    pairs = [[Image.open(folder / stage[name]).convert("RGB") for name in ("reconstruction", "shown")] for stage in stages]
    if crop is not None:
        x, y, w, h = crop
        pairs = [[image.crop((x, y, x + w, y + h)) for image in pair] for pair in pairs]
    width, height = pairs[0][0].size
    image = Image.new("RGB", (len(stages) * (width + _GAP) + _GAP, 2 * (height + _GAP) + _LABEL), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=15)
    for column, (stage, pair) in enumerate(zip(stages, pairs, strict=True)):
        left = _GAP + column * (width + _GAP)
        draw.text((left, 3), f"{stage['number']}: {stage['bpp']:.2f} bpp, {stage['psnr_db']:.1f} dB", "black", font)
        for row, part in enumerate(pair):
            image.paste(part, (left, _LABEL + row * (height + _GAP)))
    return image


def main() -> None:
    """Writes the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stages", default="1,2,4,8,16", help="numbers between commas; those that are not there are left out")
    parser.add_argument("--crop", help="x,y,width,height in pixels")
    parser.add_argument("--out", type=Path, default=Path("out/stages.webp"))
    options = parser.parse_args()
    wanted = {int(number) for number in options.stages.split(",")}
    stages = [stage for stage in json.loads((options.folder / "stages.json").read_text()) if stage["number"] in wanted]
    if not stages:
        parser.error(f"{options.folder} holds none of the stages {options.stages}")
    crop = None if options.crop is None else tuple(int(value) for value in options.crop.split(","))
    if crop is not None and len(crop) != 4:
        parser.error(f"--crop {options.crop}; four whole numbers are needed: x,y,width,height")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    sheet(options.folder, stages, crop).save(options.out, quality=85, method=6)
    print(options.out)


if __name__ == "__main__":
    main()
