"""One table of all codecs. An id, once released, is never reused or renumbered."""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass

from foveal.codecs.base import Codec, CodecInfo, QualityScale
from foveal.errors import UnknownCodecError


@dataclass(frozen=True)
class _Row:
    info: CodecInfo
    module: str
    factory: str


DEFAULT_CODEC = "frequency"
"""The codec of ``encode`` where nothing names another."""
_LEARNED = "foveal.codecs.learned."
_STANDARD = "foveal.codecs.standard."
_AROUND = "foveal.codecs.around."
_PYAV, _PROGRAM = "av", "imageio-ffmpeg"

_X265_PRESETS = ("slow", "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slower", "veryslow", "placebo")
_BLOCKS_PRESETS = ("medium", *(name for name in _X265_PRESETS if name != "medium"))  # its networks know that one
_KVAZAAR_PRESETS = ("slower", "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "veryslow", "placebo")
_VVENC_PRESETS = ("medium", "faster", "fast", "slow", "slower")
_QP_OCTAVE = 6 * 99 / 47  # of quality, where 47 QP are the whole scale
_ITERATIONS = QualityScale("iterations", 1, 16, False)
_RNN_KINDS = ("lstm-additive", "lstm-one-shot", "gru-additive", "gru-one-shot")
_RNN_PRESETS = (*_RNN_KINDS, *(f"{kind}-plain" for kind in _RNN_KINDS))
_SVT_PRESETS = ("2", "0", "1", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13")

_TABLE: tuple[_Row, ...] = (
    _Row(
        CodecInfo(
            2, "frequency", "Foveal's own: three frequency bands, exact entropy networks", (".fvl",),
            QualityScale("quality", 1, 100, True), learned=True, alpha=True, metadata=True, needs=("torch",),
            presets=("mse", "ms-ssim", "icm", "joint"), bands=3, tiles=True, importance=True, octave=18.8,
        ),
        _LEARNED + "frequency.codec", "FrequencyCodec",
    ),
    _Row(
        CodecInfo(
            1, "gdn", "GDN transforms, factorized prior (Ballé 2017)", (".fvl",), QualityScale("quality", 1, 100, True),
            learned=True, alpha=True, metadata=True, needs=("torch",), importance=True, octave=19.9,
        ),
        _LEARNED + "gdn", "GdnCodec",
    ),
    _Row(
        CodecInfo(
            3, "hyperprior", "GDN transforms, mean-scale hyperprior (Ballé 2018)", (".fvl",), QualityScale("quality", 1, 100, True),
            learned=True, alpha=True, metadata=True, needs=("torch",),
        ),
        _LEARNED + "hyperprior", "HyperpriorCodec",
    ),
    _Row(
        CodecInfo(
            4, "hevc-blocks", "HEVC intra (x265), some blocks at half the size (Li 2018)", (".fvl",),
            QualityScale("quality", 1, 100, True), learned=True, presets=_BLOCKS_PRESETS, alpha=True, metadata=True, needs=("torch", _PYAV),
        ),
        _AROUND + "blocks.codec", "BlocksCodec",
    ),
    _Row(
        CodecInfo(
            5, "cae-pca", "Convolutional auto-encoder, maps on their principal axes (Cheng 2018)", (".fvl",),
            QualityScale("quality", 1, 100, True), learned=True, presets=("rotated", "plain"), preset_in_file=True,
            alpha=True, metadata=True, needs=("torch",),
        ),
        _LEARNED + "cae_pca.codec", "CaePcaCodec",
    ),
    _Row(
        CodecInfo(
            6, "rnn-2015", "Convolutional LSTM over tiles of 32 pixels (Toderici 2015)", (".fvl",), _ITERATIONS,
            learned=True, alpha=True, metadata=True, needs=("torch",), presets=("lstm", "lstm-plain"), bands=16, preset_in_file=True,
        ),
        _LEARNED + "rnn.codec", "RnnCodec",
    ),
    _Row(
        CodecInfo(
            7, "rnn-2017", "Convolutional LSTM or GRU over whole pictures (Toderici 2017)", (".fvl",), _ITERATIONS,
            learned=True, alpha=True, metadata=True, needs=("torch",), presets=_RNN_PRESETS, bands=16, preset_in_file=True,
        ),
        _LEARNED + "rnn.codec", "RnnCodec",
    ),
    _Row(
        CodecInfo(
            64, "jpeg", "JPEG (libjpeg-turbo)", (".jpg", ".jpeg"), QualityScale("quality", 1, 100, False),
            chroma=("420", "422", "444"), metadata=True, importance=True,
        ),
        _STANDARD + "jpeg", "JpegCodec",
    ),
    _Row(
        CodecInfo(65, "jpeg2000", "JPEG 2000 (OpenJPEG)", (".jp2",), QualityScale("psnr_db", 22, 50, True), alpha=True),
        _STANDARD + "jpeg2000", "Jpeg2000Codec",
    ),
    _Row(
        CodecInfo(
            66, "webp", "WebP (libwebp)", (".webp",), QualityScale("quality", 1, 100, False),
            chroma=("420",), presets=("4", "0", "1", "2", "3", "5", "6"), alpha=True, metadata=True,
        ),
        _STANDARD + "webp", "WebpCodec",
    ),
    _Row(
        CodecInfo(
            67, "avif", "AVIF still (libaom)", (".avif",), QualityScale("quality", 1, 100, False),
            chroma=("420", "422", "444"), presets=("6", "0", "1", "2", "3", "4", "5", "7", "8", "9", "10"), alpha=True, metadata=True,
        ),
        _STANDARD + "avif", "AvifCodec",
    ),
    _Row(
        CodecInfo(
            68, "jxl", "JPEG XL (libjxl)", (".jxl",), QualityScale("quality", 1, 100, True),
            presets=("7", "1", "2", "3", "4", "5", "6", "8", "9"), alpha=True, needs=("imagecodecs",),
        ),
        _STANDARD + "jxl", "JxlCodec",
    ),
    _Row(
        CodecInfo(
            69, "hevc", "HEVC intra (x265)", (".hevc", ".mp4"), QualityScale("crf", 51, 4, True),
            chroma=("420", "422", "444"), presets=_X265_PRESETS, needs=(_PYAV,), importance=True, octave=_QP_OCTAVE, adaptive=True,
        ),
        _STANDARD + "hevc", "HevcCodec",
    ),
    _Row(
        CodecInfo(
            70, "av1", "AV1 intra (SVT-AV1)", (".obu", ".mp4"), QualityScale("quarter_crf", 252, 8, False),
            chroma=("420",), presets=_SVT_PRESETS, needs=(_PYAV,),
        ),
        _STANDARD + "av1", "Av1Codec",
    ),
    _Row(
        CodecInfo(
            71, "vvc", "VVC intra (VVenC)", (".266", ".mp4"), QualityScale("qp", 55, 8, False),
            chroma=("420",), presets=_VVENC_PRESETS, needs=(_PYAV, _PROGRAM),
        ),
        _STANDARD + "vvc", "VvcCodec",
    ),
    _Row(
        CodecInfo(
            72, "kvazaar", "HEVC by kvazaar", (".265", ".mp4"), QualityScale("qp", 48, 1, False),
            chroma=("420",), presets=_KVAZAAR_PRESETS, needs=(_PYAV, _PROGRAM), importance=True, octave=_QP_OCTAVE, adaptive=True,
        ),
        _STANDARD + "kvazaar", "KvazaarCodec",
    ),
)  # fmt: skip


def all_codecs() -> tuple[CodecInfo, ...]:
    """Every codec, learned ones first."""
    return tuple(row.info for row in _TABLE)


def codec_by_name(name: str) -> Codec:
    """Loads a codec.

    Raises:
        UnknownCodecError: no codec of that name. MissingDependencyError: it needs what is not installed.
    """
    for row in _TABLE:
        if row.info.name == name:
            return _load(row)
    raise UnknownCodecError(f"no codec {name!r}; there are {', '.join(row.info.name for row in _TABLE)}")


def codec_by_id(codec_id: int) -> Codec:
    """Loads the codec that a .fvl file names. Raises as ``codec_by_name``."""
    for row in _TABLE:
        if row.info.id == codec_id:
            return _load(row)
    raise UnknownCodecError(f"the file names codec {codec_id}, which this version of foveal does not know; a newer one may")


def codec_for_suffix(suffix: str) -> CodecInfo:
    """The codec that writes files of this suffix, the first of the table where several do.

    Raises:
        UnknownCodecError: none does, or more than one standard codec does (name one with ``codec=``).
    """
    rows = [row for row in _TABLE if suffix.lower() in row.info.suffixes]
    if not rows:
        known = sorted({s for row in _TABLE for s in row.info.suffixes})
        raise UnknownCodecError(f"no codec writes {suffix or 'a file without suffix'!r}; the suffixes are {' '.join(known)}")
    if len(rows) > 1 and not rows[0].info.learned:
        raise UnknownCodecError(f"{suffix!r} is written by {', '.join(r.info.name for r in rows)}; name one of them")
    return rows[0].info


@functools.cache
def _load(row: _Row) -> Codec:
    return getattr(importlib.import_module(row.module), row.factory)(row.info)
