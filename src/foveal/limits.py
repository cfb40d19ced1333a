"""How much a file may ask for before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from foveal.errors import LimitError


@dataclass(frozen=True)
class Limits:
    """Bounds that every decoder checks first, and the encoders of learned codecs. Raise them for trusted files: ``Limits(pixels=10**9)``.

    pixels: 178,956,970 as in Pillow, so that a picture of 8-bit RGB stays near half a gigabyte.
    side: 65,535 pixels, the bound of JPEG; longer sides are nearly always damage.
    payload_bytes: 1 GiB, more than any picture within ``pixels`` needs.
    metadata_bytes: 16 MiB for ICC and Exif each; real profiles stay below 4 MiB.
    frames: 1,000,000, some nine hours at 30 frames a second.
    """

    pixels: int = 178_956_970
    side: int = 65_535
    payload_bytes: int = 1 << 30
    metadata_bytes: int = 16 << 20
    frames: int = 1_000_000

    def check_size(self, width: int, height: int) -> None:
        """Raises LimitError if a picture of this size is larger than allowed."""
        if max(width, height) > self.side:
            raise LimitError(f"{width}x{height}: a side above {self.side} pixels; allow it with Limits(side=...)")
        if width * height > self.pixels:
            raise LimitError(
                f"{width}x{height} is {width * height} pixels, {self.pixels} are allowed; allow it with Limits(pixels=...), or --max-pixels"
            )

    def check_payload(self, size: int) -> None:
        """Raises LimitError if a file or a part of one is larger than allowed."""
        if size > self.payload_bytes:
            raise LimitError(f"{size} bytes, {self.payload_bytes} are allowed; allow it with Limits(payload_bytes=...)")

    def check_frames(self, frames: int) -> None:
        """Raises LimitError if a clip has more frames than allowed."""
        if frames > self.frames:
            raise LimitError(f"{frames} frames, {self.frames} are allowed; allow it with Limits(frames=...)")

    def check_metadata(self, size: int, what: str) -> None:
        """Raises LimitError if an ICC profile or Exif block is larger than allowed."""
        if size > self.metadata_bytes:
            raise LimitError(
                f"{what} of {size} bytes, {self.metadata_bytes} are allowed; allow it with Limits(metadata_bytes=...)"
            )


DEFAULT_LIMITS = Limits()
