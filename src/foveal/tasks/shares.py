"""Shares of hits over pictures, in percent, for one set of pictures or for many draws of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foveal.errors import LabelError


def checked_weights(weights: NDArray[np.int64] | None, pictures: int) -> NDArray[np.float64]:
    """``(draws, pictures)``, a draw of ones where ``weights`` is None. Raises LabelError: of another shape, or negative."""
    if weights is None:
        return np.ones((1, pictures))
    if weights.ndim != 2 or weights.shape[1] != pictures:
        raise LabelError(f"weights of shape {weights.shape} for {pictures} pictures; (draws, {pictures}) is wanted")
    if weights.size and weights.min() < 0:
        raise LabelError(f"a weight of {weights.min()}; how often a picture counts is 0 or more")
    return weights.astype(np.float64)


def percent(hits: NDArray[np.float64], trials: NDArray[np.float64]) -> NDArray[np.float64]:
    """100 * hits / trials; NaN where nothing was tried."""
    return np.divide(100 * hits, trials, out=np.full(np.broadcast_shapes(hits.shape, trials.shape), np.nan), where=trials > 0)


def pooled_percent(
    hits: NDArray[np.float64], trials: NDArray[np.float64], weights: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """All hits over all trials. hits: ``(pictures, metrics)``; trials: ``(pictures,)``; as ``Scoring.scores`` gives it."""
    draws = checked_weights(weights, len(trials))
    scores = percent(draws @ hits, (draws @ trials)[:, None])
    return scores[0] if weights is None else scores
