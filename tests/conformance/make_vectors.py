"""Makes conformance vectors of the default weights. Run only by `make vectors`, never by a test.

Adds files and lines; never changes what is there. vectors.txt has a line for each file:
name, then for a good one its size, CRCs of symbols and alpha, and channel means; for a bad one the error's name.
"""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np

import foveal
from foveal.codecs.around.cards import card_for
from foveal.codecs.learned.weights import cards
from foveal.codecs.registry import codec_by_name
from foveal.picture import Picture

FOLDER = Path(__file__).parent / "v1"
TABLE = FOLDER / "vectors.txt"


def pictures() -> dict[str, tuple[Picture, float]]:
    """Small pictures without outside data: a ramp, noise, an edge, gray, alpha, metadata, odd and extreme shapes."""
    y, x = np.mgrid[0:45, 0:70]
    ramp = np.stack([x * 3, y * 5, 255 - x - y], 2).astype(np.uint8)
    noise = np.random.default_rng(7).integers(0, 256, (33, 20, 3)).astype(np.uint8)
    edge = np.where((x > y)[:, :, None], (250, 20, 30), (10, 200, 90)).astype(np.uint8)
    soft = (128 + 100 * np.sin(x / 5) * np.cos(y / 7)).astype(np.uint8)
    return {
        "ramp": (Picture(ramp), 50.0),
        "noise": (Picture(noise), 100.0),
        "edge": (Picture(edge, alpha=soft), 80.0),
        "gray": (Picture(soft[:, :, None], icc=b"not a real profile", exif=b"not a real block"), 30.0),
        "pixel": (Picture(ramp[:1, :1]), 1.0),
        "line": (Picture(np.ascontiguousarray(np.tile(ramp[:1], (1, 9, 1)))), 65.5),
    }


def tiled() -> tuple[Picture, np.ndarray]:
    """A picture of several tiles, and a map for it."""
    y, x = np.mgrid[0:300, 0:520]
    waves = np.stack([128 + 90 * np.sin(x / 9), 128 + 90 * np.cos(y / 6), (x + y) % 256], 2).astype(np.uint8)
    return Picture(waves), np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)


def two_sizes() -> Picture:
    """Noise beside waves, so that ``hevc-blocks`` codes some blocks at half the size."""
    y, x = np.mgrid[0:256, 0:448]
    waves = np.stack([128 + 60 * np.sin(x / 7 + y / 15), 128 + 60 * np.cos(y / 7), 128 + 50 * np.sin((x - y) / 10)], 2)
    waves[:, :128] += 30 * np.random.default_rng(7).standard_normal((256, 128, 1))
    return Picture(np.clip(waves, 0, 255).astype(np.uint8))


def bad(data: bytes) -> dict[str, bytes]:
    """Files that must fail, made of a good one."""
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    return {
        "x_truncated": data[:-7],
        "x_flipped": bytes(flipped),
        "x_version2": data[:4] + b"\x02" + data[5:],
        "x_signature": b"\x88" + data[1:],
        "x_trailing": data + b"\0",
    }


def sets() -> list[tuple[str, str | None, str]]:
    """Codec, preset and id of all default weights that .fvl files name."""
    own = [(card.codec, card.preset, card.id) for card in cards() if card.default]
    return [*own, ("hevc-blocks", None, card_for("upsample", "hevc").id)]


def line(name: str, data: bytes) -> str:
    """What vectors.txt says of a file."""
    try:
        picture, described = foveal.decode(data), foveal.info(data)
    except foveal.FovealError as error:
        return f"{name} {type(error).__name__}"
    symbols = ",".join(f"{band.symbols_crc:08x}" for band in described.bands)
    alpha = "-" if picture.alpha is None else f"{zlib.crc32(picture.alpha.tobytes()):08x}"
    means = " ".join(f"{m:.2f}" for m in picture.samples.mean((0, 1)))
    return f"{name} {picture.width}x{picture.height}x{picture.samples.shape[2]} {symbols} {alpha} {means}"


def main() -> int:
    """Adds the vectors of every codec's default weights that are not there yet."""
    FOLDER.mkdir(exist_ok=True)
    lines = TABLE.read_text().splitlines() if TABLE.exists() else []
    known = {text.split()[0] for text in lines}
    for codec, preset, weights in sets():
        given = {"codec": codec, "preset": preset}
        files = {name: foveal.encode(picture, quality=q, **given) for name, (picture, q) in pictures().items()}
        if codec_by_name(codec).info.tiles:
            picture, importance = tiled()
            files["tiled"] = foveal.encode(picture, quality=35, tile=256, importance=importance, **given)
        elif codec_by_name(codec).info.importance:
            picture, importance = tiled()
            corner = Picture(np.ascontiguousarray(picture.samples[:110, :150]))
            files["mapped"] = foveal.encode(corner, quality=35, importance=importance, **given)
        elif codec.startswith("rnn-"):
            files["plain"] = foveal.encode(pictures()["edge"][0], codec=codec, quality=10, preset=f"{preset}-plain")
        elif codec == "cae-pca":
            files["plain"] = foveal.encode(pictures()["edge"][0], codec=codec, quality=60, preset="plain")
        elif codec == "hevc-blocks":
            files["mixed"] = foveal.encode(two_sizes(), quality=30, **given)
            files["half"] = foveal.encode(two_sizes(), quality=5, **given)
        for name, data in (files | bad(files["ramp"])).items():
            full = f"{name}-{codec}-{weights}"
            if full not in known:
                (FOLDER / f"{full}.fvl").write_bytes(data)
                lines.append(line(full, data))
    TABLE.write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} vectors in {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
