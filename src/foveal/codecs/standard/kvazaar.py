"""HEVC by kvazaar, in the ffmpeg program: one intra frame, as a byte stream with start codes or in MP4.

4:2:0 of 8 bits alone, so a gray picture gets neutral chroma and comes back as RGB with three equal channels. Sides are
multiples of 8; others are padded, with a note of the true size (``true_size``). Decoding is done in process, by PyAV.

A guide gives each block of 64x64 pixels a QP of its own, 6 to the octave. It travels in a text file: columns, rows, and what is
added to the QP of the whole. kvazaar dies, and its file is empty, where QPs that follow each other differ by more than 25, so a map
is narrowed to 12 on both sides of its middle. Its heads say that blocks may have QPs of their own where it took a map, and there alone.

``adaptive`` is kvazaar's own adaptive quantisation by variance, off as it ships, at the strength that its authors recommend, 5.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

import numpy as np

from foveal.codecs.base import EncodeSettings
from foveal.codecs.guide import Guide
from foveal.codecs.standard.hevc_heads import quantiser_heads
from foveal.codecs.standard.hevc_stream import HevcStreamCodec, hevc_units, with_hevc_note
from foveal.codecs.standard.process import ffmpeg_program, run_program
from foveal.codecs.standard.qp_map import Offsets, QPs, block_offsets, blocks, held, shared_out
from foveal.codecs.standard.still_stream import PreparedStill, note_for
from foveal.errors import BackendError
from foveal.media.color import YCbCr
from foveal.media.padding import pad_to_multiple
from foveal.picture import Picture

_UNIT: Final = 8
_BLOCK: Final = 64
_FINEST, _COARSEST = 0, 51
_REACH: Final = 12  # QP from the middle of a map to its ends
_PATIENCE_S, _PATIENCE_S_PER_PIXEL = 120, 0.002  # a hundred times what preset slower takes
_DECLARED = ("range=pc", "colorprim=bt709", "transfer=iec61966-2-1", "colormatrix=bt709")
_STILL = ("period=1", "gop=0", "owf=0", "info=0", "hash=none")
_ADAPTIVE: Final = ("vaq=5",)
_MATRICES: Final = ("scaling-list=default",)
_PLAIN_PATH = re.compile(r"[\w/.+-]+")


@final
class KvazaarCodec(HevcStreamCodec):
    """kvazaar at a constant quantiser. The parameter is qp, an integer; with a guide its fraction counts, made up by area.

    A guide that holds its rate makes a file within 1 % of one without it, as far as the number of its blocks allows: a small picture has few.
    """

    def _prepare(self, picture: Picture, settings: EncodeSettings) -> PreparedStill:
        flat = self._flat(picture)
        samples = pad_to_multiple(flat.samples, _UNIT)
        planes, size = self._planes(samples, "420", 8), note_for(flat, samples)
        kvazaar = _Kvazaar(planes, settings.preset or "slower", settings.threads, adaptive=settings.adaptive)
        guide = settings.guide
        even = np.zeros(blocks(planes, _BLOCK))
        offsets = even if guide is None else block_offsets(guide, flat.width, flat.height, planes, _BLOCK)

        def encode(qp: float) -> bytes:
            if guide is None or not guide.hold_rate:
                stream = kvazaar.code(qp + offsets, guide)
            else:
                moved, size_to_hold = offsets - offsets.mean(), len(kvazaar.code(qp + even))
                stream = held(lambda at: kvazaar.code(at + moved, guide), qp, size_to_hold)
            return stream if size is None else with_hevc_note(stream, size)

        return self._still(settings, encode)


@final
class _Kvazaar:
    """The encoder, with a picture to code."""

    def __init__(self, planes: YCbCr, preset: str, threads: int | None, *, adaptive: bool = False) -> None:
        self._planes, self._preset, self._threads = planes, preset, threads
        self._quantisation = _ADAPTIVE if adaptive else ()

    def code(self, wanted: Offsets, guide: Guide | None = None) -> bytes:
        """The stream with such a QP, which may have a fraction, for each block. The rest is as the guide says.

        Raises:
            BackendError: they differ, and the encoder ignored that; or it failed.
        """
        qps = np.clip(shared_out(wanted), _FINEST, _COARSEST)
        middle = (int(qps.min()) + int(qps.max())) // 2
        qps = np.clip(qps, middle - _REACH, middle + _REACH)
        base, more = int(np.rint(qps.mean())), _MATRICES if guide is not None and guide.matrices else ()
        if qps.min() == qps.max():
            return self._run(base, more)
        with tempfile.TemporaryDirectory(prefix="foveal-") as folder:
            stream = self._run(base, (f"roi={_written(qps - base, Path(folder) / 'roi.txt')}", *more))
        if not quantiser_heads(hevc_units(stream)).varies:
            raise BackendError(f"kvazaar ignored the guide: it coded all blocks with a QP of {base}; leave the guide out")
        return stream

    def _run(self, qp: int, more: Sequence[str]) -> bytes:
        height, width = self._planes.planes[0].shape
        threads = () if self._threads is None else (f"threads={self._threads}",)
        parameters = (f"preset={self._preset}", f"qp={qp}", *_STILL, *_DECLARED, *self._quantisation, *threads, *more)
        arguments = [
            ffmpeg_program(), "-hide_banner", "-loglevel", "error",
            "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-framerate", "25", "-i", "pipe:0",
            "-frames:v", "1", "-c:v", "libkvazaar", "-kvazaar-params", ",".join(parameters), "-f", "hevc", "pipe:1",
        ]  # fmt: skip
        raw = b"".join(plane.tobytes() for plane in self._planes.planes)
        stream = run_program(arguments, stdin=raw, timeout_s=_PATIENCE_S + _PATIENCE_S_PER_PIXEL * width * height)
        if not stream:
            raise BackendError(f"kvazaar wrote nothing of {width}x{height} at qp {qp}; another quality may do")
        return stream


def _written(offsets: QPs, path: Path) -> Path:
    """The file of a map. Raises BackendError if kvazaar's options cannot name it."""
    if _PLAIN_PATH.fullmatch(str(path)) is None:
        raise BackendError(f"kvazaar cannot be told of a map in {path.parent}; let TMPDIR be a folder of plain letters")
    rows, columns = offsets.shape
    lines = "\n".join(" ".join(map(str, line)) for line in offsets.tolist())
    path.write_text(f"{columns} {rows}\n{lines}\n", "ascii")
    return path
