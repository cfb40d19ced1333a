"""What stands in the one unit of a file of ``hevc-blocks``, as bytes (docs/format.md, section 11).

The parameter sets of an HEVC stream take 80 bytes, which is 4 % of a small file, and are nearly the same in all of them. So what stands
before the first slice of each layer is deflated beside what x265 usually writes there.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final, final

from foveal.codecs.standard.hevc_stream import hevc_units
from foveal.container.bounded import BoundedReader, varint
from foveal.errors import DamagedError

USUAL_HEADS: Final = bytes.fromhex(
    "0000000140010c01ffff0408000003009fe800000300005aba0240000000014201010408000003009fe800000300005ac01808020165ba924c"
    "ae6e021a0208000003000800000300c840000000014401c172f06240"
    "0000000140010c01ffff0408000003009fa800000300005aba0240000000014201010408000003009fa800000300005aa006020080596ea493"
    "2b9b808680820000030002000003003210000000014401c172f06240"
)
"""Of a gray picture of 768x512 and of one with chroma 4:2:0; the dictionary that heads are deflated with."""
_MOST_HEAD_BYTES: Final = 4096
_FIRST_NON_SLICE: Final = 32
_HAS_FULL, _HAS_HALF = 1, 2


@final
@dataclass(frozen=True)
class Payload:
    """full, half: the layers' streams; at least one is there. level: of the half-size layer, 0..255. kinds: the coded map, if there is a half-size layer."""

    full: bytes | None
    half: bytes | None = None
    level: int = 0
    kinds: bytes = b""


def write_payload(payload: Payload) -> bytes:
    """The bytes of a payload."""
    layers = [_split(layer) for layer in (payload.half, payload.full) if layer is not None]
    heads = _deflated(b"".join(varint(len(head)) + head for head, _ in layers))
    parts = [bytes([_HAS_FULL * (payload.full is not None) + _HAS_HALF * (payload.half is not None)])]
    parts += [varint(len(heads)), heads]
    if payload.half is not None:
        parts += [bytes([payload.level]), varint(len(payload.kinds)), payload.kinds]
    if len(layers) == 2:
        parts.append(varint(len(layers[0][1])))
    return b"".join([*parts, *(slices for _, slices in layers)])


def read_payload(data: bytes) -> Payload:
    """Takes a payload apart.

    Raises:
        TruncatedError, DamagedError: it is none.
    """
    reader = BoundedReader(data, "the unit")
    layers = reader.u8()
    if not 1 <= layers <= _HAS_FULL + _HAS_HALF:
        raise DamagedError(f"a unit with layers {layers}; 1 to 3 are defined: the file is damaged")
    heads = BoundedReader(_inflated(bytes(reader.take(reader.varint()))), "the heads of the layers")
    level, kinds, half = 0, b"", None
    if layers & _HAS_HALF:
        level, kinds = reader.u8(), bytes(reader.take(reader.varint()))
        head = bytes(heads.take(heads.varint()))
        half = head + bytes(reader.take(reader.varint() if layers & _HAS_FULL else reader.left))
    full = bytes(heads.take(heads.varint())) + reader.rest() if layers & _HAS_FULL else None
    if heads.left:
        raise DamagedError(f"{heads.left} bytes follow the heads of the layers; the file is damaged")
    return Payload(full, half, level, kinds)


def _split(stream: bytes) -> tuple[bytes, bytes]:
    """What stands before the first slice, and the rest."""
    at = next(unit.start for unit in hevc_units(stream) if unit.kind < _FIRST_NON_SLICE)
    return stream[:at], stream[at:]


def _deflated(data: bytes) -> bytes:
    assert len(data) <= _MOST_HEAD_BYTES, "parameter sets of some dozens of bytes"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zdict=USUAL_HEADS)
    return packer.compress(data) + packer.flush()


def _inflated(data: bytes) -> bytes:
    stream = zlib.decompressobj(-15, zdict=USUAL_HEADS)
    try:
        out = stream.decompress(data, _MOST_HEAD_BYTES)
    except zlib.error as error:
        raise DamagedError(f"the heads of the layers: {error}; the file is damaged") from error
    if not stream.eof or stream.unused_data:
        raise DamagedError(f"the heads of the layers are no whole deflate stream of at most {_MOST_HEAD_BYTES} bytes")
    return out
