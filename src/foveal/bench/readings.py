"""What one network made of one decoded picture: a record of a bench's file of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reading:
    """One network's reading of one picture, coded as the row of the same picture, label and quality says.

    label ``uncompressed`` is the picture itself; quality, bytes and bpp are None there. task, network, network_id: what read.
    agreement: the tally against the network's own result on the picture itself; labelled: against the label, None without one.
    Both are as the task's ``Scoring.dump`` gives them. truth_id: of the label. variant_id: of the row. Where error is set there is no tally.
    """

    picture: str
    picture_sha256: str
    label: str
    quality: float | None
    threads: int | None
    foveal: str
    weights: str | None
    task: str
    network: str
    network_id: str
    truth_id: str | None
    bytes: int | None = None
    bpp: float | None = None
    agreement: Any = None
    labelled: Any = None
    error: str | None = None
    variant_id: str | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for readings of which one can stand for the other."""
        return (
            self.picture_sha256,
            self.label,
            self.quality,
            self.threads,
            self.foveal,
            self.weights,
            self.task,
            self.network,
            self.network_id,
            self.truth_id,
            self.variant_id,
        )
