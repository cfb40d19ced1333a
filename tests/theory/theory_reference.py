"""Slow second ways to the same numbers: Blahut and Arimoto's iteration, and channels drawn at random."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def blahut_arimoto(p: Array, costs: Array, s: tuple[float, float], rounds: int = 20_000) -> tuple[float, float, float]:
    """(E d1, E d2, I in bits) of the best channel for the prices s, in nats: a point of the surface whose slopes are -s."""
    kernel = np.exp(-s[0] * costs[0] - s[1] * costs[1])
    q = np.full(costs.shape[2], 1 / costs.shape[2])
    for _ in range(rounds):
        use = p @ (kernel / (kernel @ q)[:, None])
        q = q * use
        if use.max() < 1 + 1e-12:
            break
    joint = p[:, None] * kernel * q / (kernel @ q)[:, None]
    return float((joint * costs[0]).sum()), float((joint * costs[1]).sum()), information_bits(joint)


def information_bits(joint: Array) -> float:
    """I(X; Y) of a joint law."""
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    used = joint > 0
    return float((joint[used] * np.log2(joint[used] / product[used])).sum())


def conditional_entropy_bits(joint: Array) -> float:
    """H(S|Y) of a joint law of Y and S, rows of Y."""
    used = joint > 0
    rows = np.broadcast_to(joint.sum(axis=1, keepdims=True), joint.shape)
    return float(-(joint[used] * np.log2(joint[used] / rows[used])).sum())
