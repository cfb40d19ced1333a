"""How the verbs speak: JSON lines on request, else short lines for a person."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from foveal.errors import FormatError, LimitError, PictureError, UnsupportedError

if TYPE_CHECKING:
    from foveal.batch import BatchSummary, Outcome
    from foveal.codecs.base import FileInfo
    from foveal.files import DecodeReport, EncodeReport


def json_line(value: Any) -> str:
    """One line of JSON for a frozen dataclass; numbers that JSON does not have become null."""
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]  # pyright: ignore[reportUnknownVariableType]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def naming(source: str) -> Generator[None]:
    """Puts the name of a file before what is wrong with it, unless it is named already."""
    try:
        yield
    except (FormatError, LimitError, PictureError, UnsupportedError) as error:
        if source in str(error):
            raise
        raise type(error)(f"{source}: {error}") from error


def stream_for(target: str) -> TextIO:
    """Where messages go: standard error if the file itself goes to standard output."""
    return sys.stderr if target == "-" else sys.stdout


def encoded_line(report: EncodeReport) -> str:
    """Such as ``photo.fvl: frequency, 38612 bytes, 0.786 bpp, quality 42.1, 0.31 s``."""
    found = f" ({report.reached}; {report.passes} passes)" if report.reached else ""
    checked = ", verified" if report.verified else ""
    mapped = f", map {report.importance}" if report.importance else ""
    machine = f", for a machine: {', '.join(report.tasks)}" if report.tasks else ""
    machine += f" by {report.search} search" if report.search else ""
    machine += f", by {report.preprocess} for machines" if report.preprocess else ""
    machine += f", to be restored ({report.restore})" if report.restore else ""
    native = "" if report.parameter == "quality" else f" ({report.parameter} {report.parameter_value:.4g})"
    return (
        f"{report.output}: {report.codec}, {report.bytes} bytes, {report.bpp:.3f} bpp, quality {report.quality:.4g}{native}, "
        f"{report.encode_s:.2f} s{mapped}{machine}{checked}{found}"
    )


def decoded_line(report: DecodeReport) -> str:
    """Such as ``photo.png: 768x512 from frequency, 38612 bytes read, 0.12 s``."""
    whole = f"{report.bands_decoded} of {report.bands} bands are whole"
    partial = f"; the file is cut: {whole}, and what it lacks was predicted" if report.partial else ""
    return (
        f"{report.output}: {report.width}x{report.height} from {report.codec}, {report.bytes_read} bytes read, "
        f"{report.decode_s:.2f} s{partial}"
    )


def info_json(file: str, about: FileInfo) -> str:
    """One line for one file; each band has its bits per pixel and its share of the file too."""
    bands = [
        {
            **_plain(band),
            "symbols_crc": band.symbols_crc if band.units else None,
            "bpp": 8 * band.bytes / (about.width * about.height),
            "share": band.bytes / about.bytes,
        }
        for band in about.bands
    ]
    return json_line({"file": file, **_plain(about), "bands": bands})


def info_text(file: str, about: FileInfo) -> str:
    """A block of lines for one file; what its format does not hold is left out."""
    bpp = 8 * about.bytes / (about.width * about.height)
    kind = {1: "gray", 3: "RGB"}.get(about.channels, f"{about.channels} channels")
    kind += " with alpha" if about.alpha else " without alpha"
    facts = [
        ("codec", about.codec),
        ("format version", about.format_version),
        ("weights", about.weights),
        ("preset", about.preset),
        ("restored from", f"{about.restored_from[0]}x{about.restored_from[1]}" if about.restored_from else None),
        ("picture", f"{about.width}x{about.height} {kind}, {about.bit_depth} bits a sample"),
        ("chroma", about.chroma),
        ("parameter", about.parameter),
        ("size", f"{about.bytes} bytes, {bpp:.3f} bpp"),
        ("icc", f"{about.icc_bytes} bytes" if about.icc_bytes else None),
        ("exif", f"{about.exif_bytes} bytes" if about.exif_bytes else None),
        ("importance", f"{about.importance_bytes} bytes" if about.importance_bytes else None),
        ("tiles", f"{about.tiles[0]}x{about.tiles[1]}" if about.tiles else None),
        ("cut", _cut(about) if about.missing_units else None),
        ("cut chunk", f"{about.cut_bytes} bytes" if about.cut_bytes else None),
        (
            "beside bands",
            f"{about.bytes - about.cut_bytes - sum(band.bytes for band in about.bands)} bytes" if about.bands else None,
        ),
    ]
    lines = [file, *(f"  {name:<15}{fact}" for name, fact in facts if fact is not None)]
    return "\n".join([*lines, *(_band_rows(about) if about.bands else [])])


def _cut(about: FileInfo) -> str:
    missing = "1 unit is missing" if about.missing_units == 1 else f"{about.missing_units} units are missing"
    remedy = (
        "decode with --allow-partial"
        if about.decodable
        else "cut within the first band, so it cannot be decoded: fetch more of it"
    )
    return f"{missing}; {remedy}"


def _band_rows(about: FileInfo) -> list[str]:
    """A table, one row a band; the share is of the whole file."""
    rows = [f"  {'band':<6}{'units':>6}{'bytes':>11}{'bpp':>9}{'share':>8}  CRC"]
    for band in about.bands:
        bpp, share = 8 * band.bytes / (about.width * about.height), band.bytes / about.bytes
        crc = f"{band.symbols_crc:08x}" if band.units else "-"
        rows.append(f"  {band.number:<6}{band.units:>6}{band.bytes:>11}{bpp:>9.4f}{share:>8.1%}  {crc}")
    return rows


def outcome_json(outcome: Outcome[Any]) -> str:
    """One line for one input of a batch: its state, and its report or the reason of its failure."""
    about: dict[str, Any] = _plain(outcome.result) if outcome.result is not None else {}
    more = {"reason": outcome.reason} if outcome.reason else {}
    return json_line({"state": outcome.state, "name": outcome.name, **about, **more, "warnings": outcome.notes})


def summary_line(summary: BatchSummary, what: str, note: str = "") -> str:
    """Such as ``12 encoded, 3 up to date, 1 failed``, and after a semicolon what is to be noted of all."""
    return f"{summary.done} {what}, {summary.skipped} up to date, {len(summary.failed)} failed" + (f"; {note}" if note else "")
