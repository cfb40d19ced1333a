"""The head of a JPEG XL codestream (ISO/IEC 18181-1, annexes A and D): size, bit depth, colours, channels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from foveal.errors import DamagedError, NotFovealError, TruncatedError
from foveal.media.boxes import boxes

_SIGNATURE, _CONTAINER = b"\xff\x0a", b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a"
_RATIOS = ((1, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_RGB, _GRAY, _D65, _SRGB_PRIMARIES, _SRGB_TRANSFER = 0, 1, 1, 1, 13
_ALPHA, _SPOT, _CFA = 0, 2, 5

# A field of the standard that picks one of four ways to read a number: (bits, plus).
_Choice = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]
_SIDE: _Choice = ((9, 1), (13, 1), (18, 1), (30, 1))
_ENUM: _Choice = ((0, 0), (0, 1), (4, 2), (6, 18))
_DEPTH: _Choice = ((0, 8), (0, 10), (0, 12), (6, 1))
_FLOAT_DEPTH: _Choice = ((0, 32), (0, 16), (0, 24), (6, 1))
_COUNT: _Choice = ((0, 0), (0, 1), (4, 2), (12, 1))
_SHIFT: _Choice = ((0, 0), (0, 3), (0, 4), (3, 1))
_NAME: _Choice = ((0, 0), (4, 0), (5, 16), (10, 48))
_CFA_CHANNEL: _Choice = ((0, 1), (2, 0), (4, 3), (8, 19))
_PREVIEW8: _Choice = ((0, 16), (0, 32), (5, 1), (9, 33))
_PREVIEW: _Choice = ((6, 1), (8, 65), (10, 321), (12, 1345))
_TICKS: _Choice = ((0, 100), (0, 1000), (10, 1), (30, 1))
_TICKS_PER: _Choice = ((0, 1), (0, 1001), (8, 1), (10, 1))
_LOOPS: _Choice = ((0, 0), (3, 0), (16, 0), (32, 0))


@dataclass(frozen=True)
class JxlHeader:
    """What a file says of itself. ``orientation`` is Exif's, 1 to 8, and decoders apply it.

    channels: of colour, 1 or 3. other_channels: those that are neither colour nor the first alpha. srgb: samples come out in
    sRGB, or in its gray.
    """

    width: int
    height: int
    orientation: int = 1
    animated: bool = False
    bit_depth: int = 8
    floating: bool = False
    channels: int = 3
    alpha: bool = False
    premultiplied: bool = False
    other_channels: int = 0
    srgb: bool = True
    exif_bytes: int = 0

    @property
    def upright_width(self) -> int:
        """Columns after the orientation."""
        return self.height if self.orientation > 4 else self.width

    @property
    def upright_height(self) -> int:
        """Rows after the orientation."""
        return self.width if self.orientation > 4 else self.height


def read_jxl_header(data: bytes) -> JxlHeader:
    """Reads the head of a bare codestream, or of one in a container.

    Raises:
        NotFovealError: neither. TruncatedError: it ends too early. DamagedError: no codestream in the container.
    """
    if data.startswith(_SIGNATURE):
        return _codestream(data)
    if not data.startswith(_CONTAINER):
        raise NotFovealError(f"a file that begins with {data[:8].hex(' ') or 'nothing'} is no JPEG XL")
    streams = {b"jxlc": b"", b"jxlp": b""}
    exif_bytes = 0
    for box in boxes(data):
        if box.kind == b"Exif":
            exif_bytes = max(0, box.end - box.start - 4)
        elif box.kind in streams:
            streams[box.kind] += box.body(data, 4 if box.kind == b"jxlp" else 0)
    stream = streams[b"jxlc"] or streams[b"jxlp"]
    if not stream.startswith(_SIGNATURE):
        raise DamagedError("JPEG XL: no codestream in the container")
    return replace(_codestream(stream), exif_bytes=exif_bytes)


def _codestream(stream: bytes) -> JxlHeader:
    bits = _Bits(stream[len(_SIGNATURE) :])
    width, height = _size(bits)
    if bits.flag():  # everything else at its default: 8 bits, sRGB, no further channel
        return JxlHeader(width, height)
    orientation, animated = _extra_fields(bits) if bits.flag() else (1, False)
    floating, bit_depth = _bit_depth(bits)
    bits.read(1)  # whether 16-bit buffers are enough
    extra = [_extra_channel(bits) for _ in range(bits.choose(_COUNT))]
    alphas = [premultiplied for kind, premultiplied in extra if kind == _ALPHA]
    bits.read(1)  # whether samples are coded in XYB
    channels, srgb = _colours(bits)
    return JxlHeader(
        width,
        height,
        orientation,
        animated,
        bit_depth,
        floating,
        channels,
        alpha=bool(alphas),
        premultiplied=any(alphas),
        other_channels=len(extra) - min(1, len(alphas)),
        srgb=srgb,
    )


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.flag()
    height = (bits.read(5) + 1) * 8 if small else bits.choose(_SIDE)
    ratio = bits.read(3)
    if ratio:
        over, under = _RATIOS[ratio]
        return height * over // under, height
    return (bits.read(5) + 1) * 8 if small else bits.choose(_SIDE), height


def _extra_fields(bits: _Bits) -> tuple[int, bool]:
    """The orientation, and whether there are several frames."""
    orientation = bits.read(3) + 1
    if bits.flag():
        _size(bits)  # the size that it is meant to be shown at
    if bits.flag():
        choice = _PREVIEW8 if bits.flag() else _PREVIEW
        bits.choose(choice)
        if bits.read(3) == 0:
            bits.choose(choice)
    animated = bits.flag()
    if animated:
        for choice in (_TICKS, _TICKS_PER, _LOOPS):
            bits.choose(choice)
        bits.read(1)
    return orientation, animated


def _bit_depth(bits: _Bits) -> tuple[bool, int]:
    """Whether samples are floats, and their bits."""
    if not bits.flag():
        return False, bits.choose(_DEPTH)
    depth = bits.choose(_FLOAT_DEPTH)
    bits.read(4)
    return True, depth


def _extra_channel(bits: _Bits) -> tuple[int, bool]:
    """The kind of a channel, and whether it is premultiplied alpha."""
    if bits.flag():
        return _ALPHA, False
    kind = bits.choose(_ENUM)
    _bit_depth(bits)
    bits.choose(_SHIFT)
    bits.read(8 * bits.choose(_NAME))
    if kind == _SPOT:
        bits.read(64)
    elif kind == _CFA:
        bits.choose(_CFA_CHANNEL)
    return kind, kind == _ALPHA and bits.flag()


def _colours(bits: _Bits) -> tuple[int, bool]:
    """How many channels of colour, and whether they are sRGB or its gray."""
    if bits.flag():
        return 3, True
    profile, space = bits.flag(), bits.choose(_ENUM)
    channels = 1 if space == _GRAY else 3
    if profile or space not in (_RGB, _GRAY) or bits.choose(_ENUM) != _D65:
        return channels, False
    if space == _RGB and bits.choose(_ENUM) != _SRGB_PRIMARIES:
        return channels, False
    return channels, not bits.flag() and bits.choose(_ENUM) == _SRGB_TRANSFER


@final
class _Bits:
    """Reads a codestream's bits, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, count: int) -> int:
        start, end = self._at, self._at + count
        if end > 8 * len(self._data):
            raise TruncatedError("JPEG XL: the file ends within its head")
        self._at = end
        value = int.from_bytes(self._data[start // 8 : -(-end // 8)], "little")
        return value >> start % 8 & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.read(1) == 1

    def choose(self, choice: _Choice) -> int:
        count, plus = choice[self.read(2)]
        return self.read(count) + plus
