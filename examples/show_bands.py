"""Shows what the bands of a frequency file hold, and what an importance map does, as pictures side by side.

Usage: python examples/show_bands.py PICTURE [--quality 50] [--out out/bands]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import foveal
from foveal.codecs.base import DecodeSettings, EncodeSettings
from foveal.metrics.psnr import psnr_rgb_db
from foveal.metrics.rate import bpp

_LABEL = 26


def prefixes(picture: foveal.Picture, quality: float) -> list[tuple[str, foveal.Picture]]:
    """The pictures of every prefix of the bands, and the original."""
    codec = foveal.codec_by_name("frequency")
    data = codec.encode(picture, EncodeSettings(quality))
    bands = codec.describe(data).bands
    shown: list[tuple[str, foveal.Picture]] = []
    for count in range(1, len(bands) + 1):
        size = len(data) - sum(band.bytes for band in bands[count:])
        part = codec.decode(data[:size], settings=DecodeSettings(allow_partial=True))
        rate = bpp(size, picture.width, picture.height)
        shown.append((f"bands 1 to {count}: {size} bytes, {rate:.3f} bpp, {psnr_rgb_db(picture, part):.2f} dB", part))
    return [*shown, ("original", picture)]


def weighted(picture: foveal.Picture, quality: float) -> list[tuple[str, foveal.Picture]]:
    """The picture coded evenly, and with a round spot in its middle that gets the bits of the rest, at the same size."""
    y, x = np.mgrid[-1 : 1 : picture.height * 1j, -1 : 1 : picture.width * 1j]
    spot = (x * x + y * y < 0.3).astype(np.float32)
    codec = foveal.codec_by_name("frequency")
    shown: list[tuple[str, foveal.Picture]] = []
    for name, settings in (
        ("even", EncodeSettings(quality)),
        ("spot", EncodeSettings(quality, importance=spot, hold_rate=True)),
    ):
        data = codec.encode(picture, settings)
        decoded = codec.decode(data)
        error = np.square(decoded.rgb().astype(float) - picture.rgb()).mean(2)
        inside, outside = (10 * np.log10(255**2 / error[spot == side].mean()) for side in (1, 0))
        shown.append((f"{name}: {len(data)} bytes, {inside:.2f} dB in the spot, {outside:.2f} dB around", decoded))
    return shown


def sheet(tiles: list[tuple[str, foveal.Picture]]) -> Image.Image:
    """Pictures of one size, two in a row, labelled."""
    width, height = tiles[0][1].width, tiles[0][1].height
    rows = -(-len(tiles) // 2)
    image = Image.new("RGB", (2 * (width + 8) + 8, rows * (height + _LABEL + 8) + 8), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=16)
    for i, (label, tile) in enumerate(tiles):
        left, top = 8 + i % 2 * (width + 8), 8 + i // 2 * (height + _LABEL + 8)
        draw.text((left, top + 2), label, "black", font)
        image.paste(Image.fromarray(tile.rgb()), (left, top + _LABEL))
    return image


def main() -> None:
    """Writes bands.webp and importance.webp."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--quality", type=float, default=50)
    parser.add_argument("--out", type=Path, default=Path("out/bands"))
    options = parser.parse_args()
    picture = foveal.read_picture(options.picture)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, tiles in (
        ("bands", prefixes(picture, options.quality)),
        ("importance", weighted(picture, options.quality)),
    ):
        sheet(tiles).save(options.out / f"{name}.webp", quality=90, method=6)
        print(options.out / f"{name}.webp", *(label for label, _ in tiles), sep="\n  ")


if __name__ == "__main__":
    main()
