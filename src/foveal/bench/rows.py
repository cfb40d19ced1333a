"""The results of a bench on disk: JSON Lines, a header for each run, then a row for each picture, codec and quality, and a
reading for each network that read the row's picture.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, cast

from foveal.bench.readings import Reading
from foveal.errors import InputError
from foveal.tasks.wording import counted

SCHEMA: Final = 1


@dataclass(frozen=True)
class Header:
    """Where and by what the rows after it were measured. versions: package name and version, in pairs."""

    date: str
    command: str
    cpu: str
    cores: int
    platform: str
    python: str
    versions: tuple[tuple[str, str], ...]
    threads: int | None = None


@dataclass(frozen=True)
class Row:
    """One picture coded by one codec at one quality.

    picture_sha256 is of the picture's file. parameter, parameter_value: the codec's own quality parameter.
    bytes is the size of the file on disk. psnr_*_db is ``inf`` for identical samples (null in the file).
    ssim and ms_ssim are None where they are not defined or were not asked for.
    Where error is set the row failed there, and what was not measured is None. bands: of a file cut after its first bands.
    variant: how the codec was used (``foveal.bench.variants``), None for plain; variant_id: another one where what it depends on changed,
    such as the network that guides.
    """

    picture: str
    picture_sha256: str
    codec: str
    label: str
    quality: float
    chroma: str | None
    preset: str | None
    threads: int | None
    foveal: str
    weights: str | None
    parameter: str | None = None
    parameter_value: float | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    bpp: float | None = None
    psnr_rgb_db: float | None = None
    psnr_y_db: float | None = None
    ssim: float | None = None
    ms_ssim: float | None = None
    encode_s: float | None = None
    decode_s: float | None = None
    error: str | None = None
    bands: int | None = None
    variant: str | None = None
    variant_id: str | None = None


@dataclass(frozen=True)
class RowFile:
    """What one file of rows holds, in the order of writing."""

    headers: tuple[Header, ...]
    rows: tuple[Row, ...]
    readings: tuple[Reading, ...] = ()


_ADDED: Final = ("bands", "variant", "variant_id")
"""What lines of earlier versions do not hold."""
_KINDS: Final[dict[str, type[Header] | type[Row] | type[Reading]]] = {"header": Header, "row": Row, "reading": Reading}


def to_line(record: Header | Row | Reading) -> bytes:
    """One line of the file, with its newline."""
    data = asdict(record)
    for key in ("psnr_rgb_db", "psnr_y_db"):
        if data.get(key) == math.inf:
            data[key] = None
    kind = next(name for name, kind in _KINDS.items() if isinstance(record, kind))
    return json.dumps({"kind": kind, "schema": SCHEMA, **data}, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def read_rows(path: Path) -> RowFile:
    """Reads a file of rows; a half-written last line is left out.

    Raises:
        InputError: no such file, or a damaged line before the last.
    """
    headers: list[Header] = []
    rows: list[Row] = []
    readings: list[Reading] = []
    lines = _read(path).split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = _from_line(line)
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines):
                break
            raise InputError(f"{path}, line {number}: not a record of a bench ({error}); delete that line") from error
        if isinstance(record, Header):
            headers.append(record)
        elif isinstance(record, Row):
            rows.append(record)
        else:
            readings.append(record)
    return RowFile(tuple(headers), tuple(rows), tuple(readings))


def mend_end(path: Path) -> None:
    """Cuts off a half-written last line, so that the next one begins on a line of its own.

    Raises:
        InputError: the file cannot be read or written.
    """
    data = _read(path)
    if not data or data.endswith(b"\n"):
        return
    whole, _, last = data.rpartition(b"\n")
    try:
        _from_line(last)
        mended = data + b"\n"
    except (ValueError, TypeError, KeyError):
        mended = whole + b"\n" if whole else b""
    try:
        path.write_bytes(mended)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error


def select_latest(rows: Sequence[Row]) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """The newest row of each picture, label and quality, and notes on what was left out.

    Left out are rows that another version of foveal, other weights, another network that guides or another number of threads
    measured than the label's newest good row, and failures that a later run mended.

    Raises:
        InputError: two different pictures have the same name.
    """
    newest: dict[str, Row] = {row.label: row for row in sorted(rows, key=lambda row: row.error is None)}
    kept: dict[tuple[str, str, float], Row] = {}
    stale: dict[str, int] = {}
    hashes: dict[str, str] = {}
    for row in rows:
        if not _alike(row, newest[row.label]):
            stale[row.label] = stale.get(row.label, 0) + 1
            continue
        if row.picture_sha256 and hashes.setdefault(row.picture, row.picture_sha256) != row.picture_sha256:
            raise InputError(f"the rows hold two different pictures named {row.picture}; report them apart")
        key = row.picture, row.label, row.quality
        if row.error is None or key not in kept:
            kept[key] = row
    notes = tuple(
        f"{label}: {counted(count, 'row')} of another version, other weights, another guide or another number of threads left out"
        for label, count in stale.items()
    )
    return tuple(kept.values()), notes


def select_readings(files: Sequence[Sequence[Reading]], rows: Sequence[Row]) -> tuple[tuple[Reading, ...], tuple[str, ...]]:
    """The newest good reading of each picture, label, quality and network, of the versions that the chosen rows have; and notes.

    files: the readings of each file, that of the bench itself first: its newest say what network and which labels count.
    Readings of a network that is another by now are left out; those by another label count for agreement alone.
    """
    versions = {(row.label, row.foveal, row.threads, row.weights, row.variant_id) for row in rows if row.error is None}
    uncompressed = {(row.foveal, row.threads) for row in rows if row.error is None}
    networks: dict[str, str] = {}
    truths: dict[tuple[str, str], str | None] = {}
    for one in (one for readings in files for one in reversed(readings)):
        networks.setdefault(one.network, one.network_id)
        truths.setdefault((one.picture, one.network), one.truth_id)
    kept: dict[tuple[object, ...], Reading] = {}
    foreign: dict[tuple[object, ...], Reading] = {}
    for readings in reversed(files):
        own: dict[tuple[object, ...], Reading] = {}
        for one in readings:
            key = one.picture, one.label, one.quality, one.network
            known = (one.label, one.foveal, one.threads, one.weights, one.variant_id) in versions
            itself = one.quality is None and (one.foveal, one.threads) in uncompressed
            if one.network_id != networks[one.network]:
                foreign[key] = one
            elif (known or itself) and (one.error is None or key not in own):
                same = one.truth_id == truths[one.picture, one.network]
                own[key] = one if same else replace(one, truth_id=None, labelled=None)
        kept |= {key: one for key, one in own.items() if one.error is None or key not in kept}
    missing = Counter((one.network, one.label) for key, one in foreign.items() if key not in kept)
    unlabelled = Counter(
        (one.network, one.label) for one in kept.values() if one.truth_id is None and truths[one.picture, one.network] is not None
    )
    notes = (
        *(
            f"{network}: {counted(count, 'reading')} of {label} by another network or record of that name left out"
            for (network, label), count in missing.items()
        ),
        *(
            f"{network}: {counted(count, 'reading')} of {label} by other labels count for agreement alone"
            for (network, label), count in unlabelled.items()
        ),
    )
    order = {one.label: number for number, one in enumerate(one for readings in files for one in readings)}
    return tuple(sorted(kept.values(), key=lambda one: order[one.label])), notes


def _alike(row: Row, newest: Row) -> bool:
    weights_known = row.error is None or row.weights is not None
    same_weights = row.weights == newest.weights or not weights_known
    return same_weights and (row.foveal, row.threads, row.variant_id) == (newest.foveal, newest.threads, newest.variant_id)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _from_line(line: bytes) -> Header | Row | Reading:
    data = cast("dict[str, Any]", json.loads(line))
    if data["schema"] != SCHEMA:
        raise ValueError(f"schema {data['schema']}, this version reads {SCHEMA}")
    if data["kind"] == "header":
        known = {field.name: data[field.name] for field in fields(Header)}
        known["versions"] = tuple((name, version) for name, version in cast("list[list[str]]", known["versions"]))
        return Header(**known)
    if data["kind"] == "reading":
        return Reading(**_known(Reading, data))
    row = _known(Row, data)
    if row["error"] is None:
        for key in ("psnr_rgb_db", "psnr_y_db"):
            row[key] = math.inf if row[key] is None else row[key]
    return Row(**row)


def _known(kind: type[Row] | type[Reading], data: dict[str, Any]) -> dict[str, Any]:
    return {field.name: data[field.name] for field in fields(kind) if field.name in data or field.name not in _ADDED}
