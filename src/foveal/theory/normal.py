"""The normal distribution, without scipy: erfc for arrays, and Gauss-Legendre nodes."""

from __future__ import annotations

import math

import numpy as np

from foveal.theory.arrays import Array

_erfc = np.frompyfunc(math.erfc, 1, 1)


def normal_cdf(x: Array) -> Array:
    """Φ(x), to the last digits also in the tails."""
    return 0.5 * np.asarray(_erfc(-np.asarray(x, dtype=np.float64) / math.sqrt(2)), dtype=np.float64)


def normal_pdf(x: Array) -> Array:
    """The density of the standard normal distribution."""
    return np.exp(-0.5 * np.square(x)) / math.sqrt(2 * math.pi)


def panels(edges: Array, order: int) -> tuple[Array, Array]:
    """Nodes and weights of Gauss-Legendre quadrature, ``order`` nodes in each panel between two neighbouring edges."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    half, middle = np.diff(edges)[:, None] / 2, (edges[1:, None] + edges[:-1, None]) / 2
    return (middle + half * nodes).ravel(), (half * weights).ravel()
