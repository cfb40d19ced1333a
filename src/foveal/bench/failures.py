"""What failed in a bench, each cause told once: a network that fails on a picture fails at all its qualities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from foveal.bench.readers import ON_THE_ORIGINAL
from foveal.bench.readings import Reading
from foveal.bench.rows import Row
from foveal.tasks.wording import counted

_SHOWN: Final = 3


@dataclass(frozen=True)
class Failure:
    """A row that failed, or all readings by one network that failed in the same words.

    label: the codec, or the network and what it read. quality: None for the pictures themselves, and for several qualities.
    count: how many rows or readings.
    """

    pictures: tuple[str, ...]
    label: str
    quality: float | None
    error: str
    count: int = 1

    @property
    def where(self) -> str:
        """The pictures, the first of them if they are many."""
        shown = ", ".join(self.pictures[:_SHOWN])
        return f"{shown}, … ({len(self.pictures)} pictures)" if len(self.pictures) > _SHOWN else shown

    @property
    def what(self) -> str:
        """The error, and how many readings met it."""
        return f"{self.error} ({counted(self.count, 'reading')})" if self.count > 1 else self.error


def failures_of(rows: Sequence[Row], readings: Sequence[Reading] = ()) -> tuple[Failure, ...]:
    """The rows that failed, in order, and then the readings. A reading of a file that was never made is told by its row alone."""
    failed = [row for row in rows if row.error is not None]
    found = [Failure((row.picture,), row.label, row.quality, row.error or "") for row in failed]
    told = {(row.picture, row.label, row.quality, row.error) for row in failed}
    groups: dict[tuple[str, str], list[Reading]] = {}
    for one in readings:
        if one.error is not None and (one.picture, one.label, one.quality, one.error) not in told:
            groups.setdefault((one.network, one.error.removeprefix(ON_THE_ORIGINAL)), []).append(one)
    return (*found, *(_of_group(network, error, group) for (network, error), group in groups.items()))


def _of_group(network: str, error: str, group: Sequence[Reading]) -> Failure:
    labels, qualities = {one.label for one in group}, {one.quality for one in group}
    return Failure(
        tuple(dict.fromkeys(one.picture for one in group)),
        f"{network} on {group[0].label}" if len(labels) == 1 else network,
        group[0].quality if len(qualities) == 1 else None,
        error,
        len(group),
    )
