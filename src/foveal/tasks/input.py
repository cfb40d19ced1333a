"""How a picture becomes the input of a network, and how positions come back: the ``[input]`` table of a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from foveal.errors import NetworkError
from foveal.picture import Picture
from foveal.tasks.networks.base import Shape

FITS: Final = ("stretch", "crop", "letterbox", "scale")
FILTERS: Final = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")
LEAST_SIDE: Final = 32
"""What ``scale`` makes no side shorter than: networks that take any size still halve it some five times."""


@dataclass(frozen=True)
class InputRecord:
    """What a network is given.

    fit: ``stretch`` to width x height; ``crop``: the short side to ``short_side``, then width x height of the middle;
    ``letterbox``: as large as fits into width x height, the rest filled with ``pad``; ``scale``: the short side to ``short_side`` (0: the
    picture's own), or less so that the long one stays within ``long_side``, each then rounded to a multiple of ``multiple``, for
    networks that take any size (width and height are 0). place: where a letterboxed picture lies, ``top-left`` or ``centre``.
    antialias: whether a pixel of the input is made of all that it covers, as in Pillow; else of its next neighbours alone, as in OpenCV
    and TensorFlow (nearest, bilinear and bicubic). Samples 0..255 are scaled to 0..``range``, then ``mean`` is subtracted and ``std`` divides, for R, G, B whatever ``channels`` is.
    type: ``float32``, or ``uint8`` and ``int8``: then the numbers are divided by ``scale``, ``zero_point`` is added, and they are rounded.
    """

    width: int = 0
    height: int = 0
    fit: str = "stretch"
    short_side: int = 0
    long_side: int = 0
    multiple: int = 1
    place: str = "top-left"
    pad: int = 0
    filter: str = "bilinear"
    antialias: bool = True
    layout: str = "nchw"
    channels: str = "rgb"
    type: str = "float32"
    range: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    scale: float = 1.0
    zero_point: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("fit", FITS), ("place", ("top-left", "centre")), ("filter", FILTERS), ("layout", ("nchw", "nhwc")),
            ("channels", ("rgb", "bgr")), ("type", ("float32", "uint8", "int8")),
        ):  # fmt: skip
            if getattr(self, name) not in allowed:
                raise NetworkError(f"[input] {name} = {getattr(self, name)!r}; one of {', '.join(allowed)} is allowed")
        for name, low, high in (
            ("width", 0, 8192), ("height", 0, 8192), ("short_side", 0, 8192), ("long_side", 0, 16384),
            ("multiple", 1, 1024), ("pad", 0, 255), ("zero_point", -128, 255),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise NetworkError(f"[input] {name} = {getattr(self, name)!r}; {low} to {high} is allowed")
        self._check_size()
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) != 3 or not np.isfinite(numbers).all():
                raise NetworkError(f"[input] {name} = {list(numbers)}; three numbers are needed, for R, G and B")
        if 0 in self.std:
            raise NetworkError(f"[input] std = {list(self.std)}; none of them may be 0; 1 changes nothing")
        for name, use in (
            ("range", "samples become 0..range: write 1 or 255"),
            ("scale", "the quantiser's step: see the network's file"),
        ):
            if not 0 < getattr(self, name) < np.inf:
                raise NetworkError(f"[input] {name} = {getattr(self, name)!r}; a number above 0 is allowed: {use}")

    def _check_size(self) -> None:
        if not self.antialias and self.filter not in FILTERS[:3]:
            raise NetworkError(
                f"[input] filter = {self.filter!r} with antialias = false; {', '.join(FILTERS[:3])} are allowed then"
            )
        if self.fit == "scale":
            if self.width or self.height or not self.long_side:
                raise NetworkError("[input] fit = 'scale' takes short_side and long_side, and no width or height")
        elif not self.width or not self.height:
            raise NetworkError(f"[input] fit = {self.fit!r} needs width and height, 1 to 8192")
        if self.fit == "crop" and self.short_side < max(self.width, self.height):
            raise NetworkError(
                f"[input] short_side = {self.short_side}; fit = 'crop' needs at least the {self.width}x{self.height} that is cut out"
            )

    @property
    def shape(self) -> Shape:
        """The shape of the batch; None for sides that follow the picture."""
        sides = (self.height or None, self.width or None)
        return (1, 3, *sides) if self.layout == "nchw" else (1, *sides, 3)


@dataclass(frozen=True)
class Geometry:
    """Where a picture lies in a network's input, of ``input_width`` x ``input_height``: at x * scale_x + offset_x, and so for y."""

    width: int
    height: int
    input_width: int
    input_height: int
    scale_x: float
    scale_y: float
    offset_x: float = 0.0
    offset_y: float = 0.0

    def to_picture(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Positions ``(..., 2)`` x, y of the input as those of the picture, in its pixels."""
        return (np.asarray(points, np.float64) - (self.offset_x, self.offset_y)) / (self.scale_x, self.scale_y)

    def to_input(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """The way back of ``to_picture``."""
        return np.asarray(points, np.float64) * (self.scale_x, self.scale_y) + (self.offset_x, self.offset_y)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A batch of one picture, and how it lies in it."""

    batch: NDArray[Any]
    geometry: Geometry


def prepare(picture: Picture, record: InputRecord) -> Prepared:
    """The network's input for a picture; gray becomes three equal channels, alpha is left out."""
    geometry, placed = place_of(picture.width, picture.height, record)
    samples = _resized(picture, record, geometry, placed)
    values = samples.astype(np.float32) / np.float32(255 / record.range)
    if any(record.mean) or set(record.std) != {1.0}:
        values = (values - np.array(record.mean, np.float32)) / np.array(record.std, np.float32)
    if record.type != "float32":
        bounds = np.iinfo(record.type)
        values = np.clip(np.rint(values / np.float32(record.scale)) + record.zero_point, bounds.min, bounds.max)
    if record.channels == "bgr":
        values = values[:, :, ::-1]
    if record.layout == "nchw":
        values = values.transpose(2, 0, 1)
    return Prepared(np.ascontiguousarray(values[None].astype(record.type)), geometry)


@dataclass(frozen=True)
class Placed:
    """The size that the part of the picture in ``box`` (x0, y0, x1, y1) is brought to, and where in the input it then lies."""

    box: tuple[float, float, float, float]
    width: int
    height: int
    left: int = 0
    top: int = 0


def place_of(width: int, height: int, record: InputRecord) -> tuple[Geometry, Placed]:
    """Where a picture of this size goes."""
    whole = (0.0, 0.0, float(width), float(height))
    if record.fit == "crop":
        return _crop(width, height, record)
    if record.fit == "letterbox":
        factor = min(record.width / width, record.height / height)
        new_width = min(max(round(width * factor), 1), record.width)
        new_height = min(max(round(height * factor), 1), record.height)
        centred = record.place == "centre"
        left, top = ((record.width - new_width) // 2, (record.height - new_height) // 2) if centred else (0, 0)
        placed = Placed(whole, new_width, new_height, left, top)
        sides = record.width, record.height
    elif record.fit == "scale":
        placed = Placed(whole, *_scaled(width, height, record))
        sides = placed.width, placed.height
    else:
        placed = Placed(whole, record.width, record.height)
        sides = record.width, record.height
    return Geometry(
        width, height, *sides, placed.width / width, placed.height / height, float(placed.left), float(placed.top)
    ), placed


def _scaled(width: int, height: int, record: InputRecord) -> tuple[int, int]:
    short, long = sorted((width, height))
    factor = min((record.short_side or short) / short, record.long_side / long)
    step = record.multiple

    def side(pixels: int) -> int:
        return max(round(pixels * factor / step) * step, -(-LEAST_SIDE // step) * step)

    return side(width), side(height)


def _crop(width: int, height: int, record: InputRecord) -> tuple[Geometry, Placed]:
    """The middle part alone is resized, never the whole: a picture of 1x5000 would become 256x1280000 first."""
    factor = record.short_side / min(width, height)
    new_width = max(int(width * factor + 1e-9), record.width)
    new_height = max(int(height * factor + 1e-9), record.height)
    left, top = round((new_width - record.width) / 2), round((new_height - record.height) / 2)
    scale_x, scale_y = new_width / width, new_height / height
    box = (
        left / scale_x, top / scale_y, min((left + record.width) / scale_x, width), min((top + record.height) / scale_y, height),
    )  # fmt: skip
    geometry = Geometry(width, height, record.width, record.height, scale_x, scale_y, -float(left), -float(top))
    return geometry, Placed(box, record.width, record.height)


def _resized(picture: Picture, record: InputRecord, geometry: Geometry, placed: Placed) -> NDArray[np.uint8]:
    """uint8 ``(input_height, input_width, 3)``."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture.rgb()))
    chosen = Image.Resampling[record.filter.upper()]
    size = placed.width, placed.height
    if record.antialias:
        part = np.asarray(image.resize(size, chosen, box=placed.box))
    else:
        part = np.asarray(image.transform(size, Image.Transform.EXTENT, placed.box, chosen))
    if part.shape[:2] == (geometry.input_height, geometry.input_width):
        return part
    canvas = np.full((geometry.input_height, geometry.input_width, 3), record.pad, np.uint8)
    canvas[placed.top : placed.top + placed.height, placed.left : placed.left + placed.width] = part
    return canvas
