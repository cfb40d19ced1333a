"""Symbols of a digit and the bytes of its file: integers only, so that every machine decodes the same symbols.

A file names a cluster, then each latent's symbol with that cluster's table of it. All tables are counted once, on
training digits, and frozen with the weights. A cluster is what latents tell of each other; ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

import numpy as np
import numpy.typing as npt

from foveal.entropy.short import Bounds, ShortReader, shortest_file
from foveal.entropy.tables import TABLE_BITS, TABLE_TOTAL, Table
from foveal.errors import DamagedError

Symbols = npt.NDArray[np.int64]

LARGEST_SYMBOL: Final = 127
_COUNT_WEIGHT: Final = 256
"""What one counted symbol weighs against one of the pool of all clusters, of which each cluster gets as much as eight symbols."""
_POOL: Final = 8 * _COUNT_WEIGHT


@final
@dataclass(frozen=True, eq=False)
class DigitTables:
    """The coding tables of one codec.

    low ``(latents,)``: the least symbol of each latent. counts ``(latents,)``: how many symbols from there on it has.
    frequencies ``(clusters, latents, most + 1)`` out of 2^16: of those symbols, then of the escape, which no file holds, then zeros.
    clusters ``(clusters + 1,)`` out of 2^16: of the clusters, then an escape. All int64.
    """

    low: Symbols
    counts: Symbols
    frequencies: Symbols
    clusters: Symbols

    @property
    def most_bytes(self) -> int:
        """The length of the longest file."""
        return TABLE_BITS // 8 * (len(self.low) + 1)

    def choose(
        self, clusters: Symbols, steps: npt.NDArray[np.float64], error_bits: float
    ) -> tuple[Symbols, Symbols, npt.NDArray[np.float64]]:
        """The cluster and the symbols by which bits and rounding errors cost least, and the bits, for an encoder.

        clusters ``(n, near)``: those to choose from; steps ``(n, near, latents)``: how far each latent is from each. error_bits:
        what a squared error of a step is worth. Each symbol is the nearest that the table holds, or the next one towards 0.
        Returns ``(n,), (n, latents), (n,)``.
        """
        nearest = self._held(np.rint(steps).astype(np.int64))
        options = np.stack([nearest, self._held(nearest - np.sign(nearest))])
        bits = self._cost[clusters[:, :, None], np.arange(len(self.low)), options - self.low]
        costs = bits + error_bits * np.square(steps - options)
        way = costs.argmin(0)[None]
        best = (np.take_along_axis(costs, way, 0)[0].sum(2) + self._cluster_cost[clusters]).argmin(1)
        rows = np.arange(len(steps))
        cluster = clusters[rows, best]
        symbols = np.take_along_axis(options, way, 0)[0][rows, best]
        return cluster, symbols, np.take_along_axis(bits, way, 0)[0][rows, best].sum(1) + self._cluster_cost[cluster]

    def _held(self, symbols: Symbols) -> Symbols:
        return np.clip(symbols, self.low, self.low + self.counts - 1)

    def file(self, cluster: int, symbols: Symbols) -> bytes:
        """The file of one digit: symbols ``(latents,)``, all in the tables."""
        entries = (symbols - self.low).tolist()
        return shortest_file([(cluster, self._cluster_bounds), *zip(entries, self._bounds[cluster], strict=True)])

    def read(self, data: bytes) -> tuple[int, Symbols]:
        """The cluster and the symbols ``(latents,)`` of a file.

        Raises:
            DamagedError: no digit has this file.
        """
        if len(data) > self.most_bytes:
            raise DamagedError(f"{len(data)} bytes; the file of a digit has up to {self.most_bytes} with these weights")
        reader = ShortReader(data)
        cluster = reader.take(self._cluster_bounds)
        escaped = cluster == len(self._bounds)
        entries = [] if escaped else [reader.take(bounds) for bounds in self._bounds[cluster]]
        if escaped or (np.asarray(entries) >= self.counts).any():
            raise DamagedError("the file holds a symbol that no digit has")
        symbols = np.asarray(entries, np.int64) + self.low
        if (own := self.file(cluster, symbols)) != data:
            raise DamagedError(f"{len(data)} bytes that no digit has: their symbols would be coded in {len(own)} others")
        return cluster, symbols

    @cached_property
    def _cluster_bounds(self) -> Bounds:
        return Bounds.of(Table(0, self.clusters))

    @cached_property
    def _bounds(self) -> tuple[tuple[Bounds, ...], ...]:
        return tuple(
            tuple(Bounds.of(Table(int(low), row[: n + 1])) for low, n, row in zip(self.low, self.counts, rows, strict=True))
            for rows in self.frequencies
        )

    @cached_property
    def _cost(self) -> npt.NDArray[np.float64]:
        return TABLE_BITS - np.log2(np.maximum(self.frequencies, 1))

    @cached_property
    def _cluster_cost(self) -> npt.NDArray[np.float64]:
        return TABLE_BITS - np.log2(self.clusters[:-1])


def counted_tables(symbols: Symbols, cluster: Symbols, clusters: int) -> DigitTables:
    """Tables of the symbols ``(n, latents)`` of training digits, as they occur in their clusters ``(n,)``."""
    symbols = np.clip(symbols, -LARGEST_SYMBOL, LARGEST_SYMBOL)
    low, high = symbols.min(0), symbols.max(0)
    counts = high - low + 1
    latents, most = len(low), int(counts.max())
    place = ((cluster[:, None] * latents + np.arange(latents)) * most + symbols - low).reshape(-1)
    seen = np.bincount(place, minlength=clusters * latents * most).reshape(clusters, latents, most).astype(np.int64)
    pool = seen.sum(0)
    held = np.arange(most) < counts[:, None]
    weight = np.where(held, _COUNT_WEIGHT * seen + _POOL * pool // len(symbols) + 1, 0)
    frequencies = np.zeros((clusters, latents, most + 1), np.int64)
    for i, n in enumerate(counts):
        frequencies[:, i, : n + 1] = table_frequencies(weight[:, i, :n])
    of_clusters = table_frequencies(np.bincount(cluster, minlength=clusters)[None].astype(np.int64) + 1)[0]
    return DigitTables(low, counts, frequencies, of_clusters)


def table_frequencies(weight: Symbols) -> Symbols:
    """Weights ``(rows, n)`` as frequencies ``(rows, n + 1)`` out of 2^16, each at least 1, the last of an escape: integers only."""
    entries = weight.shape[1] + 1
    cumulative = np.cumsum(np.pad(weight, ((0, 0), (1, 1))), 1)
    return 1 + np.diff(cumulative * (TABLE_TOTAL - entries) // cumulative[:, -1:], axis=1)
