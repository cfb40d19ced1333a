"""The type that every stage passes: samples and what they mean."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from foveal.errors import PictureError

Samples = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    r"""One picture, upright, 8 bits a sample, not premultiplied.

    samples: uint8 ``(height, width, 3)`` RGB or ``(height, width, 1)`` gray; sRGB unless ``icc`` says otherwise.
    alpha: uint8 ``(height, width)``, 0 transparent to 255 opaque, or None.
    icc: an ICC profile that describes the samples, or None for sRGB.
    exif: an Exif block (TIFF bytes, without the ``Exif\0\0`` prefix), its orientation already applied.

    Raises:
        PictureError: an array of another type or shape, an empty picture, or alpha of another size.
    """

    samples: Samples
    alpha: Samples | None = None
    icc: bytes | None = None
    exif: bytes | None = None

    def __post_init__(self) -> None:
        shape, dtype = np.shape(self.samples), getattr(self.samples, "dtype", type(self.samples))
        if dtype != np.uint8:
            raise PictureError(f"samples of type {dtype}; uint8 is needed, so scale them to 0..255 first")
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape:
            raise PictureError(f"samples of shape {shape}; (height, width, 3) or (height, width, 1) is needed, not empty")
        if self.alpha is not None and (self.alpha.dtype != np.uint8 or self.alpha.shape != shape[:2]):
            raise PictureError(f"alpha of type {self.alpha.dtype}, shape {self.alpha.shape}; uint8 {shape[:2]} is needed")

    @property
    def height(self) -> int:
        """Rows."""
        return self.samples.shape[0]

    @property
    def width(self) -> int:
        """Columns."""
        return self.samples.shape[1]

    @property
    def is_gray(self) -> bool:
        """Whether there is one channel instead of three."""
        return self.samples.shape[2] == 1

    def rgb(self) -> Samples:
        """The samples as ``(height, width, 3)``; gray is repeated."""
        return np.repeat(self.samples, 3, axis=2) if self.is_gray else self.samples

    def on_background(self, color: tuple[int, int, int]) -> Picture:
        """Returns the picture without alpha, laid over one colour (R, G, B in 0..255), in the samples' own space."""
        if self.alpha is None:
            return self
        alpha = self.alpha[:, :, None].astype(np.uint32)
        over = np.array(color if not self.is_gray else color[:1], np.uint32)
        mixed = (self.samples * alpha + over * (255 - alpha) + 127) // 255
        return replace(self, samples=mixed.astype(np.uint8), alpha=None)
