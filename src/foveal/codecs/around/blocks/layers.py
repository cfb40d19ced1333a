"""A layer of a file: a picture's planes as one HEVC stream by x265, as the codec ``hevc`` writes it, but for notes.

Planes are padded by their edge to what x265 takes; the size that they had follows from the file's head, so no stream says it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from foveal.codecs.standard.av_frames import decode_frame, stream_size
from foveal.codecs.standard.hevc import X265, padded_size
from foveal.codecs.standard.hevc_stream import HevcStreamCodec, hevc_units, parameter_sets
from foveal.errors import DamagedError
from foveal.media.color import SHIFTS, Chroma, Matrix, Plane, YCbCr

_KIND: Final = HevcStreamCodec.kind


def code_layer(planes: YCbCr, crf: float, preset: str, threads: int | None = None) -> bytes:
    """The stream of planes at a crf, which may have a fraction. Raises as ``hevc``."""
    height, width = planes.planes[0].shape
    tall, wide = padded_size(height, width, planes.chroma)
    shapes = plane_shapes(tall, wide, planes.chroma)
    padded = tuple(_padded(plane, shape) for plane, shape in zip(planes.planes, shapes, strict=True))
    return X265(replace(planes, planes=padded), preset, threads).code(np.full((1, 1), crf))


def decode_layer(stream: bytes, size: tuple[int, ...], chroma: Chroma) -> YCbCr:
    """The planes of a layer of this height and width.

    Raises:
        DamagedError: it cannot be decoded, or is of another size or kind. UnsupportedError: it needs what this PyAV does not have.
    """
    height, width = size
    tall, wide = padded_size(height, width, chroma)
    found_width, found_height, pixels = stream_size(_KIND.decoder, parameter_sets(stream, hevc_units(stream)))
    if (found_height, found_width, pixels.chroma, pixels.bit_depth) != (tall, wide, chroma, 8):
        raise DamagedError(
            f"a layer of {found_width}x{found_height}, chroma {pixels.chroma}, {pixels.bit_depth} bits; "
            f"the file's head asks for {wide}x{tall}, {chroma}, 8: the file is damaged"
        )
    planes = decode_frame(_KIND.decoder, stream, wide, tall, split=_KIND.split)
    wanted = plane_shapes(tall, wide, chroma)
    if [plane.shape for plane in planes.planes] != wanted or (planes.matrix, planes.full_range) != (Matrix.BT709, True):
        raise DamagedError("a layer whose picture is not what its head says; the file is damaged")
    cut = tuple(plane[:h, :w] for plane, (h, w) in zip(planes.planes, plane_shapes(height, width, chroma), strict=True))
    return replace(planes, planes=cut)


def plane_shapes(height: int, width: int, chroma: Chroma) -> list[tuple[int, int]]:
    """Rows and columns of each plane."""
    across, down = SHIFTS[chroma]
    return [(height, width)] + [((height + down) >> down, (width + across) >> across)] * (0 if chroma == "400" else 2)


def _padded(plane: Plane, shape: tuple[int, int]) -> Plane:
    return np.pad(plane, ((0, shape[0] - plane.shape[0]), (0, shape[1] - plane.shape[1])), mode="edge")
