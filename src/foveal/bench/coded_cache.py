"""Coded files kept between runs of a bench, so that a new network reads them without coding anything again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import final

from foveal.errors import InputError
from foveal.media.output import write_whole


@dataclass(frozen=True)
class CodedKey:
    """What makes two coded files the same: the picture's file, the codec with its settings, and the versions of both.

    variant_id: as in ``Row``.
    """

    picture_sha256: str
    label: str
    quality: float
    threads: int | None
    foveal: str
    weights: str | None
    variant_id: str | None = None

    @property
    def name(self) -> str:
        """A file name, the same for equal keys."""
        known = [self.picture_sha256, self.label, self.quality, self.threads, self.foveal, self.weights]
        more = [] if self.variant_id is None else [self.variant_id]
        return hashlib.sha256(json.dumps([*known, *more]).encode()).hexdigest()[:32]


@final
class CodedCache:
    """A folder of coded files. Two runs may use it at once: a file appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: CodedKey) -> bytes | None:
        """The file, or None if it is not there."""
        path = self._path(key)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"cannot read the coded file {path}: {error.strerror}") from error

    def put(self, key: CodedKey, data: bytes) -> None:
        """Keeps a file. Raises InputError: it cannot be written."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write to {path.parent}: {error.strerror}") from error
        write_whole(path, data)

    def _path(self, key: CodedKey) -> Path:
        return self._folder / key.name[:2] / key.name[2:]
