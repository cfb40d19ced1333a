"""The log of a batch: what each file in the output folder was made of, one record a line, the last one counts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from foveal.errors import InputError

LOG_NAME = ".foveal-batch.jsonl"


@dataclass(frozen=True)
class Record:
    """What an output was made of. output_bytes: its size, or -1 where work on it began and was not done."""

    output: str
    input: str
    size: int
    mtime_ns: int
    settings: str
    output_bytes: int = -1


@final
class Log:
    """The records of an output folder. Raises InputError: it cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG_NAME
        self.records = read_log(folder)
        self._torn = self._path.exists()  # perhaps: an empty line between records does no harm

    def write(self, record: Record) -> None:
        """Adds a record. Raises InputError: the folder is not writable or full."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" * self._torn + json.dumps(asdict(record)) + "\n")
        except OSError as error:
            raise InputError(f"cannot write {self._path}: {error.strerror}") from error
        self._torn = False
        self.records[record.output] = record


def read_log(folder: Path) -> dict[str, Record]:
    """The last record of each output; a line that is torn or not a record is passed over."""
    records = dict[str, Record]()
    path = folder / LOG_NAME
    if not path.exists():
        return records
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    for line in lines:
        try:
            record = Record(**json.loads(line))
        except (ValueError, TypeError):
            continue
        records[str(record.output)] = record
    return records
